"""ZeroPadding and Cropping of sequences, images and volumes."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from jkeras.core import Definition, layer
from jkeras.core.arguments import whole_number
from jkeras.core.errors import ShapeError
from jkeras.core.shapes import shape_of
from jkeras.layers.common import stateless
from jkeras.layers.spatial import SPACE, in_format, is_channels_first


def _ends(name: str, value: Any, rank: int) -> list[tuple[int, int]]:
    """Return what is meant at the two ends of each axis by ``1``, ``(1, 2)`` or ``((0, 1), (2, 2))``."""
    given = tuple(value) if isinstance(value, (list, tuple)) else (value,) * rank
    if rank == 1:
        given = (value,)
    if len(given) != rank:
        raise ValueError(f"{name} must be an integer, or one or two of them for each of {rank} axes, but got {value!r}.")
    pairs = []
    for end in given:
        pair = tuple(end) if isinstance(end, (list, tuple)) else (end, end)
        if len(pair) != 2:
            raise ValueError(f"{name} must have one or two integers for an axis, but got {value!r}.")
        pairs.append((whole_number(name, pair[0], 0), whole_number(name, pair[1], 0)))
    return pairs


def _padding(rank: int, padding: Any, data_format: Any) -> Definition:
    pads = [(0, 0), *_ends("padding", padding, rank), (0, 0)]
    return stateless(in_format(lambda x: jnp.pad(x, pads), rank, is_channels_first(data_format)))


def _cropping(rank: int, cropping: Any, data_format: Any) -> Definition:
    cuts = _ends("cropping", cropping, rank)

    def crop(x: Any) -> Any:  # (batch, *space, channels)
        index = [slice(None)]
        for axis, (name, (before, after)) in enumerate(zip(SPACE[rank], cuts, strict=True), 1):
            size = x.shape[axis]
            if isinstance(size, int) and before + after >= size:
                raise ShapeError(f"cutting {before} and {after} leaves nothing of the {name} of an input {shape_of(x)}.")
            index.append(slice(before, size - after))
        return x[tuple(index)]

    return stateless(in_format(crop, rank, is_channels_first(data_format)))


@layer
def ZeroPadding1D(padding: Any = 1, data_format: str | None = None) -> Definition:
    """Put zeros around a sequence.

    Shapes: ``(batch, time, channels)`` to ``(batch, time + p, channels)``, with the sums of what is put at both
    ends. Params: none. Ends a mask.

    Args:
      padding: how many at each end, or ``(before, after)``.
      data_format: ``"channels_last"`` (None, default) or ``"channels_first"``: ``(batch, channels, time)``.

    Raises:
      ValueError: when ``padding`` is none of these.
      ShapeError: when the input has not 3 axes.

    Example:
      >>> ZeroPadding1D(1)(Input((10, 3))).shape
      (None, 12, 3)

    Reference: ``keras.layers.ZeroPadding1D``.
    """
    return _padding(1, padding, data_format)


@layer
def ZeroPadding2D(padding: Any = (1, 1), data_format: str | None = None) -> Definition:
    """Put zeros around an image.

    Shapes: ``(batch, height, width, channels)`` to ``(batch, height + p, width + q, channels)``, with the sums of what is put
    at both ends. Params: none. Ends a mask.

    Args:
      padding: how many at each end of both axes, of each axis, or ``((top, bottom), (left, right))``.
      data_format: ``"channels_last"`` (None, default) or ``"channels_first"``: ``(batch, channels, height, width)``.

    Raises:
      ValueError: when ``padding`` is none of these.
      ShapeError: when the input has not 4 axes.

    Example:
      >>> ZeroPadding2D(1)(Input((28, 28, 3))).shape
      (None, 30, 30, 3)

    Reference: ``keras.layers.ZeroPadding2D``.
    """
    return _padding(2, padding, data_format)


@layer
def ZeroPadding3D(padding: Any = ((1, 1), (1, 1), (1, 1)), data_format: str | None = None) -> Definition:
    """Put zeros around a volume.

    Shapes: ``(batch, depth, height, width, channels)`` to ``(batch, depth + p, height + q, width + r, channels)``, with the
    sums of what is put at both ends. Params: none. Ends a mask.

    Args:
      padding: how many at each end of all axes, of each axis, or a pair ``(before, after)`` for each axis.
      data_format: ``"channels_last"`` (None, default) or ``"channels_first"``: ``(batch, channels, depth, height, width)``.

    Raises:
      ValueError: when ``padding`` is none of these.
      ShapeError: when the input has not 5 axes.

    Example:
      >>> ZeroPadding3D(1)(Input((8, 28, 28, 3))).shape
      (None, 10, 30, 30, 3)

    Reference: ``keras.layers.ZeroPadding3D``.
    """
    return _padding(3, padding, data_format)


@layer
def Cropping1D(cropping: Any = (1, 1)) -> Definition:
    """Cut off the ends of a sequence.

    Shapes: ``(batch, time, channels)`` to ``(batch, time - p, channels)``, with the sums of what is cut off at both
    ends. Params: none. Ends a mask.

    Args:
      cropping: how many at each end, or ``(before, after)``.

    Raises:
      ValueError: when ``cropping`` is none of these.
      ShapeError: when the input has not 3 axes, or nothing would be left of it.

    Example:
      >>> Cropping1D(1)(Input((10, 3))).shape
      (None, 8, 3)

    Reference: ``keras.layers.Cropping1D``.
    """
    return _cropping(1, cropping, None)


@layer
def Cropping2D(cropping: Any = ((0, 0), (0, 0)), data_format: str | None = None) -> Definition:
    """Cut off the ends of an image.

    Shapes: ``(batch, height, width, channels)`` to ``(batch, height - p, width - q, channels)``, with the sums of what is cut
    off at both ends. Params: none. Ends a mask.

    Args:
      cropping: how many at each end of both axes, of each axis, or ``((top, bottom), (left, right))``.
      data_format: ``"channels_last"`` (None, default) or ``"channels_first"``: ``(batch, channels, height, width)``.

    Raises:
      ValueError: when ``cropping`` is none of these.
      ShapeError: when the input has not 4 axes, or nothing would be left of it.

    Example:
      >>> Cropping2D(1)(Input((28, 28, 3))).shape
      (None, 26, 26, 3)

    Reference: ``keras.layers.Cropping2D``.
    """
    return _cropping(2, cropping, data_format)


@layer
def Cropping3D(cropping: Any = ((1, 1), (1, 1), (1, 1)), data_format: str | None = None) -> Definition:
    """Cut off the ends of a volume.

    Shapes: ``(batch, depth, height, width, channels)`` to ``(batch, depth - p, height - q, width - r, channels)``, with the
    sums of what is cut off at both ends. Params: none. Ends a mask.

    Args:
      cropping: how many at each end of all axes, of each axis, or a pair ``(before, after)`` for each axis.
      data_format: ``"channels_last"`` (None, default) or ``"channels_first"``: ``(batch, channels, depth, height, width)``.

    Raises:
      ValueError: when ``cropping`` is none of these.
      ShapeError: when the input has not 5 axes, or nothing would be left of it.

    Example:
      >>> Cropping3D(1)(Input((8, 28, 28, 3))).shape
      (None, 6, 26, 26, 3)

    Reference: ``keras.layers.Cropping3D``.
    """
    return _cropping(3, cropping, data_format)

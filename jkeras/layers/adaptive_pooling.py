"""Adaptive pooling: as many windows as outputs were asked for, whatever the size of the input."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from jkeras.core import Definition, layer
from jkeras.core.errors import ShapeError
from jkeras.core.shapes import is_float, shape_of
from jkeras.layers.common import real, stateless
from jkeras.layers.spatial import in_format, is_channels_first, per_axis


def _adaptive(rank: int, output_size: Any, data_format: Any, largest: bool) -> Definition:
    wanted = per_axis("output_size", output_size, rank)

    def pool(x: Any) -> Any:  # one axis after the other: a window is a box, whose mean is the mean of its rows' means
        x = x if largest else real(x)
        for axis, count in enumerate(wanted, 1):
            x = _pooled(x, axis, count, largest)
        return x

    return stateless(in_format(pool, rank, is_channels_first(data_format)))


def _pooled(x: Any, axis: int, count: int, largest: bool) -> Any:
    """Pool one axis of n entries into windows from ``floor(i n / count)`` up to ``ceil((i + 1) n / count)``."""
    n = x.shape[axis]
    if not isinstance(n, int):
        raise ShapeError(
            f"its windows depend on a size that is not known yet in {shape_of(x)}. Give that axis of the Input a size."
        )
    places = np.arange(count + 1) * n
    start, end = places[:-1] // count, -(-places[1:] // count)
    index = start[:, None] + np.arange((end - start).max())  # (count, longest window)
    inside = np.expand_dims(index < end[:, None], tuple(range(2, x.ndim - axis + 1)))
    windows = jnp.take(x, np.minimum(index, n - 1), axis)  # (..., count, longest window, ...)
    if largest:
        lowest = -jnp.inf if is_float(x) else jnp.iinfo(x.dtype).min
        return jnp.where(inside, windows, lowest).max(axis + 1)
    return jnp.where(inside, windows, 0).sum(axis + 1) / inside.sum(1, dtype=x.dtype)


@layer
def AdaptiveMaxPooling1D(output_size: Any, data_format: str | None = None) -> Definition:
    r"""Keep the largest value of each of as many windows of a sequence as outputs are wanted.

    Window i of an axis of n entries goes from :math:`\lfloor i n / m \rfloor` up to :math:`\lceil (i + 1) n / m \rceil`, with m
    the ``output_size``; neighbours overlap where n is no multiple of m.

    Shapes: ``(batch, time, channels)`` to ``(batch, output_size, channels)``. Params: none. Ends a mask.

    Args:
      output_size: how many windows.
      data_format: ``"channels_last"`` (None, default) or ``"channels_first"``: ``(batch, channels, time)``.

    Raises:
      ShapeError: when the input has not 3 axes, or a size of them is unknown.
      ValueError: when ``output_size`` is not positive.

    Example:
      >>> AdaptiveMaxPooling1D(7)(Input((100, 8))).shape
      (None, 7, 8)

    Reference: ``keras.layers.AdaptiveMaxPooling1D``.
    """
    return _adaptive(1, output_size, data_format, largest=True)


@layer
def AdaptiveMaxPooling2D(output_size: Any, data_format: str | None = None) -> Definition:
    r"""Keep the largest value of each of as many windows of an image as outputs are wanted.

    Window i of an axis of n entries goes from :math:`\lfloor i n / m \rfloor` up to :math:`\lceil (i + 1) n / m \rceil`, with m
    the ``output_size``; neighbours overlap where n is no multiple of m.

    Shapes: ``(batch, height, width, channels)`` to ``(batch, output_size[0], output_size[1], channels)``. Params: none. Ends
    a mask.

    Args:
      output_size: how many windows, an integer or one for each of the two axes.
      data_format: ``"channels_last"`` (None, default) or ``"channels_first"``: ``(batch, channels, height, width)``.

    Raises:
      ShapeError: when the input has not 4 axes, or a size of them is unknown.
      ValueError: when ``output_size`` is not positive.

    Example:
      >>> AdaptiveMaxPooling2D((7, 7))(Input((28, 28, 8))).shape
      (None, 7, 7, 8)

    Reference: ``keras.layers.AdaptiveMaxPooling2D``.
    """
    return _adaptive(2, output_size, data_format, largest=True)


@layer
def AdaptiveMaxPooling3D(output_size: Any, data_format: str | None = None) -> Definition:
    r"""Keep the largest value of each of as many windows of a volume as outputs are wanted.

    Window i of an axis of n entries goes from :math:`\lfloor i n / m \rfloor` up to :math:`\lceil (i + 1) n / m \rceil`, with m
    the ``output_size``; neighbours overlap where n is no multiple of m.

    Shapes: ``(batch, depth, height, width, channels)`` to
    ``(batch, output_size[0], output_size[1], output_size[2], channels)``. Params: none. Ends a mask.

    Args:
      output_size: how many windows, an integer or one for each of the three axes.
      data_format: ``"channels_last"`` (None, default) or ``"channels_first"``: ``(batch, channels, depth, height, width)``.

    Raises:
      ShapeError: when the input has not 5 axes, or a size of them is unknown.
      ValueError: when ``output_size`` is not positive.

    Example:
      >>> AdaptiveMaxPooling3D((2, 7, 7))(Input((8, 28, 28, 8))).shape
      (None, 2, 7, 7, 8)

    Reference: ``keras.layers.AdaptiveMaxPooling3D``.
    """
    return _adaptive(3, output_size, data_format, largest=True)


@layer
def AdaptiveAveragePooling1D(output_size: Any, data_format: str | None = None) -> Definition:
    r"""Take the mean of each of as many windows of a sequence as outputs are wanted.

    Window i of an axis of n entries goes from :math:`\lfloor i n / m \rfloor` up to :math:`\lceil (i + 1) n / m \rceil`, with m
    the ``output_size``; neighbours overlap where n is no multiple of m.

    Shapes: ``(batch, time, channels)`` to ``(batch, output_size, channels)``. Params: none. Ends a mask.

    Args:
      output_size: how many windows.
      data_format: ``"channels_last"`` (None, default) or ``"channels_first"``: ``(batch, channels, time)``.

    Raises:
      ShapeError: when the input has not 3 axes, or a size of them is unknown.
      ValueError: when ``output_size`` is not positive.

    Example:
      >>> AdaptiveAveragePooling1D(7)(Input((100, 8))).shape
      (None, 7, 8)

    Reference: ``keras.layers.AdaptiveAveragePooling1D``.
    """
    return _adaptive(1, output_size, data_format, largest=False)


@layer
def AdaptiveAveragePooling2D(output_size: Any, data_format: str | None = None) -> Definition:
    r"""Take the mean of each of as many windows of an image as outputs are wanted.

    Window i of an axis of n entries goes from :math:`\lfloor i n / m \rfloor` up to :math:`\lceil (i + 1) n / m \rceil`, with m
    the ``output_size``; neighbours overlap where n is no multiple of m.

    Shapes: ``(batch, height, width, channels)`` to ``(batch, output_size[0], output_size[1], channels)``. Params: none. Ends
    a mask.

    Args:
      output_size: how many windows, an integer or one for each of the two axes.
      data_format: ``"channels_last"`` (None, default) or ``"channels_first"``: ``(batch, channels, height, width)``.

    Raises:
      ShapeError: when the input has not 4 axes, or a size of them is unknown.
      ValueError: when ``output_size`` is not positive.

    Example:
      >>> AdaptiveAveragePooling2D((7, 7))(Input((28, 28, 8))).shape
      (None, 7, 7, 8)

    Reference: ``keras.layers.AdaptiveAveragePooling2D``.
    """
    return _adaptive(2, output_size, data_format, largest=False)


@layer
def AdaptiveAveragePooling3D(output_size: Any, data_format: str | None = None) -> Definition:
    r"""Take the mean of each of as many windows of a volume as outputs are wanted.

    Window i of an axis of n entries goes from :math:`\lfloor i n / m \rfloor` up to :math:`\lceil (i + 1) n / m \rceil`, with m
    the ``output_size``; neighbours overlap where n is no multiple of m.

    Shapes: ``(batch, depth, height, width, channels)`` to
    ``(batch, output_size[0], output_size[1], output_size[2], channels)``. Params: none. Ends a mask.

    Args:
      output_size: how many windows, an integer or one for each of the three axes.
      data_format: ``"channels_last"`` (None, default) or ``"channels_first"``: ``(batch, channels, depth, height, width)``.

    Raises:
      ShapeError: when the input has not 5 axes, or a size of them is unknown.
      ValueError: when ``output_size`` is not positive.

    Example:
      >>> AdaptiveAveragePooling3D((2, 7, 7))(Input((8, 28, 28, 8))).shape
      (None, 2, 7, 7, 8)

    Reference: ``keras.layers.AdaptiveAveragePooling3D``.
    """
    return _adaptive(3, output_size, data_format, largest=False)

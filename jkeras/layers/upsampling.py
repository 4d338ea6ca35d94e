"""UpSampling of sequences, images and volumes."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from jkeras.core import Definition, layer
from jkeras.core.arguments import choice
from jkeras.layers.common import real, stateless
from jkeras.layers.spatial import in_format, is_channels_first, per_axis

_METHODS = {"nearest": "nearest", "bilinear": "linear", "bicubic": "cubic", "lanczos3": "lanczos3", "lanczos5": "lanczos5"}


def _repeating(rank: int, size: Any, data_format: Any) -> Definition:
    times = per_axis("size", size, rank)

    def repeat(x: Any) -> Any:  # (batch, *space, channels)
        for axis, many in enumerate(times, 1):
            x = jnp.repeat(x, many, axis)
        return x

    return stateless(in_format(repeat, rank, is_channels_first(data_format)))


@layer
def UpSampling1D(size: Any = 2) -> Definition:
    """Repeat each step of a sequence.

    Shapes: ``(batch, time, channels)`` to ``(batch, time * size, channels)``. Params: none. Ends a mask.

    Args:
      size: how many times as large.

    Raises:
      ValueError: when ``size`` is not positive.
      ShapeError: when the input has not 3 axes.

    Example:
      >>> UpSampling1D(2)(Input((10, 3))).shape
      (None, 20, 3)

    Reference: ``keras.layers.UpSampling1D``.
    """
    return _repeating(1, size, None)


@layer
def UpSampling2D(size: Any = (2, 2), data_format: str | None = None, interpolation: str = "nearest") -> Definition:
    """Make an image larger.

    Shapes: ``(batch, height, width, channels)`` to ``(batch, height * size[0], width * size[1], channels)``. Params: none.
    Ends a mask.

    Args:
      size: how many times as large, an integer or two.
      data_format: ``"channels_last"`` (None, default) or ``"channels_first"``: ``(batch, channels, height, width)``.
      interpolation: ``"nearest"`` repeats pixels; ``"bilinear"``, ``"bicubic"``, ``"lanczos3"`` and ``"lanczos5"`` compute
        new ones, as ``jax.image.resize`` does.

    Raises:
      ValueError: when ``size`` is not positive, or for another ``interpolation``.
      ShapeError: when the input has not 4 axes.

    Example:
      >>> UpSampling2D(2)(Input((28, 28, 3))).shape
      (None, 56, 56, 3)

    Reference: ``keras.layers.UpSampling2D``.
    """
    method = _METHODS[choice("interpolation", interpolation, tuple(_METHODS))]
    if method == "nearest":
        return _repeating(2, size, data_format)
    high, wide = per_axis("size", size, 2)

    def resize(x: Any) -> Any:  # (batch, height, width, channels)
        x = real(x)
        return jax.image.resize(x, (x.shape[0], x.shape[1] * high, x.shape[2] * wide, x.shape[3]), method)

    return stateless(in_format(resize, 2, is_channels_first(data_format)))


@layer
def UpSampling3D(size: Any = (2, 2, 2), data_format: str | None = None) -> Definition:
    """Repeat each voxel of a volume along each axis.

    Shapes: ``(batch, depth, height, width, channels)`` to
    ``(batch, depth * size[0], height * size[1], width * size[2], channels)``. Params: none. Ends a mask.

    Args:
      size: how many times as large, an integer or three.
      data_format: ``"channels_last"`` (None, default) or ``"channels_first"``: ``(batch, channels, depth, height, width)``.

    Raises:
      ValueError: when ``size`` is not positive.
      ShapeError: when the input has not 5 axes.

    Example:
      >>> UpSampling3D(2)(Input((8, 28, 28, 3))).shape
      (None, 16, 56, 56, 3)

    Reference: ``keras.layers.UpSampling3D``.
    """
    return _repeating(3, size, data_format)

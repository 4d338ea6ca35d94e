"""Max and average pooling over time, images and volumes."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from jkeras.core import Definition, layer
from jkeras.core.shapes import is_float
from jkeras.layers.common import real, stateless
from jkeras.layers.spatial import in_format, is_channels_first, padding_of, per_axis


def _pooling(rank: int, largest: bool, pool_size: Any, strides: Any, padding: str, data_format: Any) -> Definition:
    size = per_axis("pool_size", pool_size, rank)
    stride = size if strides is None else per_axis("strides", strides, rank)
    padding = padding_of(padding)
    first = is_channels_first(data_format)

    def windows(x: Any) -> Any:  # (batch, *space, channels) to (batch, *space', channels)
        if padding == "valid" and stride == size:
            return _tiles(x, size, largest)
        return _greatest(x, size, stride, padding) if largest else _mean(x, size, stride, padding)

    return stateless(in_format(windows, rank, first, size if padding == "valid" else None))


def _tiles(x: Any, size: tuple[int, ...], largest: bool) -> Any:
    """Pool windows that do not overlap: a reshape, whose backward pass on a CPU is several times faster than a window's."""
    split = [x.shape[0]]
    for axis, width in enumerate(size, 1):
        whole = x.shape[axis] // width
        x = lax.slice_in_dim(x, 0, whole * width, axis=axis)
        split += [whole, width]
    tiles = x.reshape(*split, x.shape[-1])  # (batch, height', size, width', size, channels)
    inside = tuple(range(2, 2 * len(size) + 1, 2))
    return tiles.max(inside) if largest else tiles.mean(inside)


def _window(x: Any, start: Any, function: Any, size: tuple[int, ...], stride: tuple[int, ...], padding: str) -> Any:
    return lax.reduce_window(x, np.asarray(start, x.dtype), function, (1, *size, 1), (1, *stride, 1), padding.upper())


def _greatest(x: Any, size: tuple[int, ...], stride: tuple[int, ...], padding: str) -> Any:
    lowest = -jnp.inf if is_float(x) else jnp.iinfo(x.dtype).min
    return _window(x, lowest, lax.max, size, stride, padding)


def _mean(x: Any, size: tuple[int, ...], stride: tuple[int, ...], padding: str) -> Any:
    x = real(x)
    total = _window(x, 0, lax.add, size, stride, padding)
    if padding == "valid":
        return total / np.prod(size)
    return total / _window(jnp.ones((1, *x.shape[1:-1], 1), x.dtype), 0, lax.add, size, stride, padding)  # entries inside


@layer
def MaxPooling1D(pool_size: Any = 2, strides: Any = None, padding: str = "valid", data_format: str | None = None) -> Definition:
    """Keep the largest value of each window over time, channel by channel.

    Shapes: ``(batch, time, channels)`` to ``(batch, time', channels)`` with
    ``time' = floor((time - pool_size) / strides) + 1`` for "valid" and ``ceil(time / strides)`` for "same". Params: none.
    Ends a mask.

    Where several entries of a window are equally largest and windows do not overlap, they share the gradient equally.

    Args:
      pool_size: length of a window.
      strides: step of the window; None means ``pool_size``.
      padding: ``"valid"`` leaves out a window that does not fit, ``"same"`` lets it reach beyond the ends.
      data_format: ``"channels_last"`` (None, default) or ``"channels_first"``: ``(batch, channels, time)``.

    Raises:
      ShapeError: when the input has not 3 axes or is shorter than one window.

    Example:
      >>> MaxPooling1D(2)(Input((100, 8))).shape
      (None, 50, 8)

    Reference: ``keras.layers.MaxPooling1D``.
    """
    return _pooling(1, True, pool_size, strides, padding, data_format)


@layer
def MaxPooling2D(
    pool_size: Any = (2, 2), strides: Any = None, padding: str = "valid", data_format: str | None = None
) -> Definition:
    """Keep the largest value of each window of an image, channel by channel.

    Shapes: ``(batch, height, width, channels)`` to ``(batch, height', width', channels)`` with
    ``size' = floor((size - pool_size) / strides) + 1`` for "valid" and ``ceil(size / strides)`` for "same" along each axis.
    Params: none. Ends a mask.

    Where several entries of a window are equally largest and windows do not overlap, they share the gradient equally.

    Args:
      pool_size: extent of a window, an integer or two.
      strides: step of the window; None means ``pool_size``.
      padding: ``"valid"`` leaves out a window that does not fit, ``"same"`` lets it reach beyond the ends.
      data_format: ``"channels_last"`` (None, default) or ``"channels_first"``: ``(batch, channels, height, width)``.

    Raises:
      ShapeError: when the input has not 4 axes or is shorter than one window.

    Example:
      >>> MaxPooling2D(2)(Input((28, 28, 8))).shape
      (None, 14, 14, 8)

    Reference: ``keras.layers.MaxPooling2D``.
    """
    return _pooling(2, True, pool_size, strides, padding, data_format)


@layer
def MaxPooling3D(
    pool_size: Any = (2, 2, 2), strides: Any = None, padding: str = "valid", data_format: str | None = None
) -> Definition:
    """Keep the largest value of each window of a volume, channel by channel.

    Shapes: ``(batch, depth, height, width, channels)`` to ``(batch, depth', height', width', channels)`` with
    ``size' = floor((size - pool_size) / strides) + 1`` for "valid" and ``ceil(size / strides)`` for "same" along each axis.
    Params: none. Ends a mask.

    Where several entries of a window are equally largest and windows do not overlap, they share the gradient equally.

    Args:
      pool_size: extent of a window, an integer or three.
      strides: step of the window; None means ``pool_size``.
      padding: ``"valid"`` leaves out a window that does not fit, ``"same"`` lets it reach beyond the ends.
      data_format: ``"channels_last"`` (None, default) or ``"channels_first"``: ``(batch, channels, depth, height, width)``.

    Raises:
      ShapeError: when the input has not 5 axes or is shorter than one window.

    Example:
      >>> MaxPooling3D(2)(Input((8, 28, 28, 8))).shape
      (None, 4, 14, 14, 8)

    Reference: ``keras.layers.MaxPooling3D``.
    """
    return _pooling(3, True, pool_size, strides, padding, data_format)


@layer
def AveragePooling1D(pool_size: Any, strides: Any = None, padding: str = "valid", data_format: str | None = None) -> Definition:
    """Take the mean of each window over time, channel by channel.

    Shapes: ``(batch, time, channels)`` to ``(batch, time', channels)`` with
    ``time' = floor((time - pool_size) / strides) + 1`` for "valid" and ``ceil(time / strides)`` for "same". Params: none.
    Ends a mask.

    With "same" the mean is that of the entries inside the input, as in Keras.

    Args:
      pool_size: length of a window.
      strides: step of the window; None means ``pool_size``.
      padding: ``"valid"`` leaves out a window that does not fit, ``"same"`` lets it reach beyond the ends.
      data_format: ``"channels_last"`` (None, default) or ``"channels_first"``: ``(batch, channels, time)``.

    Raises:
      ShapeError: when the input has not 3 axes or is shorter than one window.

    Example:
      >>> AveragePooling1D(2)(Input((100, 8))).shape
      (None, 50, 8)

    Reference: ``keras.layers.AveragePooling1D``.
    """
    return _pooling(1, False, pool_size, strides, padding, data_format)


@layer
def AveragePooling2D(pool_size: Any, strides: Any = None, padding: str = "valid", data_format: str | None = None) -> Definition:
    """Take the mean of each window of an image, channel by channel.

    Shapes: ``(batch, height, width, channels)`` to ``(batch, height', width', channels)`` with
    ``size' = floor((size - pool_size) / strides) + 1`` for "valid" and ``ceil(size / strides)`` for "same" along each axis.
    Params: none. Ends a mask.

    With "same" the mean is that of the entries inside the input, as in Keras.

    Args:
      pool_size: extent of a window, an integer or two.
      strides: step of the window; None means ``pool_size``.
      padding: ``"valid"`` leaves out a window that does not fit, ``"same"`` lets it reach beyond the ends.
      data_format: ``"channels_last"`` (None, default) or ``"channels_first"``: ``(batch, channels, height, width)``.

    Raises:
      ShapeError: when the input has not 4 axes or is shorter than one window.

    Example:
      >>> AveragePooling2D(2)(Input((28, 28, 8))).shape
      (None, 14, 14, 8)

    Reference: ``keras.layers.AveragePooling2D``.
    """
    return _pooling(2, False, pool_size, strides, padding, data_format)


@layer
def AveragePooling3D(pool_size: Any, strides: Any = None, padding: str = "valid", data_format: str | None = None) -> Definition:
    """Take the mean of each window of a volume, channel by channel.

    Shapes: ``(batch, depth, height, width, channels)`` to ``(batch, depth', height', width', channels)`` with
    ``size' = floor((size - pool_size) / strides) + 1`` for "valid" and ``ceil(size / strides)`` for "same" along each axis.
    Params: none. Ends a mask.

    With "same" the mean is that of the entries inside the input, as in Keras.

    Args:
      pool_size: extent of a window, an integer or three.
      strides: step of the window; None means ``pool_size``.
      padding: ``"valid"`` leaves out a window that does not fit, ``"same"`` lets it reach beyond the ends.
      data_format: ``"channels_last"`` (None, default) or ``"channels_first"``: ``(batch, channels, depth, height, width)``.

    Raises:
      ShapeError: when the input has not 5 axes or is shorter than one window.

    Example:
      >>> AveragePooling3D(2)(Input((8, 28, 28, 8))).shape
      (None, 4, 14, 14, 8)

    Reference: ``keras.layers.AveragePooling3D``.
    """
    return _pooling(3, False, pool_size, strides, padding, data_format)

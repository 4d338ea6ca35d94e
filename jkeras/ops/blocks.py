"""Blocks of images as channels or columns, and back."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from jkeras.core.errors import ShapeError
from jkeras.core.operation import op
from jkeras.core.shapes import shape_of
from jkeras.layers.spatial import is_channels_first, per_axis


@op
def depth_to_space(x: Any, block_size: int, data_format: str = "channels_last") -> Any:
    """Spread channels over blocks of pixels: ``(batch, h, w, b * b * c)`` to ``(batch, h * b, w * b, c)``.

    With channels first the block's place varies fastest among them, with channels last slowest, as in Keras.
    """
    x, b, first = jnp.asarray(x), block_size, is_channels_first(data_format)
    channels = x.shape[1 if first else -1]
    if x.ndim != 4 or channels % b**2:
        raise ShapeError(f"depth_to_space needs images whose channels are a multiple of {b**2}, but got {shape_of(x)}.")
    if first:
        n, _, h, w = x.shape
        blocks = x.reshape(n, channels // b**2, b, b, h, w).transpose(0, 1, 4, 2, 5, 3)
        return blocks.reshape(n, channels // b**2, h * b, w * b)
    n, h, w, _ = x.shape
    blocks = x.reshape(n, h, w, b, b, channels // b**2).transpose(0, 1, 3, 2, 4, 5)
    return blocks.reshape(n, h * b, w * b, channels // b**2)


@op
def space_to_depth(x: Any, block_size: int, data_format: str = "channels_last") -> Any:
    """Undo :func:`depth_to_space`: ``(batch, h * b, w * b, c)`` to ``(batch, h, w, b * b * c)``."""
    x, b, first = jnp.asarray(x), block_size, is_channels_first(data_format)
    if x.ndim != 4 or any(size % b for size in (x.shape[2:] if first else x.shape[1:3])):
        raise ShapeError(f"space_to_depth needs images whose height and width are multiples of {b}, but got {shape_of(x)}.")
    if first:
        n, c, h, w = x.shape
        return x.reshape(n, c, h // b, b, w // b, b).transpose(0, 1, 3, 5, 2, 4).reshape(n, c * b**2, h // b, w // b)
    n, h, w, c = x.shape
    return x.reshape(n, h // b, b, w // b, b, c).transpose(0, 1, 3, 2, 4, 5).reshape(n, h // b, w // b, c * b**2)


def _windows(kernel_size: Any, dilation: Any, padding: Any, stride: Any) -> tuple[Any, Any, Any, Any]:
    pads = [(p, p) for p in per_axis("padding", padding, 2, 0)]
    return per_axis("kernel_size", kernel_size, 2), per_axis("dilation", dilation, 2), pads, per_axis("stride", stride, 2)


@op
def unfold(x: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Any:
    """Return what windows show as columns: ``(batch, channels, h, w)`` to ``(batch, channels * size * size, windows)``."""
    x = jnp.asarray(x)
    if x.ndim != 4:
        raise ShapeError(f"unfold needs (batch, channels, height, width), but got {shape_of(x)}.")
    size, apart, pads, step = _windows(kernel_size, dilation, padding, stride)
    y = jax.lax.conv_general_dilated_patches(x, size, step, pads, rhs_dilation=apart)  # (batch, channels * size * size, h', w')
    return y.reshape(*y.shape[:2], -1)


@op
def fold(x: Any, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Any:
    """Sum columns where their windows were: ``(batch, channels * size * size, windows)`` to ``(batch, channels, h, w)``.

    It is the transpose of :func:`unfold`, and computed as such.
    """
    x = jnp.asarray(x)
    size, height_width = per_axis("kernel_size", kernel_size, 2), per_axis("output_size", output_size, 2)
    if x.ndim != 3 or x.shape[1] % (size[0] * size[1]):
        raise ShapeError(f"fold needs (batch, channels * {size[0]} * {size[1]}, windows), but got {shape_of(x)}.")
    image = jax.ShapeDtypeStruct((x.shape[0], x.shape[1] // (size[0] * size[1]), *height_width), x.dtype)
    apart = lambda y: unfold.__wrapped__(y, kernel_size, dilation, padding, stride)  # noqa: E731
    if (wanted := jax.eval_shape(apart, image).shape) != x.shape:
        raise ShapeError(f"an image of {height_width} has columns {wanted}, but got {shape_of(x)}.")
    return jax.linear_transpose(apart, image)(x)[0]

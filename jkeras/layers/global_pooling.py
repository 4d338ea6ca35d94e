"""Global pooling: the largest value or the mean of each channel over all of time, an image or a volume."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from jkeras.core import Context, Definition, Masked, layer
from jkeras.core.errors import ShapeError
from jkeras.core.shapes import shape_of
from jkeras.layers.common import no_weights, real, stateless
from jkeras.layers.spatial import SPACE, is_channels_first, need_space, space_of


def _whole(rank: int, data_format: Any, keepdims: bool, largest: bool) -> Any:
    first = is_channels_first(data_format)
    axes = tuple(range(2, rank + 2)) if first else tuple(range(1, rank + 1))

    def pool(x: Any, mask: Any = None) -> Masked:  # mask: (batch, time)
        need_space(x, rank, first)
        if 0 in [size for size in space_of(x, first) if isinstance(size, int)]:
            what = "time step" if rank == 1 else " or ".join(SPACE[rank])
            raise ShapeError(f"there is no {what} left to pool in an input {shape_of(x)}; the input is too short.")
        if largest:
            return Masked(x.max(axes, keepdims=keepdims), None)
        x = real(x)
        if mask is None:
            return Masked(x.mean(axes, keepdims=keepdims), None)
        valid = mask[:, None] if first else mask[..., None]  # (batch, time, 1)
        total = jnp.where(valid, x, 0).sum(axes, keepdims=keepdims)
        return Masked(total / valid.sum(axes, keepdims=keepdims, dtype=x.dtype), None)

    return pool


@layer
def GlobalMaxPooling1D(data_format: str | None = None, keepdims: bool = False) -> Definition:
    """Keep the largest value over time, channel by channel.

    Shapes: ``(batch, time, channels)`` to ``(batch, channels)``, or ``(batch, 1, channels)`` with ``keepdims``.
    Params: none. Masked steps are not left out, as in Keras; the mask ends here.

    Args:
      data_format: ``"channels_last"`` (None, default) or ``"channels_first"``: ``(batch, channels, time)``.
      keepdims: whether the pooled axis stays, with size 1.

    Raises:
      ShapeError: when the input has not 3 axes or nothing to pool.

    Example:
      >>> GlobalMaxPooling1D()(Input((None, 8))).shape
      (None, 8)

    Reference: ``keras.layers.GlobalMaxPooling1D``.
    """
    return stateless(_whole(1, data_format, keepdims, largest=True))


@layer
def GlobalMaxPooling2D(data_format: str | None = None, keepdims: bool = False) -> Definition:
    """Keep the largest value of an image, channel by channel.

    Shapes: ``(batch, height, width, channels)`` to ``(batch, channels)``, or ``(batch, 1, 1, channels)`` with ``keepdims``.
    Params: none. Ends a mask.

    Args:
      data_format: ``"channels_last"`` (None, default) or ``"channels_first"``: ``(batch, channels, height, width)``.
      keepdims: whether the pooled axes stay, with size 1.

    Raises:
      ShapeError: when the input has not 4 axes or nothing to pool.

    Example:
      >>> GlobalMaxPooling2D()(Input((None, None, 8))).shape
      (None, 8)

    Reference: ``keras.layers.GlobalMaxPooling2D``.
    """
    return stateless(_whole(2, data_format, keepdims, largest=True))


@layer
def GlobalMaxPooling3D(data_format: str | None = None, keepdims: bool = False) -> Definition:
    """Keep the largest value of a volume, channel by channel.

    Shapes: ``(batch, depth, height, width, channels)`` to ``(batch, channels)``, or ``(batch, 1, 1, 1, channels)`` with
    ``keepdims``.
    Params: none. Ends a mask.

    Args:
      data_format: ``"channels_last"`` (None, default) or ``"channels_first"``: ``(batch, channels, depth, height, width)``.
      keepdims: whether the pooled axes stay, with size 1.

    Raises:
      ShapeError: when the input has not 5 axes or nothing to pool.

    Example:
      >>> GlobalMaxPooling3D()(Input((None, None, None, 8))).shape
      (None, 8)

    Reference: ``keras.layers.GlobalMaxPooling3D``.
    """
    return stateless(_whole(3, data_format, keepdims, largest=True))


@layer
def GlobalAveragePooling1D(data_format: str | None = None, keepdims: bool = False) -> Definition:
    """Take the mean over time, channel by channel.

    Shapes: ``(batch, time, channels)`` to ``(batch, channels)``, or ``(batch, 1, channels)`` with ``keepdims``.
    Params: none. Masked steps are left out; a sequence without a valid step gives NaN, as in Keras. The mask ends here.

    Args:
      data_format: ``"channels_last"`` (None, default) or ``"channels_first"``: ``(batch, channels, time)``.
      keepdims: whether the pooled axis stays, with size 1.

    Raises:
      ShapeError: when the input has not 3 axes or nothing to pool.

    Example:
      >>> GlobalAveragePooling1D()(Input((None, 8))).shape
      (None, 8)

    Reference: ``keras.layers.GlobalAveragePooling1D``.
    """
    pool = _whole(1, data_format, keepdims, largest=False)

    def apply(params: Any, state: Any, x: Any, ctx: Context) -> Any:
        return pool(x, ctx.mask), state

    return Definition(no_weights, apply, mixes_examples="never")


@layer
def GlobalAveragePooling2D(data_format: str | None = None, keepdims: bool = False) -> Definition:
    """Take the mean of an image, channel by channel.

    Shapes: ``(batch, height, width, channels)`` to ``(batch, channels)``, or ``(batch, 1, 1, channels)`` with ``keepdims``.
    Params: none. Ends a mask.

    Args:
      data_format: ``"channels_last"`` (None, default) or ``"channels_first"``: ``(batch, channels, height, width)``.
      keepdims: whether the pooled axes stay, with size 1.

    Raises:
      ShapeError: when the input has not 4 axes or nothing to pool.

    Example:
      >>> GlobalAveragePooling2D()(Input((None, None, 8))).shape
      (None, 8)

    Reference: ``keras.layers.GlobalAveragePooling2D``.
    """
    return stateless(_whole(2, data_format, keepdims, largest=False))


@layer
def GlobalAveragePooling3D(data_format: str | None = None, keepdims: bool = False) -> Definition:
    """Take the mean of a volume, channel by channel.

    Shapes: ``(batch, depth, height, width, channels)`` to ``(batch, channels)``, or ``(batch, 1, 1, 1, channels)`` with
    ``keepdims``.
    Params: none. Ends a mask.

    Args:
      data_format: ``"channels_last"`` (None, default) or ``"channels_first"``: ``(batch, channels, depth, height, width)``.
      keepdims: whether the pooled axes stay, with size 1.

    Raises:
      ShapeError: when the input has not 5 axes or nothing to pool.

    Example:
      >>> GlobalAveragePooling3D()(Input((None, None, None, 8))).shape
      (None, 8)

    Reference: ``keras.layers.GlobalAveragePooling3D``.
    """
    return stateless(_whole(3, data_format, keepdims, largest=False))

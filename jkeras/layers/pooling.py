"""MaxPooling1D, GlobalMaxPooling1D."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from jkeras.core import Definition, Masked, layer
from jkeras.core.errors import ShapeError
from jkeras.layers.common import choice, need_ndim, one, stateless


@layer
def MaxPooling1D(pool_size: Any = 2, strides: Any = None, padding: str = "valid", data_format: str | None = None) -> Definition:
    """Keep the largest value of each window over time, channel by channel.

    Shapes: ``(batch, time, channels)`` to ``(batch, time', channels)`` with ``time' = floor((time - pool_size) / strides) + 1``
    for "valid" and ``ceil(time / strides)`` for "same". Params: none. Ends a mask.

    Where several entries of a window are equally largest and windows do not overlap, they share the gradient equally.

    Args:
      pool_size: length of a window.
      strides: step of the window; None means ``pool_size``.
      padding: ``"valid"`` leaves out a window that does not fit, ``"same"`` lets it reach beyond the ends.
      data_format: ``"channels_last"`` (None, default) or ``"channels_first"``: ``(batch, channels, time)``.

    Raises:
      ShapeError: when the input has not 3 axes or is shorter than one window.

    Example:
      >>> MaxPooling1D(5)(Input((100, 8))).shape
      (None, 20, 8)

    Reference: ``keras.layers.MaxPooling1D``.
    """
    size = one("pool_size", pool_size)
    stride = size if strides is None else one("strides", strides)
    choice("padding", padding, ("valid", "same"))
    channels_first = choice("data_format", data_format, (None, "channels_last", "channels_first")) == "channels_first"

    def pool(x: Any) -> Masked:
        need_ndim(x, ("batch", "channels", "time") if channels_first else ("batch", "time", "channels"))
        x = jnp.swapaxes(x, 1, 2) if channels_first else x  # (batch, time, channels)
        if padding == "valid" and isinstance(x.shape[1], int) and x.shape[1] < size:
            raise ShapeError(f"{x.shape[1]} time steps are fewer than one window of {size}.")
        if padding == "valid" and stride == size:
            # A reshape instead of reduce_window: its backward pass is several times faster on a CPU.
            whole = x.shape[1] // size
            y = lax.slice_in_dim(x, 0, whole * size, axis=1).reshape(x.shape[0], whole, size, x.shape[2]).max(axis=2)
        else:
            lowest = -jnp.inf if jnp.issubdtype(x.dtype, jnp.floating) else jnp.iinfo(x.dtype).min
            y = lax.reduce_window(x, np.asarray(lowest, x.dtype), lax.max, (1, size, 1), (1, stride, 1), padding.upper())
        return Masked(jnp.swapaxes(y, 1, 2) if channels_first else y, None)  # (batch, time', channels)

    return stateless(pool)


@layer
def GlobalMaxPooling1D(data_format: str | None = None, keepdims: bool = False) -> Definition:
    """Keep the largest value over time, channel by channel.

    Shapes: ``(batch, time, channels)`` to ``(batch, channels)``, or ``(batch, 1, channels)`` with ``keepdims``. Params: none.
    Masked steps are not left out, as in Keras; the mask ends here.

    Args:
      data_format: ``"channels_last"`` (None, default) or ``"channels_first"``: ``(batch, channels, time)``.
      keepdims: whether the time axis stays, with size 1.

    Raises:
      ShapeError: when the input has not 3 axes or no time step.

    Example:
      >>> GlobalMaxPooling1D()(Input((None, 8))).shape
      (None, 8)

    Reference: ``keras.layers.GlobalMaxPooling1D``.
    """
    channels_first = choice("data_format", data_format, (None, "channels_last", "channels_first")) == "channels_first"

    def pool(x: Any) -> Masked:
        need_ndim(x, ("batch", "channels", "time") if channels_first else ("batch", "time", "channels"))
        axis = 2 if channels_first else 1
        if isinstance(x.shape[axis], int) and x.shape[axis] == 0:
            raise ShapeError("there is no time step left to take a maximum of; the input sequence is too short.")
        return Masked(x.max(axis=axis, keepdims=keepdims), None)

    return stateless(pool)

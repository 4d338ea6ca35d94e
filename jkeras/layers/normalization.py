"""BatchNormalization."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from jkeras.core import Context, Definition, layer, weight
from jkeras.core.errors import ShapeError
from jkeras.core.shapes import is_float
from jkeras.layers.common import check_names


@layer
def BatchNormalization(
    axis: int = -1,
    momentum: float = 0.99,
    epsilon: float = 1e-3,
    center: bool = True,
    scale: bool = True,
    beta_initializer: Any = "zeros",
    gamma_initializer: Any = "ones",
    moving_mean_initializer: Any = "zeros",
    moving_variance_initializer: Any = "ones",
    beta_regularizer: Any = None,
    gamma_regularizer: Any = None,
    beta_constraint: Any = None,
    gamma_constraint: Any = None,
) -> Definition:
    r"""Normalise each channel to mean 0 and variance 1 over the batch, then scale and shift it.

    .. math:: y = \gamma \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta

    In training :math:`\mu, \sigma^2` are those of the batch, the variance divided by n, and the moving statistics move by
    ``m <- momentum m + (1 - momentum) batch``. Otherwise, and where the layer is frozen, they are the moving statistics.

    Shapes: any to the same. Params: ``gamma``, ``beta`` (channels,). State: ``moving_mean``, ``moving_variance`` (channels,).
    Masked steps do not enter the statistics. They are computed in float32 whatever the precision of the input.

    Args:
      axis: the axis of the channels.
      momentum: how much of the moving statistics stays at each step.
      epsilon: added to the variance.
      center, scale: whether ``beta`` and ``gamma`` are used.
      beta_initializer and the rest: as for ``Dense``.

    Raises:
      ShapeError: when the input has no such axis, or its size is unknown.

    Example:
      >>> BatchNormalization()(Input((28, 28, 32))).shape
      (None, 28, 28, 32)

    Reference: Ioffe and Szegedy, arXiv:1502.03167; ``keras.layers.BatchNormalization``.
    """
    check_names(
        (beta_initializer, gamma_initializer, moving_mean_initializer, moving_variance_initializer),
        (beta_regularizer, gamma_regularizer),
        (beta_constraint, gamma_constraint),
    )

    def channel_axis(x: Any) -> int:
        where = axis + x.ndim if axis < 0 else axis
        if not 0 <= where < x.ndim:
            raise ShapeError(f"there is no axis {axis} in an input of {x.ndim} axes.")
        return where

    def init(key: Any, x: Any) -> Any:
        channels = (x.shape[channel_axis(x)],)
        params = {"gamma": weight(key, "gamma", gamma_initializer, channels)} if scale else {}
        if center:
            params["beta"] = weight(key, "beta", beta_initializer, channels)
        mean = weight(key, "moving_mean", moving_mean_initializer, channels)
        return params, {
            "moving_mean": mean,
            "moving_variance": weight(key, "moving_variance", moving_variance_initializer, channels),
        }

    def apply(params: Any, state: Any, x: Any, ctx: Context) -> Any:
        where = channel_axis(x)
        wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        mean, variance = state["moving_mean"], state["moving_variance"]
        if ctx.training and not ctx.is_frozen:
            mean, variance = _moments(wide, where, ctx.mask)
            state = {
                "moving_mean": momentum * state["moving_mean"] + (1 - momentum) * mean,
                "moving_variance": momentum * state["moving_variance"] + (1 - momentum) * variance,
            }

        def along(v: Any) -> Any:  # (channels,) to a shape that broadcasts against x
            return v.reshape(tuple(x.shape[where] if i == where else 1 for i in range(x.ndim)))

        factor = jax.lax.rsqrt(variance + epsilon) * (params["gamma"] if scale else 1)
        y = (wide - along(mean)) * along(factor)
        y = y + along(params["beta"]) if center else y
        return y.astype(x.dtype if is_float(x) else jnp.float32), state

    return Definition(init, apply, mixes_examples="training")


def _moments(x: Any, axis: int, mask: Any) -> tuple[Any, Any]:
    """Return the mean and the biased variance over all axes but one, of valid entries only."""
    axes = tuple(i for i in range(x.ndim) if i != axis)
    if mask is None:
        return x.mean(axes), x.var(axes)
    w = mask.reshape(*mask.shape, *(1,) * (x.ndim - mask.ndim)).astype(x.dtype)  # (batch, time, 1)
    w = jnp.broadcast_to(w, x.shape)
    total = w.sum(axes) + 1e-7  # as in Keras: a batch without any valid entry gives 0, not NaN
    mean = (w * x).sum(axes) / total
    shape = tuple(x.shape[axis] if i == axis else 1 for i in range(x.ndim))
    return mean, (w * jnp.square(x - mean.reshape(shape))).sum(axes) / total

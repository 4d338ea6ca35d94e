"""BatchNormalization."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jkeras.core import Context, Definition, layer, weight
from jkeras.core.errors import ShapeError
from jkeras.core.masks import lengthened
from jkeras.core.shapes import is_float


def along(v: Any, x: Any, axes: tuple[int, ...]) -> Any:
    """Give a weight of the sizes on some axes of an input the shape that broadcasts against it."""
    return v.reshape(tuple(x.shape[i] if i in axes else 1 for i in range(x.ndim)))


def widened(x: Any) -> Any:
    """Return an input in float32 at least, in which statistics are computed."""
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def narrowed(y: Any, x: Any) -> Any:
    """Return a result in the precision of the input; float32 for one of whole numbers."""
    return y.astype(x.dtype if is_float(x) else jnp.float32)


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
    renorm: bool = False,
    renorm_clipping: Mapping[str, float] | None = None,
    renorm_momentum: float = 0.99,
    synchronized: bool = False,
) -> Definition:
    r"""Normalise each channel to mean 0 and variance 1 over the batch, then scale and shift it.

    .. math:: y = \gamma \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta

    In training :math:`\mu, \sigma^2` are those of the batch, the variance divided by n, and the moving statistics move by
    ``m <- momentum m + (1 - momentum) batch``. Otherwise, and where the layer is frozen, they are the moving statistics.

    With ``renorm`` a batch is normalised, also in training, as moving statistics :math:`\mu_r, \sigma_r` of its own would do it:

    .. math:: y = \gamma \Big(\frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} r + d\Big) + \beta, \quad
        r = \frac{\sqrt{\sigma^2 + \epsilon}}{\sigma_r}, \quad d = \frac{\mu - \mu_r}{\sigma_r}

    where r and d count as constants, clipped to ``renorm_clipping``.

    Shapes: any to the same. Params: ``gamma``, ``beta`` (channels,). State: ``moving_mean``, ``moving_variance`` (channels,),
    with ``renorm`` also ``moving_stddev``, ``renorm_mean``, ``renorm_stddev``. Masked steps do not enter the statistics. They are
    computed in float32 whatever the precision of the input, over the whole batch on however many devices it lies.

    Args:
      axis: the axis of the channels.
      momentum: how much of the moving statistics stays at each step.
      epsilon: added to the variance.
      center, scale: whether ``beta`` and ``gamma`` are used.
      beta_initializer and the rest: as for ``Dense``.
      renorm: whether to renormalise.
      renorm_clipping: limits of the corrections, by the names ``rmin``, ``rmax``, ``dmax``; None: no limits.
      renorm_momentum: the momentum of :math:`\mu_r, \sigma_r`.
      synchronized: ignored: a batch on several devices has one mean, since it is one array.

    Raises:
      ShapeError: when the input has no such axis, or its size is unknown.
      ValueError: for other names in ``renorm_clipping``.

    Example:
      >>> BatchNormalization()(Input((28, 28, 32))).shape
      (None, 28, 28, 32)

    Reference: Ioffe and Szegedy, arXiv:1502.03167; Ioffe, arXiv:1702.03275; ``keras.layers.BatchNormalization``.
    """
    limits = _limits(renorm_clipping)

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
        state = {
            "moving_mean": weight(key, "moving_mean", moving_mean_initializer, channels),
            "moving_variance": weight(key, "moving_variance", moving_variance_initializer, channels),
        }
        if renorm:
            stddev = jnp.sqrt(state["moving_variance"])
            state |= {"moving_stddev": stddev, "renorm_mean": state["moving_mean"], "renorm_stddev": stddev}
        return params, state

    def apply(params: Any, state: Any, x: Any, ctx: Context) -> Any:
        where = channel_axis(x)
        wide = widened(x)
        mean, variance, r, d = state["moving_mean"], state["moving_variance"], None, None
        if ctx.training and not ctx.is_frozen:
            mean, variance = _moments(wide, where, ctx.mask)
            if renorm:
                r, d = _corrections(state, mean, variance, epsilon, limits)
                state = _renormed(state, mean, variance, epsilon, momentum, renorm_momentum)
            else:
                state = {
                    "moving_mean": momentum * state["moving_mean"] + (1 - momentum) * mean,
                    "moving_variance": momentum * state["moving_variance"] + (1 - momentum) * variance,
                }

        gamma = params["gamma"] if scale else 1
        factor = jax.lax.rsqrt(variance + epsilon) * (gamma if r is None else r * gamma)
        offset = (params["beta"] if center else 0) + (0 if d is None else d * gamma)
        y = (wide - along(mean, x, (where,))) * along(factor, x, (where,))
        y = y + along(offset, x, (where,)) if center or d is not None else y
        return narrowed(y, x), state

    return Definition(init, apply, mixes_examples="training")


def _limits(given: Any) -> dict[str, float]:
    if given is not None and not isinstance(given, Mapping):
        raise ValueError(f"renorm_clipping must be a dictionary, but got {given!r}.")
    limits = dict(given or {})
    real = all(isinstance(value, (int, float)) for value in limits.values())
    if not real or set(limits) - {"rmin", "rmax", "dmax"} or limits.get("rmin", 0) > limits.get("rmax", math.inf):
        raise ValueError(f"renorm_clipping has numbers by the names rmin, rmax (at least rmin) and dmax, but got {limits!r}.")
    if limits.get("dmax", 0) < 0:
        raise ValueError(f"dmax of renorm_clipping must be at least 0, but got {limits['dmax']!r}.")
    return limits


def _corrections(state: Any, mean: Any, variance: Any, epsilon: float, limits: Mapping[str, float]) -> tuple[Any, Any]:
    """Return r and d, which bring a batch's own normalisation to that of the moving statistics."""
    moving = jnp.maximum(state["renorm_stddev"], epsilon**0.5)
    r = jnp.sqrt(variance + epsilon) / moving
    d = (mean - state["renorm_mean"]) / moving
    r = jnp.clip(r, limits.get("rmin"), limits.get("rmax"))
    d = jnp.clip(d, -limits["dmax"], limits["dmax"]) if "dmax" in limits else d
    return jax.lax.stop_gradient(r), jax.lax.stop_gradient(d)


def _renormed(state: Any, mean: Any, variance: Any, epsilon: float, momentum: float, renorm_momentum: float) -> dict[str, Any]:
    stddev = jnp.sqrt(variance + epsilon)

    def moved(name: str, new: Any, stays: float) -> Any:
        return stays * state[name] + (1 - stays) * new

    moving = moved("moving_stddev", stddev, momentum)
    return {
        "moving_mean": moved("moving_mean", mean, momentum),
        "moving_variance": jax.nn.relu(jnp.square(moving) - epsilon),
        "moving_stddev": moving,
        "renorm_mean": moved("renorm_mean", mean, renorm_momentum),
        "renorm_stddev": moved("renorm_stddev", stddev, renorm_momentum),
    }


def _moments(x: Any, axis: int, mask: Any) -> tuple[Any, Any]:
    """Return the mean and the biased variance over all axes but one, of valid entries only."""
    axes = tuple(i for i in range(x.ndim) if i != axis)
    if mask is None:
        return x.mean(axes), x.var(axes)
    w = lengthened(mask, x.ndim).astype(x.dtype)  # (batch, time, 1)
    w = jnp.broadcast_to(w, x.shape)
    total = w.sum(axes) + 1e-7  # as in Keras: a batch without any valid entry gives 0, not NaN
    mean = (w * x).sum(axes) / total
    return mean, (w * jnp.square(x - along(mean, x, (axis,)))).sum(axes) / total

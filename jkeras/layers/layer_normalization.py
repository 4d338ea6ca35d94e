"""Normalisation of each example by itself: LayerNormalization, GroupNormalization, RMSNormalization, UnitNormalization."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from jkeras.core import Context, Definition, layer, weight
from jkeras.core.arguments import whole_number
from jkeras.core.errors import ShapeError
from jkeras.core.shapes import shape_of
from jkeras.layers.common import real, stateless, unit
from jkeras.layers.normalization import along, narrowed, widened


def _axes(axis: Any, x: Any) -> tuple[int, ...]:
    """Return axes in ascending order, counted from the front; the batch axis is none."""
    axes = axis if isinstance(axis, (list, tuple)) else (axis,)
    where = sorted(a + x.ndim if a < 0 else a for a in axes)
    if not where or not all(0 < a < x.ndim for a in where):
        raise ShapeError(f"axis {axis!r} names the batch axis or none of an input {shape_of(x)}.")
    return tuple(where)


@layer
def LayerNormalization(
    axis: Any = -1,
    epsilon: float = 1e-3,
    center: bool = True,
    scale: bool = True,
    beta_initializer: Any = "zeros",
    gamma_initializer: Any = "ones",
    beta_regularizer: Any = None,
    gamma_regularizer: Any = None,
    beta_constraint: Any = None,
    gamma_constraint: Any = None,
) -> Definition:
    r"""Normalise each example to mean 0 and variance 1 along some axes, then scale and shift it.

    .. math:: y = \gamma \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta

    with :math:`\mu` and :math:`\sigma^2`, divided by n, taken over ``axis`` of the example; in float32 at least.

    Shapes: any to the same. Params: ``gamma``, ``beta``, of the sizes on ``axis``.

    Args:
      axis: the axis, or several, over which the statistics are taken.
      epsilon: added to the variance.
      center, scale: whether ``beta`` and ``gamma`` are used.
      beta_initializer and the rest: as for ``Dense``.

    Raises:
      ShapeError: when the input has no such axis, or a size on it is unknown.

    Example:
      >>> LayerNormalization()(Input((100, 64))).shape
      (None, 100, 64)

    Reference: Ba et al., arXiv:1607.06450; ``keras.layers.LayerNormalization``.
    """

    def init(key: Any, x: Any) -> Any:
        sizes = tuple(x.shape[a] for a in _axes(axis, x))
        params = {"gamma": weight(key, "gamma", gamma_initializer, sizes)} if scale else {}
        if center:
            params["beta"] = weight(key, "beta", beta_initializer, sizes)
        return params, {}

    def apply(params: Any, state: Any, x: Any, ctx: Context) -> Any:
        axes, wide = _axes(axis, x), widened(x)
        y = (wide - wide.mean(axes, keepdims=True)) * jax.lax.rsqrt(wide.var(axes, keepdims=True) + epsilon)
        y = y * along(params["gamma"], x, axes) if scale else y
        y = y + along(params["beta"], x, axes) if center else y
        return narrowed(y, x), state

    return Definition(init, apply, mixes_examples="never")


@layer
def GroupNormalization(
    groups: int = 32,
    axis: int = -1,
    epsilon: float = 1e-3,
    center: bool = True,
    scale: bool = True,
    beta_initializer: Any = "zeros",
    gamma_initializer: Any = "ones",
    beta_regularizer: Any = None,
    gamma_regularizer: Any = None,
    beta_constraint: Any = None,
    gamma_constraint: Any = None,
) -> Definition:
    r"""Divide the channels into groups and normalise each example's groups to mean 0 and variance 1, then scale and shift.

    .. math:: y = \gamma \frac{x - \mu_g}{\sqrt{\sigma_g^2 + \epsilon}} + \beta

    with :math:`\mu_g, \sigma_g^2` over all entries of one group of one example; in float32 at least.

    Shapes: any to the same. Params: ``gamma``, ``beta`` (channels,).

    Args:
      groups: how many; -1 makes every channel its own, which is instance normalisation, and 1 is layer normalisation of all axes.
      axis: the axis of the channels.
      epsilon: added to the variance.
      center, scale: whether ``beta`` and ``gamma`` are used.
      beta_initializer and the rest: as for ``Dense``.

    Raises:
      ShapeError: when the input has no such axis, its size is unknown, or no multiple of ``groups``.
      ValueError: when ``groups`` is neither -1 nor positive.

    Example:
      >>> GroupNormalization(groups=8)(Input((28, 28, 32))).shape
      (None, 28, 28, 32)

    Reference: Wu and He, arXiv:1803.08494; ``keras.layers.GroupNormalization``.
    """
    count = groups if groups == -1 else whole_number("groups", groups)

    def init(key: Any, x: Any) -> Any:
        channels = x.shape[_axes(axis, x)[0]]
        if isinstance(channels, int) and channels % (channels if count == -1 else count):
            raise ShapeError(f"{channels} channels cannot be divided into {count} groups.")
        params = {"gamma": weight(key, "gamma", gamma_initializer, (channels,))} if scale else {}
        if center:
            params["beta"] = weight(key, "beta", beta_initializer, (channels,))
        return params, {}

    def apply(params: Any, state: Any, x: Any, ctx: Context) -> Any:
        (where,) = _axes(axis, x)
        channels, wide = x.shape[where], widened(x)
        many = channels if count == -1 else count
        grouped = wide.reshape(*x.shape[:where], many, channels // many, *x.shape[where + 1 :])
        inside = tuple(a for a in range(1, grouped.ndim) if a != where)
        mean, variance = grouped.mean(inside, keepdims=True), grouped.var(inside, keepdims=True)
        y = ((grouped - mean) * jax.lax.rsqrt(variance + epsilon)).reshape(x.shape)
        y = y * along(params["gamma"], x, (where,)) if scale else y
        y = y + along(params["beta"], x, (where,)) if center else y
        return narrowed(y, x), state

    return Definition(init, apply, mixes_examples="never")


@layer
def RMSNormalization(axis: Any = -1, epsilon: float = 1e-6) -> Definition:
    r"""Divide each example by its root mean square along some axes, then scale it.

    .. math:: y = \frac{x}{\sqrt{\operatorname{mean}(x^2) + \epsilon}} \, s

    Shapes: any to the same. Params: ``scale`` :math:`s`, of the sizes on ``axis``. Computed in float32 at least. A mask passes
    through, which Keras drops here.

    Args:
      axis: the axis, or several, over which the mean is taken.
      epsilon: added to the mean square.

    Raises:
      ShapeError: when the input has no such axis, or a size on it is unknown.

    Example:
      >>> RMSNormalization()(Input((100, 64))).shape
      (None, 100, 64)

    Reference: Zhang and Sennrich, arXiv:1910.07467; ``keras.layers.RMSNormalization``.
    """

    def init(key: Any, x: Any) -> Any:
        return {"scale": weight(key, "scale", "ones", tuple(x.shape[a] for a in _axes(axis, x)))}, {}

    def apply(params: Any, state: Any, x: Any, ctx: Context) -> Any:
        axes, wide = _axes(axis, x), widened(x)
        y = wide * jax.lax.rsqrt(jnp.square(wide).mean(axes, keepdims=True) + epsilon)
        return narrowed(y * along(params["scale"], x, axes), x), state

    return Definition(init, apply, mixes_examples="never")


@layer
def UnitNormalization(axis: Any = -1) -> Definition:
    r"""Divide each example by its length along some axes.

    .. math:: y = x / \max(\lVert x \rVert_2, 10^{-12})

    Shapes: any to the same. Params: none.

    Args:
      axis: the axis, or several, over which the length is taken.

    Raises:
      ShapeError: when the input has no such axis.

    Example:
      >>> UnitNormalization()(jnp.array([[0.0, 4.0]])).tolist()
      [[0.0, 1.0]]

    Reference: ``keras.layers.UnitNormalization``.
    """
    return stateless(lambda x: unit(real(x), _axes(axis, x), 1e-12))

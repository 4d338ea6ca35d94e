"""Activation, ReLU, LeakyReLU, PReLU, ELU, Softmax."""

from __future__ import annotations

import numbers
from typing import Any

import jax
import jax.numpy as jnp

from jkeras import activations
from jkeras.core import Context, Definition, layer, weight
from jkeras.core.arguments import whole_number
from jkeras.layers.common import activated, no_weights, real, stateless


def _at_least_0(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not float(value) >= 0:
        raise ValueError(f"{name} must be a number of at least 0, but got {value!r}.")
    return float(value)


@layer
def Activation(activation: Any) -> Definition:
    """Apply an activation function.

    Shapes: any to the same. Params: none.

    Args:
      activation: a name of ``jkeras.activations``, a function, or None for the identity.

    Raises:
      UnknownNameError: for a name that is not in the table.

    Example:
      >>> Activation("relu")(Input((32,))).shape
      (None, 32)

    Reference: ``keras.layers.Activation``.
    """
    return activated(no_weights, lambda params, state, x, ctx: (x, state), activation)


@layer
def ReLU(max_value: float | None = None, negative_slope: float = 0.0, threshold: float = 0.0) -> Definition:
    r"""Keep what is above a threshold, up to a largest value.

    .. math:: y = \min(x, m) \text{ where } x > t, \quad s (x - t) \text{ elsewhere}

    Shapes: any to the same. Params: none.

    Args:
      max_value: :math:`m`, the largest value; None: there is none.
      negative_slope: :math:`s`, the slope below the threshold.
      threshold: :math:`t`, from which on values are kept.

    Raises:
      ValueError: for a number below 0.

    Example:
      >>> ReLU(max_value=6.0)(jnp.array([-1.0, 3.0, 9.0])).tolist()
      [0.0, 3.0, 6.0]

    Reference: ``keras.layers.ReLU``.
    """
    largest = None if max_value is None else _at_least_0("max_value", max_value)
    slope, start = _at_least_0("negative_slope", negative_slope), _at_least_0("threshold", threshold)
    return stateless(lambda x: activations.relu(x, slope, largest, start))


@layer
def LeakyReLU(negative_slope: float = 0.3) -> Definition:
    r"""Keep what is positive and multiply what is negative by a small slope.

    .. math:: y = x \text{ where } x \ge 0, \quad s x \text{ elsewhere}

    Shapes: any to the same. Params: none.

    Args:
      negative_slope: :math:`s`; 0.3 here, where the function ``activations.leaky_relu`` has 0.2, both as in Keras.

    Raises:
      ValueError: for a slope below 0.

    Example:
      >>> LeakyReLU(0.5)(jnp.array([-2.0, 2.0])).tolist()
      [-1.0, 2.0]

    Reference: Maas et al. (2013); ``keras.layers.LeakyReLU``.
    """
    slope = _at_least_0("negative_slope", negative_slope)
    return stateless(lambda x: activations.leaky_relu(x, slope))


@layer
def PReLU(
    alpha_initializer: Any = "zeros", alpha_regularizer: Any = None, alpha_constraint: Any = None, shared_axes: Any = None
) -> Definition:
    r"""Keep what is positive and multiply what is negative by a slope that is learned.

    .. math:: y = x \text{ where } x \ge 0, \quad \alpha x \text{ elsewhere}

    Shapes: ``(batch, ...)`` to the same. Params: ``alpha`` (...), with size 1 on the ``shared_axes``.

    Args:
      alpha_initializer, alpha_regularizer, alpha_constraint: of :math:`\alpha`, as for ``Dense``.
      shared_axes: the axes, counted from the batch axis as 0, along which one slope is shared: ``(1, 2)`` gives images one slope
        per channel.

    Raises:
      ShapeError: when a size on an axis that is not shared is unknown, or there is no such axis.

    Example:
      >>> layer = PReLU(shared_axes=(1, 2))
      >>> layer(Input((28, 28, 8))).shape, layer.count_params()
      ((None, 28, 28, 8), 8)

    Reference: He et al., arXiv:1502.01852; ``keras.layers.PReLU``.
    """
    given = () if shared_axes is None else shared_axes if isinstance(shared_axes, (list, tuple)) else (shared_axes,)
    shared = tuple(whole_number("shared_axes", axis) for axis in given)

    def init(key: Any, x: Any) -> Any:
        if any(axis >= x.ndim for axis in shared):
            raise ValueError(f"shared_axes {shared} name an axis that an input of {x.ndim} axes does not have.")
        shape = tuple(1 if axis in shared else size for axis, size in enumerate(x.shape) if axis)
        return {"alpha": weight(key, "alpha", alpha_initializer, shape)}, {}

    def apply(params: Any, state: Any, x: Any, ctx: Context) -> Any:
        return jax.nn.relu(x) - params["alpha"] * jax.nn.relu(-x), state

    return Definition(init, apply, mixes_examples="never")


@layer
def ELU(alpha: float = 1.0) -> Definition:
    r"""Keep what is positive and let what is negative saturate.

    .. math:: y = x \text{ where } x > 0, \quad \alpha (e^x - 1) \text{ elsewhere}

    Shapes: any to the same. Params: none.

    Args:
      alpha: :math:`\alpha`, the limit on the negative side.

    Example:
      >>> ELU()(jnp.array([-100.0, 2.0])).tolist()
      [-1.0, 2.0]

    Reference: Clevert et al., arXiv:1511.07289; ``keras.layers.ELU``.
    """
    return stateless(lambda x: activations.elu(x, alpha))


@layer
def Softmax(axis: Any = -1) -> Definition:
    r"""Make positive numbers that sum to 1 along an axis.

    .. math:: y_i = e^{x_i} / \sum_j e^{x_j}

    Shapes: any to the same. Params: none. With a mask of the input's own shape, given as ``mask=``, the entries that it
    leaves out are 0 and do not count; a mask of time steps passes through.

    Args:
      axis: along which the numbers sum to 1, or several axes.

    Example:
      >>> Softmax()(jnp.array([[0.0, 0.0, 0.0, 0.0]])).tolist()
      [[0.25, 0.25, 0.25, 0.25]]
      >>> Softmax()(jnp.zeros((1, 4)), mask=jnp.array([[True, True, False, False]])).tolist()
      [[0.5, 0.5, 0.0, 0.0]]

    Reference: ``keras.layers.Softmax``.
    """
    along = tuple(axis) if isinstance(axis, (list, tuple)) else axis
    close = activations.softmax if along == -1 else lambda x: jax.nn.softmax(x, along)
    plain = activated(no_weights, lambda params, state, x, ctx: (x, state), close)

    def apply(params: Any, state: Any, x: Any, ctx: Context) -> Any:
        valid = ctx.mask
        if valid is None or valid.ndim < x.ndim:
            return plain.apply(params, state, x, ctx)
        x = real(x)
        low = jnp.where(valid, x, jnp.finfo(x.dtype).min)
        return jnp.where(valid, jax.nn.softmax(low, along), 0), state

    return Definition(no_weights, apply, mixes_examples="never")

"""Keras's activations by name, nearly all of them ``jax.nn``'s.

Where Keras's default differs from JAX's, Keras's is kept: ``gelu`` is the exact one, ``leaky_relu`` has slope 0.2.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.nn import (
    celu,
    elu,
    glu,
    hard_sigmoid,
    hard_silu,
    hard_tanh,
    log_sigmoid,
    log_softmax,
    mish,
    relu6,
    selu,
    sigmoid,
    silu,
    softmax,
    softplus,
    sparse_plus,
    sparse_sigmoid,
    squareplus,
)
from jax.numpy import tanh

from jkeras.core.named import look_up, tables
from jkeras.core.plain import made, written


def linear(x: Any) -> Any:
    """Return the input unchanged."""
    return x


def exponential(x: Any) -> Any:
    r"""Return :math:`e^x`."""
    return jnp.exp(x)


def relu(x: Any, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Any:
    """Return x above ``threshold``, at most ``max_value``, and ``negative_slope * (x - threshold)`` elsewhere."""
    if negative_slope == 0 and max_value is None and threshold == 0:
        return jax.nn.relu(x)
    kept = jnp.where(x > threshold, x, negative_slope * (x - threshold) if negative_slope else 0)
    return kept if max_value is None else jnp.minimum(kept, max_value)


def softsign(x: Any) -> Any:
    r"""Return :math:`x / (1 + |x|)`."""
    return jax.nn.soft_sign(x)


def gelu(x: Any, approximate: bool = False) -> Any:
    r"""Return :math:`x \Phi(x)` with the normal distribution function; with ``approximate`` its tanh form."""
    return jax.nn.gelu(x, approximate)


def leaky_relu(x: Any, negative_slope: float = 0.2) -> Any:
    """Return x where it is positive and ``negative_slope * x`` elsewhere."""
    return jax.nn.leaky_relu(x, negative_slope)


def hard_shrink(x: Any, threshold: float = 0.5) -> Any:
    """Return x where it is farther than ``threshold`` from 0, and 0 elsewhere."""
    return jnp.where(jnp.abs(x) > threshold, x, 0)


def soft_shrink(x: Any, threshold: float = 0.5) -> Any:
    """Move x towards 0 by ``threshold``, stopping there."""
    return jnp.sign(x) * jnp.maximum(jnp.abs(x) - threshold, 0)


def tanh_shrink(x: Any) -> Any:
    r"""Return :math:`x - \tanh x`."""
    return x - jnp.tanh(x)


def sparsemax(x: Any, axis: int = -1) -> Any:
    r"""Return the point of the probability simplex that is nearest to x along an axis; many entries are 0.

    Reference: Martins and Astudillo, arXiv:1602.02068; ``keras.activations.sparsemax``.
    """
    x = jnp.moveaxis(x, axis, -1)
    falling = -jnp.sort(-x, -1)
    place = jnp.arange(1, x.shape[-1] + 1, dtype=x.dtype)
    excess = jnp.cumsum(falling, -1) - 1
    kept = (falling * place > excess).sum(-1, keepdims=True)  # how many entries are not 0
    level = jnp.take_along_axis(excess, kept - 1, -1) / kept.astype(x.dtype)
    return jnp.moveaxis(jnp.maximum(x - level, 0), -1, axis)


def threshold(x: Any, threshold: float, default_value: float) -> Any:
    """Return x where it exceeds ``threshold`` and ``default_value`` elsewhere."""
    return jnp.where(x > threshold, x, default_value)


hard_swish = hard_silu
swish = silu

_TABLE: dict[str, Callable[..., Any]] = {
    "celu": celu,
    "elu": elu,
    "exponential": exponential,
    "gelu": gelu,
    "glu": glu,
    "hard_shrink": hard_shrink,
    "hard_sigmoid": hard_sigmoid,
    "hard_silu": hard_silu,
    "hard_swish": hard_silu,
    "hard_tanh": hard_tanh,
    "leaky_relu": leaky_relu,
    "linear": linear,
    "log_sigmoid": log_sigmoid,
    "log_softmax": log_softmax,
    "mish": mish,
    "relu": relu,
    "relu6": relu6,
    "selu": selu,
    "sigmoid": sigmoid,
    "silu": silu,
    "soft_shrink": soft_shrink,
    "softmax": softmax,
    "softplus": softplus,
    "softsign": softsign,
    "sparse_plus": sparse_plus,
    "sparse_sigmoid": sparse_sigmoid,
    "sparsemax": sparsemax,
    "squareplus": squareplus,
    "swish": silu,
    "tanh": tanh,
    "tanh_shrink": tanh_shrink,
}


_ACROSS = (softmax, log_softmax, glu, sparsemax)  # what looks at several entries at once


def is_elementwise(function: Any) -> bool:
    """Whether an activation is known to treat every entry by itself.

    Example:
      >>> is_elementwise(tanh), is_elementwise(softmax)
      (True, False)
    """
    return function in _TABLE.values() and function not in _ACROSS


def get(identifier: Any) -> Callable[..., Any]:
    """Return the activation of a given name; a function stands for itself and None for :func:`linear`.

    Raises:
      UnknownNameError: for a name that is not in the table, with the nearest that is.

    Example:
      >>> get("relu")(-1.0).item()
      0.0
    """
    return linear if identifier is None else look_up(identifier, _TABLE, "activation")


tables["activation"] = get


def serialize(activation: Any) -> Any:
    """Return an activation as plain data: its name, or the call that made it.

    Raises:
      TypeError: for a function that has no name here.

    Example:
      >>> serialize(tanh)
      'tanh'
    """
    return written(activation, "activation")


def deserialize(config: Any, custom_objects: Any = None) -> Any:
    """Return what :func:`serialize` wrote down.

    Args:
      config: plain data.
      custom_objects: functions of your own by name.

    Raises:
      UnknownNameError: for a name that is in no table.

    Example:
      >>> deserialize("tanh")(0.0).item()
      0.0
    """
    return made(config, "activation", custom_objects)


__all__ = [
    "celu",
    "deserialize",
    "elu",
    "exponential",
    "gelu",
    "get",
    "glu",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "hard_tanh",
    "leaky_relu",
    "linear",
    "log_sigmoid",
    "log_softmax",
    "mish",
    "relu",
    "relu6",
    "selu",
    "serialize",
    "sigmoid",
    "silu",
    "soft_shrink",
    "softmax",
    "softplus",
    "softsign",
    "sparse_plus",
    "sparse_sigmoid",
    "sparsemax",
    "squareplus",
    "swish",
    "tanh",
    "tanh_shrink",
    "threshold",
]

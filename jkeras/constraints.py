"""Projections of weights after each optimizer step: functions ``array -> array`` of the same shape.

A layer argument such as ``kernel_constraint="non_neg"`` names the weight; the trainer applies it after the update.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jkeras.core.named import look_up, named, table, tables

Constraint = Callable[[jax.Array], jax.Array]
_EPSILON = 1e-7


def _norm(w: jax.Array, axis: Any) -> jax.Array:
    return jnp.sqrt(jnp.sum(jnp.square(w), axis=axis, keepdims=True))


@named
def MaxNorm(max_value: float = 2.0, axis: int = 0) -> Constraint:
    """Shrink each vector along ``axis`` to a norm of at most ``max_value``."""

    def project(w: jax.Array) -> jax.Array:
        norm = _norm(w, axis)
        return w * (jnp.clip(norm, 0, max_value) / (_EPSILON + norm))

    return project


@named
def NonNeg() -> Constraint:
    """Replace negative weights by 0."""
    return lambda w: jnp.where(w >= 0, w, 0)


@named
def UnitNorm(axis: int = 0) -> Constraint:
    """Scale each vector along ``axis`` to norm 1."""
    return lambda w: w / (_EPSILON + _norm(w, axis))


@named
def MinMaxNorm(min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: int = 0) -> Constraint:
    """Move each vector's norm into [min_value, max_value], all the way for ``rate`` 1 and partly below."""

    def project(w: jax.Array) -> jax.Array:
        norm = _norm(w, axis)
        wanted = rate * jnp.clip(norm, min_value, max_value) + (1 - rate) * norm
        return w * (wanted / (_EPSILON + norm))

    return project


max_norm = MaxNorm
min_max_norm = MinMaxNorm
non_neg = NonNeg
unit_norm = UnitNorm

_TABLE = table(MaxNorm, NonNeg, UnitNorm, MinMaxNorm)


def get(identifier: Any) -> Constraint | None:
    """Return the constraint of a given name; a function stands for itself, None for none.

    Example:
      >>> get("non_neg")(jnp.array([-1.0, 2.0])).tolist()
      [0.0, 2.0]
    """
    if identifier is None:
        return None
    found = look_up(identifier, _TABLE, "constraint")
    return found() if found in _TABLE.values() else found


tables["constraint"] = get

__all__ = ["MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm", "get", "max_norm", "min_max_norm", "non_neg", "unit_norm"]

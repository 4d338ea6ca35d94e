"""Projections of weights after each optimizer step: functions ``array -> array`` of the same shape.

A layer argument such as ``kernel_constraint="non_neg"`` names the weight; the trainer applies it after the update.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jkeras.core import named as names
from jkeras.core.named import Named, Written, look_up, table, tables
from jkeras.core.plain import made, written


class Constraint(Written):
    """The base of constraints that are written as classes; any function will do as well."""


class NamedConstraint(Named, Constraint):
    """A constraint and the call that made it."""


named = functools.partial(names.named, kind=NamedConstraint)

_EPSILON = 1e-7


def _norm(w: jax.Array, axis: Any) -> jax.Array:
    return jnp.sqrt(jnp.sum(jnp.square(w), axis=axis, keepdims=True))


@named
def MaxNorm(max_value: float = 2, axis: int = 0) -> Callable[..., jax.Array]:
    """Shrink each vector along ``axis`` to a norm of at most ``max_value``."""

    def project(w: jax.Array) -> jax.Array:
        norm = _norm(w, axis)
        return w * (jnp.clip(norm, 0, max_value) / (_EPSILON + norm))

    return project


@named
def NonNeg() -> Callable[..., jax.Array]:
    """Replace negative weights by 0."""
    return lambda w: jnp.where(w >= 0, w, 0)


@named
def UnitNorm(axis: int = 0) -> Callable[..., jax.Array]:
    """Scale each vector along ``axis`` to norm 1."""
    return lambda w: w / (_EPSILON + _norm(w, axis))


@named
def MinMaxNorm(min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: int = 0) -> Callable[..., jax.Array]:
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


def get(identifier: Any) -> Callable[..., jax.Array] | None:
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


def serialize(constraint: Any) -> Any:
    """Return a constraint as plain data: its name, or the call that made it.

    Raises:
      TypeError: for a function that has no name here.

    Example:
      >>> serialize(UnitNorm(1))["config"]
      {'axis': 1}
    """
    return written(constraint, "constraint")


def deserialize(config: Any, custom_objects: Any = None) -> Any:
    """Return what :func:`serialize` wrote down.

    Args:
      config: plain data.
      custom_objects: functions of your own by name.

    Raises:
      UnknownNameError: for a name that is in no table.

    Example:
      >>> deserialize(serialize(UnitNorm(1)))
      UnitNorm(axis=1)
    """
    return made(config, "constraint", custom_objects)


__all__ = [
    "Constraint",
    "MaxNorm",
    "MinMaxNorm",
    "NonNeg",
    "UnitNorm",
    "deserialize",
    "get",
    "max_norm",
    "min_max_norm",
    "non_neg",
    "serialize",
    "unit_norm",
]

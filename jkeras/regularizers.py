"""Penalties on weights, added to the loss: functions ``array -> number``.

A layer argument such as ``kernel_regularizer="l2"`` names the weight that it penalises; the trainer collects them all, so
no layer adds anything to the loss itself.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jkeras.core import named as names
from jkeras.core.named import Named, Written, look_up, table, tables
from jkeras.core.plain import made, written


class Regularizer(Written):
    """The base of regularizers that are written as classes; any function will do as well."""


class NamedRegularizer(Named, Regularizer):
    """A regularizer and the call that made it."""


named = functools.partial(names.named, kind=NamedRegularizer)


@named
def L1(l1: float = 0.01) -> Callable[..., jax.Array]:
    r"""Penalise by :math:`l_1 \sum |w|`."""
    return lambda w: l1 * jnp.sum(jnp.abs(w))


@named
def L2(l2: float = 0.01) -> Callable[..., jax.Array]:
    r"""Penalise by :math:`l_2 \sum w^2`."""
    return lambda w: l2 * jnp.sum(jnp.square(w))


@named
def L1L2(l1: float = 0.0, l2: float = 0.0) -> Callable[..., jax.Array]:
    r"""Penalise by :math:`l_1 \sum |w| + l_2 \sum w^2`."""
    return lambda w: l1 * jnp.sum(jnp.abs(w)) + l2 * jnp.sum(jnp.square(w))


@named
def OrthogonalRegularizer(factor: float = 0.01, mode: str = "rows") -> Callable[..., jax.Array]:
    r"""Penalise a matrix by ``factor`` times the mean :math:`|\cos|` of the angles between its rows, or columns.

    ``mode`` is ``"rows"`` or ``"columns"``.
    """
    if mode not in ("rows", "columns"):
        raise ValueError(f"mode must be 'rows' or 'columns', but got {mode!r}.")

    def penalty(w: jax.Array) -> jax.Array:
        if w.ndim != 2:
            raise ValueError(f"OrthogonalRegularizer takes a matrix, but got an array of shape {w.shape}.")
        vectors = w if mode == "rows" else w.T
        unit = vectors * jax.lax.rsqrt(jnp.maximum(jnp.square(vectors).sum(1, keepdims=True), 1e-12))
        n = vectors.shape[0]
        cosines = jnp.where(jnp.eye(n, dtype=bool), 0, unit @ unit.T)  # each pair twice
        return factor * jnp.abs(cosines).sum() / (n * (n - 1.0))

    return penalty


l1 = L1
l2 = L2
l1_l2 = L1L2
orthogonal_regularizer = OrthogonalRegularizer

_TABLE = table(L1, L2, L1L2, OrthogonalRegularizer, l1=L1, l2=L2, l1_l2=L1L2)


def get(identifier: Any) -> Callable[..., jax.Array] | None:
    """Return the regularizer of a given name; a function stands for itself, None for none.

    Example:
      >>> round(float(get("l2")(jnp.array([1.0, 2.0]))), 4)
      0.05
    """
    if identifier is None:
        return None
    found = look_up(identifier, _TABLE, "regularizer")
    return found() if found in _TABLE.values() else found


tables["regularizer"] = get


def serialize(regularizer: Any) -> Any:
    """Return a regularizer as plain data: its name, or the call that made it.

    Raises:
      TypeError: for a function that has no name here.

    Example:
      >>> serialize(L2(0.5))["config"]
      {'l2': 0.5}
    """
    return written(regularizer, "regularizer")


def deserialize(config: Any, custom_objects: Any = None) -> Any:
    """Return what :func:`serialize` wrote down.

    Args:
      config: plain data.
      custom_objects: functions of your own by name.

    Raises:
      UnknownNameError: for a name that is in no table.

    Example:
      >>> deserialize(serialize(L2(0.5)))
      L2(l2=0.5)
    """
    return made(config, "regularizer", custom_objects)


__all__ = [
    "L1",
    "L1L2",
    "L2",
    "OrthogonalRegularizer",
    "Regularizer",
    "deserialize",
    "get",
    "l1",
    "l1_l2",
    "l2",
    "orthogonal_regularizer",
    "serialize",
]

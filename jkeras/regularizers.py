"""Penalties on weights, added to the loss: functions ``array -> number``.

A layer argument such as ``kernel_regularizer="l2"`` names the weight that it penalises; the trainer collects them all, so
no layer adds anything to the loss itself.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jkeras.core.named import look_up, named, table, tables

Regularizer = Callable[[jax.Array], jax.Array]


@named
def L1(l1: float = 0.01) -> Regularizer:
    r"""Penalise by :math:`l_1 \sum |w|`."""
    return lambda w: l1 * jnp.sum(jnp.abs(w))


@named
def L2(l2: float = 0.01) -> Regularizer:
    r"""Penalise by :math:`l_2 \sum w^2`."""
    return lambda w: l2 * jnp.sum(jnp.square(w))


@named
def L1L2(l1: float = 0.0, l2: float = 0.0) -> Regularizer:
    r"""Penalise by :math:`l_1 \sum |w| + l_2 \sum w^2`."""
    return lambda w: l1 * jnp.sum(jnp.abs(w)) + l2 * jnp.sum(jnp.square(w))


l1 = L1
l2 = L2
l1_l2 = L1L2

_TABLE = table(L1, L2, L1L2, l1=L1, l2=L2, l1_l2=L1L2)


def get(identifier: Any) -> Regularizer | None:
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

__all__ = ["L1", "L1L2", "L2", "get", "l1", "l1_l2", "l2"]

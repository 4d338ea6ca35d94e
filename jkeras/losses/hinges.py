"""Hinge losses: what a margin leaves undone."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import optax

from jkeras.losses.loss import MEAN, constructor, elementwise


def _signs(y: Any) -> Any:
    """Return targets of 0 and 1 as -1 and 1, and others as they are; they are looked at together, as in Keras."""
    return jnp.where(jnp.all((y == 0) | (y == 1)), 2 * y - 1, y)


@elementwise
def hinge(y_true: Any, y_pred: Any) -> Any:
    r"""Mean of :math:`\max(1 - y \hat y, 0)` over the last axis.

    Args:
      y_true: -1 and 1, or 0 and 1, which stand for these.
      y_pred: of the same shape; their sign is the answer.

    Example:
      >>> hinge([[-1, 1]], [[-2.0, 0.5]]).tolist()
      [0.25]
    """
    return jnp.mean(optax.hinge_loss(y_pred, _signs(y_true)), axis=-1)


@elementwise
def squared_hinge(y_true: Any, y_pred: Any) -> Any:
    r"""Mean of :math:`\max(1 - y \hat y, 0)^2` over the last axis; see :func:`hinge`.

    Example:
      >>> squared_hinge([[-1, 1]], [[-2.0, 0.5]]).tolist()
      [0.125]
    """
    return jnp.mean(jnp.square(optax.hinge_loss(y_pred, _signs(y_true))), axis=-1)


@elementwise
def categorical_hinge(y_true: Any, y_pred: Any) -> Any:
    r""":math:`\max(1 + \max_c (1 - y_c) \hat y_c - \sum_c y_c \hat y_c, 0)` over the last axis, for one-hot targets.

    Example:
      >>> categorical_hinge([[0, 1]], [[0.25, 0.75]]).tolist()
      [0.5]
    """
    right = jnp.sum(y_true * y_pred, axis=-1)
    wrong = jnp.max((1 - y_true) * y_pred, axis=-1)
    return jnp.maximum(1 + wrong - right, 0)


# -- constructors -----------------------------------------------------------------------------------------------------


@constructor(hinge)
def Hinge(reduction: str = MEAN, name: str = "hinge", dtype: Any = None) -> Any:
    """What a margin of 1 leaves undone; see :func:`hinge`."""


@constructor(squared_hinge)
def SquaredHinge(reduction: str = MEAN, name: str = "squared_hinge", dtype: Any = None) -> Any:
    """Square of what a margin of 1 leaves undone; see :func:`squared_hinge`."""


@constructor(categorical_hinge)
def CategoricalHinge(reduction: str = MEAN, name: str = "categorical_hinge", dtype: Any = None) -> Any:
    """What a margin of 1 between classes leaves undone; see :func:`categorical_hinge`."""

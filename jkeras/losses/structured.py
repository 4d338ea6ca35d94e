"""Losses that look at several places together: overlaps of areas, distances in a batch, and ways to write a label."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jkeras.core.errors import ShapeError
from jkeras.core.shapes import shape_of
from jkeras.losses.loss import EPSILON, MEAN, constructor, elementwise, widen


@elementwise
def dice(y_true: Any, y_pred: Any, axis: Any = None) -> Any:
    r""":math:`1 - 2 \sum y p / (\sum y + \sum p + 10^{-7})`, one number of all or, with axes, one for each of the others.

    Args:
      y_true, y_pred: areas of one shape, 0 to 1.
      axis: the axes to add up, a number or several; None (default) for all.

    Example:
      >>> round(float(dice([[1.0, 0.0]], [[1.0, 1.0]])), 4)
      0.3333

    Reference: Sudre et al., arXiv:1707.03237.
    """
    both = jnp.sum(y_true * y_pred, axis=axis)
    return 1 - 2 * both / (jnp.sum(y_true, axis=axis) + jnp.sum(y_pred, axis=axis) + EPSILON)


@elementwise
def tversky(y_true: Any, y_pred: Any, alpha: float = 0.5, beta: float = 0.5, axis: Any = None) -> Any:
    r""":math:`1 - \sum y p / (\sum y p + \alpha \sum y (1 - p) + \beta \sum p (1 - y) + 10^{-7})`.

    Args:
      y_true, y_pred, axis: as for :func:`dice`, which this is for :math:`\alpha = \beta = 1/2`.
      alpha: what an area that is missed costs.
      beta: what an area too many costs.

    Example:
      >>> round(float(tversky([[1.0, 0.0]], [[1.0, 1.0]], beta=1.0)), 4)
      0.5

    Reference: Salehi et al., arXiv:1706.05721.
    """
    both = jnp.sum(y_true * y_pred, axis=axis)
    missed, extra = jnp.sum(y_true * (1 - y_pred), axis=axis), jnp.sum(y_pred * (1 - y_true), axis=axis)
    return 1 - both / (both + alpha * missed + beta * extra + EPSILON)


def circle(
    y_true: Any,
    y_pred: Any,
    ref_labels: Any = None,
    ref_embeddings: Any = None,
    remove_diagonal: bool = True,
    gamma: float = 80,
    margin: float = 0.4,
) -> Any:
    r""":math:`\log(1 + \sum_p e^{-\gamma a_p (m - d_p)} \sum_n e^{\gamma a_n (1 - m - d_n)})` of each example in its batch.

    Here :math:`d` is 1 minus the cosine with each example of the same class (p) and of others (n),
    :math:`a_p = m + d_p` and :math:`a_n = 1 + m - d_n`, neither below 0. An example that has no other of its class costs 0.

    Args:
      y_true: class numbers ``(batch,)`` or ``(batch, 1)``.
      y_pred: embeddings of length 1, ``(batch, features)``.
      ref_labels, ref_embeddings: what each is compared with; by default the batch itself.
      remove_diagonal: whether an example is not compared with itself.
      gamma: :math:`\gamma`, how sharp it is.
      margin: :math:`m`, from 0 to 1.

    Returns:
      ``(batch,)``.

    Example:
      >>> same = jnp.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
      >>> circle([0, 0, 1], same).round(2).tolist()
      [0.0, 0.0, 0.0]

    Reference: Sun et al., arXiv:2002.10857.
    """
    labels, found = jnp.asarray(y_true).astype(jnp.int32).reshape(-1, 1), widen(jnp.asarray(y_pred))
    if found.ndim != 2 or labels.shape[0] != found.shape[0]:
        raise ShapeError(f"circle needs class numbers (batch,) and embeddings (batch, features), but got {shape_of(found)}.")
    others = labels if ref_labels is None else jnp.asarray(ref_labels).astype(jnp.int32).reshape(-1, 1)
    distance = jnp.maximum(1 - found @ (found if ref_embeddings is None else jnp.asarray(ref_embeddings)).T, 0)
    alike = labels == others.T  # (batch, references)
    near = alike & ~jnp.eye(*alike.shape, dtype=bool) if remove_diagonal else alike
    pulls = -gamma * jnp.maximum(margin + distance, 0) * (margin - distance)
    pushes = gamma * jnp.maximum(1 + margin - distance, 0) * (1 - margin - distance)
    judged = near.any(1) & ~alike.all(1)
    total = sum(_log_sum(x, where, judged) for x, where in ((pulls, near), (pushes, ~alike)))
    return jnp.where(judged, jax.nn.softplus(total), 0)


def _log_sum(x: Any, where: Any, judged: Any) -> Any:
    """Add up exponentials of what counts; a row where nothing does is made one where all do, which has a gradient."""
    return jax.nn.logsumexp(x, axis=1, where=where | ~judged[:, None])


def _above_zero(own: Mapping[str, Any]) -> Any:
    return _is_positive


def _is_positive(targets: Any, values: Any) -> Any:
    return values > 0


def ctc(y_true: Any, y_pred: Any) -> Any:
    r"""Minus the log-probability of all ways to write each label over time, 0 being the class of nothing.

    Args:
      y_true: class numbers ``(batch, labels)``, 0 behind the last.
      y_pred: logits ``(batch, time, classes)``.

    Returns:
      ``(batch,)``.

    Example:
      >>> round(float(ctc([[1]], jnp.zeros((1, 1, 2)))[0]), 4)
      0.6931

    Reference: Graves et al. (2006), doi:10.1145/1143844.1143891; ``optax.ctc_loss``.
    """
    labels, logits = jnp.asarray(y_true).astype(jnp.int32), widen(jnp.asarray(y_pred))
    if labels.ndim != 2 or logits.ndim != 3:
        raise ShapeError(
            f"ctc needs labels (batch, labels) and logits (batch, time, classes), but got "
            f"{shape_of(labels)} and {shape_of(logits)}."
        )
    places = jnp.arange(labels.shape[1]) < jnp.sum(labels != 0, axis=-1, keepdims=True)
    return optax.ctc_loss(logits, jnp.zeros(logits.shape[:2], logits.dtype), labels, 1 - places.astype(logits.dtype))


# -- constructors -----------------------------------------------------------------------------------------------------


@constructor(dice, per_example=False)
def Dice(reduction: str = MEAN, name: str = "dice", axis: Any = None, dtype: Any = None) -> Any:
    """What areas do not have in common; see :func:`dice`."""


@constructor(tversky, per_example=False)
def Tversky(
    alpha: float = 0.5,
    beta: float = 0.5,
    reduction: str = MEAN,
    name: str = "tversky",
    axis: Any = None,
    dtype: Any = None,
) -> Any:
    """What areas do not have in common, either kind of error weighed by itself; see :func:`tversky`."""


@constructor(circle, counts=_above_zero, per_example=False)
def Circle(
    gamma: float = 80.0,
    margin: float = 0.4,
    remove_diagonal: bool = True,
    reduction: str = MEAN,
    name: str = "circle",
    dtype: Any = None,
) -> Any:
    """How far embeddings of a class are apart and those of others together, over those that cost something: :func:`circle`."""


@constructor(ctc)
def CTC(reduction: str = MEAN, name: str = "ctc", dtype: Any = None) -> Any:
    """Labels written over time; see :func:`ctc`."""

"""Scores of several classes or several outputs: F, and the share of variance explained."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax.numpy as jnp

from jkeras.core.arguments import choice, whole_number
from jkeras.core.errors import ShapeError
from jkeras.core.shapes import shape_of
from jkeras.losses.loss import EPSILON, widen
from jkeras.metrics.metric import Metric, constructor, paired, weighing


class Cases(NamedTuple):
    """What was said of each class, ``(classes,)``: yes rightly, yes wrongly, no wrongly."""

    hits: Any
    alarms: Any
    misses: Any


def _table_of(targets: Any, outputs: Any) -> tuple[Any, Any]:
    """Return targets and outputs ``(batch, classes)``, or say that they are not."""
    targets, outputs = (x[:, None] if x.ndim == 1 else x for x in paired(targets, widen(jnp.asarray(outputs))))
    if outputs.ndim != 2:
        raise ShapeError(
            f"targets and outputs must both be (batch, classes), but are {shape_of(targets)} and {shape_of(outputs)}."
        )
    return targets.astype(outputs.dtype), outputs


def _add_said(threshold: float | None, total: Cases, targets: Any, outputs: Any, weights: Any = None) -> Cases:
    targets, outputs = _table_of(targets, outputs)
    if threshold is None:
        said = (outputs >= jnp.max(outputs, axis=-1, keepdims=True)) & (jnp.abs(outputs) > 1e-9)
    else:
        said = outputs > threshold
    weight = weighing(weights, outputs)
    said = said.astype(jnp.float32)
    found = (said * targets, said * (1 - targets), (1 - said) * targets)
    return Cases(*(a + jnp.sum(jnp.where(weight == 0, 0, b * weight), axis=0) for a, b in zip(total, found, strict=True)))


def _f_score(average: str | None, beta: float, cases: Cases) -> Any:
    weights = cases.hits + cases.misses
    if average == "micro":
        cases = Cases(*(jnp.sum(part) for part in cases))
    precision = cases.hits / (cases.hits + cases.alarms + EPSILON)
    recall = cases.hits / (cases.hits + cases.misses + EPSILON)
    score = (1 + beta**2) * precision * recall / (beta**2 * precision + recall + EPSILON)
    if average == "weighted":
        return jnp.sum(score * weights / (jnp.sum(weights) + EPSILON))
    return score if average is None else jnp.mean(score)


def _no_cases(outputs: Any) -> Cases:
    classes = outputs.shape[-1] if outputs.ndim > 1 else 1
    return Cases(*(jnp.zeros((classes,), jnp.float32) for _ in range(3)))


def _scoring(average: str | None, beta: float, threshold: float | None) -> Metric:
    if average is not None:
        choice("average", average, ("micro", "macro", "weighted"))
    if not beta > 0:
        raise ValueError(f"beta must be positive, but got {beta!r}.")
    if threshold is not None and not 0 < threshold <= 1:
        raise ValueError(f"threshold must be above 0 and at most 1, but got {threshold!r}.")
    update = functools.partial(_add_said, threshold)
    return Metric("", _no_cases, update, functools.partial(_f_score, average, beta), per_example=True)


@constructor
def FBetaScore(
    average: str | None = None,
    beta: float = 1.0,
    threshold: float | None = None,
    name: str = "fbeta_score",
    dtype: Any = None,
) -> Any:
    r"""The score :math:`(1 + \beta^2) P R / (\beta^2 P + R)` of precision P and recall R, for each class.

    Args:
      average: None (default) for an array ``(classes,)``; ``"micro"`` for the score of all cases together, ``"macro"`` for the
        mean over classes, ``"weighted"`` for a mean by how often each class occurs.
      beta: how much more recall counts than precision; positive.
      threshold: what an output must exceed; None (default) for the largest of each example.

    Raises:
      ValueError: for an unknown average, or numbers out of range.

    Example:
      >>> scores = FBetaScore(beta=2.0, threshold=0.5)([[1, 1], [1, 0], [1, 1]], [[0.2, 0.7], [0.2, 0.6], [0.6, 0.8]])
      >>> [round(float(score), 4) for score in scores]
      [0.3846, 0.9091]
    """
    return _scoring(average, beta, threshold)


@constructor
def F1Score(average: str | None = None, threshold: float | None = None, name: str = "f1_score", dtype: Any = None) -> Any:
    """The harmonic mean of precision and recall: :func:`FBetaScore` of beta 1.

    Example:
      >>> round(float(F1Score(average="micro")([[1, 0], [0, 1]], [[0.9, 0.1], [0.8, 0.2]])), 4)
      0.5
    """
    return _scoring(average, 1.0, threshold)


class Moments(NamedTuple):
    """What the share of variance is made of, for each output: weights, mean of targets, their squared deviations, and errors."""

    weight: Any
    mean: Any
    deviations: Any
    errors: Any
    count: Any


def _no_moments(outputs: Any) -> Moments:
    size = outputs.shape[-1] if outputs.ndim > 1 else 1
    zeros = jnp.zeros((size,), jnp.float32)
    return Moments(zeros, zeros, zeros, zeros, jnp.zeros((), jnp.float32))


def _add_moments(total: Moments, targets: Any, outputs: Any, weights: Any = None) -> Moments:
    """Add a batch; deviations are from the mean so far, so that large means cost no digits (Chan et al., 1983)."""
    targets, outputs = _table_of(targets, outputs)
    weight = jnp.broadcast_to(weighing(weights, targets), targets.shape)
    new = weight.sum(0)
    mean = jnp.sum(targets * weight, 0) / jnp.where(new == 0, 1, new)
    both = total.weight + new
    shift = mean - total.mean
    share = new / jnp.where(both == 0, 1, both)
    return Moments(
        both,
        total.mean + shift * share,
        total.deviations + jnp.sum(weight * jnp.square(targets - mean), 0) + jnp.square(shift) * total.weight * share,
        total.errors + jnp.sum(weight * jnp.square(targets - outputs), 0),
        total.count + jnp.sum(weight.any(1)) * targets.shape[1],
    )


def _explained(aggregation: str | None, regressors: int, total: Moments) -> Any:
    scores = 1 - total.errors / total.deviations
    scores = jnp.where(jnp.isinf(scores), 0.0, scores)
    if aggregation == "uniform_average":
        scores = jnp.mean(scores)
    elif aggregation == "variance_weighted_average":
        scores = jnp.sum(total.deviations * scores) / jnp.sum(total.deviations)
    if not regressors:
        return scores
    free = total.count - regressors - 1
    adjusted = 1 - (1 - scores) * (total.count - 1) / jnp.where(free == 0, 1, free)
    return jnp.where(free > 0, adjusted, scores)


@constructor
def R2Score(
    class_aggregation: str | None = "uniform_average", num_regressors: int = 0, name: str = "r2_score", dtype: Any = None
) -> Any:
    r"""The share of the variance of targets that outputs explain, :math:`1 - \sum (y - \hat y)^2 / \sum (y - \bar y)^2`.

    Args:
      class_aggregation: the mean over outputs, ``"uniform_average"`` (default) or ``"variance_weighted_average"``; None for an
        array ``(outputs,)``.
      num_regressors: how many inputs the model has, for the adjusted score; 0 (default) for none. Where there are not more
        targets than inputs the score stays as it is.

    Raises:
      ValueError: for an unknown aggregation or a negative number.

    Example:
      >>> round(float(R2Score()([[1.0], [4.0], [3.0]], [[2.0], [4.0], [4.0]])), 4)
      0.5714
    """
    if class_aggregation is not None:
        choice("class_aggregation", class_aggregation, ("uniform_average", "variance_weighted_average"))
    regressors = whole_number("num_regressors", num_regressors, 0)
    return Metric("", _no_moments, _add_moments, functools.partial(_explained, class_aggregation, regressors), per_example=True)

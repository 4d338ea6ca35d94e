"""Metrics of yes and no: how often each was said rightly and wrongly, at one threshold or many."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jkeras.core.arguments import whole_number
from jkeras.core.errors import ShapeError
from jkeras.core.shapes import shape_of
from jkeras.losses.loss import widen
from jkeras.metrics.metric import Metric, constructor, divided, paired, weighing


class Counts(NamedTuple):
    """What was said at each threshold, each case counting by its weight.

    Attributes, ``(thresholds,)``, or ``(thresholds, labels)`` where labels are kept apart:
      hits: positives that were said to be so.
      alarms: negatives that were said to be positive.
      positives, negatives: all of either kind, ``()`` or ``(labels,)``.
    """

    hits: Any
    alarms: Any
    positives: Any
    negatives: Any

    @property
    def misses(self) -> Any:
        """Positives that were said to be negative."""
        return self.positives - self.hits

    @property
    def passes(self) -> Any:
        """Negatives that were said to be so."""
        return self.negatives - self.alarms

    @property
    def precision(self) -> Any:
        """The share of positives among what was said to be."""
        return divided(self.hits, self.hits + self.alarms)

    @property
    def recall(self) -> Any:
        """The share of what was said to be positive among those that are."""
        return divided(self.hits, self.positives)

    @property
    def specificity(self) -> Any:
        """The share of what was said to be negative among those that are."""
        return divided(self.passes, self.negatives)


def counts_of(places: Any, cases: Any) -> Counts:
    """Read counts off cases ``(thresholds + 1, ..., 2)``, sorted by how many thresholds an output is above."""
    above = jnp.flip(jnp.cumsum(jnp.flip(cases, 0), axis=0), 0)
    said, all_of = above[1:][places], above[0]
    return Counts(said[..., 0], said[..., 1], all_of[..., 0], all_of[..., 1])


def add_cases(limits: Any, prepare: Any, cases: Any, targets: Any, outputs: Any, weights: Any = None) -> Any:
    """Add a batch to cases, which are sorted and not compared: of many thresholds each case costs the logarithm.

    Args:
      limits: thresholds, the smallest first.
      prepare: ``(targets, outputs) -> (targets, outputs, weights)``, applied first, or None.
      cases: so far, ``(thresholds + 1, 2)``, or ``(thresholds + 1, labels, 2)`` where the last axis of outputs is kept apart.
      targets: anything but 0 is positive.
      outputs: of the same shape.
      weights: ``(batch, ...)`` or None.
    """
    targets, outputs = paired(targets, widen(jnp.asarray(outputs)))
    weights = weighing(weights, outputs)
    if prepare is not None:
        targets, outputs, more = prepare(targets, outputs)
        weights = weights * more
    labels = cases.shape[1:-1]
    weights = jnp.broadcast_to(weights, outputs.shape).reshape(-1, *labels)
    outputs, positive = outputs.reshape(weights.shape), targets.reshape(weights.shape) != 0
    # How many thresholds each is larger than; a loop, which is the default, costs a GPU some launches for each halving.
    above = jnp.searchsorted(jnp.asarray(limits, outputs.dtype), outputs, method="scan_unrolled")
    above = jnp.where(jnp.isnan(outputs), 0, above)
    both = jnp.stack([jnp.where(positive, weights, 0), jnp.where(positive, 0, weights)], axis=-1)
    return cases.at[(above, jnp.arange(labels[0])) if labels else above].add(both)


def counting(thresholds: Any, result: Callable[[Counts], Any], prepare: Any = None, sized: Any = None) -> Metric:
    """Make a metric of counts at thresholds; ``sized`` gives the number of labels that are kept apart, from the outputs."""
    limits = np.sort(np.asarray(thresholds, np.float32))
    places = np.searchsorted(limits, np.asarray(thresholds, np.float32))  # where those that were given are among them
    init = functools.partial(_no_cases, len(limits)) if sized is None else functools.partial(_no_labels, len(limits), sized)
    update = functools.partial(add_cases, tuple(limits.tolist()), prepare)
    return Metric("", init, update, lambda cases: result(counts_of(places, cases)), per_example=True)


def _no_cases(count: int) -> Any:
    return jnp.zeros((count + 1, 2), jnp.float32)


def _no_labels(count: int, sized: Callable[[Any], int], outputs: Any) -> Any:
    return jnp.zeros((count + 1, sized(outputs), 2), jnp.float32)


def _limits(thresholds: Any, default: float = 0.5) -> list[float]:
    """Return thresholds as a list, and refuse those outside 0 to 1."""
    given = [default] if thresholds is None else list(np.ravel(thresholds))
    for limit in given:
        if not (0 <= limit <= 1 or limit == -np.inf):
            raise ValueError(f"thresholds must be from 0 to 1, but got {thresholds!r}.")
    return given


def _alone(values: Any) -> Any:
    return values[0] if values.shape[0] == 1 else values


def _number_of(kind: str, thresholds: Any) -> Metric:
    return counting(_limits(thresholds), lambda counts: _alone(getattr(counts, kind)))


@constructor
def TruePositives(thresholds: Any = None, name: str | None = None, dtype: Any = None) -> Any:
    """The number, or sum of weights, of positives that were said to be so.

    Args:
      thresholds: what an output must exceed, from 0 to 1; several give an array. None (default) for 0.5.

    Example:
      >>> float(TruePositives()([0, 1, 1, 1], [1, 0, 1, 1]))
      2.0
    """
    return _number_of("hits", thresholds)


@constructor
def FalsePositives(thresholds: Any = None, name: str | None = None, dtype: Any = None) -> Any:
    """The number, or sum of weights, of negatives that were said to be positive; see :func:`TruePositives`.

    Example:
      >>> float(FalsePositives()([0, 1, 0, 0], [0, 0, 1, 1]))
      2.0
    """
    return _number_of("alarms", thresholds)


@constructor
def TrueNegatives(thresholds: Any = None, name: str | None = None, dtype: Any = None) -> Any:
    """The number, or sum of weights, of negatives that were said to be so; see :func:`TruePositives`.

    Example:
      >>> float(TrueNegatives()([0, 1, 0, 0], [1, 1, 0, 0]))
      2.0
    """
    return _number_of("passes", thresholds)


@constructor
def FalseNegatives(thresholds: Any = None, name: str | None = None, dtype: Any = None) -> Any:
    """The number, or sum of weights, of positives that were said to be negative; see :func:`TruePositives`.

    Example:
      >>> float(FalseNegatives()([0, 1, 1, 1], [0, 1, 0, 0]))
      2.0
    """
    return _number_of("misses", thresholds)


def _chosen(top_k: int | None, class_id: int | None, targets: Any, outputs: Any) -> tuple[Any, Any, Any]:
    """Leave of outputs ``(..., classes)`` the k largest, or those of one class."""
    if top_k is not None:
        _, best = jax.lax.top_k(outputs, top_k)
        kept = jax.nn.one_hot(best, outputs.shape[-1], dtype=bool).any(-2)
        outputs = jnp.where(kept, outputs, -jnp.inf)  # which is above no threshold, not even above one of -inf
    if class_id is not None:
        if outputs.ndim < 2:
            raise ShapeError(f"class_id needs outputs (batch, classes), but got {shape_of(outputs)}.")
        targets, outputs = targets[..., class_id, None], outputs[..., class_id, None]
    return targets, outputs, 1.0


def _among(ratio: str, thresholds: Any, top_k: int | None, class_id: int | None) -> Metric:
    """Make precision or recall; with ``top_k`` alone the k largest outputs say yes, however small they are."""
    if top_k is not None:
        top_k = whole_number("top_k", top_k)
    limits = _limits(thresholds, 0.5 if top_k is None else -np.inf)
    prepare = None if top_k is None and class_id is None else functools.partial(_chosen, top_k, class_id)
    return counting(limits, lambda counts: _alone(getattr(counts, ratio)), prepare)


@constructor
def Precision(
    thresholds: Any = None,
    top_k: int | None = None,
    class_id: int | None = None,
    name: str | None = None,
    dtype: Any = None,
) -> Any:
    """The share of positives among what was said to be positive, of all batches together; 0 where nothing was.

    Args:
      thresholds: what an output must exceed, from 0 to 1; several give an array. None (default) for 0.5.
      top_k: of each example only the k largest outputs say yes; without ``thresholds`` they all do.
      class_id: the one class to look at; None (default) for all.

    Raises:
      ValueError: for a threshold outside 0 to 1.

    Example:
      >>> round(float(Precision()([0, 1, 1, 1], [1, 0, 1, 1])), 4)
      0.6667
    """
    return _among("precision", thresholds, top_k, class_id)


@constructor
def Recall(
    thresholds: Any = None,
    top_k: int | None = None,
    class_id: int | None = None,
    name: str | None = None,
    dtype: Any = None,
) -> Any:
    """The share of positives that were said to be, of all batches together; 0 where there are none. See :func:`Precision`.

    Example:
      >>> round(float(Recall()([0, 1, 1, 1], [1, 0, 1, 1])), 4)
      0.6667
    """
    return _among("recall", thresholds, top_k, class_id)


# -- the best of one rate where another is good enough -------------------------------------------------------------------


def _of_class(class_id: int | None, targets: Any, outputs: Any) -> tuple[Any, Any, Any]:
    return _chosen(None, class_id, targets, jnp.clip(outputs, 0, 1))


def _best(what: str, where: str, least: float, num_thresholds: int, class_id: int | None) -> Metric:
    if not 0 <= least <= 1:
        raise ValueError(f"{where} must be from 0 to 1, but got {least!r}.")
    count = whole_number("num_thresholds", num_thresholds)
    limits = [0.5] if count == 1 else np.arange(count) / (count - 1)

    def result(counts: Counts) -> Any:
        return jnp.max(jnp.where(getattr(counts, where) >= least, getattr(counts, what), 0))

    return counting(limits, result, functools.partial(_of_class, class_id))


@constructor
def SensitivityAtSpecificity(
    specificity: float, num_thresholds: int = 200, class_id: int | None = None, name: str | None = None, dtype: Any = None
) -> Any:
    """The largest recall at a threshold where the share of negatives said to be so is at least ``specificity``.

    Args:
      specificity: from 0 to 1.
      num_thresholds: how many thresholds from 0 to 1 are tried.
      class_id: the one class to look at; None (default) for all.

    Raises:
      ValueError: for a share outside 0 to 1.

    Example:
      >>> float(SensitivityAtSpecificity(0.5)([0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8]))
      0.5
    """
    return _best("recall", "specificity", specificity, num_thresholds, class_id)


@constructor
def SpecificityAtSensitivity(
    sensitivity: float, num_thresholds: int = 200, class_id: int | None = None, name: str | None = None, dtype: Any = None
) -> Any:
    """The largest share of negatives said to be so where recall is at least ``sensitivity``: :func:`SensitivityAtSpecificity`.

    Example:
      >>> round(float(SpecificityAtSensitivity(0.5)([0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8])), 4)
      0.6667
    """
    return _best("specificity", "recall", sensitivity, num_thresholds, class_id)


@constructor
def PrecisionAtRecall(
    recall: float, num_thresholds: int = 200, class_id: int | None = None, name: str | None = None, dtype: Any = None
) -> Any:
    """The largest precision at a threshold where recall is at least ``recall``; see :func:`SensitivityAtSpecificity`.

    Example:
      >>> float(PrecisionAtRecall(0.5)([0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8]))
      0.5
    """
    return _best("precision", "recall", recall, num_thresholds, class_id)


@constructor
def RecallAtPrecision(
    precision: float, num_thresholds: int = 200, class_id: int | None = None, name: str | None = None, dtype: Any = None
) -> Any:
    """The largest recall at a threshold where precision is at least ``precision``; see :func:`SensitivityAtSpecificity`.

    Example:
      >>> float(RecallAtPrecision(0.8)([0, 0, 1, 1], [0, 0.5, 0.3, 0.9]))
      0.5
    """
    return _best("recall", "precision", precision, num_thresholds, class_id)

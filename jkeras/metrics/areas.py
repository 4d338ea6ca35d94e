"""Areas under curves that thresholds draw: of hits over false alarms, and of precision over recall."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jkeras.core.arguments import whole_number
from jkeras.core.errors import nearest
from jkeras.metrics.confusion import Counts, counting, divided
from jkeras.metrics.metric import constructor

_BEYOND = 1e-7  # the outermost thresholds, so that each output is above the first and none above the last
_CURVES = ("ROC", "PR", "PRGAIN")
_HEIGHTS = {  # of each strip between two points of a curve
    "interpolation": lambda y: (y[:-1] + y[1:]) / 2,
    "minoring": lambda y: jnp.minimum(y[:-1], y[1:]),
    "majoring": lambda y: jnp.maximum(y[:-1], y[1:]),
}


def _area_of_precision(counts: Counts) -> Any:
    """Add up the exact area between points of the curve of precision over recall (Davis and Goadrich, 2006)."""
    hits, said = counts.hits, counts.hits + counts.alarms
    more, steps = hits[:-1] - hits[1:], said[:-1] - said[1:]
    slope = divided(more, jnp.maximum(steps, 0))
    start = hits[1:] - slope * said[1:]
    known = (said[:-1] > 0) & (said[1:] > 0)
    ratio = jnp.where(known, said[:-1] / jnp.where(known, said[1:], 1), 1)
    return jnp.sum(divided(slope * (more + start * jnp.log(ratio)), jnp.maximum(counts.positives, 0)), axis=0)


def _curve(kind: str, counts: Counts) -> tuple[Any, Any]:
    """Return where the points of a curve lie, across and up."""
    if kind == "ROC":
        return divided(counts.alarms, counts.negatives), counts.recall
    if kind == "PR":
        return counts.recall, counts.precision
    share = divided(counts.positives, counts.negatives)
    some = counts.hits > 0
    recall = jnp.where(some, 1 - share * divided(counts.misses, counts.hits), 0)
    precision = jnp.where(some, 1 - share * divided(counts.alarms, counts.hits), 1)
    return jnp.maximum(recall, 0), precision


def _area(kind: str, method: str, weights: Any, counts: Counts) -> Any:
    if kind == "PR" and method == "interpolation":
        areas = _area_of_precision(counts)
    else:
        x, y = _curve(kind, counts)
        areas = jnp.sum((x[:-1] - x[1:]) * _HEIGHTS[method](y), axis=0)
    if areas.ndim == 0:
        return areas
    return jnp.mean(areas) if weights is None else divided(jnp.sum(areas * jnp.asarray(weights)), np.sum(weights))


def _prepare(from_logits: bool, weights: Any, targets: Any, outputs: Any) -> tuple[Any, Any, Any]:
    outputs = jax.nn.sigmoid(outputs) if from_logits else outputs
    return targets, jnp.clip(outputs, 0, 1), 1.0 if weights is None else jnp.asarray(weights, jnp.float32)


def _word(what: str, given: Any, words: Any) -> Any:
    known = {word.lower(): word for word in words}
    if not isinstance(given, str) or given.lower() not in known:
        raise ValueError(f"{what} must be one of {', '.join(words)}, but got {given!r}.{nearest(given, words)}")
    return known[given.lower()]


@constructor
def AUC(
    num_thresholds: int = 200,
    curve: str = "ROC",
    summation_method: str = "interpolation",
    name: str | None = None,
    dtype: Any = None,
    thresholds: Any = None,
    multi_label: bool = False,
    num_labels: int | None = None,
    label_weights: Any = None,
    from_logits: bool = False,
) -> Any:
    """The area under a curve, of all batches together, from points at fixed thresholds: the more, the more exact.

    Args:
      num_thresholds: how many points, evenly from 0 to 1; at least 2.
      curve: ``"ROC"``, the share of positives found over that of false alarms; ``"PR"``, precision over recall; ``"PRGAIN"``,
        their gains.
      summation_method: how the area between points is taken: ``"interpolation"``, ``"minoring"`` or ``"majoring"``.
      thresholds: points of your own between 0 and 1; 0 and 1 are added.
      multi_label: whether the area of each label is taken by itself, of outputs ``(batch, labels)``, and their mean is the
        result.
      num_labels: how many labels there are, for Keras's sake.
      label_weights: a weight for each label: in the mean with ``multi_label``, of each entry without.
      from_logits: whether outputs go through a sigmoid first.

    Raises:
      ValueError: for an unknown curve or method, or thresholds outside 0 to 1.

    Example:
      >>> float(AUC(num_thresholds=3)([0, 0, 1, 1], [0, 0.5, 0.3, 0.9]))
      0.75

    Reference: Davis and Goadrich (2006), doi:10.1145/1143844.1143874.
    """
    kind = _word("curve", curve, _CURVES)
    method = _word("summation_method", summation_method, _HEIGHTS)
    if num_labels is not None and not multi_label:
        raise ValueError("num_labels is of use with multi_label=True alone.")
    inner = np.sort(np.asarray(thresholds, float)) if thresholds is not None else None
    if inner is None:
        count = whole_number("num_thresholds", num_thresholds, 2)
        inner = np.arange(1, count - 1) / (count - 1)
    elif inner.size and not (inner[0] >= 0 and inner[-1] <= 1):
        raise ValueError(f"thresholds must be from 0 to 1, but got {thresholds!r}.")
    limits = (-_BEYOND, *inner, 1 + _BEYOND)
    weights = None if label_weights is None else np.asarray(label_weights, np.float32)
    prepare = functools.partial(_prepare, from_logits, None if multi_label else weights)
    result = functools.partial(_area, kind, method, weights if multi_label else None)
    return counting(limits, result, prepare, functools.partial(_labels, num_labels) if multi_label else None)


def _labels(num_labels: int | None, outputs: Any) -> int:
    return num_labels or outputs.shape[-1]

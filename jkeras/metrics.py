"""Metrics as pure triples: ``init() -> total``, ``update(total, targets, outputs, weights) -> total``, ``result(total)``.

Totals are small pytrees of sums, so a metric runs inside a compiled loop, under ``vmap`` and across devices, and is exact over
batches of any sizes. Its mean is over examples: of each example's mean over its own entries, weighted.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp

from jkeras import losses
from jkeras.core.errors import ShapeError
from jkeras.core.layer import spell
from jkeras.core.named import look_up
from jkeras.core.shapes import shape_of
from jkeras.losses.loss import aligned, widen


class Total(NamedTuple):
    """A weighted sum and the sum of its weights."""

    sum: Any
    weight: Any


@dataclasses.dataclass(frozen=True, eq=False)
class Metric:
    """A named pure triple.

    Attributes:
      name: what logs call it.
      init: makes an empty total.
      update: adds a batch ``(targets, outputs, weights)`` to a total; ``weights`` is ``(batch, ...)`` or None.
      result: turns a total into a number.
      per_example: whether it looks at each example by itself and heeds weights, so that batches may be filled up. False
        (default) for one of your own, which may count rows.
    """

    name: str
    init: Callable[[], Any]
    update: Callable[..., Any]
    result: Callable[[Any], Any]
    per_example: bool = False


def _empty() -> Total:
    return Total(jnp.zeros((), jnp.float32), jnp.zeros((), jnp.float32))


def _mean(total: Total) -> Any:
    return jnp.where(total.weight == 0, 0.0, total.sum / jnp.where(total.weight == 0, 1.0, total.weight))


def add_to(total: Total, values: Any, weights: Any = None) -> Total:
    """Add ``(batch, ...)`` values to a total, each example counting as the weighted mean of its entries."""
    values = jnp.asarray(values, jnp.float32)
    values = values.reshape(1) if values.ndim == 0 else values
    if weights is None:
        weights = jnp.ones(values.shape[:1], jnp.float32)
    if weights.ndim > values.ndim and weights.shape[-1] == 1:
        weights = weights.reshape(weights.shape[:-1])
    values = values.mean(tuple(range(weights.ndim, values.ndim)))
    weights = jnp.broadcast_to(weights, values.shape).astype(jnp.float32)
    inner = tuple(range(1, values.ndim))
    values = jnp.where(weights == 0, 0, values) * weights
    return Total(total.sum + values.mean(inner).sum(), total.weight + weights.mean(inner).sum())


def Mean(name: str = "mean") -> Metric:
    """Make the weighted mean of values: ``update(total, values, weights=None)``.

    Example:
      >>> mean = Mean()
      >>> float(mean.result(mean.update(mean.init(), jnp.array([1.0, 3.0]))))
      2.0
    """
    return Metric(name, _empty, add_to, _mean, per_example=True)


def MeanMetricWrapper(fn: Callable[[Any, Any], Any], name: str | None = None) -> Metric:
    """Make the mean of a function ``(y_true, y_pred) -> (batch, ...)`` over examples."""
    known = getattr(getattr(fn, "func", fn), "__module__", "") in (__name__, losses.__name__)
    update = functools.partial(_add_values, fn)  # no closure, so that a metric can be pickled
    return Metric(name or spell(getattr(fn, "__name__", type(fn).__name__)), _empty, update, _mean, per_example=known)


def _add_values(fn: Callable[[Any, Any], Any], total: Total, targets: Any, outputs: Any, weights: Any = None) -> Total:
    return add_to(total, fn(*aligned(jnp.asarray(targets), widen(jnp.asarray(outputs)))), weights)


def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Any:
    """Whether each target is 1 where the output exceeds ``threshold`` and 0 elsewhere, averaged over the last axis."""
    _same_shape("binary_accuracy", y_true, y_pred)
    return jnp.mean(y_true == (y_pred > threshold).astype(y_true.dtype), axis=-1)


def categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """Whether the largest output is that of the one-hot target: ``(batch, ..., classes)`` to ``(batch, ...)``."""
    _same_shape("categorical_accuracy", y_true, y_pred)
    return jnp.argmax(y_true, axis=-1) == jnp.argmax(y_pred, axis=-1)


def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """Whether the largest output is that of the class number: targets ``(batch, ...)`` or ``(batch, ..., 1)``."""
    label = y_true[..., 0] if y_true.ndim == y_pred.ndim else y_true
    if label.shape != y_pred.shape[:-1]:
        raise ShapeError(f"sparse_categorical_accuracy: targets {shape_of(y_true)} do not fit outputs {shape_of(y_pred)}.")
    return label == jnp.argmax(y_pred, axis=-1).astype(label.dtype)


def _same_shape(name: str, y_true: Any, y_pred: Any) -> None:
    if y_true.shape != y_pred.shape:
        raise ShapeError(f"{name}: targets {shape_of(y_true)} must have the shape of the outputs, {shape_of(y_pred)}.")


def accuracy(y_true: Any, y_pred: Any) -> Any:
    """Choose the accuracy that the shapes ask for, as Keras does for ``metrics=["accuracy"]``.

    Outputs of one column: binary. Targets of fewer axes than the outputs, or of one column: class numbers. Else one-hot.
    """
    if y_pred.shape[-1] == 1:
        return binary_accuracy(y_true, y_pred)
    if y_true.ndim < y_pred.ndim or y_true.shape[-1] == 1:
        return sparse_categorical_accuracy(y_true, y_pred)
    return categorical_accuracy(y_true, y_pred)


def BinaryAccuracy(name: str = "binary_accuracy", threshold: float = 0.5) -> Metric:
    """Make the fraction of outputs on the right side of ``threshold``."""
    return MeanMetricWrapper(functools.partial(binary_accuracy, threshold=threshold), name)


def CategoricalAccuracy(name: str = "categorical_accuracy") -> Metric:
    """Make the fraction of examples whose largest output is that of their one-hot target."""
    return MeanMetricWrapper(categorical_accuracy, name)


def SparseCategoricalAccuracy(name: str = "sparse_categorical_accuracy") -> Metric:
    """Make the fraction of examples whose largest output is that of their class number."""
    return MeanMetricWrapper(sparse_categorical_accuracy, name)


def MeanSquaredError(name: str = "mean_squared_error") -> Metric:
    """Make the mean squared error."""
    return MeanMetricWrapper(losses.mean_squared_error, name)


def MeanAbsoluteError(name: str = "mean_absolute_error") -> Metric:
    """Make the mean absolute error."""
    return MeanMetricWrapper(losses.mean_absolute_error, name)


_CLASSES = {
    "BinaryAccuracy": BinaryAccuracy,
    "CategoricalAccuracy": CategoricalAccuracy,
    "MeanAbsoluteError": MeanAbsoluteError,
    "MeanSquaredError": MeanSquaredError,
    "SparseCategoricalAccuracy": SparseCategoricalAccuracy,
}
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "accuracy": accuracy,
    "acc": accuracy,
    "binary_accuracy": binary_accuracy,
    "categorical_accuracy": categorical_accuracy,
    "sparse_categorical_accuracy": sparse_categorical_accuracy,
    "binary_crossentropy": losses.binary_crossentropy,
    "categorical_crossentropy": losses.categorical_crossentropy,
    "sparse_categorical_crossentropy": losses.sparse_categorical_crossentropy,
    "mean_squared_error": losses.mean_squared_error,
    "mean_absolute_error": losses.mean_absolute_error,
    **dict.fromkeys(("mse", "MSE"), losses.mean_squared_error),
    **dict.fromkeys(("mae", "MAE"), losses.mean_absolute_error),
    **dict.fromkeys(("bce", "BCE"), losses.binary_crossentropy),
}


def get(identifier: Any) -> Metric:
    """Return the metric of a given name, called what was written; or that of a function ``(y_true, y_pred)``.

    Raises:
      UnknownNameError: for a name that is not in the table, with the nearest that is.

    Example:
      >>> get("acc").name
      'acc'
    """
    if isinstance(identifier, Metric):
        return identifier
    if isinstance(identifier, str) and identifier.lower() in ("accuracy", "acc"):
        return MeanMetricWrapper(accuracy, identifier)
    found = look_up(identifier, {**_FUNCTIONS, **_CLASSES}, "metric")
    if found in _CLASSES.values():
        return found(identifier) if isinstance(identifier, str) else found()
    return MeanMetricWrapper(found, identifier if isinstance(identifier, str) else None)


__all__ = [
    "BinaryAccuracy", "CategoricalAccuracy", "Mean", "MeanAbsoluteError", "MeanMetricWrapper", "MeanSquaredError", "Metric",
    "SparseCategoricalAccuracy", "accuracy", "binary_accuracy", "categorical_accuracy", "get", "sparse_categorical_accuracy",
]  # fmt: skip

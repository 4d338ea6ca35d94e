"""Keras's metrics as pure triples: ``init() -> total``, ``update(total, targets, outputs, weights) -> total``, ``result(total)``.

Totals are small pytrees of sums, so a metric runs inside a compiled loop, under ``vmap`` and across devices, and is exact over
batches of any sizes. Its mean is over examples: of each example's mean over its own entries, weighted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jkeras import losses
from jkeras.core.named import look_up, table, tables
from jkeras.core.plain import made, written
from jkeras.losses import (
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    categorical_hinge,
    hinge,
    huber,
    kl_divergence,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    poisson,
    sparse_categorical_crossentropy,
    squared_hinge,
)
from jkeras.metrics.accuracy import (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
    accuracy,
    binary_accuracy,
    categorical_accuracy,
    sparse_categorical_accuracy,
    sparse_top_k_categorical_accuracy,
    top_k_categorical_accuracy,
)
from jkeras.metrics.areas import AUC
from jkeras.metrics.confusion import (
    FalseNegatives,
    FalsePositives,
    Precision,
    PrecisionAtRecall,
    Recall,
    RecallAtPrecision,
    SensitivityAtSpecificity,
    SpecificityAtSensitivity,
    TrueNegatives,
    TruePositives,
)
from jkeras.metrics.means import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    CategoricalHinge,
    ConcordanceCorrelation,
    CosineSimilarity,
    Hinge,
    KLDivergence,
    LogCoshError,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    PearsonCorrelation,
    Poisson,
    RootMeanSquaredError,
    SparseCategoricalCrossentropy,
    SquaredHinge,
    concordance_correlation,
    pearson_correlation,
)
from jkeras.metrics.metric import Mean, MeanMetricWrapper, Metric, Sum
from jkeras.metrics.overlaps import BinaryIoU, IoU, MeanIoU, OneHotIoU, OneHotMeanIoU
from jkeras.metrics.scores import F1Score, FBetaScore, R2Score

_CLASSES = (
    Accuracy, AUC, BinaryAccuracy, BinaryCrossentropy, BinaryIoU, CategoricalAccuracy, CategoricalCrossentropy, CategoricalHinge,
    ConcordanceCorrelation, CosineSimilarity, F1Score, FalseNegatives, FalsePositives, FBetaScore, Hinge, IoU, KLDivergence,
    LogCoshError, Mean, MeanAbsoluteError, MeanAbsolutePercentageError, MeanIoU, MeanSquaredError, MeanSquaredLogarithmicError,
    OneHotIoU, OneHotMeanIoU, PearsonCorrelation, Poisson, Precision, PrecisionAtRecall, R2Score, Recall, RecallAtPrecision,
    RootMeanSquaredError, SensitivityAtSpecificity, SparseCategoricalAccuracy, SparseCategoricalCrossentropy,
    SparseTopKCategoricalAccuracy, SpecificityAtSensitivity, SquaredHinge, Sum, TopKCategoricalAccuracy, TrueNegatives,
    TruePositives,
)  # fmt: skip
_OF_LOSSES = {name: losses.FUNCTIONS[losses.ALIASES.get(name, name)] for name in (*losses.FUNCTIONS, *losses.ALIASES)}
_FUNCTIONS: dict[str, Callable[..., Any]] = _OF_LOSSES | {
    function.__name__: function
    for function in (
        accuracy, binary_accuracy, categorical_accuracy, concordance_correlation, pearson_correlation,
        sparse_categorical_accuracy, sparse_top_k_categorical_accuracy, top_k_categorical_accuracy,
    )
}  # fmt: skip
# As in Keras, a name that a class has in snake case stands for the class: the metric "cosine_similarity" is 1 for what is alike.
_TABLE = {**_FUNCTIONS, **table(*_CLASSES)}


def get(identifier: Any) -> Metric:
    """Return the metric of a given name, called what was written; or that of a function ``(y_true, y_pred)`` or a loss.

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
    found = look_up(identifier, _TABLE, "metric")
    if found in _CLASSES:
        return found(name=identifier) if isinstance(identifier, str) else found()
    return MeanMetricWrapper(found, identifier if isinstance(identifier, str) else None)


tables["metric"] = get

_COUNTS = (FalseNegatives, FalsePositives, Mean, Sum, TrueNegatives, TruePositives)
_COSTS = (
    BinaryCrossentropy, CategoricalCrossentropy, CategoricalHinge, Hinge, KLDivergence, LogCoshError, MeanAbsoluteError,
    MeanAbsolutePercentageError, MeanSquaredError, MeanSquaredLogarithmicError, Poisson, RootMeanSquaredError,
    SparseCategoricalCrossentropy, SquaredHinge,
)  # fmt: skip


def better(metric: Metric) -> str | None:
    """Return whether ``"min"`` or ``"max"`` of a metric is better; None for counts, sums and functions of the user's own."""
    function = metric.config.get("fn")
    if function is None:
        known = type(metric) in _CLASSES and type(metric) not in _COUNTS
        return None if not known else "min" if type(metric) in _COSTS else "max"
    if isinstance(function, losses.Loss) or function in _OF_LOSSES.values():
        return "min"
    return "max" if function in _FUNCTIONS.values() else None


def serialize(metric: Any) -> Any:
    """Return a metric as plain data: the call that made it, or its name.

    Raises:
      TypeError: for a function that has no name here.

    Example:
      >>> serialize(AUC(50))["config"]["num_thresholds"]
      50
    """
    return written(metric, "metric")


def deserialize(config: Any, custom_objects: Any = None) -> Any:
    """Return the metric that :func:`serialize` wrote down.

    Args:
      config: plain data.
      custom_objects: functions of your own by name.

    Raises:
      UnknownNameError: for a name that is in no table.

    Example:
      >>> deserialize(serialize(AUC(50))).name
      'auc'
    """
    return made(config, "metric", custom_objects)


__all__ = [
    "AUC", "Accuracy", "BinaryAccuracy", "BinaryCrossentropy", "BinaryIoU", "CategoricalAccuracy", "CategoricalCrossentropy",
    "CategoricalHinge", "ConcordanceCorrelation", "CosineSimilarity", "F1Score", "FBetaScore", "FalseNegatives",
    "FalsePositives", "Hinge", "IoU", "KLDivergence", "LogCoshError", "Mean", "MeanAbsoluteError", "MeanAbsolutePercentageError",
    "MeanIoU", "MeanMetricWrapper", "MeanSquaredError", "MeanSquaredLogarithmicError", "Metric", "OneHotIoU", "OneHotMeanIoU",
    "PearsonCorrelation", "Poisson", "Precision", "PrecisionAtRecall", "R2Score", "Recall", "RecallAtPrecision",
    "RootMeanSquaredError", "SensitivityAtSpecificity", "SparseCategoricalAccuracy", "SparseCategoricalCrossentropy",
    "SparseTopKCategoricalAccuracy", "SpecificityAtSensitivity", "SquaredHinge", "Sum", "TopKCategoricalAccuracy",
    "TrueNegatives", "TruePositives", "accuracy", "binary_accuracy", "binary_crossentropy", "binary_focal_crossentropy",
    "categorical_accuracy", "categorical_crossentropy", "categorical_focal_crossentropy", "categorical_hinge",
    "concordance_correlation", "deserialize", "get", "hinge", "huber", "kl_divergence", "log_cosh", "mean_absolute_error",
    "mean_absolute_percentage_error", "mean_squared_error", "mean_squared_logarithmic_error", "pearson_correlation", "poisson",
    "serialize", "sparse_categorical_accuracy", "sparse_categorical_crossentropy", "sparse_top_k_categorical_accuracy",
    "squared_hinge", "top_k_categorical_accuracy",
]  # fmt: skip

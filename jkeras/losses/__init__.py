"""Keras's losses by name: functions of targets and outputs that give one number per element, and how these are reduced."""

from __future__ import annotations

from typing import Any

from jkeras.core.named import look_up, table, tables
from jkeras.core.plain import made, written
from jkeras.losses.crossentropy import (
    BinaryCrossentropy,
    BinaryFocalCrossentropy,
    CategoricalCrossentropy,
    CategoricalFocalCrossentropy,
    CategoricalGeneralizedCrossEntropy,
    KLDivergence,
    SparseCategoricalCrossentropy,
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    categorical_generalized_cross_entropy,
    kl_divergence,
    sparse_categorical_crossentropy,
)
from jkeras.losses.hinges import CategoricalHinge, Hinge, SquaredHinge, categorical_hinge, hinge, squared_hinge
from jkeras.losses.loss import Loss
from jkeras.losses.regression import (
    CosineSimilarity,
    Huber,
    LogCosh,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
    cosine_similarity,
    huber,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    poisson,
)
from jkeras.losses.structured import CTC, Circle, Dice, Tversky, circle, ctc, dice, tversky

_CLASSES = (
    BinaryCrossentropy, BinaryFocalCrossentropy, CategoricalCrossentropy, CategoricalFocalCrossentropy,
    CategoricalGeneralizedCrossEntropy, CategoricalHinge, Circle, CosineSimilarity, CTC, Dice, Hinge, Huber, KLDivergence,
    LogCosh, MeanAbsoluteError, MeanAbsolutePercentageError, MeanSquaredError, MeanSquaredLogarithmicError, Poisson,
    SparseCategoricalCrossentropy, SquaredHinge, Tversky,
)  # fmt: skip
FUNCTIONS = {
    function.__name__: function
    for function in (
        binary_crossentropy, binary_focal_crossentropy, categorical_crossentropy, categorical_focal_crossentropy,
        categorical_generalized_cross_entropy, categorical_hinge, circle, cosine_similarity, ctc, dice, hinge, huber,
        kl_divergence, log_cosh, mean_absolute_error, mean_absolute_percentage_error, mean_squared_error,
        mean_squared_logarithmic_error, poisson, sparse_categorical_crossentropy, squared_hinge, tversky,
    )
}  # fmt: skip
ALIASES = {
    "mse": "mean_squared_error",
    "mae": "mean_absolute_error",
    "mape": "mean_absolute_percentage_error",
    "msle": "mean_squared_logarithmic_error",
    "bce": "binary_crossentropy",
    "kld": "kl_divergence",
}
ALIASES |= {alias.upper(): name for alias, name in ALIASES.items() if len(alias) < 5}
_OF_FUNCTION = {function: made for name, function in FUNCTIONS.items() for made in _CLASSES if made().function.func is function}
_TABLE = table(*_CLASSES, **{name: _OF_FUNCTION[FUNCTIONS[ALIASES.get(name, name)]] for name in (*FUNCTIONS, *ALIASES)})


def get(identifier: Any) -> Loss | None:
    """Return the loss of a given name, or of a function ``(y_true, y_pred) -> values``; None for none.

    Raises:
      UnknownNameError: for a name that is not in the table, with the nearest that is.

    Example:
      >>> float(get("mse")([[1.0]], [[3.0]]))
      4.0
    """
    if identifier is None or isinstance(identifier, Loss):
        return identifier
    found = look_up(identifier, _TABLE, "loss")
    if found in _CLASSES:
        return found()
    return _OF_FUNCTION[found]() if found in _OF_FUNCTION else Loss(found)


tables["loss"] = get


def serialize(loss: Any) -> Any:
    """Return a loss as plain data: the call that made it, or its name.

    Raises:
      TypeError: for a function that has no name here.

    Example:
      >>> serialize(Huber(2.0))["config"]["delta"]
      2.0
    """
    return written(loss, "loss")


def deserialize(name: Any, custom_objects: Any = None) -> Any:
    """Return the loss that :func:`serialize` wrote down.

    Args:
      name: plain data: a name, or what a call of :func:`serialize` returned.
      custom_objects: functions of your own by name.

    Raises:
      UnknownNameError: for a name that is in no table.

    Example:
      >>> deserialize(serialize(Huber(2.0))).name
      'huber_loss'
    """
    return made(name, "loss", custom_objects)


__all__ = [
    "CTC", "BinaryCrossentropy", "BinaryFocalCrossentropy", "CategoricalCrossentropy", "CategoricalFocalCrossentropy",
    "CategoricalGeneralizedCrossEntropy", "CategoricalHinge", "Circle", "CosineSimilarity", "Dice", "Hinge", "Huber",
    "KLDivergence", "LogCosh", "Loss", "MeanAbsoluteError", "MeanAbsolutePercentageError", "MeanSquaredError",
    "MeanSquaredLogarithmicError", "Poisson", "SparseCategoricalCrossentropy", "SquaredHinge", "Tversky",
    "binary_crossentropy", "binary_focal_crossentropy", "categorical_crossentropy", "categorical_focal_crossentropy",
    "categorical_generalized_cross_entropy", "categorical_hinge", "circle", "cosine_similarity", "ctc", "deserialize", "dice",
    "get", "hinge", "huber", "kl_divergence", "log_cosh", "mean_absolute_error", "mean_absolute_percentage_error",
    "mean_squared_error", "mean_squared_logarithmic_error", "poisson", "serialize", "sparse_categorical_crossentropy",
    "squared_hinge", "tversky",
]  # fmt: skip

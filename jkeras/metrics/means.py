"""Means over examples of errors, costs and correlations."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from jkeras import losses
from jkeras.losses.loss import elementwise
from jkeras.metrics.metric import MeanMetricWrapper, constructor, mean_of, root_of


@elementwise
def _squared_error(y_true: Any, y_pred: Any) -> Any:
    return jnp.square(y_true - y_pred)


@elementwise
def _cosine(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    return -losses.cosine_similarity(y_true, y_pred, axis)


def _deviations(x: Any, axis: int) -> tuple[Any, Any, Any]:
    """Return an array without its mean along an axis, its variance, and that mean."""
    mean = jnp.mean(x, axis=axis, keepdims=True)
    return x - mean, jnp.var(x, axis=axis), jnp.squeeze(mean, axis)


@elementwise
def pearson_correlation(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    r"""The correlation :math:`\mathrm{cov}(y, \hat y) / (\sigma_y \sigma_{\hat y})` along an axis, -1 to 1; NaN of constants.

    Example:
      >>> pearson_correlation([[0.0, 1.0, 0.5]], [[0.1, 0.9, 0.5]]).round(4).tolist()
      [1.0]
    """
    (a, variance_a, _), (b, variance_b, _) = _deviations(y_true, axis), _deviations(y_pred, axis)
    return jnp.mean(a * b, axis=axis) / jnp.sqrt(variance_a * variance_b)


@elementwise
def concordance_correlation(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    r""":math:`2 \mathrm{cov}(y, \hat y) / (\sigma_y^2 + \sigma_{\hat y}^2 + (\bar y - \bar{\hat y})^2 + 10^{-7})` along an axis.

    Unlike the correlation it asks that outputs are their targets, not only in proportion to them.

    Example:
      >>> round(float(concordance_correlation([[0.0, 1.0]], [[1.0, 2.0]])[0]), 4)
      0.3333

    Reference: Lin (1989), doi:10.2307/2532051.
    """
    (a, variance_a, mean_a), (b, variance_b, mean_b) = _deviations(y_true, axis), _deviations(y_pred, axis)
    return 2 * jnp.mean(a * b, axis=axis) / (variance_a + variance_b + jnp.square(mean_a - mean_b) + 1e-7)


# -- constructors -----------------------------------------------------------------------------------------------------


@constructor
def MeanSquaredError(name: str = "mean_squared_error", dtype: Any = None) -> Any:
    """The mean squared error."""
    return mean_of(losses.mean_squared_error)


@constructor
def RootMeanSquaredError(name: str = "root_mean_squared_error", dtype: Any = None) -> Any:
    """The root of the mean squared error of all examples together.

    Example:
      >>> float(RootMeanSquaredError()([[0.0], [0.0]], [[1.0], [7.0]]))
      5.0
    """
    return root_of(mean_of(_squared_error))


@constructor
def MeanAbsoluteError(name: str = "mean_absolute_error", dtype: Any = None) -> Any:
    """The mean absolute error."""
    return mean_of(losses.mean_absolute_error)


@constructor
def MeanAbsolutePercentageError(name: str = "mean_absolute_percentage_error", dtype: Any = None) -> Any:
    """The mean absolute error in per cent of the targets; see :func:`jkeras.losses.mean_absolute_percentage_error`."""
    return mean_of(losses.mean_absolute_percentage_error)


@constructor
def MeanSquaredLogarithmicError(name: str = "mean_squared_logarithmic_error", dtype: Any = None) -> Any:
    """The mean squared error of logarithms; see :func:`jkeras.losses.mean_squared_logarithmic_error`."""
    return mean_of(losses.mean_squared_logarithmic_error)


@constructor
def LogCoshError(name: str = "logcosh", dtype: Any = None) -> Any:
    """The mean logarithm of the hyperbolic cosine of the error; see :func:`jkeras.losses.log_cosh`."""
    return mean_of(losses.log_cosh)


@constructor
def Poisson(name: str = "poisson", dtype: Any = None) -> Any:
    """The mean of :func:`jkeras.losses.poisson`."""
    return mean_of(losses.poisson)


@constructor
def KLDivergence(name: str = "kl_divergence", dtype: Any = None) -> Any:
    """The mean of :func:`jkeras.losses.kl_divergence`."""
    return mean_of(losses.kl_divergence)


@constructor
def CosineSimilarity(name: str = "cosine_similarity", dtype: Any = None, axis: int = -1) -> Any:
    """The mean cosine between targets and outputs, 1 where they point the same way: minus the loss of that name.

    Example:
      >>> float(CosineSimilarity()([[1.0, 0.0]], [[2.0, 0.0]]))
      1.0
    """
    return mean_of(_cosine, axis=axis)


@constructor
def PearsonCorrelation(name: str = "pearson_correlation", dtype: Any = None, axis: int = -1) -> Any:
    """The mean of :func:`pearson_correlation` over examples."""
    return mean_of(pearson_correlation, axis=axis)


@constructor
def ConcordanceCorrelation(name: str = "concordance_correlation", dtype: Any = None, axis: int = -1) -> Any:
    """The mean of :func:`concordance_correlation` over examples."""
    return mean_of(concordance_correlation, axis=axis)


@constructor
def Hinge(name: str = "hinge", dtype: Any = None) -> Any:
    """The mean of :func:`jkeras.losses.hinge`."""
    return mean_of(losses.hinge)


@constructor
def SquaredHinge(name: str = "squared_hinge", dtype: Any = None) -> Any:
    """The mean of :func:`jkeras.losses.squared_hinge`."""
    return mean_of(losses.squared_hinge)


@constructor
def CategoricalHinge(name: str = "categorical_hinge", dtype: Any = None) -> Any:
    """The mean of :func:`jkeras.losses.categorical_hinge`."""
    return mean_of(losses.categorical_hinge)


@constructor
def BinaryCrossentropy(
    name: str = "binary_crossentropy", dtype: Any = None, from_logits: bool = False, label_smoothing: float = 0
) -> Any:
    """The mean of :func:`jkeras.losses.binary_crossentropy`."""
    return mean_of(losses.binary_crossentropy, from_logits=from_logits, label_smoothing=label_smoothing)


@constructor
def CategoricalCrossentropy(
    name: str = "categorical_crossentropy",
    dtype: Any = None,
    from_logits: bool = False,
    label_smoothing: float = 0,
    axis: int = -1,
) -> Any:
    """The mean of :func:`jkeras.losses.categorical_crossentropy`."""
    return mean_of(losses.categorical_crossentropy, from_logits=from_logits, label_smoothing=label_smoothing, axis=axis)


@constructor
def SparseCategoricalCrossentropy(
    name: str = "sparse_categorical_crossentropy",
    dtype: Any = None,
    from_logits: bool = False,
    ignore_class: int | None = None,
    axis: int = -1,
) -> Any:
    """The mean of :func:`jkeras.losses.sparse_categorical_crossentropy`, over entries of another class than ``ignore_class``."""
    return MeanMetricWrapper(losses.SparseCategoricalCrossentropy(from_logits, ignore_class, axis=axis), name)

"""Losses of real numbers: distances between targets and outputs."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import optax

from jkeras.losses.loss import EPSILON, MEAN, constructor, elementwise


@elementwise
def mean_squared_error(y_true: Any, y_pred: Any) -> Any:
    r"""Mean of :math:`(y - \hat y)^2` over the last axis: ``(batch, ..., features)`` to ``(batch, ...)``.

    Example:
      >>> mean_squared_error([[0.0, 0.0]], [[1.0, 3.0]]).tolist()
      [5.0]
    """
    return jnp.mean(optax.squared_error(y_pred, y_true), axis=-1)


@elementwise
def mean_absolute_error(y_true: Any, y_pred: Any) -> Any:
    r"""Mean of :math:`|y - \hat y|` over the last axis: ``(batch, ..., features)`` to ``(batch, ...)``.

    Example:
      >>> mean_absolute_error([[0.0, 0.0]], [[1.0, 3.0]]).tolist()
      [2.0]
    """
    return jnp.mean(jnp.abs(y_pred - y_true), axis=-1)


@elementwise
def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> Any:
    r"""Mean of :math:`100 |y - \hat y| / \max(|y|, 10^{-7})` over the last axis.

    Example:
      >>> mean_absolute_percentage_error([[2.0, 4.0]], [[1.0, 4.0]]).tolist()
      [25.0]
    """
    return 100 * jnp.mean(jnp.abs((y_pred - y_true) / jnp.maximum(jnp.abs(y_true), EPSILON)), axis=-1)


@elementwise
def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> Any:
    r"""Mean of :math:`(\log(1 + y) - \log(1 + \hat y))^2` over the last axis; what is below 1e-7 counts as 1e-7.

    Example:
      >>> round(float(mean_squared_logarithmic_error([0.0], [1.0])), 4)
      0.4805
    """
    return jnp.mean(jnp.square(_log_of_more(y_pred) - _log_of_more(y_true)), axis=-1)


def _log_of_more(x: Any) -> Any:
    return jnp.log1p(jnp.maximum(x, EPSILON))


@elementwise
def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> Any:
    r"""Mean over the last axis of :math:`e^2 / 2` for errors up to :math:`\delta`, :math:`\delta |e| - \delta^2 / 2` beyond.

    Args:
      y_true, y_pred: of one shape.
      delta: :math:`\delta`, positive: where the square goes over into a line.

    Example:
      >>> huber([[0.0, 0.0]], [[1.0, 3.0]]).tolist()
      [1.5]

    Reference: Huber (1964), doi:10.1214/aoms/1177703732.
    """
    return jnp.mean(optax.huber_loss(y_pred, y_true, delta=delta), axis=-1)


@elementwise
def log_cosh(y_true: Any, y_pred: Any) -> Any:
    r"""Mean of :math:`\log \cosh(\hat y - y)` over the last axis: like a square near 0, like a line further out.

    Example:
      >>> round(float(log_cosh([0.0], [1.0])), 4)
      0.4338
    """
    return jnp.mean(optax.log_cosh(y_pred, y_true), axis=-1)


@elementwise
def poisson(y_true: Any, y_pred: Any) -> Any:
    r"""Mean of :math:`\hat y - y \log(\hat y + 10^{-7})` over the last axis, for rates :math:`\hat y \ge 0` of counts y.

    Example:
      >>> round(float(poisson([2.0], [1.0])), 4)
      1.0
    """
    return jnp.mean(y_pred - y_true * jnp.log(y_pred + EPSILON), axis=-1)


@elementwise
def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    r"""Minus the cosine of the angle between targets and outputs along an axis, from -1 (alike) to 1; 0 where one is 0.

    Args:
      y_true, y_pred: vectors of one shape.
      axis: along which they lie.

    Example:
      >>> cosine_similarity([[3.0, 0.0]], [[0.0, 2.0]]).item()
      -0.0
    """
    return -jnp.sum(_unit(y_true, axis) * _unit(y_pred, axis), axis=axis)


def _unit(x: Any, axis: int) -> Any:
    length = jnp.maximum(jnp.sum(jnp.square(x), axis=axis, keepdims=True), EPSILON**2)  # whose root has a gradient at 0
    return x / jnp.sqrt(length)


# -- constructors -----------------------------------------------------------------------------------------------------


@constructor(mean_squared_error)
def MeanSquaredError(reduction: str = MEAN, name: str = "mean_squared_error", dtype: Any = None) -> Any:
    """Squared error; see :func:`mean_squared_error`."""


@constructor(mean_absolute_error)
def MeanAbsoluteError(reduction: str = MEAN, name: str = "mean_absolute_error", dtype: Any = None) -> Any:
    """Absolute error; see :func:`mean_absolute_error`."""


@constructor(mean_absolute_percentage_error)
def MeanAbsolutePercentageError(reduction: str = MEAN, name: str = "mean_absolute_percentage_error", dtype: Any = None) -> Any:
    """Absolute error in per cent of the target; see :func:`mean_absolute_percentage_error`."""


@constructor(mean_squared_logarithmic_error)
def MeanSquaredLogarithmicError(reduction: str = MEAN, name: str = "mean_squared_logarithmic_error", dtype: Any = None) -> Any:
    """Squared error of logarithms; see :func:`mean_squared_logarithmic_error`."""


@constructor(huber)
def Huber(delta: float = 1.0, reduction: str = MEAN, name: str = "huber_loss", dtype: Any = None) -> Any:
    """Squared error that goes over into a line; see :func:`huber`."""


@constructor(log_cosh)
def LogCosh(reduction: str = MEAN, name: str = "log_cosh", dtype: Any = None) -> Any:
    """Logarithm of the hyperbolic cosine of the error; see :func:`log_cosh`."""


@constructor(poisson)
def Poisson(reduction: str = MEAN, name: str = "poisson", dtype: Any = None) -> Any:
    """Minus the log-likelihood of counts, but for what does not depend on the outputs; see :func:`poisson`."""


@constructor(cosine_similarity)
def CosineSimilarity(axis: int = -1, reduction: str = MEAN, name: str = "cosine_similarity", dtype: Any = None) -> Any:
    """Minus the cosine between targets and outputs; see :func:`cosine_similarity`."""

"""Losses of probabilities and classes: cross-entropies, focal ones and divergences, each finite at any logit."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jkeras.losses.loss import EPSILON, MEAN, constructor, elementwise, from_logits, of_classes


@elementwise
def binary_crossentropy(y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1) -> Any:
    r"""Mean of :math:`-y \log p - (1 - y) \log(1 - p)` over an axis.

    Args:
      y_true: targets from 0 to 1, of the shape of ``y_pred``.
      y_pred: probabilities, kept 1e-7 from 0 and 1; or logits.
      from_logits: whether ``y_pred`` are logits.
      label_smoothing: s, from 0 to 1: targets become :math:`y (1 - s) + s / 2`.
      axis: over which the mean is taken.

    Example:
      >>> round(float(binary_crossentropy([1], [0.5])), 4)
      0.6931
    """
    y = _smooth(y_true, label_smoothing, 2)
    if from_logits:
        return jnp.mean(optax.sigmoid_binary_cross_entropy(y_pred, y), axis=axis)
    p = jnp.clip(y_pred, EPSILON, 1 - EPSILON)
    return -jnp.mean(y * jnp.log(p) + (1 - y) * jnp.log(1 - p), axis=axis)


@elementwise
def categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Any:
    r""":math:`-\sum_c y_c \log p_c` over the classes.

    Args:
      y_true: one-hot targets or probabilities, of the shape of ``y_pred``.
      y_pred: probabilities, divided by their sum and kept 1e-7 from 0 and 1; or logits.
      from_logits: whether ``y_pred`` are logits.
      label_smoothing: s, from 0 to 1: targets become :math:`y (1 - s) + s / C` for C classes.
      axis: of the classes.

    Example:
      >>> round(float(categorical_crossentropy([0, 1], [0.5, 0.5])), 4)
      0.6931
    """
    y = _smooth(y_true, label_smoothing, y_true.shape[axis])
    if from_logits:
        return optax.softmax_cross_entropy(y_pred, y, axis=axis)
    return -jnp.sum(y * jnp.log(_probabilities(y_pred, axis)), axis=axis)


@of_classes
def sparse_categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, ignore_class: int | None = None, axis: int = -1
) -> Any:
    r""":math:`-\log p_y` for class numbers y.

    Args:
      y_true: class numbers ``(batch, ...)`` or ``(batch, ..., 1)``; one outside 0 ... C - 1 gives NaN.
      y_pred: probabilities or logits ``(batch, ..., C)``, treated as by :func:`categorical_crossentropy`.
      from_logits: whether ``y_pred`` are logits.
      ignore_class: a class number, -1 for example, that costs nothing; a :class:`SparseCategoricalCrossentropy` takes the mean
        over the others alone.
      axis: of the classes in ``y_pred``.

    Example:
      >>> round(float(sparse_categorical_crossentropy(1, [0.5, 0.5])), 4)
      0.6931
    """
    label = y_true if ignore_class is None else jnp.where(y_true == ignore_class, 0, y_true)
    label = jnp.where(label < 0, y_pred.shape[-1], label)  # negative indices would wrap around
    scores = jax.nn.log_softmax(y_pred) if from_logits else jnp.log(_probabilities(y_pred, -1))
    picked = jnp.take_along_axis(scores, label[..., None], axis=-1, mode="fill", fill_value=jnp.nan)
    cost = -picked[..., 0]
    return cost if ignore_class is None else jnp.where(y_true == ignore_class, 0, cost)


@elementwise
def binary_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    r"""Mean of the binary cross-entropy times :math:`(1 - p_t)^\gamma`, :math:`p_t = y p + (1 - y)(1 - p)`, over an axis.

    Args:
      y_true, y_pred, from_logits, label_smoothing, axis: as for :func:`binary_crossentropy`.
      apply_class_balancing: whether ones are weighed by ``alpha`` and zeros by ``1 - alpha``.
      alpha: from 0 to 1.
      gamma: :math:`\gamma`, 0 or more: how much less what is right already counts.

    Example:
      >>> round(float(binary_focal_crossentropy([1], [0.5])), 4)
      0.1733

    Reference: Lin et al., arXiv:1708.02002.
    """
    y = _smooth(y_true, label_smoothing, 2)
    if from_logits:
        p, missed = jax.nn.sigmoid(y_pred), jax.nn.sigmoid(-y_pred)
        cost = optax.sigmoid_binary_cross_entropy(y_pred, y)
    else:
        p, missed = y_pred, 1 - y_pred
        kept = jnp.clip(p, EPSILON, 1 - EPSILON)
        cost = -(y * jnp.log(kept) + (1 - y) * jnp.log(1 - kept))
    cost = _power(y * missed + (1 - y) * p, gamma) * cost
    if apply_class_balancing:
        cost = (y * alpha + (1 - y) * (1 - alpha)) * cost
    return jnp.mean(cost, axis=axis)


@elementwise
def categorical_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    alpha: Any = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    r""":math:`-\sum_c \alpha (1 - p_c)^\gamma y_c \log p_c` over the classes.

    Args:
      y_true, y_pred, from_logits, label_smoothing, axis: as for :func:`categorical_crossentropy`.
      alpha: :math:`\alpha`, a number or one for each class.
      gamma: :math:`\gamma`, 0 or more: how much less what is right already counts.

    Example:
      >>> round(float(categorical_focal_crossentropy([0, 1], [0.5, 0.5])), 4)
      0.0433

    Reference: Lin et al., arXiv:1708.02002.
    """
    y = _smooth(y_true, label_smoothing, y_true.shape[-1])
    if from_logits:
        logs, p = jax.nn.log_softmax(y_pred, axis), jax.nn.softmax(y_pred, axis)
    else:
        p = _probabilities(y_pred, axis)
        logs = jnp.log(p)
    return -jnp.sum(jnp.asarray(alpha, p.dtype) * _power(1 - p, gamma) * y * logs, axis=axis)


@elementwise
def kl_divergence(y_true: Any, y_pred: Any) -> Any:
    r""":math:`\sum_c y_c \log(y_c / p_c)` over the last axis, both kept between 1e-7 and 1.

    Example:
      >>> round(float(kl_divergence([0.0, 1.0], [0.5, 0.5])), 4)
      0.6931

    Reference: Kullback and Leibler (1951), doi:10.1214/aoms/1177729694.
    """
    return _divergence(y_true, jnp.log(jnp.clip(y_pred, EPSILON, 1)))


def _divergence(y: Any, log_p: Any) -> Any:
    y = jnp.clip(y, EPSILON, 1)
    return jnp.sum(y * (jnp.log(y) - log_p), axis=-1)


@elementwise
def _divergence_of_logits(y_true: Any, y_pred: Any) -> Any:
    return _divergence(y_true, jax.nn.log_softmax(y_pred))


@of_classes
def categorical_generalized_cross_entropy(y_true: Any, y_pred: Any, q: float) -> Any:
    r""":math:`(1 - p_y^q) / q` for class numbers y: between cross-entropy (q near 0) and absolute error (q = 1).

    A class of which the output is certain that it is not has no gradient: that is what makes it robust against wrong targets.

    Args:
      y_true: class numbers ``(batch, ...)`` or ``(batch, ..., 1)``.
      y_pred: probabilities ``(batch, ..., C)``.
      q: above 0, at most 1.

    Example:
      >>> round(float(categorical_generalized_cross_entropy(1, [0.75, 0.25], q=0.5)), 4)
      1.0

    Reference: Zhang and Sabuncu, arXiv:1805.07836.
    """
    p = jnp.sum(y_pred * jax.nn.one_hot(y_true, y_pred.shape[-1], dtype=y_pred.dtype), axis=-1)
    return (1 - _power(p, q)) / q


def _power(base: Any, exponent: float) -> Any:
    """Raise what is not negative to a power, with a gradient of 0 where it is 0 and NumPy's rule has none that is finite."""
    return jnp.where(base > 0, jnp.where(base > 0, base, 1) ** exponent, 0.0 if exponent else 1.0)


def _smooth(y: Any, smoothing: float, classes: int) -> Any:
    return y * (1 - smoothing) + smoothing / classes if smoothing else y


def _probabilities(p: Any, axis: int) -> Any:
    total = jnp.sum(p, axis=axis, keepdims=True)
    return jnp.clip(p / jnp.where(total == 0, 1, total), EPSILON, 1 - EPSILON)


# -- constructors -----------------------------------------------------------------------------------------------------


@constructor(binary_crossentropy, from_logits(binary_crossentropy, jax.nn.sigmoid))
def BinaryCrossentropy(
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
    reduction: str = MEAN,
    name: str = "binary_crossentropy",
    dtype: Any = None,
) -> Any:
    """Cross-entropy of yes/no targets; after a sigmoid it is computed from the logits. See :func:`binary_crossentropy`."""


@constructor(categorical_crossentropy, from_logits(categorical_crossentropy, jax.nn.softmax))
def CategoricalCrossentropy(
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
    reduction: str = MEAN,
    name: str = "categorical_crossentropy",
    dtype: Any = None,
) -> Any:
    """Cross-entropy of one-hot targets; after a softmax it is computed from the logits. See :func:`categorical_crossentropy`."""


def _not_ignored(own: Mapping[str, Any]) -> Any:
    return None if own["ignore_class"] is None else functools.partial(_other_than, own["ignore_class"], own["axis"])


def _other_than(ignored: int, axis: int, targets: Any, values: Any) -> Any:
    return (targets.squeeze(axis) if targets.ndim > values.ndim else targets) != ignored


@constructor(sparse_categorical_crossentropy, from_logits(sparse_categorical_crossentropy, jax.nn.softmax), _not_ignored)
def SparseCategoricalCrossentropy(
    from_logits: bool = False,
    ignore_class: int | None = None,
    reduction: str = MEAN,
    axis: int = -1,
    name: str = "sparse_categorical_crossentropy",
    dtype: Any = None,
) -> Any:
    """Cross-entropy of class numbers; after a softmax computed from the logits. See :func:`sparse_categorical_crossentropy`."""


@constructor(binary_focal_crossentropy, from_logits(binary_focal_crossentropy, jax.nn.sigmoid))
def BinaryFocalCrossentropy(
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
    reduction: str = MEAN,
    name: str = "binary_focal_crossentropy",
    dtype: Any = None,
) -> Any:
    """Focal loss of yes/no targets; after a sigmoid computed from the logits. See :func:`binary_focal_crossentropy`."""


@constructor(categorical_focal_crossentropy, from_logits(categorical_focal_crossentropy, jax.nn.softmax))
def CategoricalFocalCrossentropy(
    alpha: Any = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
    reduction: str = MEAN,
    name: str = "categorical_focal_crossentropy",
    dtype: Any = None,
) -> Any:
    """Focal loss of one-hot targets; after a softmax computed from the logits. See :func:`categorical_focal_crossentropy`."""


def _of_softmax(own: Mapping[str, Any]) -> Any:
    return {jax.nn.softmax: _divergence_of_logits}


@constructor(kl_divergence, _of_softmax)
def KLDivergence(reduction: str = MEAN, name: str = "kl_divergence", dtype: Any = None) -> Any:
    """Divergence of outputs from targets; after a softmax it is computed from the logits. See :func:`kl_divergence`."""


@constructor(categorical_generalized_cross_entropy)
def CategoricalGeneralizedCrossEntropy(
    q: float = 0.5,
    reduction: str = MEAN,
    name: str = "categorical_generalized_cross_entropy",
    dtype: Any = None,
) -> Any:
    """Cross-entropy that wrong targets do not pull far; see :func:`categorical_generalized_cross_entropy`."""

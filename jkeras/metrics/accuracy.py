"""Accuracies: how often outputs are right."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from jkeras.core.arguments import whole_number
from jkeras.core.errors import ShapeError
from jkeras.core.shapes import shape_of
from jkeras.metrics.metric import constructor, mean_of, paired


def _labels(name: str, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    labels, outputs = jnp.asarray(y_true), jnp.asarray(y_pred)
    labels = labels[..., 0] if labels.ndim == outputs.ndim and labels.shape[-1] == 1 else labels
    if labels.shape != outputs.shape[:-1]:
        raise ShapeError(f"{name}: targets {shape_of(y_true)} do not fit outputs {shape_of(outputs)}.")
    return labels, outputs


def _seen(matches: Any) -> Any:
    """Return whether each is right as 0 or 1, ``(batch, 1)`` as ``(batch,)``, as Keras does for classes."""
    matches = matches[..., 0] if matches.ndim > 1 and matches.shape[-1] == 1 else matches
    return matches.astype(jnp.float32)


def equality(y_true: Any, y_pred: Any) -> Any:
    """Whether each output equals its target, of any one shape: 0 or 1 for each entry."""
    targets, outputs = paired(y_true, y_pred, "accuracy: ")
    return (targets.astype(outputs.dtype) == outputs).astype(jnp.float32)


def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Any:
    """Whether each target is 1 where the output exceeds ``threshold`` and 0 elsewhere: 0 or 1 for each entry.

    Example:
      >>> binary_accuracy([[1, 0]], [[0.7, 0.7]]).tolist()
      [[1.0, 0.0]]
    """
    targets, outputs = paired(y_true, y_pred, "binary_accuracy: ")
    return (targets == (outputs > threshold).astype(targets.dtype)).astype(jnp.float32)


def categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """Whether the largest output is that of the one-hot target: ``(batch, ..., classes)`` to ``(batch, ...)``.

    Example:
      >>> categorical_accuracy([[0, 1], [1, 0]], [[0.3, 0.7], [0.3, 0.7]]).tolist()
      [1.0, 0.0]
    """
    targets, outputs = paired(y_true, y_pred, "categorical_accuracy: ")
    return _seen(jnp.argmax(targets, axis=-1) == jnp.argmax(outputs, axis=-1))


def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """Whether the largest output is that of the class number: targets ``(batch, ...)`` or ``(batch, ..., 1)``.

    Example:
      >>> sparse_categorical_accuracy([1, 0], [[0.3, 0.7], [0.3, 0.7]]).tolist()
      [1.0, 0.0]
    """
    labels, outputs = _labels("sparse_categorical_accuracy", y_true, y_pred)
    return _seen(labels == jnp.argmax(outputs, axis=-1).astype(labels.dtype))


def _among_largest(labels: Any, outputs: Any, k: int) -> Any:
    own = jnp.take_along_axis(outputs, labels[..., None].astype(jnp.int32), axis=-1, mode="fill", fill_value=jnp.nan)
    return (jnp.sum(outputs > own, axis=-1) < k) & jnp.isfinite(own[..., 0])  # of equal ones all are among them


def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Any:
    """Whether the output of the one-hot target is among the k largest: ``(batch, ..., classes)`` to ``(batch, ...)``.

    Example:
      >>> top_k_categorical_accuracy([[1, 0, 0], [0, 0, 1]], [[0.3, 0.6, 0.1], [0.3, 0.6, 0.1]], k=2).tolist()
      [1.0, 0.0]
    """
    targets, outputs = paired(y_true, y_pred, "top_k_categorical_accuracy: ")
    return _among_largest(jnp.argmax(targets, axis=-1), outputs, k).astype(jnp.float32)


def sparse_top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5, from_sorted_ids: bool = False) -> Any:
    """Whether the output of the class number is among the k largest.

    Args:
      y_true: class numbers ``(batch, ...)`` or ``(batch, ..., 1)``.
      y_pred: ``(batch, ..., classes)``; class numbers from the best down with ``from_sorted_ids``.
      k: how many count.
      from_sorted_ids: what ``y_pred`` holds.

    Example:
      >>> sparse_top_k_categorical_accuracy([0, 2], [[0.3, 0.6, 0.1], [0.3, 0.6, 0.1]], k=2).tolist()
      [1.0, 0.0]
    """
    labels, outputs = _labels("sparse_top_k_categorical_accuracy", y_true, y_pred)
    if from_sorted_ids:
        return jnp.any(outputs[..., :k] == labels[..., None].astype(outputs.dtype), axis=-1).astype(jnp.float32)
    return _among_largest(labels, outputs, k).astype(jnp.float32)


def accuracy(y_true: Any, y_pred: Any) -> Any:
    """Choose the accuracy that the shapes ask for, as Keras does for ``metrics=["accuracy"]``.

    Outputs of one column: binary. Targets of fewer axes than the outputs, or of one column: class numbers. Else one-hot.
    """
    if y_pred.shape[-1] == 1:
        return binary_accuracy(y_true, y_pred)
    if y_true.ndim < y_pred.ndim or y_true.shape[-1] == 1:
        return sparse_categorical_accuracy(y_true, y_pred)
    return categorical_accuracy(y_true, y_pred)


# -- constructors -----------------------------------------------------------------------------------------------------


@constructor
def Accuracy(name: str = "accuracy", dtype: Any = None) -> Any:
    """The fraction of outputs that equal their targets.

    In ``compile``, ``"accuracy"`` is another: the one that the shapes ask for, see :func:`accuracy`.

    Example:
      >>> float(Accuracy()([1, 2, 3, 4], [0, 2, 3, 4]))
      0.75
    """
    return mean_of(equality)


@constructor
def BinaryAccuracy(name: str = "binary_accuracy", dtype: Any = None, threshold: float = 0.5) -> Any:
    """The fraction of outputs on the right side of ``threshold``; see :func:`binary_accuracy`.

    Example:
      >>> float(BinaryAccuracy()([[1], [1], [0], [0]], [[0.98], [0.4], [0.1], [0.6]]))
      0.5
    """
    return mean_of(binary_accuracy, threshold=threshold)


@constructor
def CategoricalAccuracy(name: str = "categorical_accuracy", dtype: Any = None) -> Any:
    """The fraction of examples whose largest output is that of their one-hot target; see :func:`categorical_accuracy`.

    Example:
      >>> float(CategoricalAccuracy()([[0, 1], [1, 0]], [[0.3, 0.7], [0.3, 0.7]]))
      0.5
    """
    return mean_of(categorical_accuracy)


@constructor
def SparseCategoricalAccuracy(name: str = "sparse_categorical_accuracy", dtype: Any = None) -> Any:
    """The fraction of examples whose largest output is that of their class number; see :func:`sparse_categorical_accuracy`.

    Example:
      >>> float(SparseCategoricalAccuracy()([1, 0], [[0.3, 0.7], [0.3, 0.7]]))
      0.5
    """
    return mean_of(sparse_categorical_accuracy)


@constructor
def TopKCategoricalAccuracy(k: int = 5, name: str = "top_k_categorical_accuracy", dtype: Any = None) -> Any:
    """The fraction of examples whose target is among the k largest outputs; see :func:`top_k_categorical_accuracy`.

    Example:
      >>> float(TopKCategoricalAccuracy(k=1)([[0, 1], [1, 0]], [[0.3, 0.7], [0.3, 0.7]]))
      0.5
    """
    return mean_of(top_k_categorical_accuracy, k=whole_number("k", k))


@constructor
def SparseTopKCategoricalAccuracy(
    k: int = 5, name: str = "sparse_top_k_categorical_accuracy", dtype: Any = None, from_sorted_ids: bool = False
) -> Any:
    """The fraction of examples whose class is among the k largest outputs; see :func:`sparse_top_k_categorical_accuracy`.

    Example:
      >>> float(SparseTopKCategoricalAccuracy(k=1)([1, 0], [[0.3, 0.7], [0.3, 0.7]]))
      0.5
    """
    return mean_of(sparse_top_k_categorical_accuracy, k=whole_number("k", k), from_sorted_ids=from_sorted_ids)

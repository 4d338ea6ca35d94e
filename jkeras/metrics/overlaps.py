"""How far areas that classes mark cover those that they should: intersection over union."""

from __future__ import annotations

import functools
from typing import Any

import jax.numpy as jnp

from jkeras.core.arguments import whole_number
from jkeras.core.errors import ShapeError
from jkeras.core.shapes import shape_of
from jkeras.metrics.metric import Metric, constructor, weighing


def _add_pairs(read: Any, ignored: int | None, total: Any, targets: Any, outputs: Any, weights: Any = None) -> Any:
    """Count each pair of a target's class and an output's class, ``(classes, classes)``; what is no class counts nowhere."""
    targets, outputs = read(jnp.asarray(targets), jnp.asarray(outputs))
    if targets.size != outputs.size:
        raise ShapeError(f"targets {shape_of(targets)} and outputs {shape_of(outputs)} must have as many entries.")
    outputs = outputs.reshape(targets.shape)
    weight = jnp.broadcast_to(weighing(weights, targets), targets.shape)
    classes = total.shape[0]
    counted = (targets >= 0) & (targets < classes) & (outputs >= 0) & (outputs < classes)
    counted = counted if ignored is None else counted & (targets != ignored)
    places = [jnp.where(counted, x, 0).astype(jnp.int32).reshape(-1) for x in (targets, outputs)]
    return total.at[tuple(places)].add(jnp.where(counted, weight, 0).reshape(-1))


def _mean_overlap(classes: tuple[int, ...] | None, total: Any) -> Any:
    both = jnp.diag(total)
    either = total.sum(0) + total.sum(1) - both
    if classes is not None:
        both, either = both[jnp.asarray(classes)], either[jnp.asarray(classes)]
    seen = either > 1e-9
    return jnp.sum(jnp.where(seen, both / (either + 1e-7), 0)) / (jnp.sum(seen) + 1e-7)


def _classes_of(sparse_true: bool, sparse_pred: bool, axis: int, targets: Any, outputs: Any) -> tuple[Any, Any]:
    targets = targets if sparse_true else jnp.argmax(targets, axis)
    return targets.astype(jnp.int32), (outputs if sparse_pred else jnp.argmax(outputs, axis)).astype(jnp.int32)


def _reader(sparse_true: bool, sparse_pred: bool, axis: int) -> Any:
    return functools.partial(_classes_of, sparse_true, sparse_pred, axis)


def _above(threshold: float, targets: Any, outputs: Any) -> tuple[Any, Any]:
    return targets.astype(jnp.int32), (outputs >= threshold).astype(jnp.int32)


def _overlap(num_classes: int, chosen: Any, read: Any, ignored: int | None) -> Metric:
    count = whole_number("num_classes", num_classes)
    wanted = None if chosen is None else tuple(int(one) for one in chosen)
    if wanted is not None and not all(0 <= one < count for one in wanted):
        raise ValueError(f"target_class_ids must be from 0 to {count - 1}, but got {chosen!r}.")
    init = functools.partial(_no_pairs, count)
    update = functools.partial(_add_pairs, read, ignored)
    return Metric("", init, update, functools.partial(_mean_overlap, wanted), per_example=True)


def _no_pairs(count: int) -> Any:
    return jnp.zeros((count, count), jnp.float32)


@constructor
def IoU(
    num_classes: int,
    target_class_ids: Any,
    name: str | None = None,
    dtype: Any = None,
    ignore_class: int | None = None,
    sparse_y_true: bool = True,
    sparse_y_pred: bool = True,
    axis: int = -1,
) -> Any:
    """What targets and outputs of a class have in common, divided by what either marks; the mean over some classes.

    Classes that neither marks are left out of the mean.

    Args:
      num_classes: how many classes there are.
      target_class_ids: which of them count.
      ignore_class: a class of targets that counts nowhere.
      sparse_y_true: whether targets are class numbers; else the largest along ``axis`` is.
      sparse_y_pred: whether outputs are.
      axis: of classes.

    Raises:
      ValueError: for a class that there is not.

    Example:
      >>> round(float(IoU(num_classes=2, target_class_ids=[0])([0, 0, 1, 1], [0, 1, 0, 1])), 4)
      0.3333
    """
    return _overlap(num_classes, target_class_ids, _reader(sparse_y_true, sparse_y_pred, axis), ignore_class)


@constructor
def MeanIoU(
    num_classes: int,
    name: str | None = None,
    dtype: Any = None,
    ignore_class: int | None = None,
    sparse_y_true: bool = True,
    sparse_y_pred: bool = True,
    axis: int = -1,
) -> Any:
    """The mean of :func:`IoU` over all classes.

    Example:
      >>> round(float(MeanIoU(num_classes=2)([0, 0, 1, 1], [0, 1, 0, 1])), 4)
      0.3333
    """
    return _overlap(num_classes, None, _reader(sparse_y_true, sparse_y_pred, axis), ignore_class)


@constructor
def OneHotIoU(
    num_classes: int,
    target_class_ids: Any,
    name: str | None = None,
    dtype: Any = None,
    ignore_class: int | None = None,
    sparse_y_pred: bool = False,
    axis: int = -1,
) -> Any:
    """:func:`IoU` of one-hot targets.

    Example:
      >>> round(float(OneHotIoU(2, [0])([[1, 0], [1, 0], [0, 1]], [[0.9, 0.1], [0.2, 0.8], [0.4, 0.6]])), 4)
      0.5
    """
    return _overlap(num_classes, target_class_ids, _reader(False, sparse_y_pred, axis), ignore_class)


@constructor
def OneHotMeanIoU(
    num_classes: int,
    name: str | None = None,
    dtype: Any = None,
    ignore_class: int | None = None,
    sparse_y_pred: bool = False,
    axis: int = -1,
) -> Any:
    """:func:`MeanIoU` of one-hot targets.

    Example:
      >>> round(float(OneHotMeanIoU(2)([[1, 0], [1, 0], [0, 1]], [[0.9, 0.1], [0.2, 0.8], [0.4, 0.6]])), 4)
      0.5
    """
    return _overlap(num_classes, None, _reader(False, sparse_y_pred, axis), ignore_class)


@constructor
def BinaryIoU(target_class_ids: Any = (0, 1), threshold: float = 0.5, name: str | None = None, dtype: Any = None) -> Any:
    """:func:`IoU` of 0 and 1, an output from ``threshold`` on being 1.

    Example:
      >>> round(float(BinaryIoU(threshold=0.3)([0, 1, 0, 1], [0.1, 0.2, 0.4, 0.7])), 4)
      0.3333
    """
    return _overlap(2, target_class_ids, functools.partial(_above, threshold), None)

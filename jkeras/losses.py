r"""Keras's losses by name: functions of targets and outputs that give one number per element, and how these are reduced.

Reduced by ``"sum_over_batch_size"``, the default, a loss is

.. math:: \frac{\sum_n w_n m_n \ell_n}{N} \cdot \frac{M}{\sum m}

over its N elements, with sample weights :math:`w` (which do not enter the divisor, as in Keras) and a mask :math:`m` of M
entries (which does). Shapes are checked in one place, here, before any arithmetic: nothing broadcasts silently.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jkeras.core.arguments import bind
from jkeras.core.errors import ShapeError, nearest
from jkeras.core.named import look_up, table
from jkeras.core.shapes import is_float, shape_of

_EPSILON = 1e-7  # Keras's: probabilities are kept this far from 0 and 1
REDUCTIONS = ("sum_over_batch_size", "mean", "sum", "mean_with_sample_weight", "none")


@dataclasses.dataclass(frozen=True, eq=False)
class Loss:
    """A loss function and how it is reduced; call it as ``loss(y_true, y_pred, sample_weight=None)``.

    Attributes:
      function: targets and outputs to one number per element: ``(batch, ..., features)`` to ``(batch, ...)``.
      name: what it is called.
      reduction: one of ``"sum_over_batch_size"`` (also ``"mean"``), ``"sum"``, ``"mean_with_sample_weight"``, ``"none"``.
      closing: the output activation after which ``on_logits`` may replace ``function``.
      on_logits: the same loss as a function of what went into that activation.
      classes: whether targets are class numbers, one axis less than the outputs.
      checked: whether the shapes of targets and outputs must agree; not for a function of the user's own.
      per_example: whether it looks at each example by itself, so that batches may be filled up; unknown functions may not.
      config: the arguments it was made with.
    """

    function: Callable[[Any, Any], Any]
    name: str
    reduction: str = "sum_over_batch_size"
    closing: Callable[[Any], Any] | None = None
    on_logits: Callable[[Any, Any], Any] | None = None
    classes: bool = False
    checked: bool = True
    per_example: bool = False
    config: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Compute the reduced loss of arrays or lists."""
        outputs = jnp.asarray(y_pred)
        weight = None if sample_weight is None else jnp.asarray(sample_weight, jnp.float32)
        return reduce(self.values(jnp.asarray(y_true), outputs), weight, None, self.reduction)

    def values(self, targets: Any, outputs: Any, logits: Any = None, where: str = "") -> Any:
        """Compute one number per element, from logits where they are known; half precision and whole numbers as float32."""
        function, seen = (self.function, outputs) if logits is None or self.on_logits is None else (self.on_logits, logits)
        targets, seen = aligned(targets, widen(seen))
        _check(self, targets, seen, where)
        return function(targets, seen)


def widen(x: Any) -> Any:
    """Return half precision and whole numbers as float32, and the rest as it is."""
    return x.astype(jnp.float32) if not is_float(x) or x.dtype.itemsize < 4 else x


def aligned(targets: Any, outputs: Any) -> tuple[Any, Any]:
    """Let ``(n,)`` targets meet ``(n, 1)`` outputs, and the other way round; no other shapes are changed."""
    if targets.ndim + 1 == outputs.ndim and outputs.shape[-1] == 1:
        return targets[..., None], outputs
    if targets.ndim == outputs.ndim + 1 and targets.shape[-1] == 1:
        return targets[..., 0], outputs
    return targets, outputs


def _check(loss: Loss, targets: Any, outputs: Any, where: str) -> None:
    expected = outputs.shape[:-1] if loss.classes else outputs.shape
    if not loss.checked or targets.shape == expected or (loss.classes and targets.shape == (*expected, 1)):
        return
    hint = ""
    if loss.closing is jax.nn.softmax and not loss.classes and targets.shape in (outputs.shape[:-1], (*outputs.shape[:-1], 1)):
        hint = " Targets that are class numbers go with sparse_categorical_crossentropy, or through utils.to_categorical."
    if loss.classes and targets.shape == outputs.shape:
        hint = " One-hot targets go with categorical_crossentropy."
    wanted = f"{shape_of(outputs)[:-1] if loss.classes else shape_of(outputs)}"
    raise ShapeError(
        f"Loss {loss.name!r}{where} needs targets of shape {wanted} for outputs of shape {shape_of(outputs)}, but got targets of "
        f"shape {shape_of(targets)}.{hint}"
    )


def reduce(values: Any, weight: Any, mask: Any, reduction: str) -> Any:
    """Reduce one number per element to one number.

    Args:
      values: ``(batch, ...)``, or a number that the loss function has reduced itself.
      weight: sample weights whose shape begins like that of ``values``, or None.
      mask: entries that count, likewise, or None.
      reduction: one of :data:`REDUCTIONS`.
    """
    if reduction == "none":
        return values if weight is None else values * _spread(weight, values)
    if values.ndim == 0:
        if weight is None:
            return values
        valid = jnp.ones_like(weight) if mask is None else _spread(mask, weight).astype(weight.dtype)
        return values * jnp.sum(weight * valid) / jnp.sum(valid)
    size = values.size
    factor = jnp.ones((), values.dtype)
    if mask is not None:
        keep = _spread(mask, values)
        values = jnp.where(keep, values, 0)
        factor = mask.size / jnp.maximum(jnp.sum(mask), 1).astype(values.dtype)
    if weight is not None:
        spread = jnp.broadcast_to(_spread(weight, values), values.shape)
        values = values * spread
    if reduction == "sum":
        return jnp.sum(values)
    if reduction == "mean_with_sample_weight" and weight is not None:
        counted = spread if mask is None else jnp.where(keep, spread, 0)
        total = jnp.sum(counted)
        return jnp.where(total == 0, 0, jnp.sum(values) / jnp.where(total == 0, 1, total))
    return jnp.sum(values) / size * factor


def _spread(weight: Any, values: Any) -> Any:
    """Give weights ``(batch,)``, ``(batch, 1)`` or ``(batch, time)`` as many axes as the values have."""
    if weight.ndim > values.ndim and weight.shape[-1] == 1:
        weight = weight.reshape(weight.shape[:-1])
    if weight.ndim > values.ndim or any(w not in (1, v) for w, v in zip(weight.shape, values.shape, strict=False)):
        raise ShapeError(f"sample weights of shape {shape_of(weight)} do not fit losses of shape {shape_of(values)}.")
    return weight.reshape(*weight.shape, *(1,) * (values.ndim - weight.ndim))


# -- per element ------------------------------------------------------------------------------------------------------


def mean_squared_error(y_true: Any, y_pred: Any) -> Any:
    r"""Mean of :math:`(y - \hat y)^2` over the last axis: ``(batch, ..., features)`` to ``(batch, ...)``."""
    return jnp.mean(optax.squared_error(y_pred, _like(y_true, y_pred)), axis=-1)


def mean_absolute_error(y_true: Any, y_pred: Any) -> Any:
    r"""Mean of :math:`|y - \hat y|` over the last axis: ``(batch, ..., features)`` to ``(batch, ...)``."""
    return jnp.mean(jnp.abs(y_pred - _like(y_true, y_pred)), axis=-1)


def binary_crossentropy(y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0) -> Any:
    r"""Mean of :math:`-y \log p - (1 - y) \log(1 - p)` over the last axis.

    Args:
      y_true: targets from 0 to 1, of the shape of ``y_pred``.
      y_pred: probabilities, kept 1e-7 from 0 and 1; or logits.
      from_logits: whether ``y_pred`` are logits.
      label_smoothing: s, from 0 to 1: targets become :math:`y (1 - s) + s / 2`.

    Example:
      >>> round(float(binary_crossentropy(jnp.array([1.0]), jnp.array([0.5]))), 4)
      0.6931
    """
    y = _like(y_true, y_pred)
    y = y * (1 - label_smoothing) + 0.5 * label_smoothing if label_smoothing else y
    if from_logits:
        return jnp.mean(optax.sigmoid_binary_cross_entropy(y_pred, y), axis=-1)
    p = jnp.clip(y_pred, _EPSILON, 1 - _EPSILON)
    return -jnp.mean(y * jnp.log(p) + (1 - y) * jnp.log(1 - p), axis=-1)


def categorical_crossentropy(y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0) -> Any:
    r""":math:`-\sum_c y_c \log p_c` over the last axis.

    Args:
      y_true: one-hot targets or probabilities, of the shape of ``y_pred``.
      y_pred: probabilities, divided by their sum and kept 1e-7 from 0 and 1; or logits.
      from_logits: whether ``y_pred`` are logits.
      label_smoothing: s, from 0 to 1: targets become :math:`y (1 - s) + s / C` for C classes.

    Example:
      >>> round(float(categorical_crossentropy(jnp.array([0.0, 1.0]), jnp.array([0.5, 0.5]))), 4)
      0.6931
    """
    y = _like(y_true, y_pred)
    y = y * (1 - label_smoothing) + label_smoothing / y.shape[-1] if label_smoothing else y
    if from_logits:
        return optax.softmax_cross_entropy(y_pred, y)
    return -jnp.sum(y * jnp.log(_probabilities(y_pred)), axis=-1)


def sparse_categorical_crossentropy(y_true: Any, y_pred: Any, from_logits: bool = False) -> Any:
    r""":math:`-\log p_y` for class numbers y.

    Args:
      y_true: class numbers ``(batch, ...)`` or ``(batch, ..., 1)``; one outside 0 ... C - 1 gives NaN.
      y_pred: probabilities or logits ``(batch, ..., C)``, treated as by :func:`categorical_crossentropy`.
      from_logits: whether ``y_pred`` are logits.

    Example:
      >>> round(float(sparse_categorical_crossentropy(jnp.array(1), jnp.array([0.5, 0.5]))), 4)
      0.6931
    """
    label = y_true[..., 0] if y_true.ndim == y_pred.ndim else y_true
    label = label.astype(jnp.int32)
    label = jnp.where(label < 0, y_pred.shape[-1], label)  # negative indices would wrap around
    scores = jax.nn.log_softmax(y_pred) if from_logits else jnp.log(_probabilities(y_pred))
    picked = jnp.take_along_axis(scores, label[..., None], axis=-1, mode="fill", fill_value=jnp.nan)
    return -picked[..., 0]


def _like(targets: Any, outputs: Any) -> Any:
    """Return targets as real numbers, if they have the shape of the outputs; NumPy's rules would broadcast them."""
    if targets.shape != outputs.shape:
        raise ShapeError(f"targets of shape {shape_of(targets)} do not have the shape of the outputs, {shape_of(outputs)}.")
    return targets.astype(jnp.result_type(outputs.dtype, jnp.float32))


def _probabilities(p: Any) -> Any:
    return jnp.clip(p / jnp.sum(p, axis=-1, keepdims=True), _EPSILON, 1 - _EPSILON)


# -- constructors -----------------------------------------------------------------------------------------------------


def _losses(function: Callable[..., Any], closing: Any = None, classes: bool = False) -> Callable[[Any], Callable[..., Loss]]:
    """Fill in a constructor from its signature: what it names beyond ``reduction`` and ``name`` goes to the function."""

    def fill(stub: Callable[..., Any]) -> Callable[..., Loss]:
        signature = inspect.signature(stub)

        @functools.wraps(stub)
        def make(*args: Any, **kwargs: Any) -> Loss:
            bound = bind(stub.__name__, signature, args, kwargs)
            config = dict(bound.arguments)
            reduction, name = config.pop("reduction") or "none", config.pop("name")
            if reduction not in REDUCTIONS:
                hint = nearest(reduction, REDUCTIONS)
                raise ValueError(f"reduction must be one of {', '.join(map(repr, REDUCTIONS))}, but got {reduction!r}.{hint}")
            own = functools.partial(function, **config)
            fused = closing is not None and not config.get("from_logits")
            on_logits = functools.partial(function, **{**config, "from_logits": True}) if fused else None
            return Loss(own, name, reduction, closing, on_logits, classes, per_example=True, config=config)

        return make

    return fill


@_losses(mean_squared_error)
def MeanSquaredError(reduction: str = "sum_over_batch_size", name: str = "mean_squared_error") -> Any:
    """Squared error; see :func:`mean_squared_error`."""


@_losses(mean_absolute_error)
def MeanAbsoluteError(reduction: str = "sum_over_batch_size", name: str = "mean_absolute_error") -> Any:
    """Absolute error; see :func:`mean_absolute_error`."""


@_losses(binary_crossentropy, jax.nn.sigmoid)
def BinaryCrossentropy(
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    reduction: str = "sum_over_batch_size",
    name: str = "binary_crossentropy",
) -> Any:
    """Cross-entropy of yes/no targets; after a sigmoid it is computed from the logits. See :func:`binary_crossentropy`."""


@_losses(categorical_crossentropy, jax.nn.softmax)
def CategoricalCrossentropy(
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    reduction: str = "sum_over_batch_size",
    name: str = "categorical_crossentropy",
) -> Any:
    """Cross-entropy of one-hot targets; after a softmax it is computed from the logits. See :func:`categorical_crossentropy`."""


@_losses(sparse_categorical_crossentropy, jax.nn.softmax, classes=True)
def SparseCategoricalCrossentropy(
    from_logits: bool = False,
    reduction: str = "sum_over_batch_size",
    name: str = "sparse_categorical_crossentropy",
) -> Any:
    """Cross-entropy of class numbers; after a softmax computed from the logits. See :func:`sparse_categorical_crossentropy`."""


_TABLE = table(
    MeanSquaredError, MeanAbsoluteError, BinaryCrossentropy, CategoricalCrossentropy, SparseCategoricalCrossentropy,
    mse=MeanSquaredError, MSE=MeanSquaredError, mae=MeanAbsoluteError, MAE=MeanAbsoluteError, bce=BinaryCrossentropy,
    BCE=BinaryCrossentropy,
)  # fmt: skip
_FUNCTIONS = {
    mean_squared_error: MeanSquaredError,
    mean_absolute_error: MeanAbsoluteError,
    binary_crossentropy: BinaryCrossentropy,
    categorical_crossentropy: CategoricalCrossentropy,
    sparse_categorical_crossentropy: SparseCategoricalCrossentropy,
}


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
    if found in _TABLE.values():
        return found()
    if found in _FUNCTIONS:
        return _FUNCTIONS[found]()
    return Loss(found, getattr(found, "__name__", type(found).__name__), checked=False)


__all__ = [
    "BinaryCrossentropy", "CategoricalCrossentropy", "Loss", "MeanAbsoluteError", "MeanSquaredError",
    "SparseCategoricalCrossentropy", "binary_crossentropy", "categorical_crossentropy", "get", "mean_absolute_error",
    "mean_squared_error", "sparse_categorical_crossentropy",
]  # fmt: skip

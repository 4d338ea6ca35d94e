r"""What a loss is: a function of targets and outputs that gives one number per element, and how these are reduced.

Reduced by ``"sum_over_batch_size"``, the default, a loss is

.. math:: \frac{\sum_n w_n m_n \ell_n}{N} \cdot \frac{M}{\sum m}

over its N elements, with sample weights :math:`w` (which do not enter the divisor, as in Keras) and a mask :math:`m` of M
entries (which does). Shapes are checked in one place, :func:`elementwise`, before any arithmetic: nothing broadcasts silently.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jkeras.core.arguments import bind, checked_dtype
from jkeras.core.errors import ShapeError, nearest
from jkeras.core.named import Configured, classed
from jkeras.core.shapes import is_float, shape_of

MEAN = "sum_over_batch_size"
EPSILON = 1e-7  # Keras's: how far probabilities are kept from 0 and 1, and what keeps divisors from 0
_LIMITS: dict[str, tuple[Callable[[Any], bool], str]] = {  # of arguments, whichever loss has them
    "label_smoothing": (lambda s: 0 <= s <= 1, "from 0 to 1"),
    "delta": (lambda d: d > 0, "positive"),
    "gamma": (lambda g: g >= 0, "0 or more"),
    "q": (lambda q: 0 < q <= 1, "above 0 and at most 1"),
}
REDUCTIONS = (MEAN, "mean", "sum", "mean_with_sample_weight", "none")


class Loss(Configured):
    """A loss function and how it is reduced; call it as ``loss(y_true, y_pred, sample_weight=None)``.

    Args:
      function: targets and outputs to one number per element: ``(batch, ..., features)`` to ``(batch, ...)``.
      name: what it is called; the function's name by default.
      reduction: one of ``"sum_over_batch_size"`` (default, also ``"mean"``), ``"sum"``, ``"mean_with_sample_weight"``,
        ``"none"`` (also None).
      dtype: that of outputs and losses; None (default) for that of the outputs. It is computed in at least float32.
      on_logits: by the output activation after which it is computed from what went into that: the same loss of logits.
      counts: ``(targets, values) -> mask``, which elements enter the mean; None (default) for all.
      per_example: whether it looks at each example by itself, so that batches may be filled up; unknown functions may not.

    Attributes:
      class_axis: the axis of outputs whose places targets number, or None where they are no class numbers.

    Raises:
      ValueError: for an unknown reduction or dtype, or a number out of its range.

    Example:
      >>> cubed = jkeras.losses.Loss(lambda y_true, y_pred: jnp.mean(jnp.abs(y_true - y_pred) ** 3, -1), name="cubed")
      >>> float(cubed([[0.0]], [[2.0]]))
      8.0
    """

    module = "losses"

    def __init__(
        self,
        function: Callable[[Any, Any], Any],
        name: str | None = None,
        reduction: str | None = MEAN,
        dtype: Any = None,
        on_logits: Mapping[Callable[..., Any], Callable[[Any, Any], Any]] | None = None,
        counts: Callable[[Any, Any], Any] | None = None,
        per_example: bool = False,
    ):
        self.function, self.name = function, name or getattr(function, "__name__", type(function).__name__)
        self.reduction = reduction = "none" if reduction is None else reduction
        if reduction not in REDUCTIONS:
            hint = nearest(reduction, REDUCTIONS)
            raise ValueError(f"reduction must be one of {', '.join(map(repr, REDUCTIONS))}, but got {reduction!r}.{hint}")
        self.dtype = None if dtype is None else checked_dtype(self.name, dtype)
        self.on_logits, self.counts, self.per_example = on_logits or {}, counts, per_example
        self.class_axis: int | None = None

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Compute the reduced loss of arrays or lists."""
        weight = None if sample_weight is None else jnp.asarray(sample_weight, jnp.float32)
        return self.reduced(jnp.asarray(y_true), jnp.asarray(y_pred), weight)

    def values(self, targets: Any, outputs: Any, logits: Any = None, activation: Any = None) -> Any:
        """Compute one number per element, from the logits of the output activation where that is one of ``on_logits``."""
        function, seen = self.function, outputs
        if logits is not None and activation in self.on_logits:
            function, seen = self.on_logits[activation], logits
        targets, seen = aligned(targets, widen(seen) if self.dtype is None else seen.astype(self.dtype))
        values = function(targets, seen)
        return values if self.dtype is None else values.astype(self.dtype)

    def reduced(
        self, targets: Any, outputs: Any, weight: Any = None, mask: Any = None, logits: Any = None, activation: Any = None
    ) -> Any:
        """Compute the loss of a batch: :meth:`values`, weighted, masked and reduced."""
        values = self.values(targets, outputs, logits, activation)
        if self.counts is not None:
            counted = self.counts(targets, values)
            mask = counted if mask is None else counted & spread(mask, values)
        return reduce(values, weight, mask, self.reduction)

    def __repr__(self) -> str:
        return super().__repr__() if self.config else f"Loss({self.name}, reduction={self.reduction!r})"


def constructor(
    function: Callable[..., Any],
    fused: Callable[[Mapping[str, Any]], Any] | None = None,
    counts: Callable[[Mapping[str, Any]], Any] | None = None,
    per_example: bool = True,
) -> Any:
    """Make a class of losses of a signature: what it names beyond ``reduction``, ``name`` and ``dtype`` goes to the function.

    Args:
      function: targets, outputs and those arguments to one number per element.
      fused: those arguments to ``Loss.on_logits``.
      counts: those arguments to ``Loss.counts``.
      per_example: as for :class:`Loss`.
    """

    def fill(stub: Callable[..., Any]) -> type[Loss]:
        kind, signature = stub.__name__, inspect.signature(stub)

        def __init__(self: Loss, *args: Any, **kwargs: Any) -> None:  # noqa: N807, it becomes the class's
            config = dict(bind(kind, signature, args, kwargs).arguments)
            own = {name: value for name, value in config.items() if name not in ("reduction", "name", "dtype")}
            for name, (allowed, words) in _LIMITS.items():
                if name in own and not allowed(own[name]):
                    raise ValueError(f"{kind}: {name} must be {words}, but got {own[name]!r}.")
            on_logits, counted = (None if make is None else make(own) for make in (fused, counts))
            common = (config["name"] or kind, config["reduction"], config["dtype"], on_logits, counted, per_example)
            Loss.__init__(self, functools.partial(function, **own), *common)
            self.class_axis = own.get("axis", -1) if hasattr(function, "takes_classes") else None
            self.config = config

        return classed(Loss, stub, __init__, signature)

    return fill


# -- what targets and outputs must be ----------------------------------------------------------------------------------


def elementwise(function: Callable[..., Any]) -> Any:
    """Let a function of targets and outputs of one shape take arrays and lists, whole numbers, and ``(n,)`` for ``(n, 1)``.

    Raises:
      ShapeError: from the function made, for targets and outputs of different shapes; NumPy's rules would broadcast them.
    """

    @functools.wraps(function)
    def checked(y_true: Any, y_pred: Any, *args: Any, **kwargs: Any) -> Any:
        targets, outputs = aligned(jnp.asarray(y_true), widen(jnp.asarray(y_pred)))
        if targets.shape != outputs.shape:
            hint = ""
            if "categorical" in function.__name__ and targets.shape in (outputs.shape[:-1], (*outputs.shape[:-1], 1)):
                hint = " Targets that are class numbers go with sparse_categorical_crossentropy, or through utils.to_categorical."
            raise _misfit(function, shape_of(outputs), targets, outputs, hint)
        return function(targets.astype(outputs.dtype), outputs, *args, **kwargs)

    return checked


def of_classes(function: Callable[..., Any]) -> Any:
    """Let a function of class numbers and outputs take arrays and lists, and numbers with an axis of one for the classes.

    The class axis of the outputs is the argument ``axis``, -1 where the function has none; it comes last to the function.

    Raises:
      ShapeError: from the function made, for targets that are not one number for each place of the outputs.
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    def checked(y_true: Any, y_pred: Any, *args: Any, **kwargs: Any) -> Any:
        axis = signature.bind(y_true, y_pred, *args, **kwargs).arguments.get("axis", -1)
        labels, outputs = jnp.asarray(y_true), jnp.moveaxis(widen(jnp.asarray(y_pred)), axis, -1)
        if labels.ndim == outputs.ndim and labels.shape[axis] == 1:
            labels = labels.squeeze(axis)
        if labels.shape != outputs.shape[:-1]:
            hint = " One-hot targets go with categorical_crossentropy." if labels.shape == outputs.shape else ""
            raise _misfit(function, shape_of(outputs)[:-1], labels, outputs, hint)
        return function(labels.astype(jnp.int32), outputs, *args, **kwargs)

    checked.takes_classes = True  # type: ignore[attr-defined]
    return checked


def _misfit(function: Callable[..., Any], wanted: Any, targets: Any, outputs: Any, hint: str) -> ShapeError:
    return ShapeError(
        f"{function.__name__} needs targets of shape {wanted} for outputs of shape {shape_of(outputs)}, but got targets of shape "
        f"{shape_of(targets)}.{hint}"
    )


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


# -- reduction -----------------------------------------------------------------------------------------------------------


def reduce(values: Any, weight: Any, mask: Any, reduction: str) -> Any:
    """Reduce one number per element to one number.

    Args:
      values: ``(batch, ...)``, or a number that the loss function has reduced itself.
      weight: sample weights whose shape begins like that of ``values``, or None.
      mask: entries that count, likewise, or None.
      reduction: one of :data:`REDUCTIONS`.
    """
    if reduction == "none":
        kept = values if mask is None else jnp.where(spread(mask, values), values, 0)
        return kept if weight is None else kept * spread(weight, kept)
    if values.ndim == 0:
        if weight is None:
            return values
        valid = jnp.ones_like(weight) if mask is None else spread(mask, weight).astype(weight.dtype)
        return values * jnp.sum(weight * valid) / jnp.sum(valid)
    size = values.size
    factor = jnp.ones((), values.dtype)
    if mask is not None:
        keep = spread(mask, values)
        values = jnp.where(keep, values, 0)
        factor = mask.size / jnp.maximum(jnp.sum(mask), 1).astype(values.dtype)
    if weight is not None:
        weights = jnp.broadcast_to(spread(weight, values), values.shape)
        values = values * weights
    if reduction == "sum":
        return jnp.sum(values)
    if reduction == "mean_with_sample_weight" and weight is not None:
        counted = weights if mask is None else jnp.where(keep, weights, 0)
        total = jnp.sum(counted)
        return jnp.where(total == 0, 0, jnp.sum(values) / jnp.where(total == 0, 1, total))
    return jnp.sum(values) / size * factor


def spread(weight: Any, values: Any) -> Any:
    """Give weights ``(batch,)``, ``(batch, 1)`` or ``(batch, time)`` as many axes as the values have."""
    if weight.ndim > values.ndim and weight.shape[-1] == 1:
        weight = weight.reshape(weight.shape[:-1])
    if weight.ndim > values.ndim or any(w not in (1, v) for w, v in zip(weight.shape, values.shape, strict=False)):
        raise ShapeError(f"sample weights of shape {shape_of(weight)} do not fit values of shape {shape_of(values)}.")
    return weight.reshape(*weight.shape, *(1,) * (values.ndim - weight.ndim))


def from_logits(function: Callable[..., Any], activation: Callable[..., Any]) -> Callable[[Mapping[str, Any]], Any]:
    """Say that a function of an argument ``from_logits`` is computed from the logits that go into an activation."""

    def fused(own: Mapping[str, Any]) -> Any:
        on_logits = functools.partial(function, **{**own, "from_logits": True})
        if own.get("axis", -1) != -1:
            return {}
        if not own["from_logits"]:
            return {activation: on_logits}
        return {jax.nn.log_softmax: on_logits} if activation is jax.nn.softmax else {}  # its outputs are logits, too

    return fused

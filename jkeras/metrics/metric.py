"""What a metric is, a pure triple with a thin face, and the means and sums that most metrics are."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jkeras.core.arguments import bind, checked_dtype
from jkeras.core.errors import ShapeError
from jkeras.core.layer import spell
from jkeras.core.named import Configured, classed
from jkeras.core.shapes import shape_of
from jkeras.losses.loss import Loss, aligned, spread, widen


class Metric(Configured):
    """A named pure triple; ``init, update, result = metric`` takes it apart.

    Beside it stands what scripts do with Keras's: ``update_state``, ``result()`` and ``reset_state``, which add up in the object.
    Training never uses that; it calls the three functions.

    Args:
      name: what logs call it.
      init: makes an empty total, of no argument, or of the outputs or their spec, where its shape depends on theirs.
      update: adds a batch ``(total, targets, outputs, weights)`` to a total; ``weights`` is ``(batch, ...)`` or None.
      result: turns a total into a number, or into an array.
      per_example: whether it looks at each example by itself and heeds weights, so that batches may be filled up. False
        (default) for one of your own, which may count rows.

    Example:
      >>> def update(total, targets, outputs, weights):
      ...     return jnp.maximum(total, jnp.max(jnp.abs(targets - outputs)))
      >>> worst = Metric("worst", lambda: jnp.zeros(()), update, lambda total: total)
      >>> float(worst.result(worst.update(worst.init(), jnp.array([1.0, 2.0]), jnp.array([1.0, 5.0]), None)))
      3.0
    """

    module = "metrics"

    def __init__(
        self,
        name: str,
        init: Callable[..., Any],
        update: Callable[..., Any],
        result: Callable[[Any], Any],
        per_example: bool = False,
    ):
        self.name, self.init, self.update, self.per_example = name, init, update, per_example
        self._result, self._total = result, None

    def __iter__(self) -> Iterator[Callable[..., Any]]:
        yield from (self.init, self.update, self._result)

    @property
    def sized(self) -> bool:
        """Whether the shape of a total depends on that of the outputs."""
        return bool(inspect.signature(self.init).parameters)

    def empty(self, outputs: Any = None) -> Any:
        """Make an empty total for outputs like these."""
        return self.init(outputs) if self.sized else self.init()

    def renamed(self, name: str) -> Metric:
        """Return the same metric under another name, nothing added up."""
        other = copy.copy(self)
        other.name, other._total = name, None
        other.config = {**self.config, "name": name} if self.config else self.config
        return other

    # -- as Keras's are used alone ---------------------------------------------------------------------------------------

    def update_state(self, *values: Any, sample_weight: Any = None) -> None:
        """Add a batch to what the object holds: ``(y_true, y_pred, sample_weight=None)``, or ``(values, ...)`` for a mean."""
        arrays = [jnp.asarray(value) for value in (*values, sample_weight) if value is not None]
        self._total = self.update(self.empty(arrays[min(1, len(values) - 1)]) if self._total is None else self._total, *arrays)

    def result(self, total: Any = None) -> Any:
        """Turn a total into a number; without one, what the object holds."""
        if total is not None:
            return self._result(total)
        if self._total is None and self.sized:
            return jnp.zeros(())  # of nothing, whatever its shape will be
        return self._result(self.init() if self._total is None else self._total)

    def reset_state(self) -> None:
        """Forget what was added up."""
        self._total = None

    @property
    def variables(self) -> list[jax.Array]:
        """The arrays that the object holds."""
        return jax.tree.leaves(self._total)

    def __call__(self, *values: Any, sample_weight: Any = None) -> Any:
        """Add a batch to what the object holds and return the result."""
        self.update_state(*values, sample_weight=sample_weight)
        return self.result()

    def __repr__(self) -> str:
        return super().__repr__() if self.config else f"Metric({self.name!r})"


def constructor(function: Callable[..., Metric]) -> Any:
    """Make a class of metrics of a function that returns a :class:`Metric`; it takes ``name`` and ``dtype`` among others.

    Without a name a metric is called as its class, in snake case. ``dtype`` is that of the result; None leaves it as it is.
    """
    kind, signature = function.__name__, inspect.signature(function)

    def __init__(self: Metric, *args: Any, **kwargs: Any) -> None:  # noqa: N807, it becomes the class's
        bound = bind(kind, signature, args, kwargs)
        try:
            made = function(*bound.args, **bound.kwargs)
        except (TypeError, ValueError) as error:
            error.args = (f"{kind}: {error}",)
            raise
        name, dtype = bound.arguments["name"] or made.name or spell(kind), bound.arguments["dtype"]
        result = made._result if dtype is None else functools.partial(_cast, made._result, checked_dtype(kind, dtype))
        Metric.__init__(self, name, made.init, made.update, result, made.per_example)
        self.config = dict(bound.arguments)

    return classed(Metric, function, __init__, signature)


def _cast(result: Callable[[Any], Any], dtype: str, total: Any) -> Any:
    return result(total).astype(dtype)


# -- what updates begin with -----------------------------------------------------------------------------------------------


def paired(y_true: Any, y_pred: Any, what: str = "") -> tuple[Any, Any]:
    """Return targets and outputs as arrays of one shape, ``(n,)`` and ``(n, 1)`` brought together.

    Raises:
      ShapeError: for other shapes that differ, beginning with ``what``.
    """
    targets, outputs = aligned(jnp.asarray(y_true), jnp.asarray(y_pred))
    if targets.shape != outputs.shape:
        numbers = targets.shape in (outputs.shape[:-1], (*outputs.shape[:-1], 1))
        hint = " Class numbers become one-hot through utils.to_categorical." if numbers else ""
        raise ShapeError(f"{what}targets {shape_of(targets)} must have the shape of the outputs, {shape_of(outputs)}.{hint}")
    return targets, outputs


def weighing(weights: Any, values: Any) -> Any:
    """Return weights as float32 that broadcast against the values; 1 for none."""
    return jnp.ones(()) if weights is None else spread(jnp.asarray(weights, jnp.float32), values)


# -- means and sums --------------------------------------------------------------------------------------------------------


class Total(NamedTuple):
    """A weighted sum and the sum of its weights."""

    sum: Any
    weight: Any


def _empty() -> Total:
    return Total(jnp.zeros((), jnp.float32), jnp.zeros((), jnp.float32))


def _zero() -> Any:
    return jnp.zeros((), jnp.float32)


def divided(a: Any, b: Any) -> Any:
    """Return a / b, and 0 where b is 0."""
    return jnp.where(b == 0, 0.0, a / jnp.where(b == 0, 1.0, b))


def _mean(total: Total) -> Any:
    return divided(total.sum, total.weight)


def add_to(total: Total, values: Any, weights: Any = None) -> Total:
    """Add ``(batch, ...)`` values to a total, each example counting as the weighted mean of its entries."""
    values = jnp.asarray(values, jnp.float32)
    values = values.reshape(1) if values.ndim == 0 else values
    weights = jnp.broadcast_to(weighing(weights, values), values.shape)
    values = jnp.where(weights == 0, 0, values) * weights
    inner = tuple(range(1, values.ndim))
    return Total(total.sum + values.mean(inner).sum(), total.weight + weights.mean(inner).sum())


@constructor
def Mean(name: str = "mean", dtype: Any = None) -> Any:
    """The weighted mean of values: ``update(total, values, weights=None)``.

    Example:
      >>> mean = Mean()
      >>> float(mean.result(mean.update(mean.init(), jnp.array([1.0, 3.0]))))
      2.0
      >>> mean.update_state([1, 3, 5], sample_weight=[1, 1, 0])
      >>> float(mean.result())
      2.0
    """
    return Metric(name, _empty, add_to, _mean, per_example=True)


@constructor
def Sum(name: str = "sum", dtype: Any = None) -> Any:
    """The weighted sum of values: ``update(total, values, weights=None)``.

    Example:
      >>> float(Sum()([1.0, 3.0]))
      4.0
    """

    def update(total: Any, values: Any, weights: Any = None) -> Any:
        values = jnp.asarray(values, jnp.float32)
        if weights is not None:
            weights = spread(weights, values)
            values = jnp.where(weights == 0, 0, values) * weights
        return total + values.sum()

    return Metric(name, _zero, update, lambda total: total, per_example=True)


@constructor
def MeanMetricWrapper(fn: Any, name: str | None = None, dtype: Any = None, **kwargs: Any) -> Any:
    """The mean over examples of a function or a loss, ``(y_true, y_pred) -> (batch, ...)``.

    Args:
      fn: the function; of a :class:`~jkeras.losses.Loss` the values before it reduces them.
      name: what logs call it; the function's name by default.
      dtype: of the result.
      kwargs: further arguments of the function.

    Example:
      >>> float(MeanMetricWrapper(jkeras.losses.huber, delta=0.5)([[0.0]], [[1.0]]))
      0.375
    """
    function = functools.partial(fn, **kwargs) if kwargs else fn
    known = getattr(getattr(function, "func", function), "__module__", "").startswith("jkeras.")
    if isinstance(fn, Loss):
        known = fn.per_example
    label = fn.name if isinstance(fn, Loss) else getattr(fn, "__name__", type(fn).__name__)
    return Metric(name or spell(label), _empty, functools.partial(_add_values, function), _mean, per_example=known)


def _add_values(function: Any, total: Total, targets: Any, outputs: Any, weights: Any = None) -> Total:
    targets, outputs = aligned(jnp.asarray(targets), widen(jnp.asarray(outputs)))
    if not isinstance(function, Loss):
        return add_to(total, function(targets, outputs), weights)
    values = function.values(targets, outputs)
    if function.counts is not None:
        counted = function.counts(targets, values).astype(jnp.float32)
        weights = counted if weights is None else counted * spread(weights, values)
    return add_to(total, values, weights)


def mean_of(function: Callable[..., Any], **kwargs: Any) -> Metric:
    """Make a mean that is named after the class that a constructor makes of it."""
    given = functools.partial(function, **kwargs) if kwargs else function
    return Metric("", _empty, functools.partial(_add_values, given), _mean, per_example=True)


def root_of(metric: Metric) -> Metric:
    """Make the root of a mean."""
    return Metric("", metric.init, metric.update, lambda total: jnp.sqrt(_mean(total)), per_example=True)

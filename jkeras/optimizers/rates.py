"""Learning rates: numbers and schedules, how a number lies in an optimizer's state, and how it is set there."""

from __future__ import annotations

import numbers
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax


class Rate(float):
    """A learning rate as it was when it was read: a float that can also be assigned, as Keras's variables can."""

    def __new__(cls, value: Any, optimizer: Any = None) -> Rate:
        """Make one that ``optimizer`` will be told of when it is assigned."""
        rate = super().__new__(cls, value)
        rate._optimizer = optimizer
        return rate

    _optimizer: Any
    shape: tuple[int, ...] = ()
    name = path = "learning_rate"
    dtype = "float32"

    @property
    def value(self) -> jax.Array:
        """The number as a JAX array."""
        return jnp.float32(float(self))

    def numpy(self) -> np.float32:
        """The number as NumPy's."""
        return np.float32(self)

    def assign(self, value: Any) -> None:
        """Set the optimizer's learning rate."""
        if self._optimizer is not None:
            self._optimizer.learning_rate = value


class SettableState(NamedTuple):
    """What :class:`Settable` remembers.

    Attributes:
      count: int32, of steps.
      given: float32, the number that was set, NaN for none.
    """

    count: Any
    given: Any


class Settable:
    """A schedule that a number set by hand overrides from then on: a stateful schedule of Optax's."""

    def __init__(self, schedule: Callable[[Any], Any]):
        self.schedule = schedule

    def init(self) -> SettableState:
        """Begin at step 0."""
        return SettableState(jnp.zeros((), jnp.int32), jnp.full((), jnp.nan, jnp.float32))

    def update(self, state: SettableState, **extra: Any) -> SettableState:
        """Count a step."""
        return state._replace(count=optax.safe_increment(state.count))

    def __call__(self, state: SettableState, **extra: Any) -> Any:
        """Return the learning rate of this step."""
        return jnp.where(jnp.isnan(state.given), self.schedule(state.count), state.given)


def _holds_rate(node: Any) -> bool:
    return isinstance(getattr(node, "hyperparams", None), dict) and "learning_rate" in node.hyperparams


def _schedule_of(node: Any) -> Any:
    return getattr(node, "hyperparams_states", {}).get("learning_rate")


def rate_in(state: Any) -> Any:
    """Return the learning rate in an optimizer's state, behind clipping and other wrappings too, or None."""
    for node in jax.tree.leaves(state, is_leaf=_holds_rate):
        if _holds_rate(node):
            scheduled = _schedule_of(node)
            return scheduled if isinstance(scheduled, SettableState) else node.hyperparams["learning_rate"]
    return None


def with_rate(state: Any, rate: float) -> Any:
    """Return an optimizer's state with another learning rate; one that a schedule of Optax's own sets stays.

    Example:
      >>> optimizer = jkeras.optimizers.Adam(0.1, clipnorm=1.0)
      >>> float(rate_in(with_rate(optimizer.init({"w": jnp.zeros(2)}), 0.25)))
      0.25
    """

    def changed(node: Any) -> Any:
        if not _holds_rate(node):
            return node
        old, scheduled = node.hyperparams["learning_rate"], _schedule_of(node)
        if scheduled is not None and not isinstance(scheduled, SettableState):
            raise AttributeError("learning_rate follows a schedule inside an Optax transformation, so it cannot be set.")
        number = jax.device_put(np.asarray(rate, old.dtype), old.sharding if getattr(old, "committed", False) else None)
        node = node._replace(hyperparams={**node.hyperparams, "learning_rate": number})
        if scheduled is None:
            return node
        given = jax.device_put(np.float32(rate))
        return node._replace(hyperparams_states={**node.hyperparams_states, "learning_rate": scheduled._replace(given=given)})

    return jax.tree.map(changed, state, is_leaf=_holds_rate)


def with_schedule(state: Any) -> Any:
    """Return the state of an optimizer whose learning rate a schedule is to set from its present step on."""

    def changed(node: Any) -> Any:
        if not _holds_rate(node):
            return node
        begun = SettableState(jnp.array(node.count), jnp.float32(jnp.nan))  # a copy: no buffer twice in what is donated
        return node._replace(hyperparams_states={**node.hyperparams_states, "learning_rate": begun})

    return jax.tree.map(changed, state, is_leaf=_holds_rate)


def is_schedule(rate: Any) -> bool:
    """Whether a learning rate is a function of the step, and nothing that turns into a number."""
    return callable(rate) and not hasattr(rate, "__array__")


def is_stateful(rate: Any) -> bool:
    """Whether a learning rate is a schedule of Optax's that keeps a state of its own, and is called with that."""
    return callable(rate) and hasattr(rate, "init")


def _try_out(kind: str, schedule: Callable[..., Any]) -> None:
    """Refuse a schedule that cannot be traced, or gives something else than one number."""
    if is_stateful(schedule):
        return
    try:
        found = jax.eval_shape(schedule, jax.ShapeDtypeStruct((), jnp.int32))
    except Exception as error:
        said = str(error).split("\n")[0]
        raise ValueError(
            f"{kind}: a schedule must be a function of the step, an int32 array that has no value while steps are compiled "
            f"(jnp.where takes the place of if), but to call it failed: {said}"
        ) from error
    if getattr(found, "shape", None) != ():
        raise ValueError(f"{kind}: a schedule must return one number, but returned {found}.")


def checked_rate(kind: str, learning_rate: Any) -> Any:
    """Return a learning rate as a float, or a schedule as it is."""
    rate: Any = learning_rate
    if is_schedule(rate):
        _try_out(kind, rate)
        return rate
    if getattr(rate, "shape", None) == ():
        rate = float(rate)  # type: ignore[arg-type]
    is_number = isinstance(rate, numbers.Real) and not isinstance(rate, bool)
    if not is_number or not 0 <= float(rate) < float("inf"):  # type: ignore[arg-type]
        raise ValueError(f"{kind}: learning_rate must be a non-negative number or a schedule, but got {learning_rate!r}.")
    return float(rate)  # type: ignore[arg-type]

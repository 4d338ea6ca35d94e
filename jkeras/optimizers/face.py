"""What an optimizer is to scripts: a pair of pure functions with a name, arguments, and a learning rate that can be set.

The number lies in the optimizer's state, in the model's training state; here it is read and set. Nothing that ``init`` and
``update`` reach knows of it.
"""

from __future__ import annotations

import inspect
import numbers
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jkeras.core.arguments import bind
from jkeras.core.constructors import made_again
from jkeras.core.errors import nearest
from jkeras.core.layer import spell
from jkeras.core.pickling import refuse_nameless
from jkeras.core.spellings import ARGUMENTS, older

FOREIGN = "GradientTransformation"  # the kind of what was made by Optax


class Optimizer:
    """An Optax transformation and the arguments that made it; it can stand wherever Optax takes one.

    ``init`` and ``update`` are pure and never change. What Keras's scripts read and set besides, ``learning_rate`` and
    ``iterations``, belongs to the training state of the model that was compiled with the object; a second model that is
    compiled with it gets a copy, so that their states are apart. Arguments are attributes: ``optimizer.beta_1``.

    Attributes:
      kind: ``"Adam"``.
      config: the arguments.
      transformation: the pair ``(init, update)`` as an ``optax.GradientTransformation``.
      given_rate: a learning rate that was set and has not reached a training state yet, or None.
      owner: a weak reference to the model that trains with it, or None.
    """

    def __init__(self, kind: str, config: Mapping[str, Any], transformation: Any):
        self._record(kind, config, transformation)

    def _record(self, kind: str, config: Mapping[str, Any], transformation: Any) -> None:
        self.kind, self.config, self.transformation = kind, config, transformation
        self.given_rate: float | None = None
        self.owner: Any = None

    @property
    def init(self) -> Callable[..., Any]:
        """``params -> opt_state``."""
        return self.transformation.init

    @property
    def update(self) -> Callable[..., Any]:
        """``(grads, opt_state, params) -> (updates, opt_state)``."""
        return self.transformation.update

    @property
    def name(self) -> str:
        """What it is called: its kind as Keras spells the names of objects, ``rm_sprop``."""
        return spell(self.kind)

    def copy(self) -> Optimizer:
        """Return another of the same arguments and learning rate, which belongs to no model."""
        other = Optimizer.__new__(type(self))
        other._record(self.kind, self.config, self.transformation)
        other.given_rate = self.given_rate
        return other

    def __reduce__(self) -> Any:
        """Pickle the call that made it and the learning rate as it is now; moments belong to the model's training state."""
        foreign, given, rate = self.kind == FOREIGN, self.given_rate, self.config.get("learning_rate")
        refuse_nameless(f"Optimizer {self.kind}", {"transformation": self.transformation} if foreign else self.config)
        if given is None and self.built and rate is not None and not callable(rate):
            given = float(self.learning_rate)
        if foreign:
            return Optimizer, (self.kind, self.config, self.transformation), {"given_rate": given}
        return made_again, (type(self), self.config), {"given_rate": given}

    def get_config(self) -> dict[str, Any]:
        """Return the arguments, the learning rate as it is now."""
        rate = self.config.get("learning_rate")
        return {"name": self.name, **self.config, **({} if callable(rate) else {"learning_rate": float(self.learning_rate)})}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        """Make one from what :meth:`get_config` returned."""
        return cls(**{name: value for name, value in config.items() if name != "name"})

    # -- what belongs to the model's training state --------------------------------------------------------------------

    def _model(self) -> Any:
        return None if self.owner is None else self.owner()

    def _state(self) -> Any:
        model = self._model()
        return None if model is None else model.opt_state

    @property
    def built(self) -> bool:
        """Whether there is a state."""
        return self._state() is not None

    @property
    def iterations(self) -> int:
        """How many steps the model has taken with it."""
        model = self._model()
        return 0 if model is None else int(model.steps_taken)

    @property
    def variables(self) -> list[jax.Array]:
        """The arrays of its state: step counts, moments, the learning rate."""
        return jax.tree.leaves(self._state())

    @property
    def learning_rate(self) -> Rate:
        """The learning rate of the next step; a number can be assigned at any time, also where a schedule set it before.

        Raises:
          AttributeError: for an Optax transformation that keeps no learning rate in its state.
        """
        if self.given_rate is not None:
            return Rate(self.given_rate, self)
        found: Any = rate_in(self._state()) if self.built else self.config.get("learning_rate")
        if isinstance(found, SettableState):
            found = self.config["learning_rate"] if np.isnan(found.given) else found.given
        if callable(found):
            found = found(self.iterations)
        if found is None:
            raise AttributeError(f"{self._rateless()} so it cannot be read.")
        return Rate(np.float32(found), self)

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        if is_schedule(value):
            raise TypeError(f"{self.kind}: a schedule is given where the optimizer is made: {self.kind}(learning_rate=schedule).")
        rate = checked_rate(self.kind, value)
        state = self._state()
        if rate_in(state) is None if self.built else "learning_rate" not in self.config and self.kind != FOREIGN:
            raise AttributeError(f"{self._rateless()} so it cannot be set.")
        self.given_rate = rate

    def _rateless(self) -> str:
        return (
            "This Optax transformation keeps no learning rate in its state (make it with optax.inject_hyperparams, as in "
            "optax.inject_hyperparams(optax.adam)(learning_rate=1e-3)),"
        )

    def taken(self, state: Any) -> Any:
        """Return an optimizer's state in which the learning rate is the one that was set, if one was."""
        rate, self.given_rate = self.given_rate, None
        return state if rate is None else with_rate(state, rate)

    def __getattr__(self, name: str) -> Any:
        found = getattr(type(self), name, None)
        if isinstance(found, property):  # which has raised an AttributeError of its own: say that again
            return found.__get__(self)
        config = self.__dict__.get("config", {})
        if name in config:
            return config[name]
        hint = older(name, ARGUMENTS) or nearest(name, (*config, "learning_rate", "iterations", "variables"))
        raise AttributeError(f"{self.__dict__.get('kind', 'Optimizer')} has no attribute {name!r}.{hint}")

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.__dict__.get("config", {}) and name != "learning_rate":
            raise AttributeError(f"{self.kind}: {name} is fixed when the optimizer is made; make another and compile with it.")
        if older(name, ARGUMENTS):
            raise AttributeError(f"{self.kind}:{older(name, ARGUMENTS)}")
        super().__setattr__(name, value)

    def __repr__(self) -> str:
        return f"{self.kind}({', '.join(f'{k}={v!r}' for k, v in self.config.items() if v is not None)})"


class Rate(float):
    """A learning rate as it was when it was read: a float that can also be assigned, as Keras's variables can."""

    def __new__(cls, value: Any, optimizer: Optimizer | None = None) -> Rate:
        """Make one that ``optimizer`` will be told of when it is assigned."""
        rate = super().__new__(cls, value)
        rate._optimizer = optimizer
        return rate

    _optimizer: Optimizer | None
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


CLIPS = ("clipnorm", "clipvalue", "global_clipnorm")


def constructor(function: Callable[..., Any]) -> Any:
    """Make the class of optimizers of a function ``(learning_rate, ...) -> optax.GradientTransformation``.

    The class takes the function's arguments and, after them, ``clipnorm``, ``clipvalue`` and ``global_clipnorm``; it checks them,
    keeps the learning rate in the state, and clips gradients before anything else sees them. The function is called once with
    learning rate 0 where an optimizer is made, so that it can refuse what is wrong, and again while steps are traced.
    """
    kind, own = function.__name__, inspect.signature(function)
    clips = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None) for name in CLIPS]
    signature = own.replace(parameters=[*own.parameters.values(), *clips])

    def __init__(self: Optimizer, *args: Any, **kwargs: Any) -> None:  # noqa: N807, it becomes the class's
        kwargs.pop("name", None)
        config = bind(kind, signature, args, kwargs).arguments
        given = {name: value for name, value in config.items() if name in own.parameters}
        rate = checked_rate(kind, given.pop("learning_rate"))
        before = _clipping(kind, {name: config[name] for name in CLIPS})
        function(0.0, **given)

        def core(learning_rate: Any) -> optax.GradientTransformation:
            return function(learning_rate, **given)

        settable = Settable(rate) if is_schedule(rate) and not hasattr(rate, "init") else rate
        whole = optax.chain(*before, optax.inject_hyperparams(core)(learning_rate=settable))
        self._record(kind, config, optax.GradientTransformation(whole.init, whole.update))

    about = {"__init__": __init__, "__doc__": function.__doc__, "__module__": function.__module__, "__signature__": signature}
    return type(kind, (Optimizer,), about)


def _clipping(kind: str, limits: Mapping[str, Any]) -> list[optax.GradientTransformation]:
    """Return what brings gradients under the one limit that is not None, if there is one."""
    given = {name: value for name, value in limits.items() if value is not None}
    for name, value in given.items():
        if value <= 0:
            raise ValueError(f"{kind}: {name} must be positive, but got {value!r}.")
    if len(given) > 1:
        raise ValueError(f"{kind}: only one of clipnorm, clipvalue and global_clipnorm can be used.")
    makers: dict[str, Callable[[float], optax.GradientTransformation]] = {
        "clipnorm": lambda most: optax.stateless_with_tree_map(lambda g, _: optax.projections.projection_l2_ball(g, most)),
        "clipvalue": optax.clip,
        "global_clipnorm": optax.clip_by_global_norm,
    }
    return [makers[name](value) for name, value in given.items()]


def is_schedule(rate: Any) -> bool:
    """Whether a learning rate is a function of the step, and nothing that turns into a number."""
    return callable(rate) and not hasattr(rate, "__array__")


def checked_rate(kind: str, learning_rate: Any) -> Any:
    """Return a learning rate as a float, or a schedule as it is."""
    rate: Any = learning_rate
    if is_schedule(rate):
        return rate
    if getattr(rate, "shape", None) == ():
        rate = float(rate)  # type: ignore[arg-type]
    is_number = isinstance(rate, numbers.Real) and not isinstance(rate, bool)
    if not is_number or not 0 <= float(rate) < float("inf"):  # type: ignore[arg-type]
        raise ValueError(f"{kind}: learning_rate must be a non-negative number or a schedule, but got {learning_rate!r}.")
    return float(rate)  # type: ignore[arg-type]

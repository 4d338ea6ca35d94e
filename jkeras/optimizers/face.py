"""What an optimizer is to scripts: a pair of pure functions with a name, arguments, and a learning rate that can be set.

The number lies in the optimizer's state, in the model's training state; here it is read and set. Nothing that ``init`` and
``update`` reach knows of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from jkeras.core.constructors import made_again
from jkeras.core.errors import nearest
from jkeras.core.layer import spell
from jkeras.core.named import Configured
from jkeras.core.pickling import refuse_nameless
from jkeras.core.spellings import ARGUMENTS, older
from jkeras.optimizers.rates import Rate, SettableState, checked_rate, is_schedule, is_stateful, rate_in, with_rate, with_schedule


def unscaled(opt_state: Any) -> None:
    """Say that losses are not multiplied by anything."""
    return None


FOREIGN = "GradientTransformation"  # the kind of what was made by Optax


class Optimizer(Configured):
    """An Optax transformation and the arguments that made it; it can stand wherever Optax takes one.

    ``init`` and ``update`` are pure and never change. What Keras's scripts read and set besides, ``learning_rate`` and
    ``iterations``, belongs to the training state of the model that was compiled with the object; a second model that is
    compiled with it gets a copy, so that their states are apart. Arguments are attributes: ``optimizer.beta_1``.

    Attributes:
      kind: ``"Adam"``.
      config: the arguments.
      loss_scale: of the state, by what a loss is multiplied before gradients are taken, and these divided; None for nothing.
      transformation: the pair ``(init, update)`` as an ``optax.GradientTransformation``.
      given_rate: a learning rate that was set, a number or a schedule, and has not reached a training state yet; or None.
      owner: a weak reference to the model that trains with it, or None.
    """

    module = "optimizers"
    usual: Mapping[str, Any] = {}  # values of arguments that are not worth showing

    def __init__(self, kind: str, config: Mapping[str, Any], transformation: Any):
        self._record(kind, config, transformation)

    def _record(
        self, kind: str, config: Mapping[str, Any], transformation: Any, loss_scale: Callable[[Any], Any] = unscaled
    ) -> None:
        self.kind, self.config, self.transformation, self.loss_scale = kind, config, transformation, loss_scale
        self.given_rate: Any = None
        self.owner: Any = None
        self._remade: Any = None  # of arguments and of patterns of weights that do not decay, the transformation
        self._undecayed: tuple[str, ...] = ()

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
        """What it is called: its kind as Keras spells the names of objects, ``rm_sprop``, unless it was given a name."""
        return self.config.get("name") or spell(self.kind)

    @property
    def scales_losses(self) -> bool:
        """Whether it says by what a loss is multiplied."""
        return self.loss_scale is not unscaled

    def _given_rate(self) -> Any:
        """Return the learning rate that it was made with, None for none."""
        return self.config.get("learning_rate")

    def copy(self) -> Optimizer:
        """Return another of the same arguments and learning rate, which belongs to no model."""
        other = Optimizer.__new__(type(self))
        other._record(self.kind, self.config, self.transformation, self.loss_scale)
        other.given_rate, other._remade, other._undecayed = self.given_rate, self._remade, self._undecayed
        return other

    def __reduce__(self) -> Any:
        """Pickle the call that made it and the learning rate as it is now; moments belong to the model's training state."""
        foreign, given, rate = self.kind == FOREIGN, self.given_rate, self._given_rate()
        refuse_nameless(f"Optimizer {self.kind}", {"transformation": self.transformation} if foreign else self.config)
        if given is None and self.built and rate is not None and not callable(rate):
            given = float(self.learning_rate)
        if foreign:
            return Optimizer, (self.kind, self.config, self.transformation), {"given_rate": given}
        return made_again, (type(self), self.config), {"given_rate": given, "_undecayed": self._undecayed}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= state
        if self._undecayed:
            self._make_anew()

    def get_config(self) -> dict[str, Any]:
        """Return the arguments, the learning rate as it is now."""
        settable = "learning_rate" in self.config and not callable(self.config["learning_rate"])
        return {**self.config, "name": self.name, **({"learning_rate": float(self.learning_rate)} if settable else {})}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        """Make one from what :meth:`get_config` returned."""
        return cls(**config)

    def exclude_from_weight_decay(self, var_list: Any = None, var_names: Any = None) -> None:
        """Let weights out of ``weight_decay``; before a model has trained with the optimizer.

        Args:
          var_list: variables, such as ``[layer.bias]``.
          var_names: patterns that are searched in paths, such as ``["bias", "gamma"]``.

        Raises:
          ValueError: once there is a state, or on a transformation of Optax's.

        Example:
          >>> optimizer = jkeras.optimizers.AdamW(weight_decay=0.01)
          >>> optimizer.exclude_from_weight_decay(var_names=["bias"])
        """
        if self.built or self._remade is None:
            raise ValueError(
                f"{self.kind}: weights are excluded from the decay of an optimizer here, before it has trained a model."
            )
        exactly = [f"^{re.escape(variable.path)}$" for variable in var_list or ()]
        self._undecayed = (*self._undecayed, *exactly, *(var_names or ()))
        self._make_anew()

    def _make_anew(self) -> None:
        self.transformation = self._remade(self.config, self._undecayed)

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
        """How many steps the model has taken with it; of several batches each, where gradients are accumulated."""
        return self._batches() // (getattr(self, "gradient_accumulation_steps", None) or 1)

    def _batches(self) -> int:
        model = self._model()
        return 0 if model is None else int(model.steps_taken)

    @property
    def variables(self) -> list[jax.Array]:
        """The arrays of its state: step counts, moments, the learning rate."""
        return jax.tree.leaves(self._state())

    @property
    def learning_rate(self) -> Rate:
        """The learning rate of the next step; a number can be assigned at any time, also where a schedule set it before.

        A schedule can be assigned, too. It goes on from the step that was reached, and the steps are compiled once more.

        Raises:
          AttributeError: for an Optax transformation that keeps no learning rate in its state.
          TypeError: for a schedule assigned to an Optax transformation or to an optimizer around another.
        """
        found: Any = self.given_rate
        if found is None:
            found = rate_in(self._state()) if self.built else self._given_rate()
        if isinstance(found, SettableState):
            found = self._given_rate() if np.isnan(found.given) else found.given
        if callable(found):
            found = found(self._batches())
        if found is None:
            raise AttributeError(f"{self._rateless()} so it cannot be read.")
        return Rate(np.float32(found), self)

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        rate = checked_rate(self.kind, value)
        if is_schedule(rate):
            if self._remade is None or is_stateful(rate):  # the state of the one could not be made of that of the other
                raise TypeError(f"{self.kind}: a schedule is given where the optimizer is made that takes the steps.")
            self.config = {**self.config, "learning_rate": rate}
            self._make_anew()
            self.given_rate = rate
            return
        state = self._state()
        if rate_in(state) is None if self.built else self._given_rate() is None and self.kind != FOREIGN:
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
        if rate is None:
            return state
        return with_schedule(state) if callable(rate) else with_rate(state, rate)

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
        shown = {k: v for k, v in self.config.items() if v is not None and (k not in self.usual or v != self.usual[k])}
        return f"{self.kind}({', '.join(f'{k}={v!r}' for k, v in shown.items())})"

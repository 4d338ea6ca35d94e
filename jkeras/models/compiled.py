"""``compile``, and what it leads to: the trainer, its programs, and the training state that the model holds."""

from __future__ import annotations

import warnings
from typing import Any

import jax
import jax.numpy as jnp

from jkeras import optimizers
from jkeras.core import store
from jkeras.core.layer import Layer
from jkeras.training.engine import Engine
from jkeras.training.objective import make_objective
from jkeras.training.step import Trainer, TrainState, divided


class Compiled:
    """What ``compile`` sets and training needs; ``Model`` supplies the layer and the arrays."""

    # what Model supplies
    layer: Layer
    name: str
    seed: int
    params: Any
    state: Any
    program: Any
    input_spec: Any
    _layer: Layer | None
    _calls: int

    frozen: frozenset

    def _program_for(self, x: Any) -> Any: ...

    def _setup_training(self) -> None:
        self._compiled: dict[str, Any] | None = None
        self._engines: dict[Any, Engine] = {}  # by what is frozen, so that a GAN's halves take turns without compiling anew
        self._predicting: Engine | None = None
        self._opt_state: Any = None
        self._opt_owner: Any = None
        self._step = jnp.zeros((), jnp.int32)
        self._key: Any = None  # None: the seed's
        self.stop_training = False
        self.history: Any = None

    # -- compile ------------------------------------------------------------------------------------------------------

    def engine(self) -> Engine:
        """Return the compiled programs for the model as it is compiled, wired and frozen now."""
        if self._compiled is None:
            raise ValueError(
                f"Model {self.name!r} must be compiled before it is trained or evaluated: write model.compile(loss=...)."
            )
        frozen = self.frozen
        if frozen not in self._engines:
            optimizer = self._compiled["optimizer"]
            self._engines[frozen] = Engine(Trainer(self.layer, self._objective(), optimizer, self.input_spec, frozen))
        return self._engines[frozen]

    def _objective(self) -> Any:
        given = {name: value for name, value in (self._compiled or {}).items() if name != "optimizer"}
        return make_objective(self.program.output_names, **given)

    @property
    def trainer(self) -> Trainer:
        """The pure training functions ``init``, ``step``, ``epoch``, ``evaluate`` of the compiled model."""
        return self.engine().trainer

    @property
    def optimizer(self) -> Any:
        """The Optax transformation that ``compile`` was given or named."""
        return None if self._compiled is None else self._compiled["optimizer"]

    @property
    def opt_state(self) -> Any:
        """The optimizer's state, or None before training."""
        return self._opt_state

    def train_state(self) -> TrainState:
        """Return everything that training changes, as one pytree of the arrays held now."""
        trainer = self.trainer
        params, state = self.params, self.state
        if self._opt_state is None or self._opt_owner != _owner(params, trainer):
            opt_state = trainer.start(params, state, jax.random.key(0)).opt_state
        else:
            opt_state = self._opt_state
        key = jax.random.key(self.seed) if self._key is None else self._key
        return TrainState(params, state, opt_state, key, self._step)

    def hold(self, state: TrainState) -> None:
        """Hold another training state, whole."""
        trainer = self.trainer
        store.write(self.layer, state.params, state.state)
        self._opt_state, self._opt_owner, self._step = state.opt_state, _owner(state.params, trainer), state.step
        self._key = state.key

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: Any = "auto",
        auto_scale_loss: bool = True,
        seed: int | None = None,
    ) -> None:
        """Say what to train for; replaces all of what was compiled before, the optimizer's state included. Weights stay.

        Args:
          optimizer: a name, an object of ``jkeras.optimizers``, or any Optax transformation.
          loss: a name, object or function ``(y_true, y_pred) -> values``; for several outputs one of these for all, a list in
            their order, or a dict by output name; None for an output that is not trained.
          loss_weights: factors of the losses in the total, as a list or dict; 1 each by default.
          metrics: a list of names, objects or functions; for several outputs a list of one entry each, or a dict.
          weighted_metrics: the same, counting sample weights.
          run_eagerly, steps_per_execution, jit_compile, auto_scale_loss: accepted for Keras's sake; jkeras always compiles, and
            chooses by itself how many steps go into one dispatch.
          seed: of the weights not made yet, of shuffling and of dropout.

        Raises:
          UnknownNameError: for an unknown optimizer, loss, metric or output, with the nearest known name.
          ValueError: for a list of the wrong length or a missing output.

        Example:
          >>> model = Sequential([Input((4,)), Dense(1)])
          >>> model.compile(optimizer="adam", loss="mse", metrics=["mae"])
        """
        compiled = {
            "optimizer": optimizers.get(optimizer),
            "loss": loss,
            "loss_weights": loss_weights,
            "metric": metrics,
            "weighted_metrics": weighted_metrics,
        }
        if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32):
            raise ValueError(f"seed must be an integer from 0 to 2**32 - 1, but got {seed!r}.")
        before, self._compiled = self._compiled, compiled
        try:
            if self._layer is not None:
                self._objective()
        except BaseException:
            self._compiled = before
            raise
        self._engines, self._opt_state, self._step = {}, None, jnp.zeros((), jnp.int32)
        if seed is not None:
            self._seed, self._key = seed, None

    def _ready(self, need_loss: bool) -> Engine:
        engine = self.engine()
        objective = engine.trainer.objective
        if not any(objective.losses.values()) and (need_loss or not objective.wanted):
            raise ValueError(f"Model {self.name!r} was compiled without a loss: write model.compile(loss=...).")
        if need_loss and engine.trainer.frozen and not jax.tree.leaves(divided(self.params, engine.trainer.frozen)[0]):
            warnings.warn(f"No layer of model {self.name!r} is trainable, so training changes no weights.", stacklevel=3)
        return engine

    def _predictor(self) -> Engine:
        if self._compiled is not None:
            return self.engine()
        known = self._predicting
        if known is None or known.trainer.layer is not self.layer or known.trainer.frozen != self.frozen:
            objective = make_objective(self.program.output_names, None, None, None, None)
            trainer = Trainer(self.layer, objective, optimizers.get("sgd"), self.input_spec, self.frozen)
            self._predicting = known = Engine(trainer)
        return known

    def _returned(self, logs: dict[str, float], return_dict: bool) -> Any:
        if return_dict:
            return logs
        values = [logs[name] for name in self.engine().trainer.objective.log_names()]
        return values[0] if len(values) == 1 else values

    @property
    def metrics_names(self) -> list[str]:
        """What the list returned by :meth:`evaluate` holds, in its order."""
        return self.engine().trainer.objective.log_names()


def _owner(params: Any, trainer: Trainer) -> Any:
    """Return what an optimizer's state must fit: which parameters there are, of which shapes, and which of them learn."""
    leaves, structure = jax.tree.flatten(params)
    return structure, tuple(leaf.shape for leaf in leaves), trainer.frozen

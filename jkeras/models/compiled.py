"""``compile``, and what it leads to: the trainer, its programs, and the training state that the model holds."""

from __future__ import annotations

import warnings
import weakref
from typing import Any

import jax
import jax.numpy as jnp

from jkeras import optimizers
from jkeras.core import store
from jkeras.core.arguments import checked_arguments, checked_bool
from jkeras.core.graph import functional
from jkeras.core.layer import Layer
from jkeras.core.penalties import AddLoss, named_penalties
from jkeras.core.symbolic import is_symbolic
from jkeras.optimizers.common import average_in
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
    built: Any
    input: Any
    output: Any
    _layer: Layer | None
    _given_name: str | None
    _calls: int
    frozen: frozenset

    def _program_for(self, x: Any) -> Any: ...

    def _setup_training(self) -> None:
        self._compiled: dict[str, Any] | None = None
        self._flags: dict[Layer, bool] = {}  # which layers were frozen when the model was compiled
        self._engine: tuple[Any, Any, Engine] | None = None  # with the layer and the optimizer that it was made for
        self._predicting: Engine | None = None
        self._forget_optimizer()
        self._key: Any = None  # None: the seed's
        self._running = 0  # how many calls of fit are under way
        self.stop_training = self.stop_evaluating = self.stop_predicting = False
        self.history: Any = None

    def _forget_optimizer(self) -> None:
        self._opt_state: Any = None
        self._opt_owner: Any = None
        self._resting: dict[Any, Any] = {}  # what the optimizer remembers of weights that do not learn at present, by path
        self._step = jnp.zeros((), jnp.int32)

    def add_loss(self, loss: Any, name: str = "add_loss") -> None:
        """Add the mean of a tensor of this model to what training minimises and ``evaluate`` judges.

        Args:
          loss: a symbolic tensor that depends on the model's inputs; one number, or an array whose mean counts.
          name: what it is called in the logs, and its layer.

        Raises:
          TypeError: for what is no symbolic tensor; on a Sequential, which is a chain: ``Model(model.inputs, model.outputs)``.

        Example:
          >>> x = Input((3,))
          >>> mean = Dense(2)(x)
          >>> model = Model(x, Dense(3)(mean))
          >>> model.add_loss(0.1 * jkeras.ops.mean(mean ** 2), name="size")
          >>> model.compile("sgd", "mse")
          >>> model.metrics_names
          ['loss', 'size']
        """
        if not is_symbolic(loss):
            raise TypeError(f"add_loss takes a symbolic tensor of the model, but got {loss!r}.")
        self._add_losses([*self._added, AddLoss(name=name)(loss)])

    def _add_losses(self, tensors: list[Any]) -> None:
        made = functional(self.input, self.output, self._given_name, also=tensors)
        made.store.shell, made.store.trainable = self, self.layer.store.trainable
        self._layer, self._added = made, tensors

    # -- compile ------------------------------------------------------------------------------------------------------

    def engine(self) -> Engine:
        """Return the compiled programs for the model as it is compiled and wired now."""
        if self._compiled is None:
            raise ValueError(
                f"Model {self.name!r} must be compiled before it is trained or evaluated: write model.compile(loss=...)."
            )
        chosen = self._compiled["optimizer"]
        layer, transformation, made = self._engine or (None, None, None)
        if made is None or layer is not self.layer or transformation is not chosen.transformation:
            frozen, scale = self._frozen_when_compiled(), chosen.loss_scale
            trainer = Trainer(self.layer, self._objective(), chosen.transformation, self.input_spec, frozen, loss_scale=scale)
            made = Engine(trainer, self._compiled["run_eagerly"])
            self._engine = self.layer, chosen.transformation, made
        return made

    def _frozen_when_compiled(self) -> frozenset:
        """Return the paths of what does not learn: as ``compile`` found the layers, and later ones as they are now."""
        now = self.frozen
        return frozenset(path for path, node in self.layer.places if self._flags.get(node, path in now))

    def _objective(self) -> Any:
        names = ("loss", "loss_weights", "metric", "weighted_metrics")
        given = {name: (self._compiled or {})[name] for name in names}
        return make_objective(self.program.output_names, **given, penalties=named_penalties(self.layer, self.input_spec))

    @property
    def compiled(self) -> bool:
        """Whether :meth:`compile` has been called."""
        return self._compiled is not None

    @property
    def trainer(self) -> Trainer:
        """The pure training functions ``init``, ``step``, ``epoch``, ``evaluate`` of the compiled model."""
        return self.engine().trainer

    @property
    def optimizer(self) -> Any:
        """The ``jkeras.optimizers.Optimizer`` that ``compile`` was given or named; None before."""
        return None if self._compiled is None else self._compiled["optimizer"]

    @property
    def loss(self) -> Any:
        """The loss as ``compile`` was given it; None before."""
        return None if self._compiled is None else self._compiled["loss"]

    @property
    def run_eagerly(self) -> bool:
        """Whether steps run uncompiled, as ``compile`` was told."""
        return self._compiled is not None and self._compiled["run_eagerly"]

    @property
    def opt_state(self) -> Any:
        """The optimizer's state, or None before training."""
        return self._opt_state

    @property
    def steps_taken(self) -> jax.Array:
        """How many steps were taken since the optimizer was new, int32."""
        return self._step

    def train_state(self) -> TrainState:
        """Return everything that training changes, as one pytree of the arrays held now."""
        trainer = self.trainer
        params, state = self.params, self.state
        owner = _owner(params, trainer)
        if self._opt_state is None or self._opt_owner != owner:
            fresh = trainer.start(params, state, jax.random.key(0)).opt_state
            self._resting |= _by_path(self._opt_state)
            self._opt_state, self._opt_owner = _awakened(fresh, self._resting), owner
        self._opt_state = self.optimizer.taken(self._opt_state)
        if self._key is None:
            self._key = jax.random.key(self.seed)
        return TrainState(params, state, self._opt_state, self._key, self._step)

    def hold(self, state: TrainState) -> None:
        """Hold another training state, whole; what is no array of JAX is copied, so that it may be changed afterwards."""
        self.carry_on(jax.tree.map(store.owned, state))
        self._opt_owner = _owner(state.params, self.trainer)

    def carry_on(self, state: TrainState) -> None:
        """Hold the training state that follows from the one held, of the same shapes."""
        store.write(self.layer, state.params, state.state)
        self._opt_state, self._step, self._key = state.opt_state, state.step, state.key

    def finish(self) -> None:
        """End training: weights of which the optimizer keeps a running mean become that."""
        if average_in(self._opt_state) is not None:
            self.carry_on(self.trainer.finished(self.train_state()))

    def averaged_params(self) -> Any:
        """Return the parameters with the running means that the optimizer keeps; those held now before the first step.

        Raises:
          ValueError: where it keeps none.
        """
        state = self.train_state()
        if average_in(state.opt_state) is None:
            raise ValueError(f"{self.optimizer.kind} keeps no running mean of the weights: make it with use_ema=True.")
        return self.trainer.finished(state).params if int(self._step) else state.params

    def marks(self) -> list[Any]:
        """List what makes the training state; as long as nothing is set, no weight and no learning rate, these very objects."""
        return [self._opt_state, self._step, self._key, self.optimizer.given_rate, *store.marks(self.layer)]

    @checked_arguments
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
        """Say what to train for; replaces all of what was compiled before, but the weights.

        What is frozen is what is ``trainable=False`` now, until the next call. The optimizer begins anew, unless it is the very
        object that the model has already: then what it remembers of weights that learn now stays.

        Args:
          optimizer: a name, an object of ``jkeras.optimizers``, or any Optax transformation. An object that trains another model
            is copied.
          loss: a name, object or function ``(y_true, y_pred) -> values``; for several outputs one of these for all, a list in
            their order, or a dict by output name; None for an output that is not trained.
          loss_weights: factors of the losses in the total, as a list or dict; 1 each by default.
          metrics: a list of names, objects or functions; for several outputs a list of one entry each, or a dict.
          weighted_metrics: the same, counting sample weights.
          run_eagerly: whether steps run uncompiled, operation by operation, so that a debugger can step through a loss.
          steps_per_execution, jit_compile: accepted for Keras's sake; jkeras compiles, and chooses by itself how many steps go
            into one dispatch.
          auto_scale_loss: whether the optimizer of a model with layers in ``mixed_float16`` is put into a
            :class:`~jkeras.optimizers.LossScaleOptimizer`.
          seed: of the weights not made yet, of shuffling and of dropout.

        Raises:
          UnknownNameError: for an unknown optimizer, loss, metric or output, with the nearest known name.
          ValueError: for a list of the wrong length.
          RuntimeError: when ``fit`` is running.

        Example:
          >>> model = Sequential([Input((4,)), Dense(1)])
          >>> model.compile(optimizer="adam", loss="mse", metrics=["mae"])
        """
        if self._running:
            raise RuntimeError(
                f"compile of model {self.name!r} was called while fit runs: set model.stop_training = True, and compile after it."
            )
        if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32):
            raise ValueError(f"seed must be an integer from 0 to 2**32 - 1, but got {seed!r}.")
        chosen = self._scaling(optimizers.get(optimizer), checked_bool("auto_scale_loss", auto_scale_loss))
        owner = None if chosen.owner is None else chosen.owner()
        before, previous, self._compiled = self._compiled, self.optimizer, {
            "optimizer": chosen if owner in (None, self) else chosen.copy(),
            "loss": loss,
            "loss_weights": loss_weights,
            "metric": metrics,
            "weighted_metrics": weighted_metrics,
            "run_eagerly": checked_bool("run_eagerly", run_eagerly),
        }  # fmt: skip
        try:
            if self._layer is not None:
                self._objective()
        except BaseException:
            self._compiled = before
            raise
        if previous is not self.optimizer:
            self._forget_optimizer()
            if previous is not None:
                previous.owner = None
        self.optimizer.owner = weakref.ref(self)
        frozen, places = (frozenset(), ()) if self._layer is None else (self.frozen, self._layer.places)
        self._flags = {node: path in frozen for path, node in places}
        self._engine = None
        if seed is not None:
            self._seed, self._key = seed, None

    def _scaling(self, optimizer: Any, wanted: bool) -> Any:
        """Put the scaling of losses around an optimizer where a layer computes in float16, unless it scales them itself."""
        layers = () if self._layer is None else (node for _, node in self._layer.nodes)
        halves = any(node.given_dtype == "mixed_float16" for node in layers)
        if not wanted or not halves or isinstance(optimizer, optimizers.LossScaleOptimizer) or optimizer.scales_losses:
            return optimizer
        return optimizers.LossScaleOptimizer(optimizer)

    def _ready(self, need_loss: bool) -> Engine:
        engine = self.engine()
        objective = engine.trainer.objective
        if not any(objective.losses.values()) and not objective.penalties and (need_loss or not objective.wanted):
            raise ValueError(f"Model {self.name!r} was compiled without a loss: write model.compile(loss=...).")
        if need_loss and engine.trainer.frozen and not jax.tree.leaves(divided(self.params, engine.trainer.frozen)[0]):
            warnings.warn(f"No layer of model {self.name!r} is trainable, so training changes no weights.", stacklevel=3)
        return engine

    def _warn_of_flags(self) -> None:
        """Say that ``trainable`` has changed since ``compile``, which is what counts."""
        was, now = self.trainer.frozen, self.frozen
        changed = [
            node.name for path, node in self.layer.nodes if (path in was) != (path in now) and not node.definition.children
        ]
        if changed:
            warnings.warn(
                f"trainable of {', '.join(map(repr, changed[:5]))}{' and others' * (len(changed) > 5)} has changed since model "
                f"{self.name!r} was compiled, which is when it counts: call compile again.",
                stacklevel=4,
            )

    def _predictor(self) -> Engine:
        if self._compiled is not None:
            return self.engine()
        known = self._predicting
        if known is None or known.trainer.layer is not self.layer or known.trainer.frozen != self.frozen:
            objective = make_objective(self.program.output_names, None, None, None, None)
            trainer = Trainer(self.layer, objective, optimizers.get("sgd").transformation, self.input_spec, self.frozen)
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

    def better(self, name: str) -> str | None:
        """Return whether ``"min"`` or ``"max"`` of a log, without ``val_``, is better; None where that is not known."""
        return self.engine().trainer.objective.better(name)


def _by_path(tree: Any) -> dict[Any, Any]:
    return dict(jax.tree_util.tree_flatten_with_path(tree)[0])


def _awakened(fresh: Any, resting: dict[Any, Any]) -> Any:
    """Return a new optimizer's state with what is remembered of each weight, and of the optimizer as a whole."""

    def remembered(path: Any, leaf: Any) -> Any:
        known = resting.get(path, leaf)
        return known if jnp.shape(known) == jnp.shape(leaf) and jnp.result_type(known) == jnp.result_type(leaf) else leaf

    return jax.tree_util.tree_map_with_path(remembered, fresh)


def _owner(params: Any, trainer: Trainer) -> Any:
    """Return what an optimizer's state must fit: which parameters there are, of which shapes, and which of them learn."""
    leaves, structure = jax.tree.flatten(params)
    return structure, tuple(leaf.shape for leaf in leaves), trainer.frozen

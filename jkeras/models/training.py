"""Keras's training methods: each checks everything it was given, then runs a loop over the pure functions."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jkeras import optimizers
from jkeras.callbacks import CallbackList, History
from jkeras.core import variables
from jkeras.core.errors import DataError
from jkeras.core.layer import Layer
from jkeras.training.data import check, count, is_array, is_stream, split_validation, with_class_weight
from jkeras.training.engine import Engine, Live, Segment, shielded
from jkeras.training.fit import host, run_epochs, run_judging, run_predictions
from jkeras.training.objective import make_objective
from jkeras.training.progress import Display, display
from jkeras.training.source import Arrays, Stream, whole_number
from jkeras.training.step import Batch, Trainer, TrainState


class TrainingMethods:
    """What a model can do once it is compiled; ``Model`` supplies the layer and the arrays."""

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

    def _frozen(self) -> frozenset: ...

    def _program_for(self, x: Any) -> Any: ...

    def _setup_training(self) -> None:
        self._compiled: dict[str, Any] | None = None
        self._engine: Engine | None = None
        self._predicting: Engine | None = None
        self._opt_state: Any = None
        self._opt_owner: Any = None
        self._step = jnp.zeros((), jnp.int32)
        self.stop_training = False
        self.history: Any = None

    # -- compile ------------------------------------------------------------------------------------------------------

    def engine(self) -> Engine:
        """Return the compiled programs for the model as it is compiled, wired and frozen now."""
        if self._compiled is None:
            raise ValueError(
                f"Model {self.name!r} must be compiled before it is trained or evaluated: write model.compile(loss=...)."
            )
        frozen = self._frozen()
        known = self._engine.trainer if self._engine is not None else None
        if known is None or known.layer is not self.layer or known.frozen != frozen:
            optimizer = self._compiled["optimizer"]
            self._engine = Engine(Trainer(self.layer, self._objective(), optimizer, self.input_spec, frozen))
        assert self._engine is not None
        return self._engine

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
        if self._opt_state is None or self._opt_owner != (trainer.layer, trainer.frozen):
            opt_state = trainer.start(params, state, jax.random.key(0)).opt_state
        else:
            opt_state = self._opt_state
        return TrainState(params, state, opt_state, jax.random.key(self.seed), self._step)

    def hold(self, state: TrainState) -> None:
        """Hold another training state, whole."""
        trainer = self.trainer
        variables.write(self.layer, state.params, state.state)
        self._opt_state, self._opt_owner, self._step = state.opt_state, (trainer.layer, trainer.frozen), state.step

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
        self._engine, self._opt_state, self._step = None, None, jnp.zeros((), jnp.int32)
        if seed is not None:
            self._seed = seed

    # -- fit, evaluate, predict ---------------------------------------------------------------------------------------

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Any = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int = 1,
    ) -> History:
        """Train for a number of epochs. Whatever goes wrong, the model keeps the weights of the last finished step.

        Args:
          x: inputs: an array, a list in the model's order, a dict by name; or an iterable of batches ``(x, y)`` or
            ``(x, y, sample_weight)``.
          y: targets in the same forms, by output.
          batch_size: examples per step, 32 by default.
          epochs: the number of the last epoch.
          verbose: 0 nothing; 1 or "auto" a bar on a terminal, one line per epoch elsewhere; 2 lines.
          callbacks: ``jkeras.callbacks.Callback`` objects.
          validation_split: fraction of the examples, the last ones, set aside before shuffling.
          validation_data: ``(x, y)`` or ``(x, y, sample_weight)``, or an iterable of batches.
          shuffle: whether the examples come in a new order in every epoch.
          class_weight: weight by class number, for a model with one output.
          sample_weight: weights ``(n,)`` or ``(n, time)``: one array for all outputs, a list, or a dict by output.
          initial_epoch: the number of the first epoch.
          steps_per_epoch: batches per epoch, where not all are wanted or an iterable has no end.
          validation_steps, validation_batch_size, validation_freq: the same for validation, and how often it is done.

        Returns:
          A ``History``, whose ``history`` holds the logs of every epoch.

        Raises:
          ValueError: before the first step, for anything about the data or the arguments that does not fit.
        """
        epochs, first = whole_number("epochs", epochs, 0), whole_number("initial_epoch", initial_epoch, 0)
        freq, show = whole_number("validation_freq", validation_freq), display(verbose)
        self._program_for(x)
        engine = self._ready(need_loss=True)
        held_out = None
        if is_stream(x):
            for given, what in (
                (y, "y"),
                (sample_weight, "sample_weight"),
                (class_weight, "class_weight"),
                (validation_split, "validation_split"),
            ):
                if given is not None and given != 0:
                    raise DataError(
                        f"{what} cannot be given beside an iterable of batches, which yields (x, y) or (x, y, sample_weight)."
                    )
            source: Any = Stream(engine.trainer, x, True, _steps("steps_per_epoch", steps_per_epoch), "the training data")
        else:
            weights = with_class_weight(engine.trainer, y, sample_weight, class_weight)
            batch = check(engine.trainer, x, y, weights)
            engine.check_batch(batch)
            if validation_data is None:
                batch, held_out = split_validation(batch, validation_split)
            steps = _steps("steps_per_epoch", steps_per_epoch)
            size = -(-count(batch) // steps) if batch_size is None and steps else batch_size
            source = Arrays(engine.trainer, batch, _size(size), True, steps, shuffle)
        batch_size = _size(validation_batch_size if validation_batch_size is not None else batch_size)
        judged = held_out if validation_data is None else validation_data
        validation = self._source(engine, judged, batch_size, _steps("validation_steps", validation_steps), "validation_data")

        def validate(epoch: int, state: TrainState) -> dict[str, float]:
            if validation is None or (epoch + 1) % freq:
                return {}
            logs = run_judging(engine, validation, state.params, state.state, Display())[1]
            return {f"val_{name}": value for name, value in logs.items()}

        history = History()
        history.seed = self.seed
        self.stop_training = False
        chosen = CallbackList([history, *_listed(callbacks)], self, {"verbose": verbose, "epochs": epochs, "steps": source.steps})
        self.history = history
        run_epochs(self, engine, source, range(first, epochs), validate, chosen, show)
        return history

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: Any = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """Compute losses and metrics without training.

        Args:
          x, y, sample_weight: as for :meth:`fit`.
          batch_size: examples per step, 32 by default.
          verbose: as for :meth:`fit`.
          steps: how many batches, None for all.
          callbacks: accepted for Keras's sake.
          return_dict: whether a dict by name is returned instead of a list.

        Returns:
          The loss alone where there is nothing else; else a list: loss, losses of several outputs in their order, metrics; or
          a dict by the same names.
        """
        show = display(verbose)
        self._program_for(x)
        engine = self._ready(need_loss=False)
        given = x if is_stream(x) else (x, y, sample_weight)
        source = self._source(engine, given, _size(batch_size), _steps("steps", steps), "the data")
        before = engine.compile_seconds
        done, logs, state = run_judging(engine, source, self.params, self.state, show)
        show.end(done, logs, engine.compile_seconds - before)
        variables.write(self.layer, self.params, state)
        return self._returned(logs, return_dict)

    def predict(
        self, x: Any, batch_size: int | None = None, verbose: Any = "auto", steps: int | None = None, callbacks: Any = None
    ) -> Any:
        """Compute outputs batch by batch; the model need not be compiled.

        Args:
          x: inputs as for :meth:`fit`.
          batch_size: examples per step, 32 by default.
          verbose: as for :meth:`fit`; "auto" shows nothing where there is no terminal.
          steps: how many batches, None for all.
          callbacks: accepted for Keras's sake.

        Returns:
          NumPy arrays in the nest of the model's outputs.
        """
        show, size = display(verbose, quiet_elsewhere=True), _size(batch_size)
        self._program_for(x)
        engine = self._predictor()
        self._calls += 1
        key = jax.random.fold_in(jax.random.key(self.seed), self._calls)  # for layers called with training=True
        y, state = run_predictions(engine, x, self.params, self.state, key, size, _steps("steps", steps), show)
        variables.write(self.layer, self.params, state)
        return y

    # -- one batch ----------------------------------------------------------------------------------------------------

    def train_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, class_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """Take one step; what is returned is of this batch, in the form of :meth:`evaluate`."""
        self._program_for(x)
        engine = self._ready(need_loss=True)
        batch = check(engine.trainer, x, y, with_class_weight(engine.trainer, y, sample_weight, class_weight))
        segment, live = _single(batch), Live(self.train_state(), engine)
        program = engine.train(segment, (live.state, engine.empty()))
        try:
            with shielded():
                live.state, totals = jax.block_until_ready(program((live.state, engine.empty()), 0, 1))
        finally:
            live.settle(self)
        return self._returned(host(engine.results(totals)), return_dict)

    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False) -> Any:
        """Judge one batch; what is returned has the form of :meth:`evaluate`."""
        self._program_for(x)
        engine = self._ready(need_loss=False)
        segment = _single(check(engine.trainer, x, y, sample_weight))
        carry = (self.params, self.state, engine.empty())
        _, _, totals = engine.judge(segment, carry)(carry, 0, 1)
        return self._returned(host(engine.results(totals)), return_dict)

    def predict_on_batch(self, x: Any) -> Any:
        """Compute the outputs of one batch as NumPy arrays."""
        rows = len(x) if is_array(x) else max(np.shape(leaf)[0] for leaf in jax.tree.leaves(x))
        return self.predict(x, batch_size=max(rows, 1), verbose=0)

    # -- helpers ------------------------------------------------------------------------------------------------------

    def _ready(self, need_loss: bool) -> Engine:
        engine = self.engine()
        objective = engine.trainer.objective
        if not any(objective.losses.values()) and (need_loss or not objective.wanted):
            raise ValueError(f"Model {self.name!r} was compiled without a loss: write model.compile(loss=...).")
        return engine

    def _predictor(self) -> Engine:
        if self._compiled is not None:
            return self.engine()
        known = self._predicting
        if known is None or known.trainer.layer is not self.layer:
            objective = make_objective(self.program.output_names, None, None, None, None)
            self._predicting = known = Engine(Trainer(self.layer, objective, optimizers.get("sgd"), self.input_spec))
        return known

    def _source(self, engine: Engine, given: Any, batch_size: int | None, steps: int | None, what: str) -> Any:
        if given is None:
            return None
        if is_stream(given):
            return Stream(engine.trainer, given, False, steps, what)
        if not isinstance(given, (list, tuple)) or not 2 <= len(given) <= 3:
            raise DataError(f"{what} must be (x, y) or (x, y, sample_weight), but got a {type(given).__name__}.")
        batch = given if isinstance(given, Batch) else check(engine.trainer, *(*given, None)[:3], what=f"{what}: ")
        engine.check_batch(batch)
        return Arrays(engine.trainer, batch, batch_size, False, steps)

    def _returned(self, logs: dict[str, float], return_dict: bool) -> Any:
        if return_dict:
            return logs
        values = [logs[name] for name in self.engine().trainer.objective.log_names()]
        return values[0] if len(values) == 1 else values

    @property
    def metrics_names(self) -> list[str]:
        """What the list returned by :meth:`evaluate` holds, in its order."""
        return self.engine().trainer.objective.log_names()


def _listed(callbacks: Any) -> list[Any]:
    return [] if callbacks is None else list(callbacks) if isinstance(callbacks, (list, tuple)) else [callbacks]


def _size(batch_size: Any) -> int | None:
    return None if batch_size is None else whole_number("batch_size", batch_size)


def _steps(name: str, steps: Any) -> int | None:
    return None if steps is None else whole_number(name, steps)


def _single(batch: Any) -> Segment:
    n = count(batch)
    return Segment(jax.tree.map(jnp.asarray, batch), jnp.arange(n, dtype=jnp.int32), n, 1, n, False)

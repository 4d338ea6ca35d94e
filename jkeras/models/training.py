"""Keras's training methods: each checks everything it was given, then runs a loop over the pure functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax

from jkeras.callbacks import CallbackList, History
from jkeras.core import store
from jkeras.core.arguments import checked_arguments, whole_number
from jkeras.core.context import is_traced
from jkeras.core.errors import DataError, kind_of
from jkeras.models.compiled import Compiled
from jkeras.training.data import blaming, check, check_inputs, count, is_stream, split_validation, unpack, with_class_weight
from jkeras.training.engine import Engine
from jkeras.training.fit import host, run_epochs, run_predictions, run_tests
from jkeras.training.interrupts import guarded, shielded
from jkeras.training.progress import Display, display
from jkeras.training.source import Arrays, Peeked, Stream, single
from jkeras.training.step import Batch


class TrainingMethods(Compiled):
    """``fit``, ``evaluate``, ``predict`` and their forms for one batch."""

    # -- fit, evaluate, predict ---------------------------------------------------------------------------------------

    @checked_arguments
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
        validation_freq: Any = 1,
    ) -> History:
        """Train for a number of epochs.

        Whatever goes wrong, the model keeps the weights of a whole step: of the last finished one, or of the last finished
        epoch where an error inside a compiled step took the steps of its dispatch along.

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
          validation_steps, validation_batch_size: the same for validation.
          validation_freq: after how many epochs there is one; or a list of the epochs that have one, counted from 1.

        Returns:
          A ``History``, whose ``history`` holds the logs of every epoch.

        Raises:
          ValueError: before the first step, for anything about the data or the arguments that does not fit.
        """
        epochs, first = whole_number("epochs", epochs, 0), whole_number("initial_epoch", initial_epoch, 0)
        is_due, show = _due("validation_freq", validation_freq), display(verbose)
        x = self._learned(x, "fit")
        engine = self._ready(need_loss=True)
        self._warn_of_flags()
        held_out = None
        steps = _steps("steps_per_epoch", steps_per_epoch)
        if is_stream(x):
            beside = {"y": y, "sample_weight": sample_weight, "class_weight": class_weight}
            for what, given in {**beside, "validation_split": validation_split or None}.items():
                if given is not None:
                    raise DataError(
                        f"{what} cannot be given beside an iterable of batches, which yields (x, y) or (x, y, sample_weight)."
                    )
            source: Any = Stream(engine.trainer, x, True, steps, "the training data")
        else:
            batch = check(engine.trainer, x, y, sample_weight)
            if validation_data is None:
                batch, held_out = split_validation(batch, validation_split)
            batch = with_class_weight(engine.trainer, batch, class_weight)  # which says nothing about what is held out
            size = -(-count(batch) // steps) if batch_size is None and steps else batch_size
            source = Arrays(engine, batch, _size(size), True, steps, shuffle)
        judged = held_out if validation_data is None else validation_data
        size, steps = _size(validation_batch_size, "validation_batch_size"), _steps("validation_steps", validation_steps)
        with blaming("validation_data"):
            validation = self._source(engine, judged, size or batch_size, steps, "validation_data", afresh=True)
        params = {"verbose": verbose, "epochs": epochs, "steps": source.steps}
        chosen = CallbackList(callbacks, add_history=True, model=self, **params)
        chosen.expect(self.metrics_names, judged is not None)

        def validate(epoch: int, model: Any) -> dict[str, float]:
            if validation is None or not is_due(epoch + 1):
                return {}
            logs = run_tests(self, engine, validation, chosen, Display())[1]
            return {f"val_{name}": value for name, value in logs.items()}

        history: Any = chosen.history
        self.history, history.seed = history, self.seed
        self.stop_training = False
        self._running += 1
        try:
            run_epochs(self, engine, source, range(first, epochs), validate, chosen, show)
        finally:
            self._running -= 1
        return history

    @checked_arguments
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
          callbacks: as for :meth:`fit`.
          return_dict: whether a dict by name is returned instead of a list.

        Returns:
          The loss alone where there is nothing else; else a list: loss, losses of several outputs in their order, metrics; or
          a dict by the same names.
        """
        show = display(verbose)
        x = self._learned(x, "evaluate")
        engine = self._ready(need_loss=False)
        given = x if is_stream(x) else (x, y, sample_weight)
        source = self._source(engine, given, _size(batch_size), _steps("steps", steps), "the data")
        chosen = CallbackList(callbacks, model=self, verbose=verbose, epochs=1, steps=source.steps)
        before = engine.compile_seconds
        done, logs, states = run_tests(self, engine, source, chosen, show)
        show.end(done, logs, engine.compile_seconds - before)
        store.write_state(self.layer, *states)
        return self._returned(logs, return_dict)

    @checked_arguments
    def predict(
        self, x: Any, batch_size: int | None = None, verbose: Any = "auto", steps: int | None = None, callbacks: Any = None
    ) -> Any:
        """Compute outputs batch by batch; the model need not be compiled.

        Args:
          x: inputs as for :meth:`fit`.
          batch_size: examples per step, 32 by default.
          verbose: as for :meth:`fit`; "auto" shows nothing where there is no terminal.
          steps: how many batches, None for all.
          callbacks: as for :meth:`fit`.

        Returns:
          NumPy arrays in the nest of the model's outputs.
        """
        show, size = display(verbose, quiet_elsewhere=True), _size(batch_size)
        x = self._learned(x, "predict")
        engine = self._predictor()
        steps = _steps("steps", steps)
        chosen = CallbackList(callbacks, model=self, verbose=verbose, epochs=1, steps=steps)
        self._calls += 1
        key = jax.random.fold_in(jax.random.key(self.seed), self._calls)  # for layers called with training=True
        y, states = run_predictions(self, engine, x, key, size, steps, chosen, show)
        store.write_state(self.layer, *states)
        return y

    # -- one batch ----------------------------------------------------------------------------------------------------

    @checked_arguments
    def train_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, class_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """Take one step; what is returned is of this batch, in the form of :meth:`evaluate`."""
        x = self._learned(x, "train_on_batch")
        engine = self._ready(need_loss=True)
        batch = with_class_weight(engine.trainer, check(engine.trainer, x, y, sample_weight), class_weight)
        segment = single(engine, batch, "train", engine.trainer.mixes_examples(True))
        carry = (self.train_state(), engine.empty())
        (state, _), logs = jax.block_until_ready(engine.train(segment, carry)(carry, 0, 1))
        with guarded(), shielded():
            self.carry_on(state)
        return self._returned(host(logs), return_dict)

    @checked_arguments
    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False) -> Any:
        """Judge one batch; what is returned has the form of :meth:`evaluate`."""
        x = self._learned(x, "test_on_batch")
        engine = self._ready(need_loss=False)
        batch = check(engine.trainer, x, y, sample_weight)
        segment = single(engine, batch, "test", engine.trainer.mixes_examples(False))
        given = self.state
        carry = (given, engine.empty())
        (state, _), logs = engine.test(segment, self.params, carry)(carry, 0, 1)
        store.write_state(self.layer, given, state)
        return self._returned(host(logs), return_dict)

    def predict_on_batch(self, x: Any) -> Any:
        """Compute the outputs of one batch as NumPy arrays."""
        arrays = check_inputs(self._program_for(x), x)
        return self.predict(arrays, batch_size=count(arrays), verbose=0)

    # -- helpers ------------------------------------------------------------------------------------------------------

    def _learned(self, x: Any, doing: str) -> Any:
        """Return data after a Sequential without Input has learned its shape from them, from the first batch of a stream."""
        if not is_stream(x) and is_traced(x):
            raise TypeError(
                f"{doing} was called inside a JAX transformation such as jax.jit; what can be called there are the functions of "
                "model.trainer and model.apply."
            )
        if is_stream(x) and not self.built:
            x = Peeked(x)
            self._program_for(unpack(x.first, "the data")[0])
        else:
            self._program_for(x)
        return x

    def _source(
        self, engine: Engine, given: Any, batch_size: int | None, steps: int | None, what: str, afresh: bool = False
    ) -> Any:
        if given is None:
            return None
        if is_stream(given):
            return Stream(engine.trainer, given, False, steps, what, afresh)
        if not isinstance(given, Batch) and (not isinstance(given, (list, tuple)) or not 2 <= len(given) <= 3):
            raise DataError(f"{what} must be (x, y) or (x, y, sample_weight), but got {kind_of(given)}.")
        batch = (
            given if isinstance(given, Batch) else check(engine.trainer, given[0], given[1], given[2] if len(given) > 2 else None)
        )
        return Arrays(engine, batch, batch_size, False, steps)


def _due(what: str, given: Any) -> Callable[[int], bool]:
    """Return whether an epoch, counted from 1, is one of every so many, or of those listed."""
    if not isinstance(given, (list, tuple, set, frozenset, range)):
        every = whole_number(what, given)
        return lambda epoch: epoch % every == 0
    listed = {whole_number(f"each epoch in {what}", epoch) for epoch in given}
    return lambda epoch: epoch in listed


def _size(batch_size: Any, name: str = "batch_size") -> int | None:
    return None if batch_size is None else whole_number(name, batch_size)


def _steps(name: str, steps: Any) -> int | None:
    return None if steps is None else whole_number(name, steps)

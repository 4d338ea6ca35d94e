"""The loops around the pure functions: fit, evaluate, predict. They own time, display and callbacks, and nothing else."""

from __future__ import annotations

import contextlib
import operator
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jkeras.callbacks import CallbackList
from jkeras.core.describe import mixing
from jkeras.core.errors import noted
from jkeras.core.nest import map_nest
from jkeras.training.data import check_inputs, count, is_stream, kept, unpack
from jkeras.training.engine import Engine, Pace, bucket, fill_up, signature
from jkeras.training.interrupts import guarded, shielded
from jkeras.training.progress import Display


def host(results: Any) -> dict[str, Any]:
    """Bring logs to the host as Python floats, vectors as arrays."""
    return {name: float(value) if np.ndim(value) == 0 else np.asarray(value) for name, value in jax.device_get(results).items()}


class Stretches:
    """The dispatches of one evaluation, and the hooks around each: a carry that goes through the segments of a source.

    Args:
      model: which is asked whether to stop.
      program_of: ``(segment, carry, signature of the carry) -> program``.
      carry: where to start.
      pace: how many steps go into one dispatch.
      callbacks, show: who is told of every batch, where they want to know.

    Attributes:
      carry: ``(TrainState, totals)`` or ``(state, totals)``, after the last finished dispatch.
      logs: the results so far, on the device; None before the first.
      done: how many steps were taken.
    """

    doing = "test"

    def __init__(
        self, model: Any, program_of: Callable[..., Any], carry: Any, pace: Pace, callbacks: CallbackList, show: Display
    ):
        self._model, self._program_of, self._pace = model, program_of, pace
        self._callbacks, self._show = callbacks, show
        self._wants = callbacks.wants_batches(self.doing)
        self._program: Any = None
        self.logs: Any = None
        self.done = 0
        self.replace(carry)

    def replace(self, carry: Any) -> None:
        """Go on from another carry, whose shapes and shardings may be others."""
        self.carry, self._known, self._program = carry, signature(carry), None

    def run(self, segments: Any) -> None:
        """Run all segments, or until it is told to stop."""
        for segment in segments:
            self._program, start = None, 0
            while start < segment.steps:
                if self._wants:
                    self._callbacks.call(f"on_{self.doing}_batch_begin", self.done)
                    self.adopt()
                if self._program is None:
                    self._program = self._program_of(segment, self.carry, self._known)
                stop = min(start + self._pace.size(), segment.steps)
                self._dispatch(start, stop, segment.steps == 1)
                start = stop
                if self.is_stopped():
                    return

    def _dispatch(self, start: int, stop: int, alone: bool) -> None:
        """Take some steps; wait for them, and tell of them, unless the batches of a stream are better prepared meanwhile."""
        began = time.perf_counter()
        logs: Any = {}
        with shielded():
            carry, results = self._program(self.carry, start, stop)
            waited = not alone or self._pace.is_due()
            if waited and (self._wants or self._show.is_live):
                logs = host(results)
            elif waited:
                jax.block_until_ready(results)
            self.carry, self.logs = carry, results
        self._pace.note(stop - start, time.perf_counter() - began)
        self.done += stop - start
        if waited:
            self.hold()
            self._show.update(self.done, logs)
        if self._wants:
            self._callbacks.call(f"on_{self.doing}_batch_end", self.done - 1, logs=logs)
            self.adopt()

    def results(self) -> dict[str, Any]:
        """Return the logs so far on the host."""
        return host(self.logs)

    def is_stopped(self) -> bool:
        """Whether to stop after this dispatch."""
        return self._model.stop_evaluating

    def hold(self) -> None:
        """Let the model hold what the last dispatch returned; nothing is held while a model is judged."""

    def adopt(self) -> None:
        """Take over what a hook has changed in the model; nothing while a model is judged."""


class Epoch(Stretches):
    """The dispatches of one epoch of training, from the state that the model holds; it holds the state after each."""

    doing = "train"

    def __init__(self, model: Any, pace: Pace, callbacks: CallbackList, show: Display):
        self._stopping = model.stop_training  # set before the epoch, it ends it after one batch, as in Keras
        engine = model.engine()
        self._held = model.train_state()
        self._marks = model.marks()
        carry = self._held, engine.empty()
        super().__init__(model, engine.train, carry, Pace(True) if self._stopping else pace, callbacks, show)

    def train(self, engine: Engine, source: Any) -> dict[str, Any]:
        """Take the epoch's steps; the model holds the state after them, also after an error. Return the logs."""
        try:
            self.run(source.segments(engine, self._held))
            jax.block_until_ready(self.logs)
        finally:
            with contextlib.suppress(Exception):  # what a dispatch that failed was to return is no state to hold
                jax.block_until_ready(self.carry)
                self.hold()
        return self.results()

    def is_stopped(self) -> bool:
        """Whether to stop after this dispatch."""
        return self._stopping or self._model.stop_training

    def hold(self) -> None:
        """Let the model hold the state after the last dispatch."""
        if self.carry[0] is not self._held:
            self._held = self.carry[0]
            with shielded():  # the model is never left with some layers of one step and some of another
                self._model.carry_on(self._held)
            self._marks = self._model.marks()

    def adopt(self) -> None:
        """Take over what a hook has changed in the model."""
        marks = self._model.marks()
        if len(marks) != len(self._marks) or not all(map(operator.is_, marks, self._marks)):
            self._program_of = self._model.engine().train  # another one where a schedule was assigned
            self._held = self._model.train_state()
            self._marks = self._model.marks()
            self.replace((self._held, self.carry[1]))


def run_epochs(
    model: Any,
    engine: Engine,
    source: Any,
    epochs: range,
    validate: Callable[[int, Any], dict[str, float]],
    callbacks: CallbackList,
    show: Display,
) -> None:
    """Train; whatever happens, the model is left with the state after the last finished step."""
    watched = not callbacks.are_ours
    pace, logs = Pace(callbacks.wants_batches("train")), {}
    epoch, run = epochs.start, None
    try:
        with guarded(), noted(lambda: f"While fit was at epoch {epoch + 1}, batch {run.done if run else 0}."):
            callbacks.call("on_train_begin")
            for epoch in epochs:
                run = None
                callbacks.call("on_epoch_begin", epoch)
                show.begin(epoch, epochs.stop, source.steps)
                engine = model.engine()
                compiled_before = engine.compile_seconds
                run = Epoch(model, pace, callbacks, show)
                logs = run.train(engine, source)
                logs |= validate(epoch, model)
                if watched:
                    show.clear()  # callbacks may start programs that print
                callbacks.call("on_epoch_end", epoch, logs=logs)
                show.end(run.done, logs, engine.compile_seconds - compiled_before)
                if model.stop_training:
                    break
            model.finish()
    finally:
        engine.spare.drop()
        show.close()
    callbacks.call("on_train_end", logs=logs)


def run_tests(
    model: Any, engine: Engine, source: Any, callbacks: CallbackList, show: Display
) -> tuple[int, dict[str, float], tuple[Any, Any]]:
    """Evaluate; return the number of steps, the logs, and the state of the layers, before and after."""
    run: Any = None
    model.stop_evaluating = False
    try:
        with noted(lambda: f"While evaluate was at batch {run.done if run else 0}."):
            callbacks.call("on_test_begin")
            params, state = model.params, model.state  # as the hook has left them

            def program_of(segment: Any, carry: Any, known: Any) -> Any:
                return engine.test(segment, params, carry, known)

            run = Stretches(model, program_of, (state, engine.empty()), Pace(callbacks.wants_batches("test")), callbacks, show)
            show.begin(0, 1, source.steps)
            run.run(source.segments(engine, None))
            logs = run.results()
            callbacks.call("on_test_end", logs=logs)
        return run.done, logs, (state, run.carry[0])
    finally:
        show.close()


def run_predictions(
    model: Any,
    engine: Engine,
    x: Any,
    key: Any,
    batch_size: int | None,
    steps: int | None,
    callbacks: CallbackList,
    show: Display,
) -> tuple[Any, tuple[Any, Any]]:
    """Predict batch by batch.

    Returns:
      The outputs as NumPy arrays in the nest of the model's outputs, and the state of the layers, before and after.
    """
    trainer = engine.trainer
    fixed = trainer.fixed_batch
    batch_size = fixed or batch_size or 32
    pads = mixing(trainer.layer, trainer.input_spec) != "always"
    wants, like = callbacks.wants_batches("predict"), trainer.layer.definition.program.outputs
    pieces: list[Any] = []
    arrays = x if is_stream(x) else check_inputs(trainer.layer.definition.program, x)
    available = None if is_stream(x) else -(-count(arrays) // batch_size)
    model.stop_predicting = False
    try:
        with noted(lambda: f"While predict was at batch {len(pieces)}."):
            callbacks.call("on_predict_begin")
            params, given = model.params, model.state  # as the hook has left them
            state = given
            show.begin(0, 1, available if steps is None else steps)
            for n, rows in _batches(trainer, arrays, batch_size, steps):
                if wants:
                    callbacks.call("on_predict_batch_begin", len(pieces))
                padded = fill_up(rows, fixed or bucket(n, batch_size)) if pads and n < batch_size else rows
                y, state = engine.predict(params, state, padded, key, np.int32(len(pieces)))
                y = map_nest(lambda _, leaf: leaf, like, y)  # jit sorts dictionaries
                pieces.append((y, None if padded is rows else n))  # only what was filled up is cut
                if wants:
                    callbacks.call("on_predict_batch_end", len(pieces) - 1, logs={"outputs": _cut(*pieces[-1])})
                    if model.stop_predicting:
                        break
                if show.is_live and len(pieces) % 50 == 0:  # drawing costs more than a small step
                    show.update(len(pieces), {})
            outputs = map_nest(lambda *parts: parts[0] if len(parts) == 1 else np.concatenate(parts), *(_cut(*p) for p in pieces))
            show.end(len(pieces), {}, 0.0)
            callbacks.call("on_predict_end")
        return outputs, (given, state)
    finally:
        show.close()


def _cut(y: Any, n: int | None) -> Any:
    return map_nest(lambda leaf: np.asarray(leaf)[:n], y)


def _batches(trainer: Any, x: Any, batch_size: int, steps: int | None) -> Any:
    if is_stream(x):
        for i, item in enumerate(x):
            if i == steps:
                return
            rows = check_inputs(trainer.layer.definition.program, unpack(item, "the data")[0])
            yield count(rows), kept(rows)
        return
    for i, start in enumerate(range(0, count(x), batch_size)):
        if i == steps:
            return
        rows = {name: array[start : start + batch_size] for name, array in x.items()}
        yield count(rows), rows

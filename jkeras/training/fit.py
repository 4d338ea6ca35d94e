"""The loops around the pure functions: fit, evaluate, predict. They own time, display and callbacks, and nothing else."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from jkeras.callbacks import CallbackList
from jkeras.core.describe import mixing
from jkeras.core.nest import map_nest
from jkeras.core.store import owned
from jkeras.training.data import check_inputs, count, is_stream, unpack
from jkeras.training.engine import Engine, Pace, bucket, fill_up, signature
from jkeras.training.interrupts import guarded, shielded
from jkeras.training.progress import Display


def host(results: Any) -> dict[str, Any]:
    """Bring logs to the host as Python floats, vectors as arrays."""
    return {name: float(value) if np.ndim(value) == 0 else np.asarray(value) for name, value in jax.device_get(results).items()}


class Stretches:
    """The dispatches of one epoch, or of one evaluation: a carry that goes through the segments of a source.

    Attributes:
      carry: ``(TrainState, totals)`` or ``(state, totals)``, after the last finished dispatch.
      logs: the results so far, on the device; None before the first.
      done: how many steps were taken.
      waited: whether the last dispatch has been waited for; batches of a stream are prepared while earlier ones run.
    """

    def __init__(self, program_of: Callable[..., Any], carry: Any, pace: Pace):
        self._program_of, self._pace = program_of, pace
        self.logs: Any = None
        self.done, self.waited = 0, True
        self.replace(carry)

    def replace(self, carry: Any) -> None:
        """Go on from another carry, whose shapes and shardings may be others."""
        self.carry, self._known = carry, signature(carry)

    def run(self, segments: Any, before: Callable[[int], None], after: Callable[[], bool]) -> None:
        """Run all segments.

        Args:
          segments: of the source.
          before: called with the number of the step that comes next.
          after: called after a dispatch; says whether to stop.
        """
        for segment in segments:
            start = 0
            while start < segment.steps:
                before(self.done)
                program = self._program_of(segment, self.carry, self._known)
                stop = min(start + self._pace.size(), segment.steps)
                began = time.perf_counter()
                with shielded():
                    carry, logs = program(self.carry, start, stop)
                    self.waited = segment.steps > 1 or self._pace.is_due()
                    if self.waited:
                        jax.block_until_ready(logs)
                    self.carry, self.logs = carry, logs
                self._pace.note(stop - start, time.perf_counter() - began)
                self.done, start = self.done + stop - start, stop
                if after():
                    return

    def results(self) -> dict[str, Any]:
        """Return the logs so far on the host."""
        return host(self.logs)


@contextlib.contextmanager
def placed(doing: str, place: Callable[[], str]) -> Iterator[None]:
    """Note on an error what was being done, and where."""
    try:
        yield
    except Exception as error:
        error.add_note(f"While {doing} was at {place()}.")
        raise


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
    place = [epochs.start, 0]
    try:
        with guarded(), placed("fit", lambda: f"epoch {place[0] + 1}, batch {place[1]}"):
            callbacks.call("on_train_begin")
            for epoch in epochs:
                place[:] = epoch, 0
                callbacks.call("on_epoch_begin", epoch)
                show.begin(epoch, epochs.stop, source.steps)
                compiled_before = engine.compile_seconds
                steps, logs = _train_epoch(model, engine, source, pace, callbacks, show, place)
                logs |= validate(epoch, model)
                if watched:
                    show.clear()  # callbacks may start programs that print
                callbacks.call("on_epoch_end", epoch, logs=logs)
                show.end(steps, logs, engine.compile_seconds - compiled_before)
                if model.stop_training:
                    break
    finally:
        engine.spare.drop()
        show.close()
    callbacks.call("on_train_end", logs=logs)


def _train_epoch(
    model: Any, engine: Engine, source: Any, pace: Pace, callbacks: CallbackList, show: Display, place: list[int]
) -> tuple[int, dict[str, Any]]:
    """Take an epoch's steps from the state that the model holds, and let it hold the state after them, also after an error."""
    wants, held = callbacks.wants_batches("train"), model.train_state()
    stopping = model.stop_training  # set before the epoch, it ends it after one batch, as in Keras
    run = Stretches(engine.train, (held, engine.empty()), Pace(True) if stopping else pace)

    def hold() -> None:
        nonlocal held
        if run.carry[0] is not held:
            held = run.carry[0]
            with shielded():  # the model is never left with some layers of one step and some of another
                model.carry_on(held)

    def adopt() -> None:
        """Take over what a hook has changed in the model."""
        nonlocal held
        if not model.still_holds(held):
            held = model.train_state()
            run.replace((held, run.carry[1]))

    def before(step: int) -> None:
        place[1] = step
        if wants:
            callbacks.call("on_train_batch_begin", step)
            adopt()

    def after() -> bool:
        place[1] = run.done
        if run.waited:
            hold()
            if wants or show.is_live:
                logs = run.results()
                show.update(run.done, logs)
        if wants:
            callbacks.call("on_train_batch_end", run.done - 1, logs=logs)
            adopt()
        return stopping or model.stop_training

    try:
        run.run(source.segments(engine, held), before, after)
        jax.block_until_ready(run.logs)
    finally:
        with contextlib.suppress(Exception):  # what a dispatch that failed was to return is no state to hold
            jax.block_until_ready(run.carry)
            hold()
    return run.done, run.results()


def run_tests(
    model: Any, engine: Engine, source: Any, params: Any, state: Any, callbacks: CallbackList, show: Display
) -> tuple[int, dict[str, float], Any]:
    """Evaluate; return the number of steps, the logs, and the state that the layers are left in."""
    wants = callbacks.wants_batches("test")
    run = Stretches(lambda s, like, known: engine.test(s, params, like, known), (state, engine.empty()), Pace(wants))
    model.stop_evaluating = False

    def before(step: int) -> None:
        if wants:
            callbacks.call("on_test_batch_begin", step)

    def after() -> bool:
        if run.waited and (wants or show.is_live):
            logs = run.results()
            show.update(run.done, logs)
        if wants:
            callbacks.call("on_test_batch_end", run.done - 1, logs=logs)
        return model.stop_evaluating

    try:
        with placed("evaluate", lambda: f"batch {run.done}"):
            callbacks.call("on_test_begin")
            show.begin(0, 1, source.steps)
            run.run(source.segments(engine, None), before, after)
            logs = run.results()
            callbacks.call("on_test_end", logs=logs)
        return run.done, logs, run.carry[0]
    finally:
        show.close()


def run_predictions(
    model: Any,
    engine: Engine,
    x: Any,
    params: Any,
    state: Any,
    key: Any,
    batch_size: int | None,
    steps: int | None,
    callbacks: CallbackList,
    show: Display,
) -> tuple[Any, Any]:
    """Predict batch by batch; return the outputs as NumPy arrays in the nest of the model's outputs, and the layers' state."""
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
        with placed("predict", lambda: f"batch {len(pieces)}"):
            callbacks.call("on_predict_begin")
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
        return outputs, state
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
            rows = {name: owned(array) for name, array in rows.items()}  # a reader may fill its buffer anew meanwhile
            yield count(rows), rows
        return
    for i, start in enumerate(range(0, count(x), batch_size)):
        if i == steps:
            return
        rows = {name: array[start : start + batch_size] for name, array in x.items()}
        yield count(rows), rows

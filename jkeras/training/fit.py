"""The loops around the pure functions: fit, evaluate, predict. They own time, display and callbacks, and nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jkeras.callbacks import CallbackList
from jkeras.core.describe import mixing
from jkeras.core.nest import map_nest
from jkeras.core.store import owned
from jkeras.training.data import check_inputs, count, is_stream, unpack
from jkeras.training.engine import Engine, Live, Pace, bucket, fill_up, shielded
from jkeras.training.progress import Display


def host(results: Any) -> dict[str, Any]:
    """Bring logs to the host as Python floats, vectors as arrays."""
    return {name: float(value) if np.ndim(value) == 0 else np.asarray(value) for name, value in jax.device_get(results).items()}


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
    live = Live(model.train_state(), engine)
    watched = not callbacks.are_ours
    pace = Pace(callbacks.wants_batches)
    logs: dict[str, Any] = {}
    try:
        callbacks.call("on_train_begin")
        if watched:
            live.adopt(model)
        for epoch in epochs:
            show.begin(epoch, epochs.stop, source.steps)
            callbacks.call("on_epoch_begin", epoch)
            compiled_before = engine.compile_seconds
            steps, logs = _train_epoch(model, engine, source, live, pace, callbacks, show)
            logs |= validate(epoch, live.state)
            show.end(steps, logs, engine.compile_seconds - compiled_before)
            if watched:
                live.show(model)
            else:
                live.keep()
            callbacks.call("on_epoch_end", epoch, logs)
            if watched:
                live.adopt(model)
            if model.stop_training:
                break
        callbacks.call("on_train_end", logs)
        if watched:
            live.adopt(model)
    finally:
        show.close()
        live.settle(model)


def _train_epoch(
    model: Any, engine: Engine, source: Any, live: Live, pace: Pace, callbacks: CallbackList, show: Display
) -> tuple[int, dict[str, Any]]:
    totals, done = engine.empty(), 0
    for segment in source.segments(engine, live.state):
        program = engine.train(segment, (live.state, totals))
        start = 0
        while start < segment.steps and not model.stop_training:
            stop = min(start + pace.size(), segment.steps)
            if callbacks.wants_batches:
                callbacks.call("on_train_batch_begin", done)
            began = time.perf_counter()
            with shielded():
                live.state, totals = program((live.state, totals), start, stop)
                jax.block_until_ready(totals)
            pace.note(stop - start, time.perf_counter() - began)
            done, start = done + stop - start, stop
            if show.is_live or callbacks.wants_batches:
                logs = host(engine.results(totals))
                show.update(done, logs)
                if callbacks.wants_batches:
                    live.show(model)
                    callbacks.call("on_train_batch_end", done - 1, logs)
                    live.adopt(model)
        if model.stop_training:
            break
    return done, host(engine.results(totals))


def run_tests(engine: Engine, source: Any, params: Any, state: Any, show: Display) -> tuple[int, dict[str, float], Any]:
    """Evaluate; return the number of steps, the logs, and the state that the layers are left in."""
    totals, done, pace = engine.empty(), 0, Pace(False)
    show.begin(0, 1, source.steps)
    try:
        for segment in source.segments(engine, None):
            carry = (params, state, totals)
            program = engine.test(segment, carry)
            start = 0
            while start < segment.steps:
                stop = min(start + pace.size(), segment.steps)
                began = time.perf_counter()
                carry = jax.block_until_ready(program(carry, start, stop))
                pace.note(stop - start, time.perf_counter() - began)
                done, start = done + stop - start, stop
                if show.is_live:
                    show.update(done, host(engine.results(carry[2])))
            _, state, totals = carry
        return done, host(engine.results(totals)), state
    finally:
        show.close()


def run_predictions(
    engine: Engine, x: Any, params: Any, state: Any, key: Any, batch_size: int | None, steps: int | None, show: Display
) -> tuple[Any, Any]:
    """Predict batch by batch; return the outputs as NumPy arrays in the nest of the model's outputs, and the layers' state."""
    trainer = engine.trainer
    fixed = trainer.fixed_batch
    batch_size = fixed or batch_size or 32
    pads = mixing(trainer.layer, trainer.input_spec) != "always"
    pieces, sizes = [], []
    arrays = x if is_stream(x) else check_inputs(trainer.layer.definition.program, x)
    available = None if is_stream(x) else -(-count(arrays) // batch_size)
    show.begin(0, 1, available if steps is None else steps)
    try:
        for n, rows in _batches(trainer, arrays, batch_size, steps):
            padded = fill_up(rows, fixed or bucket(n, batch_size)) if pads and n < batch_size else rows
            y, state = engine.predict(params, state, padded, key, np.int32(len(sizes)))
            pieces.append(y)
            sizes.append(None if padded is rows else n)  # only what was filled up is cut
            if show.is_live and len(sizes) % 50 == 0:  # drawing costs more than a small step
                show.update(len(sizes), {})
        host = [jax.tree.map(lambda a, n=n: np.asarray(a)[:n], y) for y, n in zip(pieces, sizes, strict=True)]
        outputs = jax.tree.map(lambda *parts: parts[0] if len(parts) == 1 else np.concatenate(parts), *host)
        show.end(len(sizes), {}, 0.0)
        return map_nest(lambda _, leaf: leaf, trainer.layer.definition.program.outputs, outputs), state  # jit sorted dictionaries
    finally:
        show.close()


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

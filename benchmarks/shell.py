"""What the shell costs: eager calls, streamed and single batches, compilations over many sizes, memory, callbacks; beside Keras.

    python benchmarks/shell.py [--rounds 3]

Each library runs in processes of its own, in turns; medians of the rounds are printed, and how many times as much Keras costs.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import os
import statistics
import subprocess
import sys
import time

import numpy as np

WHAT = {
    "layer": "eager call of a Dense layer, us",
    "model": "eager call of a model of two layers, us",
    "stream": "a streamed batch of fit, us",
    "single": "train_on_batch, us",
    "large": "train_on_batch on 8 million numbers, ms",
    "none": "a step of fit without callbacks, us",
    "epoch": "with five callbacks that look at epochs, us",
    "batch": "with five callbacks that look at batches, us",
    "programs": "programs compiled by 20 fits of 20 sizes after the first",
    "sizes": "these 20 fits, s",
    "live": "live bytes after 50 dropped models",
}


def timed(function, times: int) -> float:
    function()
    found = []
    for _ in range(times):
        started = time.perf_counter()
        function()
        found.append(time.perf_counter() - started)
    return statistics.median(found)


def small(library):
    layers = library.layers
    model = library.Sequential([library.Input((64,)), layers.Dense(32, activation="relu"), layers.Dense(1)])
    model.compile("adam", "mse")
    return model


def steps(library, x, y) -> dict[str, float]:
    model, layer = small(library), library.layers.Dense(16)
    found = {
        "layer": timed(lambda: np.asarray(layer(x[:32])), 100) * 1e6,
        "model": timed(lambda: np.asarray(model(x[:32])), 100) * 1e6,
        "single": timed(lambda: model.train_on_batch(x[:32], y[:32]), 200) * 1e6,
    }

    def batches():
        for i in range(0, len(x), 32):
            yield x[i : i + 32], y[i : i + 32]

    count = len(x) // 32
    found["stream"] = timed(lambda: model.fit(batches(), verbose=0, shuffle=False), 5) / count * 1e6

    class Epoch(library.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            pass

    class Batch(library.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            pass

    for name, callbacks in (("none", []), ("epoch", [Epoch() for _ in range(5)]), ("batch", [Batch() for _ in range(5)])):
        found[name] = timed(lambda c=callbacks: model.fit(x, y, verbose=0, callbacks=c), 5) / count * 1e6
    return found


def large(library) -> float:
    model = library.Sequential([library.Input((2000,)), library.layers.Dense(4000)])
    model.compile("adam", "mse")
    x, y = np.ones((32, 2000), "float32"), np.ones((32, 4000), "float32")
    return timed(lambda: model.train_on_batch(x, y), 20) * 1e3


def sizes(library, x, y) -> tuple[int, float]:
    import jax

    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, seconds, **_: compiled.append(seconds) if "backend_compile" in event else None
    )
    model = small(library)
    model.fit(x[:320], y[:320], verbose=0)
    compiled.clear()
    started = time.perf_counter()
    for n in range(11, 31):
        model.fit(x[: 32 * n], y[: 32 * n], verbose=0)
    return len(compiled), time.perf_counter() - started


def live(library, x, y) -> int:
    import jax

    gc.collect()
    before = sum(array.nbytes for array in jax.live_arrays())
    for _ in range(50):
        small(library).fit(x[:64], y[:64], verbose=0)
    gc.collect()
    return sum(array.nbytes for array in jax.live_arrays()) - before


def measure(name: str) -> dict[str, float]:
    library = importlib.import_module(name)
    rng = np.random.default_rng(0)
    x, y = rng.random((6400, 64), "float32"), rng.random((6400, 1), "float32")
    found = {**steps(library, x, y), "large": large(library)}
    found["programs"], found["sizes"] = sizes(library, x, y)
    return {**found, "live": live(library, x, y)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=["jkeras", "keras"])
    chosen = parser.parse_args()
    if chosen.only:
        print(json.dumps(measure(chosen.only)))
        return
    rows: dict[str, list[dict[str, float]]] = {"keras": [], "jkeras": []}
    for _ in range(chosen.rounds):
        for name, found in rows.items():
            command = [sys.executable, "-W", "ignore", __file__, "--only", name]
            done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "KERAS_BACKEND": "jax"})
            found.append(json.loads(done.stdout.splitlines()[-1]))
    print(f"{'on ' + str(os.cpu_count()) + ' cores':<58}{'Keras':>10}{'jkeras':>10}{'ratio':>8}")
    for key, what in WHAT.items():
        theirs, ours = (statistics.median(row[key] for row in rows[name]) for name in ("keras", "jkeras"))
        print(f"{what:<58}{theirs:>10.4g}{ours:>10.4g}{theirs / ours if ours else float('nan'):>8.3g}")


if __name__ == "__main__":
    main()

"""Measure the article's question answering model under jkeras and under Keras on JAX, in turns.

Usage::

    python benchmarks/question_answering.py               # a minute
    python benchmarks/question_answering.py --rounds 5    # steadier

Two LSTMs read a text and a question, each of 100 words, in batches of 128. Every round runs each side in a process of its own
and measures the first epoch, one batch, from building the model to the end of ``fit``, imports not included, and the
milliseconds of a step in whole calls of ``fit`` of ten steps. What is shown are medians over rounds, and jkeras's share of
Keras's: at most 1 is the aim. Absolute times mean little on a machine that does other things; the share of neighbours does.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

SIDES = ("keras", "jkeras")
BATCH, LENGTH, STEPS, CALLS = 128, 100, 10, 5


def measure(package):
    os.environ["KERAS_BACKEND"] = "jax"
    import importlib

    import numpy as np

    k = importlib.import_module(package)
    rng = np.random.default_rng(0)
    text, question = (rng.integers(1, 10000, (STEPS * BATCH, LENGTH)) for _ in range(2))
    answer = np.eye(500, dtype="float32")[rng.integers(0, 500, STEPS * BATCH)]
    begin = time.perf_counter()
    inputs = [k.Input((None,), dtype="int32", name=name) for name in ("text", "question")]
    read = [
        k.layers.LSTM(units)(k.layers.Embedding(10000, size)(x))
        for x, size, units in zip(inputs, (64, 32), (32, 16), strict=True)
    ]
    model = k.Model(inputs, k.layers.Dense(500, activation="softmax")(k.layers.concatenate(read)))
    model.compile(optimizer="rmsprop", loss="categorical_crossentropy", metrics=["acc"])
    model.fit([text[:BATCH], question[:BATCH]], answer[:BATCH], epochs=1, batch_size=BATCH, verbose=0)
    first = time.perf_counter() - begin
    times = []
    for _ in range(CALLS + 1):  # the first call may compile for more steps
        begin = time.perf_counter()
        model.fit([text, question], answer, epochs=1, batch_size=BATCH, verbose=0)
        times.append((time.perf_counter() - begin) / STEPS)
    print(json.dumps({"first epoch (s)": first, "step (ms)": 1000 * statistics.median(times[1:])}))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        measure(arguments.side)
        return
    found = {side: [] for side in SIDES}
    for _ in range(arguments.rounds):
        for side in SIDES:
            command = [sys.executable, "-W", "ignore", __file__, "--side", side]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            found[side].append(json.loads(done.stdout.splitlines()[-1]))
    print(f"{'':18}{'keras':>10}{'jkeras':>10}{'jkeras / keras':>18}   medians of {arguments.rounds} rounds")
    for what in found["keras"][0]:
        theirs, ours = (statistics.median(one[what] for one in found[side]) for side in SIDES)
        print(f"{what:18}{theirs:10.2f}{ours:10.2f}{ours / theirs:18.2f}")


if __name__ == "__main__":
    main()

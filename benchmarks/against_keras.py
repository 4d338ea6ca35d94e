"""Measure jkeras against Keras on JAX, and against a loop written by hand with JAX and Optax.

Usage::

    python benchmarks/against_keras.py                       # all of it, two to three minutes
    python benchmarks/against_keras.py --json results.json   # and write every single figure there
    python benchmarks/against_keras.py --repetitions 3       # quicker

What is measured, with the article's ten-class model (1000 x 100 numbers, Dense 32 relu, Dense 10 softmax, rmsprop, accuracy,
batches of 32, verbose=0):

1. milliseconds per step of whole calls of ``fit`` in steady state, Keras with its defaults. The loop by hand, the limit, does the
   same work: it shuffles anew in every epoch, adds up loss and accuracy, and fetches both after every epoch.
2. seconds of the first epoch in a fresh process, from building the model to the end of ``fit(epochs=1)``: compilation and the
   start of the device included, imports not.
3. seconds that ``python -c "import ..."`` takes, measured from outside.

Every repetition runs every side in a process of its own, one after another, so that none disturbs another and all share what
else the machine does. The median and the fastest of all repetitions are shown. Look at the load that is printed before believing
the medians: a busy machine makes every figure too large, the fastest the least.
"""

import argparse
import importlib
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import time

EXAMPLES, FEATURES, CLASSES, BATCH = 1000, 100, 10, 32
STEPS = -(-EXAMPLES // BATCH)
EPOCHS, CALLS = 50, 3  # of each timed call of fit, and how many such calls a process makes
SIDES = ("keras", "jkeras", "by hand")
IMPORTS = ("jax", "optax", "jkeras", "keras")


# -- in the child processes -------------------------------------------------------------------------------------------


def make_data():
    import numpy as np

    rng = np.random.default_rng(0)
    return rng.random((EXAMPLES, FEATURES), np.float32), np.eye(CLASSES, dtype=np.float32)[rng.integers(0, CLASSES, EXAMPLES)]


def start_package(package):
    """Return a function that builds the model, and one that trains it, for a package with Keras's interface."""
    module = importlib.import_module(package)
    data, labels = make_data()
    module.utils.set_random_seed(0)

    def build():
        dense = module.layers.Dense
        layers = [module.Input((FEATURES,)), dense(32, activation="relu"), dense(CLASSES, activation="softmax")]
        model = module.Sequential(layers)
        model.compile(optimizer="rmsprop", loss="categorical_crossentropy", metrics=["accuracy"])
        return model

    def fit(model, epochs):
        return model.fit(data, labels, epochs=epochs, batch_size=BATCH, verbose=0).history["loss"][-1]

    return build, fit


def start_by_hand():
    """Return the same two functions written with JAX and Optax alone: an epoch is one program, a scan over its batches."""
    import jax
    import jax.numpy as jnp
    import optax

    optimizer = optax.rmsprop(1e-3, decay=0.9, eps=1e-7, eps_in_sqrt=True)
    data = make_data()

    def loss_of(params, x, y):
        logits = jax.nn.relu(x @ params["w1"] + params["b1"]) @ params["w2"] + params["b2"]
        right = logits.argmax(-1) == y.argmax(-1)
        return optax.softmax_cross_entropy(logits, y).mean(), right.sum()

    @jax.jit
    def epoch(params, opt_state, key, x, y):
        def step(carry, index):
            params, opt_state = carry
            (loss, right), grads = jax.value_and_grad(loss_of, has_aux=True)(params, x[index], y[index])
            updates, opt_state = optimizer.update(grads, opt_state, params)
            return (optax.apply_updates(params, updates), opt_state), (loss * len(index), right)

        key, shuffle = jax.random.split(key)
        order = jax.random.permutation(shuffle, EXAMPLES)
        full = EXAMPLES // BATCH * BATCH
        carry, (losses, right) = jax.lax.scan(step, (params, opt_state), order[:full].reshape(-1, BATCH))
        carry, (last_loss, last_right) = step(carry, order[full:])  # the last, smaller batch
        logs = {"loss": (losses.sum() + last_loss) / EXAMPLES, "accuracy": (right.sum() + last_right) / EXAMPLES}
        return *carry, key, logs

    def build():
        keys, glorot = jax.random.split(jax.random.key(0)), jax.nn.initializers.glorot_uniform()
        params = {"w1": glorot(keys[0], (FEATURES, 32)), "b1": jnp.zeros(32)}
        params |= {"w2": glorot(keys[1], (32, CLASSES)), "b2": jnp.zeros(CLASSES)}
        return {"state": (params, optimizer.init(params), jax.random.key(1))}

    def fit(model, epochs):
        x, y = map(jnp.asarray, data)
        logs = {}
        for _ in range(epochs):
            *state, logs = epoch(*model["state"], x, y)
            model["state"], logs = tuple(state), jax.device_get(logs)
        return float(logs["loss"])

    return build, fit


def child(side):
    """Measure one side and print the figures as one line of JSON."""
    build, fit = start_by_hand() if side == "by hand" else start_package(side)
    started = time.perf_counter()
    model = build()
    fit(model, 1)
    first_epoch = time.perf_counter() - started
    fit(model, 5)
    calls, loss = [], None
    for _ in range(CALLS):
        started = time.perf_counter()
        loss = fit(model, EPOCHS)
        calls.append(1000 * (time.perf_counter() - started) / (EPOCHS * STEPS))
    import jax

    device = jax.devices()[0]
    found = {"first_epoch_s": first_epoch, "ms_per_step": statistics.median(calls), "calls_ms_per_step": calls}
    print(json.dumps(found | {"loss": float(loss), "device": f"{device} ({device.device_kind})"}))


# -- in the parent ----------------------------------------------------------------------------------------------------


def run(*arguments):
    """Run Python in a process of its own; return what it printed and the seconds from start to end."""
    env = {**os.environ, "KERAS_BACKEND": "jax", "JAX_ENABLE_COMPILATION_CACHE": "false"}
    started = time.perf_counter()
    done = subprocess.run([sys.executable, *arguments], env=env, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)} failed:\n{done.stderr}")
    return done.stdout, seconds


def measure(repetitions):
    """Run every side and every import in turn, as often as asked; return all figures."""
    runs = {side: [] for side in SIDES}
    imports = {name: [] for name in IMPORTS}
    for name in IMPORTS:
        run("-c", f"import {name}")  # not counted: brings the files into memory
    for repetition in range(repetitions):
        print(f"repetition {repetition + 1} of {repetitions} ...", file=sys.stderr, flush=True)
        for side in SIDES:
            runs[side].append(json.loads(run(__file__, "--child", side)[0].splitlines()[-1]))
        for name in IMPORTS:
            imports[name].append(run("-c", f"import {name}")[1])
    return {"runs": runs, "import_s": imports}


def machine():
    versions = {name: importlib.metadata.version(name) for name in ("jax", "jaxlib", "optax", "keras", "jkeras")}
    return {"python": platform.python_version(), "cores": os.cpu_count(), "versions": versions}


def summarise(found, reduce):
    """Reduce all figures to one per row and side, by the median or the minimum."""
    rows = ("ms_per_step", "first_epoch_s")
    figures = {row: {side: reduce([one[row] for one in found["runs"][side]]) for side in SIDES} for row in rows}
    return figures | {"import_s": {name: reduce(times) for name, times in found["import_s"].items()}}


def table(medians, fastest):
    """Write the figures and their ratios."""
    lines = [f"{'':<32}{'Keras':>10}{'jkeras':>10}{'by hand':>10}{'Keras/jkeras':>15}{'jkeras/by hand':>16}"]
    for row, title in (("ms_per_step", "ms per step of fit"), ("first_epoch_s", "s of the first epoch")):
        for word, figures in (("median", medians), ("fastest", fastest)):
            keras, jkeras, hand = (figures[row][side] for side in SIDES)
            cells = f"{keras:>10.4f}{jkeras:>10.4f}{hand:>10.4f}{keras / jkeras:>15.2f}{jkeras / hand:>16.2f}"
            if row == "first_epoch_s":  # how a loop compiles depends on how it is written, so that this one is no limit
                cells = f"{keras:>10.4f}{jkeras:>10.4f}{'':>10}{keras / jkeras:>15.2f}"
            lines.append(f"{f'{title}, {word}':<32}{cells}")
    lines += ["", f"{'':<32}" + "".join(f"{name:>10}" for name in IMPORTS) + f"{'jkeras - optax':>16}{'keras/jkeras':>14}"]
    for word, figures in (("median", medians), ("fastest", fastest)):
        times = figures["import_s"]
        cells = "".join(f"{times[name]:>10.3f}" for name in IMPORTS)
        cells += f"{times['jkeras'] - times['optax']:>16.3f}{times['keras'] / times['jkeras']:>14.2f}"
        lines.append(f"{f's to import, {word}':<32}{cells}")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", metavar="PATH", help="where to write every single figure")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--child", choices=SIDES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        return child(options.child)

    before = os.getloadavg()[0]
    found = measure(options.repetitions)
    about = machine() | {"device": found["runs"]["jkeras"][0]["device"], "load": [before, os.getloadavg()[0]]}
    medians, fastest = summarise(found, statistics.median), summarise(found, min)
    print("Device {device}, {cores} cores, load {load[0]:.1f} before and {load[1]:.1f} after, Python {python},".format(**about))
    print(", ".join(f"{name} {version}" for name, version in about["versions"].items()))
    print(f"Of {options.repetitions} processes each:\n\n{table(medians, fastest)}")
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"machine": about, "medians": medians, "fastest": fastest, **found}, file, indent=1)


if __name__ == "__main__":
    main()

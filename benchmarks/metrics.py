"""What metrics cost: a step of fit of the article's ten-class MLP with five metrics, beside the same step without.

    python benchmarks/metrics.py [--rounds 5] [--library jkeras]

Both models are trained in turns in one process; medians over the rounds are printed, each metric alone as well, and the ratios.
"""

from __future__ import annotations

import argparse
import importlib
import os
import statistics
import time

import numpy as np

EXAMPLES, BATCH, EPOCHS = 8192, 32, 5


def chosen(library) -> dict[str, list]:
    """Return metrics by what they are called here; each model needs metrics of its own."""
    m = library.metrics
    makers = {
        "accuracy": lambda: "accuracy",
        "top-5": lambda: m.TopKCategoricalAccuracy(5),
        "AUC of 200 thresholds": lambda: m.AUC(num_thresholds=200),
        "precision": lambda: m.Precision(),
        "recall": lambda: m.Recall(),
    }
    several = {"none": [], **{name: [make()] for name, make in makers.items()}}
    return {**several, "all five": [make() for make in makers.values()]}


def model_of(library, metrics):
    """Return the article's ten-class MLP, compiled."""
    layers = library.layers
    model = library.Sequential(
        [library.Input((784,)), layers.Dense(32, activation="relu"), layers.Dense(10, activation="softmax")]
    )
    model.compile("rmsprop", "categorical_crossentropy", metrics=metrics)
    return model


def main() -> None:
    """Train in turns and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--library", default="jkeras", choices=["jkeras", "keras"])
    given = parser.parse_args()
    os.environ["KERAS_BACKEND"] = "jax"
    library = importlib.import_module(given.library)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(EXAMPLES, 784)).astype("float32")
    y = np.eye(10, dtype="float32")[rng.integers(0, 10, EXAMPLES)]
    models = {name: model_of(library, metrics) for name, metrics in chosen(library).items()}
    times: dict[str, list[float]] = {name: [] for name in models}
    for round_number in range(given.rounds + 1):
        for name, model in models.items():
            started = time.perf_counter()
            model.fit(x, y, batch_size=BATCH, epochs=EPOCHS, verbose=0)
            took = time.perf_counter() - started
            if round_number:  # the first one compiles
                times[name].append(took / EPOCHS / (EXAMPLES // BATCH) * 1e6)
    alone = statistics.median(times["none"])
    print(f"{given.library}: a step of the ten-class MLP, batch {BATCH}, median of {given.rounds} rounds in turns")
    for name, found in times.items():
        print(f"  {name:24}{statistics.median(found):8.1f} us{statistics.median(found) / alone:8.2f} times")


if __name__ == "__main__":
    main()

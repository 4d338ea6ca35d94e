"""Measure how the time to build a model grows with its size, beside Keras on JAX.

Usage::

    python benchmarks/building.py                          # jkeras as installed, and Keras
    PYTHONPATH=/another/checkout python benchmarks/building.py --quick   # another version, small sizes only

Each figure is the median of several buildings in one process, after a small one that is not counted. A ratio is that of a row's
time to the time of half its size: 2 where the cost is linear, 4 where it is quadratic. "weights" and "summary" are those of the
longest chain. Keras recurses over a chain's length, so it runs with a higher recursion limit here.
"""

import argparse
import importlib
import itertools
import os
import statistics
import sys
import time

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("KERAS_BACKEND", "jax")


def sequential(k, n):
    """A Sequential of n Dense layers."""
    return k.Sequential([k.Input((8,)), *[k.layers.Dense(8) for _ in range(n)]])


def chain(k, n):
    """A functional chain of n Dense layers."""
    x = h = k.Input((8,))
    for _ in range(n):
        h = k.layers.Dense(8)(h)
    return k.Model(x, h)


def fan(k, n):
    """Branches of one input, added up."""
    x = k.Input((8,))
    return k.Model(x, k.layers.Add()([k.layers.Dense(8)(x) for _ in range(n)]))


def calls(k, n):
    """Calls of one layer, one after another."""
    dense, x = k.layers.Dense(8), k.Input((8,))
    h = x
    for _ in range(n):
        h = dense(h)
    return k.Model(x, h)


def nest(k, n):
    """Models inside each other."""
    model = k.Sequential([k.Input((8,)), k.layers.Dense(8)])
    for _ in range(n):
        x = k.Input((8,))
        model = k.Model(x, model(x))
    return model


FORMS = {"Sequential": sequential, "chain": chain, "fan": fan, "calls of one layer": calls, "levels of nesting": nest}
SIZES = dict.fromkeys(FORMS, (500, 1000, 2000)) | {"calls of one layer": (250, 500, 1000), "levels of nesting": (30, 60, 120)}
QUICK = dict.fromkeys(FORMS, (50, 100, 200)) | {"levels of nesting": (8, 15, 30)}
OF_KERAS = {"Sequential": (500, 1000), "chain": (500, 1000)}


def seconds(function, repetitions):
    """Return the median time of a few calls."""
    found = []
    for _ in range(repetitions):
        started = time.perf_counter()
        function()
        found.append(time.perf_counter() - started)
    return statistics.median(found)


def built(build, k, n):
    """Build a model and touch its layers, so that what is put off until it is needed is paid for."""
    return build(k, n).layers


def measure(name, sizes, repetitions):
    """Print one row per form."""
    k = importlib.import_module(name)
    print(f"{name} from {os.path.dirname(k.__file__)}")
    for form, numbers in sizes.items():
        built(FORMS[form], k, 5)
        times = [seconds(lambda n=n, form=form: built(FORMS[form], k, n), repetitions) for n in numbers]
        cells = "".join(f"{n:>7}:{t:>8.3f} s" for n, t in zip(numbers, times, strict=True))
        ratios = ", ".join(f"{b / a:.2f}" for a, b in itertools.pairwise(times))
        print(f"  {form:<20}{cells}   ratios {ratios}", flush=True)
    return k


def shown(k, sizes, repetitions):
    """Print the time of get_weights and summary."""
    for what, use in (("weights", lambda m: m.get_weights()), ("summary", lambda m: m.summary(print_fn=lambda *a, **b: None))):
        times = []
        for n in sizes:
            model = chain(k, n)
            model.get_weights()
            times.append(seconds(lambda model=model, use=use: use(model), repetitions))
        cells = "".join(f"{n:>7}:{t:>8.3f} s" for n, t in zip(sizes, times, strict=True))
        print(f"  {what:<20}{cells}   ratios {', '.join(f'{b / a:.2f}' for a, b in itertools.pairwise(times))}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small sizes, jkeras alone")
    parser.add_argument("--repetitions", type=int, default=3)
    options = parser.parse_args()
    sys.setrecursionlimit(20000)
    print(f"load {os.getloadavg()[0]:.1f}")
    jkeras = measure("jkeras", QUICK if options.quick else SIZES, options.repetitions)
    shown(jkeras, (50, 100, 200) if options.quick else (500, 1000, 2000), options.repetitions)
    if not options.quick:
        measure("keras", OF_KERAS, options.repetitions)


if __name__ == "__main__":
    main()

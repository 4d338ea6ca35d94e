"""Settings of the whole test run; they must be in place before JAX and Keras are imported."""

import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("KERAS_BACKEND", "jax")
if os.environ["JAX_PLATFORMS"] == "cpu":  # programs of tests run once and are small: what takes time is compiling them well
    _QUICKLY = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
    os.environ["XLA_FLAGS"] = f"{_QUICKLY} {os.environ.get('XLA_FLAGS', '')}".strip()

import gc

import numpy as np
import pytest

collect_ignore_glob = ["tests/scripts/*"]  # which tests/test_scripts.py runs; there are no examples in docstrings in them

gc.set_threshold(100_000, 50, 1000)  # traces are made of millions of objects, which are looked through at every collection


@pytest.fixture(autouse=True, scope="module")
def _programs_are_forgotten():
    """Drop what was compiled for a module once it is done: a process that keeps it all becomes slow."""
    yield
    import jax

    jax.clear_caches()


@pytest.fixture
def rng():
    """Random numbers that are the same in every run."""
    return np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _names_for_doctests(doctest_namespace):
    """Names that the examples in docstrings use without importing them."""
    import jax
    import jax.numpy as jnp

    import jkeras

    names = {"jax": jax, "jnp": jnp, "np": np, "jkeras": jkeras}
    names |= {name: getattr(jkeras, name) for name in jkeras.__all__ if not hasattr(getattr(jkeras, name), "__path__")}
    for room in (jkeras.layers, jkeras.saving):
        names |= {name: getattr(room, name) for name in room.__all__ if not name.endswith("serialize")}  # every table has these
    doctest_namespace.update(names)

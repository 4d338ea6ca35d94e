"""Settings of the whole test run; they must be in place before JAX and Keras are imported."""

import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("KERAS_BACKEND", "jax")

import numpy as np
import pytest


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

    names = {"jax": jax, "jnp": jnp, "np": np, "jkeras": jkeras, "Input": jkeras.Input, "Model": jkeras.Model}
    names |= {"Sequential": jkeras.Sequential, "functional": jkeras.functional, "sequential": jkeras.sequential}
    doctest_namespace.update(names | {name: getattr(jkeras.layers, name) for name in jkeras.layers.__all__})

"""Random numbers by Keras's names; the same integer seed gives Keras's very numbers.

A seed is an integer, a ``SeedGenerator``, a JAX key, or None for one drawn from the process's source of seeds
(``utils.set_random_seed``). Inside pure functions use ``jax.random`` with a key.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jkeras.core.arguments import whole_number
from jkeras.core.store import next_seed


class SeedGenerator:
    """A source of seeds, a new one at each use.

    Args:
      seed: an integer from 0 to 2**32 - 1, or None for one drawn from the process's source.

    Example:
      >>> source = SeedGenerator(3)
      >>> bool((normal((2,), seed=source) == normal((2,), seed=source)).any())
      False
    """

    def __init__(self, seed: int | None = None):
        self._seed = next_seed() if seed is None else whole_number("seed", seed, 0)
        self._count = 0

    def next(self) -> jax.Array:
        """Return the next key."""
        self._count += 1
        return _key(self._seed, self._count - 1)


def _key(seed: int, count: int = 0) -> jax.Array:
    return jax.random.wrap_key_data(jnp.asarray(np.array([seed % 2**32, count], np.uint32)), impl="threefry2x32")


def _drawn(seed: Any) -> jax.Array:
    if seed is None:
        return _key(next_seed())
    if isinstance(seed, SeedGenerator):
        return seed.next()
    return seed if isinstance(seed, jax.Array) and seed.dtype.kind not in "iu" else _key(whole_number("seed", seed, 0))


def normal(shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None) -> jax.Array:
    """Draw normal numbers ``shape``, float32 by default.

    Example:
      >>> normal((2,), seed=7).round(2).tolist()
      [-0.4399999976158142, -0.5899999737739563]
    """
    return jax.random.normal(_drawn(seed), tuple(shape), dtype or "float32") * stddev + mean


def uniform(shape: Any, minval: float = 0.0, maxval: float = 1.0, dtype: Any = None, seed: Any = None) -> jax.Array:
    """Draw numbers ``shape`` between ``minval`` and, not included, ``maxval``; float32 by default."""
    return jax.random.uniform(_drawn(seed), tuple(shape), dtype or "float32", minval, maxval)


def randint(shape: Any, minval: int, maxval: int, dtype: Any = "int32", seed: Any = None) -> jax.Array:
    """Draw integers ``shape`` between ``minval`` and, not included, ``maxval``."""
    return jax.random.randint(_drawn(seed), tuple(shape), minval, maxval, dtype)


def truncated_normal(shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None) -> jax.Array:
    """Draw normal numbers ``shape`` of at most two standard deviations; float32 by default."""
    return jax.random.truncated_normal(_drawn(seed), -2.0, 2.0, tuple(shape), dtype or "float32") * stddev + mean


def categorical(logits: Any, num_samples: int, dtype: Any = "int32", seed: Any = None) -> jax.Array:
    """Draw class numbers ``(batch, num_samples)`` by logits ``(batch, classes)``."""
    logits = jnp.asarray(logits)
    shape = (logits.shape[0], num_samples, *logits.shape[2:])
    return jax.random.categorical(_drawn(seed), logits[..., None], axis=1, shape=shape).astype(dtype)


def shuffle(x: Any, axis: int = 0, seed: Any = None) -> jax.Array:
    """Return an array whose slices along an axis are in a random order."""
    return jax.random.permutation(_drawn(seed), jnp.asarray(x), axis, independent=True)


__all__ = ["SeedGenerator", "categorical", "normal", "randint", "shuffle", "truncated_normal", "uniform"]

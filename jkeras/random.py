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
      name: what it is called, for whoever reads it.

    Example:
      >>> source = SeedGenerator(3)
      >>> bool((normal((2,), seed=source) == normal((2,), seed=source)).any())
      False
    """

    def __init__(self, seed: int | None = None, name: str | None = None):
        self.name = name
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
    if isinstance(seed, jax.Array) and (
        jnp.issubdtype(seed.dtype, jax.dtypes.prng_key) or (seed.dtype, seed.shape) == ("uint32", (2,))
    ):
        return seed  # a key in JAX's newer form, or in its older one
    return _key(whole_number("seed", seed, 0))


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


def dropout(inputs: Any, rate: float, noise_shape: Any = None, seed: Any = None) -> jax.Array:
    """Set a random fraction of an array to 0, and divide the rest by ``1 - rate``.

    Args:
      inputs: an array of floats, of any shape, which the result has too.
      rate: the fraction, 0 to 1.
      noise_shape: a shape that broadcasts against the array's, whose entries are dropped together along axes of size 1; None, as
        a whole or for an axis, means the array's own.
      seed: as in the module's docstring.

    Raises:
      ValueError: for a rate that is no fraction, or a ``noise_shape`` with another number of axes.

    Example:
      >>> dropout(jnp.ones(6), 0.5, seed=1).tolist()
      [2.0, 0.0, 0.0, 2.0, 0.0, 2.0]

    Reference: ``keras.random.dropout``.
    """
    if isinstance(rate, bool) or not 0 <= rate <= 1:
        raise ValueError(f"dropout: rate must be a fraction, 0 to 1, but got {rate!r}.")
    inputs = jnp.asarray(inputs)
    sizes = inputs.shape if noise_shape is None else tuple(noise_shape)
    if len(sizes) != inputs.ndim:
        raise ValueError(f"dropout: noise_shape {sizes} must have as many axes as the array, {inputs.ndim}.")
    if rate == 0:
        return inputs
    if rate == 1:
        return jnp.zeros_like(inputs)
    shape = tuple(own if size is None else size for size, own in zip(sizes, inputs.shape, strict=True))
    return jnp.where(jax.random.bernoulli(_drawn(seed), 1 - rate, shape), inputs / (1 - rate), 0)


def gamma(shape: Any, alpha: Any, dtype: Any = None, seed: Any = None) -> jax.Array:
    r"""Draw numbers ``shape`` with the density :math:`x^{\alpha - 1} e^{-x} / \Gamma(\alpha)`; float32 by default.

    Args:
      shape: what is drawn.
      alpha: a positive number, or an array of them that broadcasts to ``shape``; mean and variance are ``alpha``.
      dtype, seed: as for :func:`normal`.

    Example:
      >>> abs(float(gamma((1000,), 4.0, seed=0).mean()) - 4) < 0.2
      True
    """
    return jax.random.gamma(_drawn(seed), jnp.asarray(alpha), tuple(shape), dtype or "float32")


def beta(shape: Any, alpha: Any, beta: Any, dtype: Any = None, seed: Any = None) -> jax.Array:
    r"""Draw numbers ``shape`` between 0 and 1 with a density like :math:`x^{\alpha - 1} (1 - x)^{\beta - 1}`; float32 by default.

    Args:
      shape: what is drawn.
      alpha, beta: positive numbers, or arrays of them that broadcast to ``shape``; the mean is ``alpha / (alpha + beta)``.
      dtype, seed: as for :func:`normal`.

    Example:
      >>> abs(float(beta((1000,), 1.0, 3.0, seed=0).mean()) - 0.25) < 0.02
      True
    """
    return jax.random.beta(_drawn(seed), jnp.asarray(alpha), jnp.asarray(beta), tuple(shape), dtype or "float32")


def binomial(shape: Any, counts: Any, probabilities: Any, dtype: Any = None, seed: Any = None) -> jax.Array:
    """Draw how many of ``counts`` trials succeed, whole numbers ``shape`` of a float dtype, float32 by default.

    Args:
      shape: what is drawn.
      counts: the number of trials, or an array of them that broadcasts to ``shape``.
      probabilities: of success in one trial, 0 to 1, likewise.
      dtype, seed: as for :func:`normal`.

    Example:
      >>> abs(float(binomial((1000,), 10, 0.3, seed=0).mean()) - 3) < 0.2
      True
    """
    draw, n, p = jax.random.binomial, jnp.asarray(counts), jnp.asarray(probabilities)
    return draw(_drawn(seed), n, p, tuple(shape), dtype or "float32")


__all__ = [
    "SeedGenerator",
    "beta",
    "binomial",
    "categorical",
    "dropout",
    "gamma",
    "normal",
    "randint",
    "shuffle",
    "truncated_normal",
    "uniform",
]

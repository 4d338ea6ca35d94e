"""Dropout and its relatives, noise, and a penalty on what passes."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jkeras import regularizers
from jkeras.core import Context, Definition, layer
from jkeras.core.arguments import checked_shape
from jkeras.core.errors import ShapeError
from jkeras.layers.common import drop, fraction, no_weights, penalised, real, seeded, stateless
from jkeras.layers.spatial import is_channels_first, need_space


def _in_training(disturb: Callable[[Any, jax.Array], Any], seed: int | None, active: bool = True) -> Definition:
    """Define a layer that disturbs its input in training, ``disturb(x, key)``, and passes it on elsewhere."""

    def apply(params: Any, state: Any, x: Any, ctx: Context) -> Any:
        return (disturb(x, seeded(ctx, seed)) if ctx.training and active else x), state

    return Definition(no_weights, apply, mixes_examples="never")


def _sizes(x: Any, noise_shape: Any) -> Any:
    if noise_shape is None:
        return None
    if len(noise_shape) != x.ndim:
        raise ShapeError(f"noise_shape {tuple(noise_shape)} must have as many axes as the input, {x.ndim}.")
    return tuple(x.shape[i] if n is None else n for i, n in enumerate(noise_shape))


@layer
def Dropout(rate: float, noise_shape: Any = None, seed: int | None = None) -> Definition:
    """Set a random fraction of the input to 0 while training, and scale up the rest; ``rate`` is the fraction dropped.

    Shapes: any to the same. Params: none. Each call, layer and step draws its own entries.

    Args:
      rate: the fraction dropped, 0 to 1; the others are divided by ``1 - rate``.
      noise_shape: a shape that broadcasts against the input, None for its own sizes; ``(None, 1, None)`` drops the same
        features at all time steps.
      seed: sets this layer's stream apart from that of others with the same name.

    Raises:
      ValueError: when ``rate`` is not between 0 and 1, or no key was given in training.

    Example:
      >>> Dropout(0.5)(Input((32,))).shape
      (None, 32)

    Reference: Srivastava et al., JMLR 15 (2014); ``keras.layers.Dropout``.
    """
    rate = fraction("rate", rate)
    noise_shape = None if noise_shape is None else checked_shape("noise_shape", noise_shape)
    return _in_training(lambda x, key: drop(x, rate, key, _sizes(x, noise_shape)), seed, rate > 0)


def _spatial(rank: int, rate: float, data_format: Any, seed: int | None) -> Definition:
    rate, first = fraction("rate", rate), is_channels_first(data_format)

    def disturb(x: Any, key: jax.Array) -> Any:
        need_space(x, rank, first)
        ones = (1,) * rank
        return drop(x, rate, key, (x.shape[0], x.shape[1], *ones) if first else (x.shape[0], *ones, x.shape[-1]))

    return _in_training(disturb, seed, rate > 0)


@layer
def SpatialDropout1D(rate: float, seed: int | None = None) -> Definition:
    """Drop whole channels of a sequence while training: the same at all time steps.

    Shapes: ``(batch, time, channels)`` to the same. Params: none.

    Args:
      rate: the fraction of channels dropped, 0 to 1; the others are divided by ``1 - rate``.
      seed: sets this layer's stream apart.

    Raises:
      ValueError: when ``rate`` is not between 0 and 1, or no key was given in training.
      ShapeError: when the input has not 3 axes.

    Example:
      >>> SpatialDropout1D(0.5)(Input((100, 8))).shape
      (None, 100, 8)

    Reference: Tompson et al., arXiv:1411.4280; ``keras.layers.SpatialDropout1D``.
    """
    return _spatial(1, rate, None, seed)


@layer
def SpatialDropout2D(rate: float, data_format: str | None = None, seed: int | None = None) -> Definition:
    """Drop whole channels of an image while training.

    Shapes: ``(batch, height, width, channels)`` to the same. Params: none.

    Args:
      rate: the fraction of channels dropped, 0 to 1; the others are divided by ``1 - rate``.
      data_format: ``"channels_last"`` (None, default) or ``"channels_first"``: ``(batch, channels, height, width)``.
      seed: sets this layer's stream apart.

    Raises:
      ValueError: when ``rate`` is not between 0 and 1, or no key was given in training.
      ShapeError: when the input has not 4 axes.

    Example:
      >>> SpatialDropout2D(0.5)(Input((28, 28, 8))).shape
      (None, 28, 28, 8)

    Reference: Tompson et al., arXiv:1411.4280; ``keras.layers.SpatialDropout2D``.
    """
    return _spatial(2, rate, data_format, seed)


@layer
def SpatialDropout3D(rate: float, data_format: str | None = None, seed: int | None = None) -> Definition:
    """Drop whole channels of a volume while training.

    Shapes: ``(batch, depth, height, width, channels)`` to the same. Params: none.

    Args:
      rate: the fraction of channels dropped, 0 to 1; the others are divided by ``1 - rate``.
      data_format: ``"channels_last"`` (None, default) or ``"channels_first"``: ``(batch, channels, depth, height, width)``.
      seed: sets this layer's stream apart.

    Raises:
      ValueError: when ``rate`` is not between 0 and 1, or no key was given in training.
      ShapeError: when the input has not 5 axes.

    Example:
      >>> SpatialDropout3D(0.5)(Input((8, 28, 28, 8))).shape
      (None, 8, 28, 28, 8)

    Reference: Tompson et al., arXiv:1411.4280; ``keras.layers.SpatialDropout3D``.
    """
    return _spatial(3, rate, data_format, seed)


@layer
def GaussianNoise(stddev: float, seed: int | None = None) -> Definition:
    r"""Add normal noise while training.

    .. math:: y = x + \epsilon, \quad \epsilon \sim N(0, \sigma^2)

    Shapes: any to the same. Params: none.

    Args:
      stddev: :math:`\sigma`, 0 to 1.
      seed: sets this layer's stream apart.

    Raises:
      ValueError: when ``stddev`` is not between 0 and 1, or no key was given in training.

    Example:
      >>> GaussianNoise(0.1)(Input((32,))).shape
      (None, 32)

    Reference: ``keras.layers.GaussianNoise``.
    """
    if isinstance(stddev, bool) or not isinstance(stddev, numbers.Real) or not 0 <= float(stddev) <= 1:
        raise ValueError(f"stddev must be a number between 0 and 1, but got {stddev!r}.")
    return _in_training(lambda x, key: (x := real(x)) + stddev * _normal(key, x), seed, stddev > 0)


def _normal(key: jax.Array, x: Any) -> Any:
    """Draw noise for an input: the same numbers, rounded, in every precision."""
    return jax.random.normal(key, x.shape, jnp.promote_types(x.dtype, jnp.float32)).astype(x.dtype)


@layer
def GaussianDropout(rate: float, seed: int | None = None) -> Definition:
    r"""Multiply by normal noise of mean 1 while training.

    .. math:: y = x \epsilon, \quad \epsilon \sim N\Big(1, \frac{p}{1 - p}\Big)

    Shapes: any to the same. Params: none.

    Args:
      rate: :math:`p`, 0 up to, not including, 1; the noise has the variance that dropout of this rate has.
      seed: sets this layer's stream apart.

    Raises:
      ValueError: when ``rate`` is not such a number, or no key was given in training.

    Example:
      >>> GaussianDropout(0.5)(Input((32,))).shape
      (None, 32)

    Reference: Srivastava et al., JMLR 15 (2014); ``keras.layers.GaussianDropout``.
    """
    p = fraction("rate", rate)
    if p == 1:
        raise ValueError("rate must be less than 1: the noise would have no finite variance.")
    spread = math.sqrt(p / (1 - p))
    return _in_training(lambda x, key: (x := real(x)) * (1 + spread * _normal(key, x)), seed, p > 0)


_SELU = -1.0507009873554805 * 1.6732632423543772  # what selu saturates at on the negative side


@layer
def AlphaDropout(rate: float, noise_shape: Any = None, seed: int | None = None) -> Definition:
    r"""Set a random fraction to the value that ``selu`` saturates at, and keep mean and variance, while training.

    .. math:: y = a (x d + \alpha' (1 - d)) + b, \quad a = \big((1 - p)(1 + p \alpha'^2)\big)^{-1/2}, \quad b = -a \alpha' p

    with :math:`d` 0 or 1 and :math:`\alpha' = -1.7581`.

    Shapes: any to the same. Params: none.

    Args:
      rate: :math:`p`, the fraction, 0 up to, not including, 1.
      noise_shape, seed: as for ``Dropout``.

    Raises:
      ValueError: when ``rate`` is not such a number, or no key was given in training.

    Example:
      >>> AlphaDropout(0.1)(Input((32,))).shape
      (None, 32)

    Reference: Klambauer et al., arXiv:1706.02515; ``keras.layers.AlphaDropout``.
    """
    p = fraction("rate", rate)
    if p == 1:
        raise ValueError("rate must be less than 1: nothing would be left whose variance could be kept.")
    noise_shape = None if noise_shape is None else checked_shape("noise_shape", noise_shape)
    a = ((1 - p) * (1 + p * _SELU**2)) ** -0.5

    def disturb(x: Any, key: jax.Array) -> Any:
        x = real(x)
        kept = jax.random.bernoulli(key, 1 - p, _sizes(x, noise_shape) or x.shape)
        return a * (jnp.where(kept, x, _SELU) - _SELU * p)

    return _in_training(disturb, seed, p > 0)


@layer
def ActivityRegularization(l1: float = 0.0, l2: float = 0.0) -> Definition:
    r"""Pass the input on and add a penalty on it to the loss.

    .. math:: \frac{1}{n} \sum \big(l_1 |x| + l_2 x^2\big)

    with :math:`n` the number of examples in the batch.

    Shapes: any to the same. Params: none. State: ``penalty``, what the last call added.

    Args:
      l1, l2: the factors.

    Example:
      >>> ActivityRegularization(l2=0.01)(Input((32,))).shape
      (None, 32)

    Reference: ``keras.layers.ActivityRegularization``.
    """
    return penalised(stateless(lambda x: x), regularizers.L1L2(l1, l2))

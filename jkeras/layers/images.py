"""Rescaling, and random changes of images in training: RandomFlip, RandomBrightness, RandomContrast."""

from __future__ import annotations

import numbers
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jkeras.core import Context, Definition, Masked, layer
from jkeras.core.arguments import choice
from jkeras.layers.common import no_weights, real, seeded, stateless
from jkeras.layers.spatial import is_channels_first, need_space


@layer
def Rescaling(scale: Any, offset: Any = 0.0) -> Definition:
    r"""Multiply by a number and add another.

    .. math:: y = s x + o

    Shapes: any to the same. Params: none. Integers become float32.

    Args:
      scale: :math:`s`, a number or one for each entry of the last axis.
      offset: :math:`o`, likewise.

    Raises:
      ValueError: for what is no number.

    Example:
      >>> Rescaling(1 / 255)(jnp.array([0, 255])).tolist()
      [0.0, 1.0]

    Reference: ``keras.layers.Rescaling``.
    """
    try:
        s, o = np.array(scale, "float32"), np.array(offset, "float32")
    except (TypeError, ValueError):
        raise ValueError(f"scale and offset must be numbers, but got {scale!r} and {offset!r}.") from None

    def rescale(x: Any) -> Any:
        x = real(x)
        return x * s.astype(x.dtype) + o.astype(x.dtype)

    return stateless(rescale)


def in_training(change: Callable[[Any, jax.Array], Any], seed: int | None, first: bool = False) -> Definition:
    """Define a layer that changes images in training, ``change(x, key)``, and only makes floats of them elsewhere."""

    def apply(params: Any, state: Any, x: Any, ctx: Context) -> Any:
        need_space(x, 2, first)
        x = ctx.cast(real(x))
        return Masked(change(x, seeded(ctx, seed)) if ctx.training else x, None), state

    return Definition(no_weights, apply, mixes_examples="never")


def drawn(key: jax.Array, count: Any, lower: float, upper: float) -> Any:
    """Draw a number for each of ``count`` images, in float32."""
    return jax.random.uniform(key, (count,), jnp.float32, lower, upper)


def _between(key: jax.Array, x: Any, lower: float, upper: float) -> Any:
    """Draw a number for each image: ``(batch, 1, 1, 1)``."""
    return drawn(key, x.shape[0], lower, upper).astype(x.dtype).reshape(-1, 1, 1, 1)


def bounds(name: str, value: Any, least: float, most: float) -> tuple[float, float]:
    """Return an argument that may be one number or two as a lower and an upper bound."""
    pair = tuple(value) if isinstance(value, (list, tuple)) else (value, value)
    real = all(isinstance(v, numbers.Real) and not isinstance(v, bool) and least <= float(v) <= most for v in pair)
    if not real or len(pair) != 2:
        raise ValueError(f"{name} must be a number from {least} to {most}, or two of them, but got {value!r}.")
    low, high = sorted(map(float, pair))
    return (low, high) if isinstance(value, (list, tuple)) else (-abs(low), abs(low))


def _range_of(value: Any) -> tuple[float, float]:
    if not isinstance(value, (list, tuple)) or len(value) != 2 or not all(isinstance(v, numbers.Real) for v in value):
        raise ValueError(f"value_range must be the least and the largest value of a pixel, but got {value!r}.")
    return float(min(value)), float(max(value))


@layer
def RandomFlip(mode: str = "horizontal_and_vertical", seed: int | None = None, data_format: str | None = None) -> Definition:
    """Flip each image with probability one half while training, along each axis that is asked for by itself.

    Shapes: ``(batch, height, width, channels)`` to the same. Params: none. (Keras 3.15.1 flips both axes together or neither.)

    Args:
      mode: ``"horizontal"`` exchanges left and right, ``"vertical"`` up and down, ``"horizontal_and_vertical"`` does both.
      seed: sets this layer's stream apart.
      data_format: ``"channels_last"`` (None, default) or ``"channels_first"``: ``(batch, channels, height, width)``.

    Raises:
      ValueError: for another ``mode``, or when no key was given in training.
      ShapeError: when the input has not 4 axes.

    Example:
      >>> RandomFlip("horizontal")(Input((28, 28, 3))).shape
      (None, 28, 28, 3)

    Reference: ``keras.layers.RandomFlip``.
    """
    word = choice("mode", mode, ("horizontal", "vertical", "horizontal_and_vertical"))
    first = is_channels_first(data_format)
    height = 2 if first else 1
    axes = [height + 1] * ("horizontal" in word) + [height] * ("vertical" in word)

    def flip(x: Any, key: jax.Array) -> Any:
        for axis in axes:
            turned = jax.random.bernoulli(jax.random.fold_in(key, axis), 0.5, (x.shape[0], 1, 1, 1))
            x = jnp.where(turned, jnp.flip(x, axis), x)
        return x

    return in_training(flip, seed, first)


@layer
def RandomBrightness(factor: Any, value_range: Any = (0, 255), seed: int | None = None) -> Definition:
    r"""Add a number of its own to each image while training.

    .. math:: y = \operatorname{clip}\big(x + u (b - a), a, b\big), \quad u \sim U(l, h)

    Shapes: ``(batch, height, width, channels)`` to the same. Params: none.

    Args:
      factor: :math:`(l, h)`, each from -1 to 1, or one number f for :math:`(-f, f)`.
      value_range: :math:`(a, b)`, the least and the largest value of a pixel.
      seed: sets this layer's stream apart.

    Raises:
      ValueError: for numbers out of range, or when no key was given in training.
      ShapeError: when the input has not 4 axes.

    Example:
      >>> RandomBrightness(0.2)(Input((28, 28, 3))).shape
      (None, 28, 28, 3)

    Reference: ``keras.layers.RandomBrightness``.
    """
    (lower, upper), (least, most) = bounds("factor", factor, -1, 1), _range_of(value_range)

    def brighten(x: Any, key: jax.Array) -> Any:
        return jnp.clip(x + _between(key, x, lower, upper) * (most - least), least, most)

    return in_training(brighten, seed)


@layer
def RandomContrast(factor: Any, value_range: Any = (0, 255), seed: int | None = None) -> Definition:
    r"""Draw each image's pixels away from, or towards, their mean of each channel while training.

    .. math:: y = \operatorname{clip}\big((x - \mu) u + \mu, a, b\big), \quad u \sim U(1 - l, 1 + h)

    Shapes: ``(batch, height, width, channels)`` to the same. Params: none.

    Args:
      factor: :math:`(l, h)`, each from 0 to 1, or one number for both. (Keras 3.15.1 says so and takes 0 for :math:`l` then.)
      value_range: :math:`(a, b)`, the least and the largest value of a pixel.
      seed: sets this layer's stream apart.

    Raises:
      ValueError: for numbers out of range, or when no key was given in training.
      ShapeError: when the input has not 4 axes.

    Example:
      >>> RandomContrast(0.2)(Input((28, 28, 3))).shape
      (None, 28, 28, 3)

    Reference: ``keras.layers.RandomContrast``.
    """
    pair = factor if isinstance(factor, (list, tuple)) else (factor, factor)
    bounds("factor", factor, 0, 1)
    lower, upper = float(pair[0]), float(pair[1])
    least, most = _range_of(value_range)

    def sharpen(x: Any, key: jax.Array) -> Any:
        mean = x.mean((1, 2), keepdims=True)  # (batch, 1, 1, channels)
        return jnp.clip((x - mean) * _between(key, x, 1 - lower, 1 + upper) + mean, least, most)

    return in_training(sharpen, seed)

"""Images turned, shifted and zoomed at random in training: RandomRotation, RandomTranslation, RandomZoom."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jkeras.core import Definition, layer
from jkeras.core.arguments import choice
from jkeras.layers.geometry import FILL_MODES, warped
from jkeras.layers.images import bounds, drawn, in_training
from jkeras.layers.spatial import is_channels_first


def _moving(
    maps: Callable[[jax.Array, Any, int, int], Any],
    fill_mode: str,
    interpolation: str,
    seed: int | None,
    fill_value: float,
    data_format: str | None,
) -> Definition:
    """Define a layer that looks each image up at other places: ``maps(key, batch, height, width)`` gives six numbers of each."""
    choice("fill_mode", fill_mode, FILL_MODES)
    choice("interpolation", interpolation, ("nearest", "bilinear"))
    first = is_channels_first(data_format)

    def move(x: Any, key: jax.Array) -> Any:
        x = jnp.moveaxis(x, 1, -1) if first else x
        numbers = jnp.stack([jnp.broadcast_to(n, x.shape[:1]) for n in maps(key, *x.shape[:3])], -1)  # (batch, 6)
        y = warped(x, jnp.pad(numbers, ((0, 0), (0, 2))), interpolation, fill_mode, fill_value)
        return jnp.moveaxis(y, -1, 1) if first else y

    return in_training(move, seed, first)


@layer
def RandomRotation(
    factor: Any,
    fill_mode: str = "reflect",
    interpolation: str = "bilinear",
    seed: int | None = None,
    fill_value: float = 0.0,
    data_format: str | None = None,
) -> Definition:
    """Turn each image by an angle of its own around its middle while training.

    Shapes: ``(batch, height, width, channels)`` to the same. Params: none.

    Args:
      factor: the least and the largest angle, as parts of a full turn, anticlockwise; one number f for :math:`(-f, f)`.
      fill_mode: what is outside: ``"reflect"``, ``"wrap"``, ``"constant"``, ``"nearest"`` or ``"mirror"``.
      interpolation: ``"bilinear"`` or ``"nearest"``.
      seed: sets this layer's stream apart.
      fill_value: the constant.
      data_format: ``"channels_last"`` (None, default) or ``"channels_first"``.

    Raises:
      ValueError: for numbers beyond a full turn, other words, or when no key was given in training.
      ShapeError: when the input has not 4 axes.

    Example:
      >>> RandomRotation(0.1)(Input((28, 28, 3))).shape
      (None, 28, 28, 3)

    Reference: ``keras.layers.RandomRotation``.
    """
    pair = bounds("factor", factor, -1, 1)

    def maps(key: jax.Array, count: Any, height: Any, width: Any) -> Any:
        angle = 2 * np.pi * drawn(key, count, *pair)
        c, s = jnp.cos(angle), jnp.sin(angle)
        x, y = (width - 1) / 2, (height - 1) / 2  # the middle stays where it is
        return c, -s, x - c * x + s * y, s, c, y - s * x - c * y

    return _moving(maps, fill_mode, interpolation, seed, fill_value, data_format)


@layer
def RandomTranslation(
    height_factor: Any,
    width_factor: Any,
    fill_mode: str = "reflect",
    interpolation: str = "bilinear",
    seed: int | None = None,
    fill_value: float = 0.0,
    data_format: str | None = None,
) -> Definition:
    """Shift each image down and to the right by lengths of its own while training.

    Shapes: ``(batch, height, width, channels)`` to the same. Params: none.

    Args:
      height_factor, width_factor: the least and the largest shift, as parts of the image's size; one number f for
        :math:`(-f, f)`.
      fill_mode, interpolation, seed, fill_value, data_format: as for :func:`RandomRotation`.

    Raises:
      ValueError: for numbers beyond -1 and 1, other words, or when no key was given in training.
      ShapeError: when the input has not 4 axes.

    Example:
      >>> RandomTranslation(0.1, 0.2)(Input((28, 28, 3))).shape
      (None, 28, 28, 3)

    Reference: ``keras.layers.RandomTranslation``.
    """
    down, right = bounds("height_factor", height_factor, -1, 1), bounds("width_factor", width_factor, -1, 1)

    def maps(key: jax.Array, count: Any, height: Any, width: Any) -> Any:
        of_rows, of_columns = jax.random.split(key)
        return 1.0, 0.0, -width * drawn(of_columns, count, *right), 0.0, 1.0, -height * drawn(of_rows, count, *down)

    return _moving(maps, fill_mode, interpolation, seed, fill_value, data_format)


@layer
def RandomZoom(
    height_factor: Any,
    width_factor: Any = None,
    fill_mode: str = "reflect",
    interpolation: str = "bilinear",
    seed: int | None = None,
    fill_value: float = 0.0,
    data_format: str | None = None,
) -> Definition:
    """Show more or less of each image around its middle while training.

    Shapes: ``(batch, height, width, channels)`` to the same. Params: none.

    Args:
      height_factor: the least and the largest part by which more of the height is seen, 0.2 for a fifth more; one number f for
        :math:`(-f, f)`.
      width_factor: likewise; by default as much as of the height, so that nothing is distorted.
      fill_mode, interpolation, seed, fill_value, data_format: as for :func:`RandomRotation`.

    Raises:
      ValueError: for numbers beyond -1 and 1, other words, or when no key was given in training.
      ShapeError: when the input has not 4 axes.

    Example:
      >>> RandomZoom(0.2)(Input((28, 28, 3))).shape
      (None, 28, 28, 3)

    Reference: ``keras.layers.RandomZoom``.
    """
    tall = bounds("height_factor", height_factor, -1, 1)
    wide = None if width_factor is None else bounds("width_factor", width_factor, -1, 1)

    def maps(key: jax.Array, count: Any, height: Any, width: Any) -> Any:
        of_rows, of_columns = jax.random.split(key)
        down = 1 + drawn(of_rows, count, *tall)
        across = down if wide is None else 1 + drawn(of_columns, count, *wide)
        return across, 0.0, (width - 1) / 2 * (1 - across), 0.0, down, (height - 1) / 2 * (1 - down)

    return _moving(maps, fill_mode, interpolation, seed, fill_value, data_format)

"""Add, Concatenate and their lower-case forms."""

from __future__ import annotations

import functools
from typing import Any

import jax.numpy as jnp

from jkeras.core import Context, Definition, Masked, layer
from jkeras.core.errors import ShapeError
from jkeras.core.masks import any_of, concatenated
from jkeras.core.shapes import shape_of, shapes_of
from jkeras.layers.common import no_weights


def _several(xs: Any, what: str, least: int) -> list[Any]:
    if not isinstance(xs, (list, tuple)) or len(xs) < least:
        got = f"a list of {len(xs)}" if isinstance(xs, (list, tuple)) else "a single one"
        raise ShapeError(f"{what} takes a list of at least {least} inputs, as in {what}()([a, b]), but got {got}.")
    return list(xs)


@layer
def Add() -> Definition:
    """Add inputs of the same shape, or of shapes that broadcast.

    Shapes: a list of ``(batch, ...)`` to ``(batch, ...)``. Params: none. Where every input has a mask, an entry is valid if it
    is valid in any of them; where one has none, neither has the sum (both as in Keras).

    Raises:
      ShapeError: for fewer than 2 inputs, or shapes that do not broadcast.

    Example:
      >>> Add()([Input((32,)), Input((32,))]).shape
      (None, 32)

    Reference: ``keras.layers.Add``.
    """

    def apply(params: Any, state: Any, x: Any, ctx: Context) -> Any:
        mask = any_of(ctx.masks) if len({part.ndim for part in x}) == 1 else None  # which axes meet which is said by ranks
        return Masked(functools.reduce(jnp.add, _aligned(_several(x, "Add", 2))), mask), state

    return Definition(no_weights, apply, mixes_examples="never")


def _aligned(xs: list[Any]) -> list[Any]:
    """Give inputs of fewer axes new ones after the batch axis, so that examples stay with examples."""
    ndim = max(x.ndim for x in xs)
    return [x.reshape(x.shape[0], *(1,) * (ndim - x.ndim), *x.shape[1:]) for x in xs]


@layer
def Concatenate(axis: int = -1) -> Definition:
    """Join inputs along one axis.

    Shapes: a list of shapes equal but for ``axis``, whose sizes add up. Params: none. Masks are joined along time; along
    features a step is valid if it is valid in any input. An input without a mask counts as valid throughout. As in Keras.

    Args:
      axis: along which to join; not the batch axis.

    Raises:
      ShapeError: when the shapes differ elsewhere, or there is no such axis.

    Example:
      >>> Concatenate()([Input((32,)), Input((16,))]).shape
      (None, 48)

    Reference: ``keras.layers.Concatenate``.
    """
    if axis == 0:
        raise ValueError("axis 0 is the batch axis, along which examples are kept apart; join along another one.")

    def apply(params: Any, state: Any, x: Any, ctx: Context) -> Any:
        xs = _several(x, "Concatenate", 1)
        ndim = xs[0].ndim
        where = axis + ndim if axis < 0 else axis
        if not 0 < where < ndim:
            raise ShapeError(f"there is no axis {axis} to join along in inputs of {ndim} axes.")
        shapes = {tuple(s for i, s in enumerate(shape_of(part)) if i != where) for part in xs}
        if any(part.ndim != ndim for part in xs) or len(shapes) > 1:
            raise ShapeError(f"the shapes {shapes_of(xs)} must be equal but for axis {axis}.")
        return Masked(jnp.concatenate(xs, where), concatenated(xs, ctx.masks, where)), state

    return Definition(no_weights, apply, mixes_examples="never")


def add(inputs: Any, **kwargs: Any) -> Any:
    """Write ``Add(**kwargs)(inputs)``."""
    return Add(**kwargs)(inputs)


def concatenate(inputs: Any, axis: int = -1, **kwargs: Any) -> Any:
    """Write ``Concatenate(axis, **kwargs)(inputs)``.

    Example:
      >>> concatenate([Input((32,)), Input((16,))], axis=-1).shape
      (None, 48)
    """
    return Concatenate(axis, **kwargs)(inputs)

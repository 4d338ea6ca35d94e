"""Add, Subtract, Multiply, Average, Maximum, Minimum, Concatenate, Dot, and their lower-case forms."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jkeras.core import Context, Definition, Masked, layer
from jkeras.core.errors import ShapeError
from jkeras.core.masks import any_of, concatenated, lengthened
from jkeras.core.shapes import shape_of, shapes_of
from jkeras.layers.common import no_weights, real, unit


def _several(xs: Any, what: str, least: int, most: int | None = None) -> list[Any]:
    many = len(xs) if isinstance(xs, (list, tuple)) else None
    if many is None or many < least or (most is not None and many > most):
        got = "a single one" if many is None else f"a list of {many}"
        count = f"{least}" if most == least else f"at least {least}"
        raise ShapeError(f"{what} takes a list of {count} inputs, as in {what}()([a, b]), but got {got}.")
    return list(xs)


def _merging(what: str, merge: Callable[[list[Any], list[Any]], Any], least: int = 2, most: int | None = None) -> Definition:
    """Define a layer that merges inputs entry by entry; ``merge`` is given values and masks, brought to as many axes."""

    def apply(params: Any, state: Any, x: Any, ctx: Context) -> Any:
        xs = _several(x, what, least, most)
        same = len({part.ndim for part in xs}) == 1  # which axes meet which is said by ranks
        mask = any_of(ctx.masks) if same else None
        valid = list(ctx.masks) if same else [None] * len(xs)
        return Masked(merge(_aligned(xs), valid), mask), state

    return Definition(no_weights, apply, mixes_examples="never")


def _aligned(xs: list[Any]) -> list[Any]:
    """Give inputs of fewer axes new ones after the batch axis, so that examples stay with examples."""
    ndim = max(x.ndim for x in xs)
    return [x.reshape(x.shape[0], *(1,) * (ndim - x.ndim), *x.shape[1:]) for x in xs]


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
    return _merging("Add", lambda xs, valid: functools.reduce(jnp.add, xs))


@layer
def Subtract() -> Definition:
    """Subtract the second of two inputs from the first.

    Shapes: two of ``(batch, ...)`` that broadcast to ``(batch, ...)``. Params: none. Masks as for ``Add``.

    Raises:
      ShapeError: for other than 2 inputs, or shapes that do not broadcast.

    Example:
      >>> Subtract()([Input((32,)), Input((32,))]).shape
      (None, 32)

    Reference: ``keras.layers.Subtract``.
    """
    return _merging("Subtract", lambda xs, valid: xs[0] - xs[1], 2, 2)


@layer
def Multiply() -> Definition:
    """Multiply inputs entry by entry.

    Shapes: a list of ``(batch, ...)`` that broadcast to ``(batch, ...)``. Params: none. Masks as for ``Add``; a masked entry
    counts as 1, and one that is masked everywhere is 0.

    Raises:
      ShapeError: for fewer than 2 inputs, or shapes that do not broadcast.

    Example:
      >>> Multiply()([Input((32,)), Input((32,))]).shape
      (None, 32)

    Reference: ``keras.layers.Multiply``.
    """

    def multiply(xs: list[Any], valid: list[Any]) -> Any:
        known = [x if v is None else jnp.where(lengthened(v, x.ndim), x, 1) for x, v in zip(xs, valid, strict=True)]
        y = functools.reduce(jnp.multiply, known)
        mask = any_of(valid)
        return y if mask is None else jnp.where(lengthened(mask, y.ndim), y, 0)

    return _merging("Multiply", multiply)


@layer
def Average() -> Definition:
    """Take the mean of inputs entry by entry.

    Shapes: a list of ``(batch, ...)`` that broadcast to ``(batch, ...)``. Params: none. Masks as for ``Add``.

    Raises:
      ShapeError: for fewer than 2 inputs, or shapes that do not broadcast.

    Example:
      >>> Average()([Input((32,)), Input((32,))]).shape
      (None, 32)

    Reference: ``keras.layers.Average``.
    """
    return _merging("Average", lambda xs, valid: functools.reduce(jnp.add, xs) / len(xs))


def _extreme(choose: Callable[[Any, Any], Any]) -> Callable[[list[Any], list[Any]], Any]:
    def either(xs: list[Any], valid: list[Any]) -> Any:
        y, seen = xs[0], valid[0]
        for x, v in zip(xs[1:], valid[1:], strict=True):  # an entry that is masked in one input is the other's, as in Keras
            x = x if v is None else jnp.where(lengthened(v, x.ndim), x, y)
            y = y if seen is None else jnp.where(lengthened(seen, y.ndim), y, x)
            seen = None if v is None or seen is None else seen | v
            y = choose(y, x)
        return y

    return either


@layer
def Maximum() -> Definition:
    """Keep the largest of inputs entry by entry.

    Shapes: a list of ``(batch, ...)`` that broadcast to ``(batch, ...)``. Params: none. Masks as for ``Add``; an entry that
    is masked in one input is the other's.

    Raises:
      ShapeError: for fewer than 2 inputs, or shapes that do not broadcast.

    Example:
      >>> Maximum()([Input((32,)), Input((32,))]).shape
      (None, 32)

    Reference: ``keras.layers.Maximum``.
    """
    return _merging("Maximum", _extreme(jnp.maximum))


@layer
def Minimum() -> Definition:
    """Keep the smallest of inputs entry by entry.

    Shapes: a list of ``(batch, ...)`` that broadcast to ``(batch, ...)``. Params: none. Masks as for ``Maximum``.

    Raises:
      ShapeError: for fewer than 2 inputs, or shapes that do not broadcast.

    Example:
      >>> Minimum()([Input((32,)), Input((32,))]).shape
      (None, 32)

    Reference: ``keras.layers.Minimum``.
    """
    return _merging("Minimum", _extreme(jnp.minimum))


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


@layer
def Dot(axes: Any, normalize: bool = False) -> Definition:
    r"""Multiply two inputs and sum along one axis of each, example by example.

    .. math:: y_{i \ldots j \ldots} = \sum_k a_{i \ldots k} \, b_{k \, j \ldots}

    Shapes: ``(batch, ..., n)`` and ``(batch, ..., n)``, where n may stand on any axis, to
    ``(batch, *a's others, *b's others)``, or to ``(batch, 1)`` where there are none. Params: none. Ends a mask.

    Args:
      axes: the axis that is summed over, of both or one of each; not the batch axis.
      normalize: whether both are brought to length 1 along that axis first, which gives the cosine of their angle.

    Raises:
      ValueError: for ``axes`` that are neither an integer nor two.
      ShapeError: for other than 2 inputs, or unequal sizes on the axes.

    Example:
      >>> Dot(axes=1)([Input((32,)), Input((32,))]).shape
      (None, 1)
      >>> Dot(axes=(2, 1))([Input((10, 8)), Input((8, 5))]).shape
      (None, 10, 5)

    Reference: ``keras.layers.Dot``.
    """
    pair = tuple(axes) if isinstance(axes, (list, tuple)) else (axes, axes)
    if len(pair) != 2 or not all(isinstance(axis, int) and not isinstance(axis, bool) for axis in pair):
        raise ValueError(f"axes must be an integer or two of them, but got {axes!r}.")

    def apply(params: Any, state: Any, x: Any, ctx: Context) -> Any:
        parts = _several(x, "Dot", 2, 2)
        where = [axis + part.ndim if axis < 0 else axis for axis, part in zip(pair, parts, strict=True)]
        for axis, part in zip(where, parts, strict=True):
            if not 0 < axis < part.ndim:
                raise ShapeError(f"axes {axes} name the batch axis or none of an input {shape_of(part)}.")
        if parts[0].shape[where[0]] != parts[1].shape[where[1]]:
            raise ShapeError(f"the shapes {shapes_of(parts)} must be equal on the axes {axes}.")
        if normalize:
            parts = [unit(real(part), axis, 1e-6) for axis, part in zip(where, parts, strict=True)]
        product = lambda a, b: jnp.tensordot(a, b, ([where[0] - 1], [where[1] - 1]))  # noqa: E731, one example of each
        y = jax.vmap(product)(*parts)
        return Masked(y[:, None] if y.ndim == 1 else y, None), state

    return Definition(no_weights, apply, mixes_examples="never")


def add(inputs: Any, **kwargs: Any) -> Any:
    """Write ``Add(**kwargs)(inputs)``."""
    return Add(**kwargs)(inputs)


def subtract(inputs: Any, **kwargs: Any) -> Any:
    """Write ``Subtract(**kwargs)(inputs)``."""
    return Subtract(**kwargs)(inputs)


def multiply(inputs: Any, **kwargs: Any) -> Any:
    """Write ``Multiply(**kwargs)(inputs)``."""
    return Multiply(**kwargs)(inputs)


def average(inputs: Any, **kwargs: Any) -> Any:
    """Write ``Average(**kwargs)(inputs)``."""
    return Average(**kwargs)(inputs)


def maximum(inputs: Any, **kwargs: Any) -> Any:
    """Write ``Maximum(**kwargs)(inputs)``."""
    return Maximum(**kwargs)(inputs)


def minimum(inputs: Any, **kwargs: Any) -> Any:
    """Write ``Minimum(**kwargs)(inputs)``."""
    return Minimum(**kwargs)(inputs)


def concatenate(inputs: Any, axis: int = -1, **kwargs: Any) -> Any:
    """Write ``Concatenate(axis, **kwargs)(inputs)``.

    Example:
      >>> concatenate([Input((32,)), Input((16,))], axis=-1).shape
      (None, 48)
    """
    return Concatenate(axis, **kwargs)(inputs)


def dot(inputs: Any, axes: Any = -1, **kwargs: Any) -> Any:
    """Write ``Dot(axes, **kwargs)(inputs)``."""
    return Dot(axes, **kwargs)(inputs)

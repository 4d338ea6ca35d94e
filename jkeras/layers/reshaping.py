"""Flatten, Reshape, Permute, RepeatVector."""

from __future__ import annotations

import math
from typing import Any

import jax.numpy as jnp

from jkeras.core import Definition, Masked, layer
from jkeras.core.arguments import whole_number
from jkeras.core.errors import ShapeError
from jkeras.core.shapes import shape_of
from jkeras.layers.common import need_ndim, stateless


@layer
def Flatten(data_format: str | None = None) -> Definition:
    """Join all axes but the first.

    Shapes: ``(batch, ...)`` to ``(batch, product)``; ``(batch,)`` to ``(batch, 1)``. Params: none. Ends a mask.

    Args:
      data_format: ``"channels_first"`` moves the channels last before joining; None and ``"channels_last"`` do not.

    Raises:
      ShapeError: when a later layer needs the size and one of the joined sizes is unknown.

    Example:
      >>> Flatten()(Input((8, 4))).shape
      (None, 32)

    Reference: ``keras.layers.Flatten``.
    """

    def flatten(x: Any) -> Masked:
        if data_format == "channels_first" and x.ndim > 2:
            x = jnp.moveaxis(x, 1, -1)
        return Masked(x.reshape(x.shape[0], -1), None)

    return stateless(flatten)


@layer
def Reshape(target_shape: Any) -> Definition:
    """Give each example another shape of as many entries.

    Shapes: ``(batch, ...)`` to ``(batch, *target_shape)``. Params: none. Ends a mask.

    Args:
      target_shape: the new shape of one example; one size may be -1, which is worked out of the others.

    Raises:
      ValueError: for more than one -1.
      ShapeError: when the numbers of entries differ.

    Example:
      >>> Reshape((3, -1))(Input((12,))).shape
      (None, 3, 4)

    Reference: ``keras.layers.Reshape``.
    """
    sizes = tuple(target_shape) if isinstance(target_shape, (list, tuple)) else (target_shape,)
    target = tuple(-1 if size in (-1, None) else whole_number("target_shape", size) for size in sizes)
    if target.count(-1) > 1:
        raise ValueError(f"target_shape may leave one size open, but got {target_shape!r}.")

    def reshape(x: Any) -> Masked:
        given, known = x.shape[1:], math.prod(size for size in target if size != -1)
        if all(isinstance(size, int) for size in given):
            total = math.prod(given)
            if total % known if -1 in target else total != known:
                raise ShapeError(f"{total} entries of an example {shape_of(x)[1:]} cannot have the shape {target}.")
        return Masked(x.reshape(x.shape[0], *target), None)

    return stateless(reshape)


@layer
def Permute(dims: Any) -> Definition:
    """Put the axes of each example in another order.

    Shapes: ``(batch, ...)`` to the same sizes in another order. Params: none. Ends a mask.

    Args:
      dims: for each new axis, which one it was, counted from 1: ``(2, 1)`` swaps two axes.

    Raises:
      ValueError: when ``dims`` is no order of 1, 2, ...
      ShapeError: when the input has another number of axes.

    Example:
      >>> Permute((2, 1))(Input((10, 64))).shape
      (None, 64, 10)

    Reference: ``keras.layers.Permute``.
    """
    order = tuple(whole_number("dims", axis) for axis in dims)
    if sorted(order) != list(range(1, len(order) + 1)):
        raise ValueError(f"dims must be an order of the axes 1 to {len(order)}, but got {dims!r}.")

    def permute(x: Any) -> Masked:
        need_ndim(x, ("batch", *(f"axis {i}" for i in range(1, len(order) + 1))))
        return Masked(jnp.transpose(x, (0, *order)), None)

    return stateless(permute)


@layer
def RepeatVector(n: int) -> Definition:
    """Repeat each example's vector as the steps of a sequence.

    Shapes: ``(batch, features)`` to ``(batch, n, features)``. Params: none.

    Args:
      n: how many times.

    Raises:
      ValueError: when ``n`` is not a positive integer.
      ShapeError: when the input has not 2 axes.

    Example:
      >>> RepeatVector(3)(Input((32,))).shape
      (None, 3, 32)

    Reference: ``keras.layers.RepeatVector``.
    """
    times = whole_number("n", n)

    def repeat(x: Any) -> Masked:
        need_ndim(x, ("batch", "features"))
        return Masked(jnp.repeat(x[:, None], times, axis=1), None)

    return stateless(repeat)

"""Functions of arrays where Keras means something else than ``jax.numpy`` by the same name, or where that has none."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jkeras.core.context import is_traced
from jkeras.core.errors import ShapeError
from jkeras.core.functions import offer
from jkeras.core.operation import lifting, op
from jkeras.core.shapes import is_float, shape_of
from jkeras.layers.common import real


@op
def get_item(x: Any, key: Any) -> Any:
    """Index an array as ``x[key]``."""
    return jnp.asarray(x)[key]


@op
def arange(start: Any, stop: Any = None, step: Any = None, dtype: Any = None) -> Any:
    """Return numbers from ``start`` up to, not including, ``stop``; from 0 up to ``start`` where that alone is given."""
    return jnp.arange(start, stop, step, dtype=dtype)


@op
def full(shape: Any, fill_value: Any, dtype: Any = None) -> Any:
    """Return an array of one number, float32 by default."""
    return jnp.full(shape, jnp.asarray(fill_value), dtype or jnp.float32)


def _rounding(name: str, function: Callable[[Any], Any]) -> None:
    def rounded(x: Any) -> Any:
        return function(real(jnp.asarray(x)))

    rounded.__name__ = rounded.__qualname__ = name
    rounded.__doc__ = f"Return the {name} of each number, as a floating one."
    offer(name, rounded)


for _name in ("ceil", "floor"):
    _rounding(_name, getattr(jnp, _name))


@op
def round(x: Any, decimals: int = 0) -> Any:
    """Round to so many decimals, halves to even ones; below 0 to tens and hundreds, whole numbers too."""
    x = jnp.asarray(x)
    if decimals < 0 and not is_float(x):
        return (jnp.round(x / 10**-decimals) * 10**-decimals).astype(x.dtype)
    return jnp.round(x, decimals)


@op
def clip(x: Any, x_min: Any, x_max: Any) -> Any:
    """Return each number, or the bound that it exceeds."""
    x = jnp.asarray(x)
    return jnp.clip(x.astype(jnp.int32) if x.dtype == bool else x, x_min, x_max)


@op
def bincount(x: Any, weights: Any = None, minlength: int = 0, sparse: bool = False) -> Any:
    """Count how often each whole number from 0 on occurs, or sum the weights where it does.

    Args:
      x: whole numbers ``(n,)``, or ``(rows, n)``, each row counted by itself.
      weights: of the shape of ``x``.
      minlength: how many numbers are counted at least; inside ``jit``, exactly, since sizes cannot depend on values there.
      sparse: for Keras's sake.
    """
    if sparse:
        raise ValueError("bincount makes dense tensors only: leave sparse= out.")
    x = jnp.asarray(x)
    traced = is_traced(x)
    if traced and not minlength:
        raise ValueError("bincount inside jit needs minlength: how many numbers are counted.")
    length = minlength if traced or x.size == 0 else max(int(x.max()) + 1, minlength)
    weights = None if weights is None else jnp.asarray(weights)
    count = lambda x, weights: jnp.bincount(x, weights, length=length)  # noqa: E731
    return jax.vmap(count, (0, None if weights is None else 0))(x, weights) if x.ndim == 2 else count(x, weights)


@op
def divide_no_nan(x1: Any, x2: Any) -> Any:
    """Divide, and return 0 where the divisor is 0."""
    x1, x2 = jnp.asarray(x1), jnp.asarray(x2)
    return jnp.where(x2 == 0, 0, x1 / jnp.where(x2 == 0, 1, x2))


@op
def einsum(subscripts: str, *operands: Any, **kwargs: Any) -> Any:
    """Sum products as Einstein's notation says, ``"bij,bjk->bik"``; keywords are those of ``jax.numpy.einsum``."""
    return jnp.einsum(subscripts, *map(jnp.asarray, operands), **kwargs)


@op
def matmul(x1: Any, x2: Any) -> Any:
    """Multiply matrices, ``(..., m, n)`` by ``(..., n, k)``; products of int8 are summed as int32."""
    x1, x2 = jnp.asarray(x1), jnp.asarray(x2)
    wide = jnp.int32 if x1.dtype == x2.dtype == jnp.int8 else None
    return jnp.matmul(x1, x2, preferred_element_type=wide)


@op
def meshgrid(*x: Any, indexing: str = "xy") -> list[Any]:
    """Return each of several lists of coordinates, spread over the grid of all of them."""
    return list(jnp.meshgrid(*map(jnp.asarray, x), indexing=indexing))


@op
def pad(x: Any, pad_width: Any, mode: str = "constant", constant_values: Any = None) -> Any:
    """Put numbers around an array: ``pad_width`` has a pair ``(before, after)`` for each axis, or one pair or number for all.

    Args:
      x: any array.
      pad_width: how many on each side.
      mode: ``"constant"``, ``"reflect"``, ``"symmetric"``, ``"edge"``, or another of ``jax.numpy.pad``.
      constant_values: with "constant", the number, 0 by default.
    """
    if constant_values is None:
        return jnp.pad(jnp.asarray(x), pad_width, mode)
    if mode != "constant":
        raise ValueError(f"constant_values goes with mode='constant', but mode is {mode!r}.")
    return jnp.pad(jnp.asarray(x), pad_width, mode, constant_values=constant_values)


@op
def searchsorted(sorted_sequence: Any, values: Any, side: str = "left") -> Any:
    """Return where each value goes in an ascending sequence ``(n,)``: before its equals, or behind them with ``side="right"``."""
    sequence = jnp.asarray(sorted_sequence)
    if sequence.ndim != 1:
        raise ShapeError(f"searchsorted needs a sequence (n,), but got {shape_of(sequence)}; use vectorized_map for several.")
    return jnp.searchsorted(sequence, jnp.asarray(values), side=side)


@op
def stack(x: Any, axis: int = 0) -> Any:
    """Join arrays of one shape along a new axis."""
    return jnp.stack([jnp.asarray(one) for one in x], axis)


@op
def unique(
    x: Any,
    sorted: bool = True,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    size: int | None = None,
    fill_value: Any = None,
) -> Any:
    """Return the different entries, each NaN by itself.

    Args:
      x: any array.
      sorted: for Keras's sake; the result is always ascending.
      return_index, return_inverse, return_counts: whether where each was first, which one each entry is, and how often each
        occurs, are returned too.
      axis: along which axis slices are compared; None (default) compares all entries.
      size: how many are returned, which ``jit`` must know; ``fill_value`` fills up.
      fill_value: as said; the least entry by default.
    """
    return jnp.unique(
        jnp.asarray(x), return_index, return_inverse, return_counts, axis, equal_nan=False, size=size, fill_value=fill_value
    )


@op
def view(x: Any, dtype: Any = None) -> Any:
    """Return the same bytes as numbers of another dtype."""
    return jnp.asarray(x).view(dtype)


@op
def where(condition: Any, x1: Any = None, x2: Any = None) -> Any:
    """Return ``x1`` where a condition holds and ``x2`` elsewhere; the indices of where it holds, if neither is given."""
    if (x1 is None) != (x2 is None):
        raise ValueError("where takes x1 and x2, or neither.")
    condition = jnp.asarray(condition)
    if x1 is None:
        return jnp.where(condition)
    x1, x2 = (jnp.asarray(x) if isinstance(x, (list, tuple)) else x for x in (x1, x2))
    return jnp.where(condition, x1, x2)


def vectorize(pyfunc: Callable, *, excluded: Any = None, signature: str | None = None) -> Callable:
    """Return a function of arrays that applies ``pyfunc`` to each of their numbers; ``jax.numpy.vectorize``."""
    return jnp.vectorize(pyfunc, excluded=frozenset(excluded or ()), signature=signature)


offer("vectorize", vectorize)


# -- numbers, ranks and groups ----------------------------------------------------------------------------------------


@op
def rsqrt(x: Any) -> Any:
    r"""Return :math:`1 / \sqrt{x}`."""
    x = jnp.asarray(x)
    return jax.lax.rsqrt(x if jnp.issubdtype(x.dtype, jnp.inexact) else x.astype(jnp.float32))


@op
def top_k(x: Any, k: int, sorted: bool = True) -> tuple[Any, Any]:
    """Return the k largest entries along the last axis, descending, and their indices; ``sorted`` is for Keras's sake."""
    values, indices = jax.lax.top_k(jnp.asarray(x), k)
    return values, indices


@op
def in_top_k(targets: Any, predictions: Any, k: int) -> Any:
    """Return whether each target's prediction is among the k largest: ``(...)`` and ``(..., classes)`` to ``(...)``."""
    targets, predictions = jnp.asarray(targets), jnp.asarray(predictions)
    own = jnp.take_along_axis(predictions, targets[..., None], -1)
    return jnp.sum(predictions > jnp.where(jnp.isnan(own), -jnp.inf, own), -1) < k


def _segments(name: str, what: str) -> None:
    reduce = getattr(jax.ops, name)

    def segments(data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False) -> Any:
        data, ids = jnp.asarray(data), jnp.asarray(segment_ids)
        if ids.ndim != 1:
            raise ShapeError(f"{name} needs segment_ids (n,), but got {shape_of(ids)}.")
        return reduce(data, ids, num_segments, indices_are_sorted=sorted)

    segments.__name__ = segments.__qualname__ = name
    segments.__doc__ = f"""Return the {what} of the entries of each segment: ``(n, ...)`` to ``(num_segments, ...)``.

    Args:
      data: any array.
      segment_ids: which segment each entry belongs to, ``(n,)``.
      num_segments: how many there are; inside ``jit`` it must be given, else the largest id and one is taken.
      sorted: whether ids ascend, which is faster on some machines.
    """
    offer(name, segments)


for _name, _what in (("sum", "sum"), ("prod", "product"), ("max", "largest"), ("min", "least")):
    _segments(f"segment_{_name}", _what)


@op
def cdist(x: Any, y: Any) -> Any:
    """Return the distances between two sets of points: ``(..., n, d)`` and ``(..., m, d)`` to ``(..., n, m)``."""
    x, y = jnp.asarray(x), jnp.asarray(y)
    if x.ndim < 2 or y.ndim < 2 or x.shape[-1] != y.shape[-1]:
        raise ShapeError(f"cdist needs points (..., n, d) and (..., m, d), but got {shape_of(x)} and {shape_of(y)}.")
    return jnp.linalg.norm(x[..., :, None, :] - y[..., None, :, :], axis=-1)


@op
def view_as_complex(x: Any) -> Any:
    """Return pairs as complex numbers: ``(..., 2)`` to ``(...)``."""
    x = jnp.asarray(x)
    if x.ndim < 1 or x.shape[-1] != 2:
        raise ShapeError(f"view_as_complex needs pairs, (..., 2), but got {shape_of(x)}.")
    return jax.lax.complex(x[..., 0].astype(jnp.float32), x[..., 1].astype(jnp.float32))


@op
def view_as_real(x: Any) -> Any:
    """Return complex numbers as pairs: ``(...)`` to ``(..., 2)``."""
    return jnp.stack([jnp.real(x), jnp.imag(x)], -1)


@op
def polar(abs_: Any, angle: Any) -> Any:
    """Return the complex numbers of given lengths and angles, in radians."""
    abs_, angle = jnp.asarray(abs_), jnp.asarray(angle)
    return jax.lax.complex(abs_ * jnp.cos(angle), abs_ * jnp.sin(angle))


@op
def rearrange(tensor: Any, pattern: str, **axes_lengths: int) -> Any:
    """Name the axes of an array, and say how they shall stand and be joined: ``"b (h p) w c -> b h (p w) c"``.

    Args:
      tensor: any array.
      pattern: names of axes before and after ``->``; several in parentheses are one axis of the array.
      axes_lengths: sizes of axes in parentheses; one in each may be left out.

    Raises:
      ValueError: when the pattern does not fit the array.

    Example:
      >>> rearrange(jnp.zeros((2, 6, 5)), "b (h p) c -> b h (p c)", p=3).shape
      (2, 2, 15)
    """
    x = jnp.asarray(tensor)
    before, arrow, after = pattern.partition("->")
    groups, wanted = ([names.strip("()").split() for names in re.findall(r"\([^)]*\)|\S+", side)] for side in (before, after))
    names, new = [n for group in groups for n in group], [n for group in wanted for n in group]
    if not arrow or len(groups) != x.ndim or sorted(names) != sorted(new) or len(set(names)) != len(names):
        raise ValueError(f"rearrange: the pattern {pattern!r} does not fit a tensor {shape_of(x)}.")
    sizes: dict[str, Any] = dict(axes_lengths)
    for group, size in zip(groups, x.shape, strict=True):
        open_ = [n for n in group if n not in sizes]
        known = int(np.prod([sizes[n] for n in group if n in sizes]))
        if len(open_) > 1 or (isinstance(size, int) and (size % known or (not open_ and size != known))):
            raise ValueError(f"rearrange: the axis ({' '.join(group)}) of {size} does not fit the sizes {axes_lengths}.")
        sizes |= dict.fromkeys(open_, size // known)
    parts = x.reshape([sizes[n] for n in names]).transpose([names.index(n) for n in new])
    return parts.reshape([_product(sizes[n] for n in group) for group in wanted])


def _product(sizes: Any) -> Any:
    total: Any = 1
    for size in sizes:  # symbolic ones too
        total = total * size
    return total


__getattr__ = lifting("{}")

"""Tensors and their dtypes, pieces of them by position, loops and branches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jkeras.core.functions import offer
from jkeras.core.masks import is_masked, unmask
from jkeras.core.operation import op
from jkeras.core.shapes import shape_of
from jkeras.core.symbolic import has_symbolic


def shape(x: Any) -> tuple[int | None, ...]:
    """Return the shape of an array or symbolic tensor, ``None`` where a size is not known yet."""
    return shape_of(x.spec if hasattr(x, "spec") else x)


def dtype(x: Any) -> str:
    """Return the name of a tensor's dtype, such as ``"float32"``."""
    return jnp.dtype(x.dtype).name


def is_tensor(x: Any) -> bool:
    """Whether something is an array of JAX; symbolic tensors and NumPy's arrays are not, as in Keras."""
    return isinstance(x, jax.Array) or is_masked(x)


def convert_to_numpy(x: Any) -> np.ndarray:
    """Return a copy of an array, or of a list of numbers, as NumPy's.

    Raises:
      TypeError: for a symbolic tensor, which has no value.
    """
    if has_symbolic(x):
        raise TypeError(f"convert_to_numpy needs values, but {x!r} has none until its model is called.")
    return np.array(unmask(x))


@op
def convert_to_tensor(x: Any, dtype: Any = None, sparse: Any = None, ragged: Any = None) -> Any:
    """Return an array, a list or a number as an array of JAX that shares no memory with it.

    Args:
      x: anything that NumPy can make an array of.
      dtype: that of the result; the array's own by default, float32 for Python's numbers.
      sparse, ragged: for Keras's sake; only tensors that are neither exist here.
    """
    if sparse or ragged:
        raise ValueError("convert_to_tensor makes dense tensors only: leave sparse= and ragged= out.")
    x = x if isinstance(x, jax.Array) else jnp.asarray(np.array(x))
    return x if dtype is None else x.astype(dtype)


@op
def cast(x: Any, dtype: Any) -> Any:
    """Convert an array to another dtype."""
    return jnp.asarray(x).astype(dtype)


@op
def saturate_cast(x: Any, dtype: Any) -> Any:
    """Convert an array to another dtype, numbers that it has not to the nearest that it has."""
    x, wanted = jnp.asarray(x), jnp.dtype(dtype)
    if wanted.kind == "b":
        return x.astype(bool)
    return jnp.clip(x, *_shared(x.dtype, wanted)).astype(wanted)


def _shared(dtype: Any, wanted: Any) -> tuple[Any, Any]:
    """Return the least and the largest number that both dtypes have, in the first."""
    if dtype == bool:  # noqa: E721, a dtype, not a type
        return None, None
    both = [jnp.finfo(d) if jnp.issubdtype(d, jnp.floating) else jnp.iinfo(d) for d in (dtype, wanted)]
    if jnp.issubdtype(dtype, jnp.integer):
        least, most = (int(min(max(float(getattr(both[1], end)), both[0].min), both[0].max)) for end in ("min", "max"))
        return np.asarray(least, dtype), np.asarray(most, dtype)
    least, most = (np.asarray(getattr(both[1], end), dtype) for end in ("min", "max"))
    if float(most) > float(both[1].max):  # rounded up, as 2**31 - 1 is in float32
        most = np.nextafter(most, np.zeros_like(most))
    return least, most


@op
def stop_gradient(variable: Any) -> Any:
    """Return an array of which gradients know nothing."""
    return jax.lax.stop_gradient(variable)


# -- pieces -----------------------------------------------------------------------------------------------------------


@op
def slice(inputs: Any, start_indices: Any, shape: Any) -> Any:
    """Take ``shape`` entries along each axis from ``start_indices`` on; -1 stands for all that are left."""
    inputs = jnp.asarray(inputs)
    given = zip(inputs.shape, start_indices, shape, strict=True)
    return jax.lax.dynamic_slice(inputs, list(start_indices), [size - start if n == -1 else n for size, start, n in given])


@op
def slice_update(inputs: Any, start_indices: Any, updates: Any) -> Any:
    """Put ``updates`` in the place of as many entries from ``start_indices`` on."""
    return jax.lax.dynamic_update_slice(jnp.asarray(inputs), jnp.asarray(updates), list(start_indices))


@op
def scatter(indices: Any, values: Any, shape: Any) -> Any:
    """Return zeros of a shape to which ``values`` are added at ``indices``, whose last axis is one place."""
    values = jnp.asarray(values)
    return jnp.zeros(shape, values.dtype).at[tuple(jnp.moveaxis(jnp.asarray(indices), -1, 0))].add(values)


@op
def scatter_update(inputs: Any, indices: Any, updates: Any, reduction: str | None = None) -> Any:
    """Set entries of ``inputs`` at places ``(n, axes)`` to ``updates``, or combine them with what stands there.

    Args:
      inputs: any array.
      indices: one place a row.
      updates: one number, or piece, per place.
      reduction: ``None`` sets; ``"add"``, ``"max"``, ``"min"``, ``"mul"`` combine.
    """
    ways = {None: "set", "add": "add", "max": "max", "min": "min", "mul": "multiply"}
    if reduction not in ways:
        raise ValueError(f"reduction must be one of {', '.join(map(repr, ways))}, but got {reduction!r}.")
    places = jnp.asarray(inputs).at[tuple(jnp.asarray(indices).T)]
    return getattr(places, ways[reduction])(jnp.asarray(updates))


@op
def unstack(x: Any, num: int | None = None, axis: int = 0) -> list[Any]:
    """Return the slices along an axis as a list; ``num``, where it is given, must be how many there are."""
    x = jnp.asarray(x)
    if num is not None and num != x.shape[axis]:
        raise ValueError(f"num must be the size of axis {axis}, which is {x.shape[axis]}, but got {num}.")
    return list(jnp.unstack(x, axis=axis))


# -- loops and branches -----------------------------------------------------------------------------------------------


@op
def scan(f: Callable, init: Any, xs: Any = None, length: int | None = None, reverse: bool = False, unroll: Any = 1) -> Any:
    """Carry a value along the first axis: ``f(carry, x)`` returns ``(carry, y)``; ``jax.lax.scan``."""
    return jax.lax.scan(f, init, xs, length, reverse=reverse, unroll=unroll)


@op
def associative_scan(f: Callable, elems: Any, reverse: bool = False, axis: int = 0) -> Any:
    """Combine all entries up to each one by an associative function; ``jax.lax.associative_scan``."""
    return jax.lax.associative_scan(f, elems, reverse=reverse, axis=axis)


@op
def map(f: Callable, xs: Any) -> Any:
    """Apply a function to one entry of the first axis after the other; ``jax.lax.map``."""
    return jax.lax.map(f, xs)


@op
def vectorized_map(function: Callable, elements: Any) -> Any:
    """Apply a function to all entries of the first axis at once; ``jax.vmap``."""
    return jax.vmap(function)(elements)


@op
def cond(pred: Any, true_fn: Callable, false_fn: Callable) -> Any:
    """Return ``true_fn()`` where ``pred`` is true, else ``false_fn()``; ``jax.lax.cond``.

    Raises:
      TypeError: when a function returns a symbolic tensor, whose value nobody hands to it: ``where`` chooses between those.
    """

    def values(function: Callable) -> Callable:
        def branch() -> Any:
            if has_symbolic(y := function()):
                raise TypeError("cond cannot choose between symbolic tensors: use ops.where, or a layer that is given them.")
            return y

        return branch

    return jax.lax.cond(pred, values(true_fn), values(false_fn))


@op
def switch(index: Any, branches: Sequence[Callable], *operands: Any) -> Any:
    """Return what the ``index``-th of several functions makes of the operands; ``jax.lax.switch``."""
    return jax.lax.switch(index, list(branches), *operands)


@op
def fori_loop(lower: Any, upper: Any, body_fun: Callable, init_val: Any) -> Any:
    """Apply ``body_fun(i, value)`` for each i from ``lower`` up to, not including, ``upper``; ``jax.lax.fori_loop``."""
    return jax.lax.fori_loop(lower, upper, body_fun, init_val)


@op
def while_loop(cond: Callable, body: Callable, loop_vars: Any, maximum_iterations: int | None = None) -> Any:
    """Apply ``body`` to variables for as long as ``cond`` of them holds.

    Args:
      cond, body: functions of as many arguments as there are variables; ``body`` returns their new values.
      loop_vars: one variable, or a list or tuple of them.
      maximum_iterations: how often ``body`` is applied at most; None (default) for any number.
    """
    several = isinstance(loop_vars, (list, tuple))
    start = tuple(loop_vars) if several else (loop_vars,)

    def goes_on(carry: Any) -> Any:
        count, values = carry
        go = cond(*values)
        return go if maximum_iterations is None else jnp.logical_and(go, count < maximum_iterations)

    def step(carry: Any) -> Any:
        count, values = carry
        new = body(*values)
        return count + 1, tuple(new) if several else (new,)

    _, values = jax.lax.while_loop(goes_on, step, (jnp.zeros((), jnp.int32), start))
    return values if several else values[0]


def custom_gradient(f: Callable) -> Callable:
    """Give a function a gradient of its own: ``f(*args)`` returns ``(y, gradient)``, as ``jax.custom_gradient`` has it."""
    return jax.custom_gradient(f)


def jvp(fun: Callable, primals: Any, tangents: Any, has_aux: bool = False) -> Any:
    """Return a function's value and its derivative in a direction; ``jax.jvp``."""
    return jax.jvp(fun, primals, tangents, has_aux=has_aux)


for _function in (shape, dtype, is_tensor, convert_to_numpy, custom_gradient, jvp):
    offer(_function.__name__, _function)

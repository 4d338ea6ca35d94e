"""What several families of layers share: argument checks, weights by name, layers without weights, closing activations."""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jkeras import activations, constraints, initializers, regularizers
from jkeras.core.compilation import jit_quickly
from jkeras.core.context import Context, fold_in_name, is_masked, is_traced
from jkeras.core.errors import ShapeError
from jkeras.core.layer import PENALTY, ApplyFn, Definition, InitFn
from jkeras.core.shapes import is_float, need_known, shape_of


def positive(name: str, value: Any) -> int:
    """Return an argument as a positive int; NumPy integers count, booleans and floats do not."""
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None or number <= 0:
        raise ValueError(f"{name} must be a positive integer, but got {value!r}.")
    return number


def one(name: str, value: Any) -> int:
    """Return an argument that may be written ``3`` or ``(3,)`` as a positive int."""
    if isinstance(value, (tuple, list)):
        if len(value) != 1:
            raise ValueError(f"{name} must be an integer or a tuple of one, but got {value!r}.")
        value = value[0]
    return positive(name, value)


def fraction(name: str, value: Any) -> float:
    """Return an argument as a float from 0 up to, not including, 1 — or 1 itself, which drops everything."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise ValueError(f"{name} must be a number between 0 and 1, the fraction dropped, but got {value!r}.")
    return float(value)


def choice(name: str, value: Any, allowed: tuple[Any, ...]) -> Any:
    """Return an argument that must be one of a few words."""
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, but got {value!r}.")
    return value


def need_ndim(x: Any, axes: tuple[str, ...], at_least: bool = False) -> None:
    """Refuse an input whose number of axes is not that of ``axes``, and name the axes that were expected."""
    if x.ndim == len(axes) or (at_least and x.ndim > len(axes)):
        return
    few = "at least " if at_least else ""
    raise ShapeError(f"expected {few}{len(axes)} axes, ({', '.join(axes)}), but the input {shape_of(x)} has {x.ndim}.")


def weight(key: jax.Array, name: str, initializer: Any, shape: tuple[int, ...]) -> jax.Array:
    """Draw a float32 weight from the key that belongs to its name."""
    need_known(name, shape)
    function, own = initializers.get(initializer), fold_in_name(key, name)
    return function(own, shape, jnp.float32) if is_traced(own) else _draw(function, own, tuple(shape))


_draw = jit_quickly(lambda function, key, shape: function(key, shape, jnp.float32), static_argnums=(0, 2))


def check_names(wanted_initializers: tuple, wanted_regularizers: tuple, wanted_constraints: tuple) -> None:
    """Look names up when the layer is written, so that a misspelt one is refused there."""
    for identifier in wanted_initializers:
        initializers.get(identifier)
    for identifier in wanted_regularizers:
        regularizers.get(identifier)
    for identifier in wanted_constraints:
        constraints.get(identifier)


def no_weights(key: jax.Array, x: Any) -> tuple[dict, dict]:
    """Init of a layer that has none."""
    return {}, {}


def drop(x: Any, rate: float, key: jax.Array, shape: Any = None) -> Any:
    """Set a fraction ``rate`` of the entries to 0 and divide the others by ``1 - rate``."""
    x = x if is_float(x) else x.astype(jnp.float32)
    if rate >= 1:
        return jnp.zeros_like(x)
    keep = jax.random.bernoulli(key, 1 - rate, x.shape if shape is None else shape)
    return jnp.where(keep, x / (1 - rate), 0).astype(x.dtype)


def seeded(ctx: Context, seed: int | None) -> jax.Array:
    """Return a layer's key for this call; a seed of its own gives it a stream of its own."""
    return ctx.need_key() if seed is None else jax.random.fold_in(ctx.need_key(), seed)


def stateless(function: Callable[[Any], Any], **more: Any) -> Definition:
    """Define a layer that applies a function to its input, example by example."""
    return Definition(no_weights, lambda params, state, x, ctx: (function(x), state), couples="never", **more)


def activated(init: InitFn, linear: ApplyFn, activation: Any) -> Definition:
    """Define a layer that ends in an activation, so that a loss can see what went into it."""
    close = activations.get(activation)

    def apply(params: Any, state: Any, x: Any, ctx: Context) -> Any:
        z, state = linear(params, state, x, ctx)
        return (z._replace(value=close(z.value)) if is_masked(z) else close(z)), state

    return Definition(init, apply, couples="never", linear=linear, closing=close)


def penalised(definition: Definition, activity_regularizer: Any) -> Definition:
    """Make a layer leave the penalty on its output, per example, in its state, where the trainer finds it."""
    penalty = regularizers.get(activity_regularizer)
    if penalty is None:
        return definition

    def init(key: jax.Array, x: Any) -> Any:
        params, state = definition.init(key, x)
        return params, {**state, PENALTY: jnp.zeros((), jnp.float32)}

    def apply(params: Any, state: Any, x: Any, ctx: Context) -> Any:
        y, state = definition.apply(params, state, x, ctx)
        leaves = [leaf.value if is_masked(leaf) else leaf for leaf in jax.tree.leaves(y, is_leaf=is_masked)]
        total = sum(penalty(leaf) / leaf.shape[0] for leaf in leaves)
        return y, {**state, PENALTY: jnp.asarray(total, jnp.float32)}

    changes: dict[str, Any] = {"init": init, "apply": apply, "couples": "always", "linear": None, "closing": None}
    return dataclasses.replace(definition, **changes, transient=(*definition.transient, PENALTY))

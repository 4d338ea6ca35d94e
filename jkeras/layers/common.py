"""What several families of layers share: argument checks, weights by name, layers without weights, closing activations."""

from __future__ import annotations

import dataclasses
import numbers
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jkeras import activations, regularizers
from jkeras.core.context import Context
from jkeras.core.definition import ApplyFn, Definition, InitFn
from jkeras.core.errors import ShapeError
from jkeras.core.masks import join, unmask
from jkeras.core.nest import flatten, map_nest
from jkeras.core.shapes import PENALTY, is_float, shape_of


def fraction(name: str, value: Any) -> float:
    """Return an argument as a float from 0 up to, not including, 1 — or 1 itself, which drops everything."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not 0 <= float(value) <= 1:
        raise ValueError(f"{name} must be a number between 0 and 1, the fraction dropped, but got {value!r}.")
    return float(value)


def need_ndim(x: Any, axes: tuple[str, ...], at_least: bool = False) -> None:
    """Refuse an input whose number of axes is not that of ``axes``, and name the axes that were expected."""
    if x.ndim == len(axes) or (at_least and x.ndim > len(axes)):
        return
    few = "at least " if at_least else ""
    raise ShapeError(f"expected {few}{len(axes)} axes, ({', '.join(axes)}), but the input {shape_of(x)} has {x.ndim}.")


def no_weights(key: jax.Array, x: Any) -> tuple[dict, dict]:
    """Init of a layer that has none."""
    return {}, {}


def real(x: Any) -> Any:
    """Return an input of whole numbers as float32, and any other as it is."""
    return x if is_float(x) else x.astype(jnp.float32)


def unit(x: Any, axes: Any, least: float) -> Any:
    """Divide by the length along some axes, or by ``least`` where that is more: zeros stay zeros, their gradient finite."""
    return x * jax.lax.rsqrt(jnp.maximum(jnp.sum(jnp.square(x), axes, keepdims=True), least**2))


def drop(x: Any, rate: float, key: jax.Array, shape: Any = None) -> Any:
    """Set a fraction ``rate`` of the entries to 0 and divide the others by ``1 - rate``."""
    x = real(x)
    if rate >= 1:
        return jnp.zeros_like(x)
    keep = jax.random.bernoulli(key, 1 - rate, x.shape if shape is None else shape)
    return jnp.where(keep, x / (1 - rate), 0).astype(x.dtype)


def seeded(ctx: Context, seed: int | None) -> jax.Array:
    """Return a layer's key for this call; a seed of its own gives it a stream of its own."""
    return ctx.need_key() if seed is None else jax.random.fold_in(ctx.need_key(), seed)


def stateless(function: Callable[[Any], Any], **more: Any) -> Definition:
    """Define a layer that applies a function to its input, example by example."""
    return Definition(no_weights, lambda params, state, x, ctx: (function(x), state), mixes_examples="never", **more)


def activated(init: InitFn, linear: ApplyFn, activation: Any) -> Definition:
    """Define a layer that ends in an activation, and let a loss see what went into it: ``linear`` computes that."""
    close = activations.get(activation)

    def apply(params: Any, state: Any, x: Any, ctx: Context) -> Any:
        z, state = linear(params, state, x, ctx)
        if close is activations.linear:
            return z, state
        closed = lambda leaf: dataclasses.replace(leaf, value=close(leaf.value), logits=leaf.value, activation=close)  # noqa: E731
        return map_nest(closed, join(z, x, ctx.masks)), state

    return Definition(init, apply, mixes_examples="never")


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
        total = sum(penalty(leaf) / leaf.shape[0] for leaf in flatten(unmask(y)))
        return y, {**state, PENALTY: jnp.asarray(total, state[PENALTY].dtype)}

    # The output itself mixes nothing, but a penalty summed over a batch would count examples that only fill it up.
    carried = (*definition.transient, PENALTY)
    return dataclasses.replace(definition, init=init, apply=apply, mixes_examples="always", transient=carried)

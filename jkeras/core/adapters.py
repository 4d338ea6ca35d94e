"""Layers from elsewhere: pairs in the style of stax, and modules of Flax, Equinox and Haiku, each as one leaf layer.

Whatever pytree such a module keeps its arrays in becomes the layer's params, under one name; whatever else it remembers becomes
its state. None of these packages is needed unless one of its modules is used.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jkeras.core.constructors import layer
from jkeras.core.context import Context, fold_in_name
from jkeras.core.definition import Definition
from jkeras.core.nest import map_nest
from jkeras.core.shapes import shape_of

_INVERSE = ("deterministic", "use_running_average")  # what Flax's modules call the contrary of training


def _ones_like(x_spec: Any) -> Any:
    """Make data of the given specs, of size 1 where a size is unknown: modules from elsewhere are initialised on arrays."""
    return map_nest(lambda s: jnp.ones([1 if n is None else n for n in shape_of(s)], s.dtype), x_spec)


def _phase(function: Any, training: bool) -> dict[str, bool]:
    """Return the keyword that tells a function whether it trains, under the name that it has there."""
    names = inspect.signature(function).parameters
    told = {name: training for name in ("training", "train", "is_training") if name in names}
    return told | {name: not training for name in _INVERSE if name in names}


def _keyed(function: Any, key: Any) -> dict[str, Any]:
    """Return the keyword that hands a function its random key, where it takes one."""
    names = inspect.signature(function).parameters
    takes_any = any(given.kind is given.VAR_KEYWORD for given in names.values())
    name = next((name for name in ("key", "rng") if name in names), "rng" if takes_any else None)
    return {} if key is None or name is None else {name: key}


@layer
def Pair(init: Callable[..., Any], apply: Callable[..., Any]) -> Definition:
    """Make a pair of functions a layer: ``(init, apply)``, as it also may stand among a model's layers.

    Args:
      init: ``init(key, x_spec) -> params``; or stax's ``init(key, input_shape) -> (output_shape, params)``, known by a second
        argument that is called a shape. Params may be any pytree.
      apply: ``apply(params, x) -> y``; it is given the call's key if it takes ``key``, ``rng`` or any keyword. One of four
        arguments is the contract's own, ``apply(params, state, x, ctx) -> (y, state)``, and so is its ``init`` then.

    Example:
      >>> from jax.example_libraries import stax
      >>> Sequential([Input((4,)), stax.Dense(3)]).output_shape
      (None, 3)
    """
    second = list(inspect.signature(init).parameters)[1:2]
    if not second:
        raise TypeError(f"a pair needs init(key, x_spec) -> params, but {init!r} takes no second argument.")
    if len(inspect.signature(apply).parameters) == 4:
        return Definition(init, apply)
    takes_shape = "shape" in second[0]

    def make(key: Any, x: Any) -> Any:
        params = init(key, map_nest(shape_of, x))[1] if takes_shape else init(key, x)
        return {"pair": params}, {}

    def run(params: Any, state: Any, x: Any, ctx: Context) -> Any:
        return apply(params["pair"], x, **_keyed(apply, ctx.key)), state

    return Definition(make, run)


@layer
def Linen(module: Any, mixes_examples: str = "always") -> Definition:
    """Make a module of Flax Linen a layer; collections other than ``params``, such as ``batch_stats``, become state.

    Args:
      module: the module; called with one input, and told the phase as ``training``, ``train`` or ``deterministic``.
      mixes_examples: as in ``Definition``.
    """
    call = type(module).__call__

    def init(key: Any, x: Any) -> Any:
        keys = {name: fold_in_name(key, name) for name in ("params", "dropout")}
        made = dict(module.init(keys, _ones_like(x), **_phase(call, False)))
        params = made.pop("params", {})
        return ({"params": params} if params else {}), made

    def apply(params: Any, state: Any, x: Any, ctx: Context) -> Any:
        keys = None if ctx.key is None else {"dropout": ctx.key}
        mutable = list(state) if ctx.training and not ctx.is_frozen else []
        y, changed = module.apply(
            {**params, **state}, x, mutable=mutable, rngs=keys, **_phase(call, ctx.training and not ctx.is_frozen)
        )
        return y, {**state, **changed}

    return Definition(init, apply, mixes_examples=mixes_examples)


@layer
def NNX(create: Callable[..., Any], mixes_examples: str = "always") -> Definition:
    """Make a module of Flax NNX a layer.

    Args:
      create: makes the module from random streams, ``lambda rngs: nnx.Linear(4, 2, rngs=rngs)``.
      mixes_examples: as in ``Definition``.
    """
    nnx: Any = importlib.import_module("flax.nnx")

    def made(key: Any) -> Any:
        return nnx.split(create(nnx.Rngs(key)), nnx.Param, ...)

    def init(key: Any, x: Any) -> Any:
        _, params, rest = made(key)
        return {"params": nnx.to_pure_dict(params)}, {"rest": nnx.to_pure_dict(rest)}

    def apply(params: Any, state: Any, x: Any, ctx: Context) -> Any:
        graph, first, other = nnx.split(nnx.eval_shape(lambda: create(nnx.Rngs(0))), nnx.Param, ...)
        nnx.replace_by_pure_dict(first, params["params"])
        nnx.replace_by_pure_dict(other, state["rest"])
        module = nnx.merge(graph, first, other)
        module.train() if ctx.training and not ctx.is_frozen else module.eval()
        y = module(x)
        return y, {"rest": nnx.to_pure_dict(nnx.split(module, nnx.Param, ...)[2])}

    return Definition(init, apply, mixes_examples=mixes_examples)


@layer
def Equinox(create: Callable[[jax.Array], Any]) -> Definition:
    """Make a module of Equinox a layer; such a module is a function of one example, and is mapped over the batch.

    Args:
      create: makes the module from a key, ``lambda key: eqx.nn.MLP(4, 2, 8, 1, key=key)``.
    """
    eqx: Any = importlib.import_module("equinox")

    def init(key: Any, x: Any) -> Any:
        learned, rest = eqx.partition(eqx.filter(create(key), eqx.is_array), eqx.is_inexact_array)
        return {"module": learned}, ({"rest": rest} if jax.tree.leaves(rest) else {})

    def apply(params: Any, state: Any, x: Any, ctx: Context) -> Any:
        static = eqx.filter(eqx.filter_eval_shape(create, jax.random.key(0)), _is_static)
        module = eqx.combine(params["module"], *state.values(), static)
        module = eqx.nn.inference_mode(module, not ctx.training)
        if "key" in inspect.signature(type(module).__call__).parameters and ctx.key is not None:
            keys = jax.random.split(ctx.key, jax.tree.leaves(x)[0].shape[0])
            return jax.vmap(lambda one, key: module(one, key=key))(x, keys), state
        return jax.vmap(module)(x), state

    return Definition(init, apply, mixes_examples="never")


def _is_static(leaf: Any) -> bool:
    return not isinstance(leaf, jax.ShapeDtypeStruct)


@layer
def Haiku(transformed: Any, mixes_examples: str = "always") -> Definition:
    """Make a transformed function of Haiku a layer.

    Args:
      transformed: what ``hk.transform`` or ``hk.transform_with_state`` returned, of a function of one input.
      mixes_examples: as in ``Definition``.
    """
    has_state = type(transformed).__name__ == "TransformedWithState"

    def init(key: Any, x: Any) -> Any:
        made = transformed.init(key, _ones_like(x))
        params, state = made if has_state else (made, {})
        return ({"params": params} if params else {}), ({"state": state} if state else {})

    def apply(params: Any, state: Any, x: Any, ctx: Context) -> Any:
        if not has_state:
            return transformed.apply(params.get("params", {}), ctx.key, x), state
        y, after = transformed.apply(params.get("params", {}), state.get("state", {}), ctx.key, x)
        return y, ({"state": after} if state else {})

    return Definition(init, apply, mixes_examples=mixes_examples)

"""How layers are pickled: as the calls that made them, and what they hold.

Closures have no names by which another process could find them, so nothing here writes a definition down. A layer is the call of
its constructor, made again, and then takes over what the store of the old one held; a model's layer is made again of its program.
Layers, arrays and calls of layers that are met twice in one pickle are the same things afterwards, since pickle remembers them.

A layer does not take along the graph that it was called in, or one layer would bring a whole model: its first call is written as
one on new inputs. A model writes the calls behind its tensors itself, parents first (``models/copies.py``).
"""

from __future__ import annotations

import copyreg
import io
import pickle
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np

from jkeras.core import store
from jkeras.core.constructors import Input, common_of, made_again
from jkeras.core.definition import Definition
from jkeras.core.face import Common
from jkeras.core.graph import from_program
from jkeras.core.layer import Layer, Path
from jkeras.core.nest import flatten, map_nest
from jkeras.core.shapes import shape_of
from jkeras.core.shell import layer_of
from jkeras.core.symbolic import Call, specs_of


def _reduced(layer: Layer) -> Any:
    """Return how to make a layer again, and by path what it and the layers that its constructor makes hold."""
    program = layer.definition.program
    if program is None:
        refuse_nameless(layer.label, {"constructor": type(layer), **layer.config})
        made = made_again, (type(layer), {**layer.config, **common_of(layer)})
    else:
        made = from_program, (program, layer.kind, layer.given_name)
    store.filled(layer)
    users = {name: value for name, value in vars(layer).items() if name not in _OURS and not hasattr(type(layer), name)}
    return *made, ({path: _held(node) for path, node in _made_inside(layer)}, users)


_OURS = frozenset(vars(Layer.of(Definition(lambda key, x: ({}, {}), lambda params, state, x, ctx: (x, state)), "Layer", {})))


def _made_inside(layer: Layer) -> Iterator[tuple[Path, Layer]]:
    """Yield (path, layer) of a layer and those inside, but for the ones it was given, which are pickled as what they are."""
    whole = layer.config if layer.definition.program is None else layer.definition.program.layers
    given = {id(layer_of(leaf)) for leaf in flatten(dict(whole))}
    stack: list[tuple[Path, Layer]] = [((), layer)]
    while stack:
        path, node = stack.pop()
        yield path, node
        stack += [((*path, name), child) for name, child in node.definition.children.items() if id(child) not in given]


_AS_IT_IS = ("name", "trainable", "params", "state", "specs", "shell")  # of what a store holds


def _held(layer: Layer) -> dict[str, Any]:
    held = {name: getattr(layer.store, name) for name in _AS_IT_IS}
    call, origin = layer.store.call, layer.store.origin
    return {
        **held,
        "x_spec": None if origin is None else origin[1],
        "call": None if call is None else (specs_of((call.inputs, dict(call.arguments))), call.outputs),
    }


def _take_over(layer: Layer, state: tuple[Mapping[Path, Any], dict[str, Any]]) -> None:
    """Hold what another layer held, and what users set on it: the ``__setstate__`` of layers."""
    inside, users = state
    layer.__dict__ |= users
    for path, held in inside.items():
        node = layer
        for name in path:
            node = node.definition.children[name]
        _hold(node, held)


def _hold(layer: Layer, held: Mapping[str, Any]) -> None:
    own = layer.store
    for name in _AS_IT_IS:
        setattr(own, name, held[name])
    own.origin = None if held["x_spec"] is None else (layer, held["x_spec"])
    if own.call is None and held["call"] is not None:
        given, outputs = held["call"]
        inputs, arguments = _inputs_like(given)
        own.call = Call(layer, inputs, arguments, outputs)


def _inputs_like(specs: Any) -> Any:
    def new(leaf: Any) -> Any:
        return Input(batch_shape=shape_of(leaf), dtype=leaf.dtype) if isinstance(leaf, jax.ShapeDtypeStruct) else leaf

    return map_nest(new, specs)


Layer.__reduce__ = _reduced  # type: ignore[method-assign]  # here, since the graph is made of layers
Layer.__setstate__ = _take_over  # type: ignore[attr-defined]


# -- functions --------------------------------------------------------------------------------------------------------


class _Trial(pickle.Pickler):
    """Finds out whether something can be pickled; layers, models and arrays in it are not looked at."""

    def persistent_id(self, obj: Any) -> Any:
        """Return an id for what is passed over."""
        return id(obj) if isinstance(obj, (Common, jax.Array, np.ndarray)) else None


def refuse_nameless(owner: str, given: Mapping[str, Any]) -> None:
    """Say in words which argument of what cannot be pickled; nothing where a pickler is at work that may know how.

    Raises:
      pickle.PicklingError: for a function without a name, and for whatever else pickle does not take.
    """
    for name, value in given.items():
        for leaf in flatten(value):
            try:
                _Trial(io.BytesIO()).dump(leaf)
            except Exception as error:
                if _is_plain():
                    what = repr(leaf) if hasattr(leaf, "__qualname__") else f"a {type(leaf).__name__} ({error})"
                    raise pickle.PicklingError(
                        f"{owner} cannot be pickled, because no module has a name for its {name}, {what}: define functions at "
                        "the top level of a module that can be imported, or use cloudpickle, which also takes lambdas and local "
                        "functions."
                    ) from error


def _is_plain() -> bool:
    """Whether we were asked by ``pickle``, not by ``copy``, which takes any function, or by a pickler such as cloudpickle's."""
    ours = (pickle.Pickler, pickle._Pickler)  # type: ignore[attr-defined]
    frame = sys._getframe(1)
    while frame is not None:
        asking = frame.f_locals.get("self")
        if frame.f_globals.get("__name__") == "copy" or (isinstance(asking, ours) and type(asking) not in ours):
            return False
        frame = frame.f_back
    return True


def _named(function: Any) -> Any:
    """Write a function of JAX's type, ``jax.nn.relu`` for one, by its name where it has one, as Python's own functions are."""
    found = sys.modules.get(getattr(function, "__module__", None) or "")
    name = getattr(function, "__qualname__", "<locals>")
    for part in name.split("."):
        found = getattr(found, part, None)
    return name if found is function else function.__reduce_ex__(4)


for _kind in (type(jax.jit(lambda x: x)), jax.custom_jvp, jax.custom_vjp):
    copyreg.pickle(_kind, _named)

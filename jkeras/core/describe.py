"""What a layer makes of an input's specs, worked out without computing anything: outputs, arrays, mixing of examples.

All are pure functions of a layer and specs. The answers are kept beside the layer (``layer.specs``), so that neither a thousand
calls of one layer nor a hundred models inside each other are worked out anew; they hold shapes and names, never arrays. Layers of
jkeras that were made by equal calls share the answers.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Hashable, Mapping
from typing import TYPE_CHECKING, Any

import jax

from jkeras.core.context import Context
from jkeras.core.errors import GraphError, ShapeError, UnknownNameError
from jkeras.core.masks import Masked, checked_mixing, strongest, unmask, with_mask
from jkeras.core.nest import flatten, map_nest, nested, path_of
from jkeras.core.shapes import agreed, forget, need_known, shapes_of, traceable

if TYPE_CHECKING:
    from jkeras.core.layer import Layer

_REFUSALS = (TypeError, ValueError, IndexError, ZeroDivisionError, jax.errors.InconclusiveDimensionOperation)
_MOST = 256  # answers kept of each kind


def outputs(layer: Layer, x_spec: Any, arguments: Mapping[str, Any] | None = None, dtype: Any = None) -> Any:
    """Return the specs of a layer's output for inputs like ``x_spec``.

    ``arguments`` are those of the call, with specs for arrays; ``dtype`` is the compute dtype that an enclosing layer asks for.
    Where an input's unknown size cannot meet a fixed one on the same axis of another input, it is taken to be that, as in Keras.

    Raises:
      ShapeError: when the layer cannot take such inputs, or when a parameter's size would depend on an unknown one.
    """
    arguments, dtype = dict(arguments or {}), layer.dtype_within(dtype)
    question = ("outputs", x_spec, arguments, str(dtype))
    return _remembered(layer, question, lambda: _outputs(layer, x_spec, arguments, dtype))


def _outputs(layer: Layer, x_spec: Any, arguments: dict[str, Any], dtype: Any) -> Any:
    try:
        return map_nest(forget, _run_abstractly(layer, x_spec, arguments, dtype))
    except (GraphError, UnknownNameError):
        raise
    except _REFUSALS as error:
        for alike in agreed(x_spec):
            with contextlib.suppress(ShapeError, *_REFUSALS):
                return map_nest(forget, _run_abstractly(layer, alike, arguments, dtype))
        raise ShapeError(f"{layer.title} cannot take an input of shape {shapes_of(x_spec)}: {_first(error)}") from error


def _run_abstractly(layer: Layer, x_spec: Any, arguments: dict[str, Any], dtype: Any) -> Any:
    if layer.definition.outputs is not None:
        return layer.definition.outputs(x_spec, arguments, dtype)
    params, state = known_variables(layer, x_spec)
    tensors = {name: value for name, value in arguments.items() if has_arrays(value)}
    constants = {name: value for name, value in arguments.items() if name not in tensors and name not in ("mask", "training")}
    order: list[Any] = []

    def forward(params: Any, state: Any, leaves: list[Any], tensors: dict[str, Any]) -> Any:
        x = nested(x_spec, leaves)  # which come as a list, because JAX sorts dictionaries
        x = with_mask(x, tensors.pop("mask")) if "mask" in tensors else x
        path = (layer.given_name or layer.stem,)
        key = jax.random.key(0)  # for layers that draw outside training, too
        ctx = Context(key=key, arguments={**constants, **tensors}, path=path, compute_dtype=dtype)
        y = unmask(layer.apply(params, state, x, ctx)[0])
        order.append(hollow(y))
        return flatten(y)

    leaves, tensors = jax.tree.map(traceable, (flatten(x_spec), tensors))
    specs = jax.eval_shape(forward, params, state, leaves, tensors)
    return nested(order[0], specs)


def variables(layer: Layer, x_spec: Any) -> tuple[Any, Any]:
    """Return the specs of the ``(params, state)`` that ``init`` would make, in the order in which it makes them."""
    return _remembered(layer, ("variables", x_spec), lambda: _variables(layer, x_spec))


def known_variables(layer: Layer, x_spec: Any) -> tuple[Any, Any]:
    """Return :func:`variables`, and refuse an array whose size would depend on an unknown one."""
    trees = variables(layer, x_spec)
    for path, leaf in jax.tree_util.tree_flatten_with_path(trees)[0]:
        need_known(path_of(path[1:]), leaf.shape)
    return trees


def _variables(layer: Layer, x_spec: Any) -> tuple[Any, Any]:
    order: list[Any] = []

    def make(seed: Any) -> list[Any]:
        trees = layer.init(jax.random.key(seed), x_spec)
        order.append(hollow(trees))
        return flatten(trees)

    specs = jax.eval_shape(make, jax.ShapeDtypeStruct((), "uint32"))
    return nested(order[0], specs)


def mixing(layer: Layer, x_spec: Any, arguments: Mapping[str, Any] | None = None) -> str:
    """Return when examples may depend on one another for inputs like ``x_spec``: "never", in "training", or "always".

    A layer called with ``training=True`` always does what it does in training, one called with ``training=False`` never.
    """
    declared = layer.definition.mixes_examples
    if callable(declared):
        given = dict(arguments or {})
        found = checked_mixing(_remembered(layer, ("mixing", x_spec, given), lambda: declared(x_spec, given)))
    else:
        inside = [child.definition.mixes_examples for child in layer.definition.children.values()]
        found = strongest(declared, *("always" if callable(word) else word for word in inside))
    training = (arguments or {}).get("training")
    return found if found != "training" or training is None else "always" if training else "never"


def hollow(tree: Any) -> Any:
    """Return a nest without its leaves: a tracer must not outlive its trace, and a structure may."""
    return map_nest(lambda _: None, tree)


def has_arrays(value: Any) -> bool:
    """Whether an argument of a call holds arrays, specs or symbolic tensors."""
    return any(hasattr(leaf, "shape") for leaf in flatten(value))


def _first(error: BaseException) -> str:
    """Return what an error says, without the advice that JAX appends to it."""
    text = str(error).split("\n\n")[0].strip() or type(error).__name__
    return re.sub(r"\bd\d+\b", "None", text)  # the symbol of an unknown size


# -- answers that were given before -----------------------------------------------------------------------------------

_COMMON: dict[Any, dict[Any, Any]] = {}  # by constructor and arguments, for layers of jkeras with plain arguments


def _remembered(layer: Layer, question: tuple, answer: Callable[[], Any]) -> Any:
    key = hashable(question)
    if key is None:
        return answer()
    return kept(layer.specs, key, answer)


def kept(known: dict[Any, Any], key: Any, answer: Callable[[], Any]) -> Any:
    """Return the answer kept under a key, working it out the first time; all are forgotten when there are too many."""
    if key not in known:
        if len(known) >= _MOST:
            known.clear()
        known[key] = answer()
    return known[key]


def shared_answers(layer: Layer) -> dict[Any, Any]:
    """Return the answers that a layer shares with all layers of jkeras made by an equal call; its own where there are none."""
    key = None if layer.definition.children else hashable((layer.kind, layer.given_dtype, layer.config))
    if key is None or not type(layer).__module__.startswith("jkeras.layers"):
        return {}
    return kept(_COMMON, key, dict)


_PLAIN = (str, int, float, bool, bytes, type(None))


def hashable(value: Any) -> Hashable | None:
    """Return something equal for equal questions, or None where that cannot be told; arrays and functions cannot."""
    if isinstance(value, jax.ShapeDtypeStruct):
        return (value.shape, value.dtype, value.sharding)
    if isinstance(value, _PLAIN):
        return (type(value), value)
    if getattr(value, "plain_key", None) is not None:
        return value.plain_key
    if isinstance(value, Mapping):
        value = [part for item in value.items() for part in item]
    elif isinstance(value, Masked) or not isinstance(value, (list, tuple)):
        return None
    parts = [hashable(part) for part in value]
    return None if any(part is None for part in parts) else (type(value), tuple(parts))

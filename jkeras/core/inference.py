"""What a layer would return, worked out without computing anything, and errors that say where they arose."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import jax

from jkeras.core import variables
from jkeras.core.context import Context, unmask
from jkeras.core.errors import GraphError, ShapeError, UnknownNameError
from jkeras.core.shapes import forget, need_known, shapes_of

if TYPE_CHECKING:
    from jkeras.core.layer import Layer

_REFUSALS = (TypeError, ValueError, IndexError, ZeroDivisionError, jax.errors.InconclusiveDimensionOperation)


def masks_of(mask: Any, x: Any) -> tuple[Any, ...]:
    """Give one mask to every leaf of an input; no mask at all is ``()``."""
    return () if mask is None else (mask,) * len(jax.tree.leaves(x))


def variable_specs(layer: Layer, x_spec: Any) -> tuple[Any, Any]:
    """Return the specs of the ``(params, state)`` that ``init`` would make."""
    return jax.eval_shape(lambda seed: layer.init(jax.random.key(seed), x_spec), jax.ShapeDtypeStruct((), "uint32"))


def infer(layer: Layer, x_spec: Any, arguments: Mapping[str, Any] | None = None) -> Any:
    """Return the specs of a layer's output for inputs like ``x_spec``.

    Raises:
      ShapeError: when the layer cannot take such inputs, when a parameter's size would depend on an unknown one, or when
        the layer was called before on inputs that need parameters of other shapes.
    """
    arguments = dict(arguments or {})
    tensors = {name: value for name, value in arguments.items() if _has_arrays(value) and name != "mask"}
    constants = {name: value for name, value in arguments.items() if name not in tensors and name not in ("mask", "training")}
    mask = arguments.get("mask")

    def forward(params: Any, state: Any, x: Any, given: Any, mask: Any) -> Any:
        ctx = Context(arguments={**constants, **given}, masks=masks_of(mask, x), path=(layer.name,))
        return unmask(layer.apply(params, state, x, ctx)[0])

    try:
        params, state = variable_specs(layer, x_spec)
        _check_known(params, state)
        if layer.definition.infer is not None:
            outputs = layer.definition.infer(x_spec)
        else:
            outputs = jax.eval_shape(forward, params, state, x_spec, tensors, mask)
    except (GraphError, UnknownNameError):
        raise
    except _REFUSALS as error:
        raise ShapeError(f"{layer.label} cannot take an input of shape {shapes_of(x_spec)}: {_first(error)}") from error
    _check_same(layer, x_spec, params, state)
    return jax.tree.map(forget, outputs)


def _has_arrays(value: Any) -> bool:
    return any(hasattr(leaf, "shape") for leaf in jax.tree.leaves(value))


def _first(error: BaseException) -> str:
    """Return what an error says, without the advice that JAX appends to it."""
    text = str(error).split("\n\n")[0].strip() or type(error).__name__
    return re.sub(r"\bd\d+\b", "None", text)  # the symbol of an unknown size


def _check_known(params: Any, state: Any) -> None:
    for path, leaf in jax.tree_util.tree_flatten_with_path((params, state))[0]:
        need_known(jax.tree_util.keystr(path[1:], simple=True, separator="/"), leaf.shape)


def _check_same(layer: Layer, x_spec: Any, params: Any, state: Any) -> None:
    """Hold every leaf layer to the shapes of its first call, since all its calls share one set of arrays."""
    for path, leaf in layer.owned:
        now = (variables.get_in(params, path), variables.get_in(state, path))
        if leaf.held.specs is None:
            leaf.held.specs = now
            continue
        specs = leaf.held.specs
        if jax.tree.map(lambda a: a.shape, specs) != jax.tree.map(lambda a: a.shape, now):
            had, needed = shapes_of({**specs[0], **specs[1]}), shapes_of({**now[0], **now[1]})
            raise ShapeError(
                f"{leaf.label} was first called on {shapes_of(leaf.held.spec)}, so its arrays are {had}; an input of shape "
                f"{shapes_of(x_spec)} would need {needed}. Make a second layer for it."
            )


def add_place(error: BaseException, layer: Layer, x: Any, ctx: Context) -> None:
    """Note on an error which layer it arose in; its type, message and traceback stay as they are."""
    if not any(note.startswith("In layer") for note in getattr(error, "__notes__", ())):
        error.add_note(f"In layer {'/'.join(ctx.path) or layer.name!r}, {layer!r}, called on {shapes_of(x)}.")

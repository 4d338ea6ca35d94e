"""Losses on tensors inside a model: a layer that leaves a tensor's mean where the trainer finds it, and names for such losses."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from jkeras.core import describe
from jkeras.core.constructors import CUSTOM, layer
from jkeras.core.context import Context
from jkeras.core.definition import Definition
from jkeras.core.layer import Layer
from jkeras.core.nest import flatten, get_in
from jkeras.core.shapes import PENALTY


@layer
def AddLoss() -> Definition:
    """Add the mean of a tensor to the loss, and return the tensor as it is: what ``model.add_loss(tensor)`` makes.

    Example:
      >>> x = Input((3,))
      >>> model = Model(x, Dense(1)(x))
      >>> model.add_loss(x ** 2, name="size")
      >>> model.get_layer("size").kind
      'AddLoss'
    """

    def init(key: jax.Array, x: Any) -> Any:
        return {}, {PENALTY: jnp.zeros((), jnp.float32)}

    def apply(params: Any, state: Any, x: Any, ctx: Context) -> Any:
        total = sum(jnp.mean(leaf.astype(jnp.float32)) for leaf in flatten(x))
        return x, {**state, PENALTY: total}

    return Definition(init, apply, mixes_examples="always", transient=(PENALTY,))


def named_penalties(layer: Layer, x_spec: Any) -> dict[str, tuple[str, ...]]:
    """Return the paths of layers whose penalties have names in the logs, by these names.

    Those are the losses that were added to a model, and layers of the user's own that leave a penalty: ``<layer>_loss``. What
    arguments of layers ask for, such as ``activity_regularizer``, is in the total alone, as in Keras.
    """
    named = [(path, node) for path, node in layer.nodes if node.kind == "AddLoss" or CUSTOM.get(node.kind) is type(node)]
    if x_spec is None or not named:
        return {}
    _, state = describe.variables(layer, x_spec)
    found: dict[str, tuple[str, ...]] = {}
    for path, node in named:
        own = node.own(get_in(state, path)) if PENALTY not in node.definition.children else {}
        if PENALTY in own:
            found["_".join(path) + ("" if node.kind == "AddLoss" else "_loss")] = path
    return found

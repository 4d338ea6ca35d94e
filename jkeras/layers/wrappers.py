"""TimeDistributed, Bidirectional."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax.numpy as jnp
import numpy as np

from jkeras.core import Calls, Definition, Masked, as_layer, clone, composite, layer
from jkeras.core.arguments import choice
from jkeras.core.errors import ShapeError
from jkeras.core.masks import all_of, folded, unfolded, unmask
from jkeras.core.nest import flatten, map_nest, nested
from jkeras.core.shapes import shape_of, shapes_of
from jkeras.layers.common import need_ndim


@layer
def TimeDistributed(layer: Any) -> Definition:
    """Apply one layer or model to every time step, with the same weights.

    Shapes: ``(batch, time, ...)`` to ``(batch, time, ...)``, the inner layer seeing ``(batch * time, ...)``; so nothing is
    unrolled, and time may be unknown. Params: ``{"layer": ...}`` of the inner layer. A mask of time steps passes through; one
    that the inner layer makes comes out, where Keras drops it.

    A BatchNormalization inside sees batch and time at once, where Keras normalises each time step by itself.

    Args:
      layer: a layer or a model; its weights are shared with its other uses.

    Raises:
      ShapeError: when the input has fewer than 3 axes or the inner layer cannot take one step of it.
      TypeError: when ``layer`` is not a layer.

    Example:
      >>> TimeDistributed(Dense(10))(Input((20, 784))).shape
      (None, 20, 10)

    Reference: ``keras.layers.TimeDistributed``.
    """

    def body(call: Calls, x: Any) -> Any:
        for leaf in flatten(x):
            need_ndim(leaf, ("batch", "time", "features"), at_least=True)
        batch, time = flatten(x)[0].shape[:2]
        if len({shape_of(leaf)[1] for leaf in flatten(x)}) > 1:
            raise ShapeError(f"all inputs must have as many time steps, but they have the shapes {shapes_of(unmask(x))}.")
        outer = all_of([leaf.mask for leaf in flatten(x)])

        def fold(leaf: Any) -> Masked:  # (batch, time, ...) to (batch * time, ...)
            return Masked(leaf.value.reshape(-1, *leaf.shape[2:]), folded(leaf.mask))

        def unfold(leaf: Any) -> Masked:  # (batch * time, ...) to (batch, time, ...)
            value, logits = (v if v is None else v.reshape(batch, time, *v.shape[1:]) for v in (leaf.value, leaf.logits))
            return dataclasses.replace(leaf, value=value, logits=logits, mask=unfolded(leaf.mask, outer, value))

        return map_nest(unfold, call("layer", map_nest(fold, x)))

    return composite(body, mixes_examples="never", layer=layer)


@layer
def Bidirectional(layer: Any, merge_mode: str | None = "concat", weights: Any = None, backward_layer: Any = None) -> Definition:
    """Run a recurrent layer over time and another one backwards, and merge what they return.

    Shapes: as of the inner layer, the last axis twice as long with "concat"; with ``merge_mode=None`` both outputs; states,
    those of the forward layer first, follow where the inner layer returns them. Params: ``forward_layer`` and
    ``backward_layer``. At masked steps of sequences the outputs are 0, as in Keras; the mask passes through with sequences
    and ends without.

    Args:
      layer: a recurrent layer, of which two clones are made, named ``forward_`` and ``backward_`` and its name; it is not
        used itself.
      merge_mode: ``"concat"``, ``"sum"``, ``"mul"``, ``"ave"`` or None.
      weights: arrays to start from, those of the forward layer first, as ``get_weights`` returns them.
      backward_layer: another layer for the way back; its ``go_backwards`` must differ from that of ``layer``.

    Raises:
      TypeError: when ``layer`` is not a recurrent layer.
      ValueError: for another ``merge_mode``, or layers that do not go together.

    Example:
      >>> Bidirectional(LSTM(32, return_sequences=True))(Input((None, 64))).shape
      (None, None, 64)

    Reference: Schuster and Paliwal (1997); ``keras.layers.Bidirectional``.
    """
    choice("merge_mode", merge_mode, ("concat", "sum", "mul", "ave", None))
    forward, backward = _both_ways(layer, backward_layer)
    sequences, states = forward.config["return_sequences"], forward.config["return_state"]

    def body(call: Calls, x: Any) -> Any:
        given = call.ctx.arguments.get("initial_state")
        half = None if given is None else len(given) // 2
        one = call("forward_layer", x, initial_state=None if given is None else given[:half])
        other = call("backward_layer", x, initial_state=None if given is None else given[half:])
        (y, *forth), (z, *back) = (one, other) if states else ((one,), (other,))
        if sequences:
            z = z[:, ::-1]  # the mask with it
        if merge_mode is None:
            return (y, z, *forth, *back)
        y = Masked(_MERGES[merge_mode](y.value, z.value), y.mask if sequences else None)
        return (y, *forth, *back) if states else y

    both = {"forward_layer": forward, "backward_layer": backward}
    made = composite(body, mixes_examples="never", arguments=("initial_state",), **both)
    return made if weights is None else dataclasses.replace(made, init=_starting(made.init, weights))


def _starting(init: Any, weights: Any) -> Any:
    """Let an init give the arrays of a list, in order."""

    def begin(key: Any, x: Any) -> Any:
        params, state = init(key, x)
        shapes = [leaf.shape for leaf in flatten(params)]
        if [np.shape(array) for array in weights] != shapes:
            raise ValueError(f"weights must be arrays of the shapes {shapes}, but got {[np.shape(array) for array in weights]}.")
        return nested(params, [jnp.asarray(np.array(array, "float32")) for array in weights]), state

    return begin


_MERGES = {
    "concat": lambda a, b: jnp.concatenate([a, b], -1),
    "sum": lambda a, b: a + b,
    "mul": lambda a, b: a * b,
    "ave": lambda a, b: (a + b) / 2,
}
_ALIKE = ("stateful", "return_sequences", "return_state")


def _both_ways(layer: Any, backward_layer: Any) -> tuple[Any, Any]:
    """Return the forward and the backward layer, and refuse two that do not go together."""
    inner = as_layer(layer, "Bidirectional")
    given = None if backward_layer is None else as_layer(backward_layer, "Bidirectional")
    for candidate in (inner, *(() if given is None else (given,))):
        if "go_backwards" not in candidate.config:
            raise TypeError(f"Bidirectional takes a recurrent layer, such as LSTM, but got {candidate!r}.")
    name = inner.given_name or inner.stem
    zero = {"zero_output_for_mask": True} if inner.config["return_sequences"] else {}
    forward = clone(inner, name=f"forward_{name.removeprefix('forward_')}", **zero)
    if given is None:
        turned = not inner.config["go_backwards"]
        return forward, clone(inner, name=f"backward_{name.removeprefix('backward_')}", go_backwards=turned, **zero)
    if given.config["go_backwards"] == inner.config["go_backwards"]:
        raise ValueError("the forward and the backward layer must differ in go_backwards.")
    for argument in _ALIKE:
        if given.config[argument] != inner.config[argument]:
            raise ValueError(f"the forward and the backward layer must have the same {argument}.")
    return forward, clone(given, **({"zero_output_for_mask": True} if given.config["return_sequences"] else {}))

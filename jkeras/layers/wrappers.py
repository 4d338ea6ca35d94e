"""TimeDistributed."""

from __future__ import annotations

import dataclasses
from typing import Any

from jkeras.core import Calls, Definition, Masked, composite, layer
from jkeras.core.errors import ShapeError
from jkeras.core.masks import all_of, folded, unfolded, unmask
from jkeras.core.nest import flatten, map_nest
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

"""TimeDistributed."""

from __future__ import annotations

from typing import Any

import jax

from jkeras.core import Context, Definition, Masked, as_layer, fold_in_name, layer
from jkeras.core.context import is_masked
from jkeras.core.inference import infer
from jkeras.core.shapes import shape_of, spec
from jkeras.layers.common import need_ndim


def _merge(x: Any) -> Any:
    """(batch, time, ...) to (batch * time, ...)."""
    return x.reshape(-1, *x.shape[2:])


def _merge_spec(x: Any) -> Any:
    need_ndim(x, ("batch", "time", "features"), at_least=True)
    return spec((None, *shape_of(x)[2:]), x.dtype)


@layer
def TimeDistributed(layer: Any) -> Definition:
    """Apply one layer or model to every time step, with the same weights.

    Shapes: ``(batch, time, ...)`` to ``(batch, time, ...)``, the inner layer seeing ``(batch * time, ...)``; so nothing is
    unrolled, and time may be unknown. Params: ``{"layer": ...}`` of the inner layer. A mask passes through.

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
    inner = as_layer(layer, "TimeDistributed")

    def init(key: Any, x: Any) -> Any:
        params, state = inner.init(fold_in_name(key, "layer"), jax.tree.map(_merge_spec, x))
        return ({"layer": params} if params else {}), ({"layer": state} if state else {})

    def through(function: Any) -> Any:
        def apply(params: Any, state: Any, x: Any, ctx: Context) -> Any:
            first = jax.tree.leaves(x)[0]
            masks = tuple(_merge(m) if m is not None and m.ndim > 2 else None for m in ctx.masks)
            y, inside = inner.run(
                function,
                params.get("layer", {}),
                state.get("layer", {}),
                jax.tree.map(_merge, x),
                ctx.child("layer", masks=masks),
            )

            def split(leaf: Any) -> Any:
                value = leaf.value if is_masked(leaf) else leaf
                value = value.reshape(*first.shape[:2], *value.shape[1:])
                mask = ctx.mask
                if mask is not None and (value.ndim <= mask.ndim or value.shape[: mask.ndim] != mask.shape):
                    mask = mask.any(axis=tuple(range(2, mask.ndim)))  # a step is valid if any part of it is
                return Masked(value, mask)

            return jax.tree.map(split, y, is_leaf=is_masked), ({"layer": inside} if inside else {})

        return apply

    def output(x: Any) -> Any:
        batch, time = shape_of(jax.tree.leaves(x)[0])[:2]
        return jax.tree.map(lambda y: spec((batch, time, *shape_of(y)[1:]), y.dtype), infer(inner, jax.tree.map(_merge_spec, x)))

    pure = inner.definition
    return Definition(
        init,
        through(pure.apply),
        couples=pure.couples,
        children={"layer": inner},
        linear=None if pure.linear is None else through(pure.linear),
        closing=pure.closing,
        infer=output,
    )

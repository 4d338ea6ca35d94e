"""How attention of many heads is computed: products into heads, masks, scores, and the product back."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jkeras import initializers
from jkeras.core import Calls, Context, Definition, Masked, composite, layer, weight
from jkeras.core.errors import ShapeError
from jkeras.core.masks import lengthened
from jkeras.core.shapes import shape_of
from jkeras.layers.common import drop, need_ndim, penalised, seeded
from jkeras.layers.core import EinsumDense

_ARGUMENTS = ("query_mask", "value_mask", "key_mask", "attention_mask", "return_attention_scores", "use_causal_mask")
_OF_PRODUCTS = tuple(f"{part}_{what}" for part in ("kernel", "bias") for what in ("initializer", "regularizer", "constraint"))


def not_later(t: Any, s: Any) -> Any:
    """Return which of s steps each of t steps may see when later ones are hidden: ``(1, T, S)``."""
    return (jnp.arange(s)[None] <= jnp.arange(t)[:, None])[None]


@dataclasses.dataclass(frozen=True)
class Attending:
    """What goes on between the products.

    Attributes:
      heads: how many queries there are at each step.
      size: the length of a query, by whose root scores are divided.
      dropout, seed: the fraction of scores dropped in training, and what sets its stream apart.
      window: how many steps to either side are seen, or None.
      axes: the axes of time among those of the inputs, or None for all but the first and the last.
    """

    heads: int
    size: int
    dropout: float
    seed: int | None
    window: int | None
    axes: tuple[int, ...] | None

    def __call__(self, ctx: Context, q: Any, k: Any, v: Any, mask: Any, causal: bool, wanted: bool) -> tuple[Any, Any]:
        """Attend: q ``(batch, T, heads, size)``, k and v ``(batch, S, heads, ...)``, mask ``(batch, 1 or heads, T, S)`` or None.

        Returns the outputs ``(batch, T, heads, ...)``, and the scores ``(batch, heads, T, S)`` where they are ``wanted``.
        """
        scale = 1 / math.sqrt(self.size)
        fused = self.dropout == 0 and not wanted
        if fused and v.shape == k.shape and q.dtype != jnp.float64:  # JAX's function computes the scores in float32
            return jax.nn.dot_product_attention(q, k, v, mask=mask, scale=scale, is_causal=causal), None
        scores = jnp.einsum("bthd,bshd->bhts", q * scale, k)
        if causal:
            seen = not_later(q.shape[1], k.shape[1])[None]  # (1, 1, T, S)
            mask = seen if mask is None else mask & seen
        if mask is not None:
            scores = jnp.where(mask, scores, jnp.finfo(scores.dtype).min)
        weights = jax.nn.softmax(scores)
        # A step that may see nothing gives 0 where Keras computes scores, and the mean of all values where it does not.
        kept = weights = weights if mask is None or fused else jnp.where(mask, weights, 0)
        if ctx.training and self.dropout > 0:
            kept = drop(weights, self.dropout, seeded(ctx, self.seed))
        return jnp.einsum("bhts,bshd->bthd", kept, v), weights

    def order(self, ndim: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return which axes of ``(batch, *dims, features)`` are batch axes, and which are those of time."""
        inner = range(1, ndim - 1)
        time = tuple(inner) if self.axes is None else tuple(axis + ndim if axis < 0 else axis for axis in self.axes)
        if not time or any(axis not in inner for axis in time):
            raise ShapeError(f"attention_axes {self.axes} name no inner axes of an input of {ndim} axes.")
        return (0, *(axis for axis in inner if axis not in time)), time

    def flat(self, x: Any, ndim: int) -> Any:
        """Bring ``(batch, *dims, ...)`` of an input with ``ndim`` axes to ``(batch, time, ...)``."""
        if ndim == 3:
            return x
        batch, time = self.order(ndim)
        rest = tuple(range(ndim - 1, x.ndim))
        sizes = [math.prod(x.shape[axis] for axis in axes) for axes in (batch, time)]
        return x.transpose((*batch, *time, *rest)).reshape(*sizes, *(x.shape[axis] for axis in rest))

    def unflat(self, y: Any, like: Any) -> Any:
        """Undo :meth:`flat` for outputs of an input ``like``: ``(batch, *dims, heads, ...)``."""
        if like.ndim == 3:
            return y
        batch, time = self.order(like.ndim)
        order = (*batch, *time)
        y = y.reshape(*(like.shape[axis] for axis in order), *y.shape[2:])
        back = sorted(range(len(order)), key=lambda place: order[place])
        return y.transpose((*back, *range(len(order), y.ndim)))


def attention(sizes: Mapping[str, Any], attend: Attending, made: tuple | None, given: Mapping[str, Any]) -> Definition:
    """Define attention of many heads.

    Args:
      sizes: heads and length of each product by name: ``query``, ``key``, ``value``, and ``gate`` where there is one.
      attend: what goes on between the products.
      made: the shape of a step of the output, or None for the query's.
      given: the constructor's arguments.
    """
    more = {name: given[name] for name in (*_OF_PRODUCTS, "activity_regularizer")}

    def into(name: str, shape: tuple[int, int]) -> Any:
        bias = "de" if given["use_bias"] else None
        gate = {"activation": "sigmoid"} if name == "gate" else {}
        return EinsumDense("...c,cde->...de", shape, bias_axes=bias, name=name, **gate, **more)

    def body(call: Calls, x: Any) -> Any:
        query, value, key = _inputs(x)
        mask, causal = _mask(call.ctx.arguments, attend, query, value, key)
        leaves = {"query": query, "key": key, "value": value}
        ndims = {name: leaf.ndim for name, leaf in leaves.items()}
        q, k, v = (attend.flat(call(name, leaf.value).value, ndims[name]) for name, leaf in leaves.items())
        if k.shape[2] != attend.heads:  # groups of queries share a key
            k, v = (jnp.repeat(leaf, attend.heads // leaf.shape[2], 2) for leaf in (k, v))
        wanted = bool(call.ctx.arguments.get("return_attention_scores"))
        y, scores = attend(call.ctx, q, k, v, mask, causal, wanted)
        y = attend.unflat(y, query)  # (batch, *dims, heads, length)
        y = y * call("gate", query.value).value if "gate" in sizes else y
        y = Masked(call("attention_output", (y, query.value)).value, query.mask)
        return (y, Masked(_unflat_scores(scores, attend, query, value), None)) if wanted else y

    inside = {name: into(name, shape) for name, shape in sizes.items()}
    inside["attention_output"] = _Together(made, given["use_bias"], **more, name="attention_output")
    definition = composite(body, mixes_examples="never", arguments=_ARGUMENTS, **inside)
    return dataclasses.replace(definition, inputs=("query", "value", "key"))


@layer
def _Together(
    shape: Any,
    use_bias: bool,
    kernel_initializer: Any,
    bias_initializer: Any,
    kernel_regularizer: Any,
    bias_regularizer: Any,
    kernel_constraint: Any,
    bias_constraint: Any,
    activity_regularizer: Any,
) -> Definition:
    """Multiply the outputs of all heads by one matrix, into steps of a shape, or of the shape of the second input's.

    Shapes: ``(batch, ..., heads, length)`` and ``(batch, ..., n)`` to ``(batch, ..., *shape)`` or ``(batch, ..., n)``.
    """

    def init(key: Any, x: Any) -> Any:
        y, like = x
        made = tuple(like.shape[-1:]) if shape is None else tuple(shape)
        start = initializers.along(kernel_initializer, (0, 1), tuple(range(2, 2 + len(made))))
        params = {"kernel": weight(key, "kernel", start, (*y.shape[-2:], *made))}
        if use_bias:
            params["bias"] = weight(key, "bias", bias_initializer, made)
        return params, {}

    def apply(params: Any, state: Any, x: Any, ctx: Context) -> Any:
        y = jnp.tensordot(x[0], params["kernel"], 2)
        return (y + params["bias"] if use_bias else y), state

    return penalised(Definition(init, apply, mixes_examples="never"), activity_regularizer)


def _inputs(x: Any) -> tuple[Any, Any, Any]:
    if not isinstance(x, (list, tuple)) or len(x) not in (2, 3):
        raise ShapeError("attention takes a query and a value, and perhaps a key: write layer(query, value).")
    query, value, key = (*x, x[1])[:3] if len(x) == 2 else x
    for leaf in (query, value, key):
        need_ndim(leaf, ("batch", "time", "features"), at_least=True)
    if shape_of(value)[1:-1] != shape_of(key)[1:-1]:
        raise ShapeError(f"value and key must have the same steps, but have the shapes {shape_of(value)} and {shape_of(key)}.")
    return query, value, key


def _mask(arguments: Mapping[str, Any], attend: Attending, query: Any, value: Any, key: Any) -> tuple[Any, bool]:
    """Return what may be seen, ``(batch, 1 or heads, T, S)`` or None, and whether later steps are hidden besides."""
    allowed: list[Any] = []
    for name, leaf, axis in (("query", query, -1), ("value", value, -2), ("key", key, -2)):
        mask = arguments.get(f"{name}_mask", None if name == "key" and key is value else leaf.mask)
        if mask is not None:
            whole = jnp.broadcast_to(lengthened(jnp.asarray(mask, bool), leaf.ndim - 1), leaf.shape[:-1])
            allowed.append(jnp.expand_dims(attend.flat(whole, leaf.ndim), (1, axis)))  # (batch, 1, T, 1) or (batch, 1, 1, S)
    given = arguments.get("attention_mask")
    if given is not None:
        allowed.append(_four_axes(jnp.asarray(given, bool), attend, query, value))
    if attend.window is not None:
        t, s = (math.prod(leaf.shape[axis] for axis in attend.order(leaf.ndim)[1]) for leaf in (query, value))
        allowed.append((jnp.abs(jnp.arange(t)[:, None] - jnp.arange(s)) < attend.window)[None, None])
    if not allowed:
        return None, bool(arguments.get("use_causal_mask"))
    mask = allowed[0]
    for other in allowed[1:]:
        mask = mask & other
    return mask, bool(arguments.get("use_causal_mask"))


def _four_axes(mask: Any, attend: Attending, query: Any, value: Any) -> Any:
    """Bring an attention mask to ``(batch, heads, T, S)``; it may lack the axis of heads, and that of the batch."""
    if query.ndim > 3:
        t, s = (math.prod(leaf.shape[axis] for axis in attend.order(leaf.ndim)[1]) for leaf in (query, value))
        return mask.reshape(-1, 1, t, s)
    if mask.ndim not in (2, 3, 4):
        raise ShapeError(f"attention_mask must be (batch, T, S), but has shape {shape_of(mask)}.")
    return mask[:, None] if mask.ndim == 3 else mask[None, None] if mask.ndim == 2 else mask


def _unflat_scores(scores: Any, attend: Attending, query: Any, value: Any) -> Any:
    """Give scores ``(batch, heads, T, S)`` the axes of the inputs: batch axes, heads, axes of the query, axes of the value."""
    if query.ndim == 3:
        return scores
    batch, time = attend.order(query.ndim)
    seen = [value.shape[axis] for axis in attend.order(value.ndim)[1]]
    return scores.reshape(*(query.shape[axis] for axis in batch), attend.heads, *(query.shape[axis] for axis in time), *seen)

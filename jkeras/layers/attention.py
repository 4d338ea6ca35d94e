"""Attention and AdditiveAttention, of one head."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jkeras.core import Context, Definition, Masked, layer, weight
from jkeras.core.arguments import choice
from jkeras.core.errors import ShapeError
from jkeras.core.shapes import shapes_of
from jkeras.layers.attending import not_later
from jkeras.layers.common import drop, fraction, seeded


def _attention(
    init: Callable[[Any, Any], Any], score: Callable[[Any, Any, Any], Any], dropout: float, seed: int | None
) -> Definition:
    """Define attention by what scores a query ``(batch, T, 1, n)`` against a key ``(batch, 1, S, n)``, or both as they are."""
    rate = fraction("dropout", dropout)

    def begin(key: Any, x: Any) -> Any:
        return init(key, _inputs(x)[0])

    def apply(params: Any, state: Any, x: Any, ctx: Context) -> Any:
        query, value, key = _inputs(x)
        masks = ctx.masks
        scores = score(params, query, key)  # (batch, T, S)
        seen = None if masks[1] is None else masks[1][:, None]  # (batch, 1, S)
        if ctx.arguments.get("use_causal_mask"):
            earlier = not_later(*scores.shape[1:])
            seen = earlier if seen is None else seen & earlier
        if seen is not None:
            scores = jnp.where(seen, scores, scores - (65504.0 if scores.dtype == jnp.float16 else 1e9))
        weights = jax.nn.softmax(scores)
        if ctx.training and rate > 0:
            weights = drop(weights, rate, seeded(ctx, seed))
        y = weights @ value  # (batch, T, m)
        y = Masked(y if masks[0] is None else jnp.where(masks[0][..., None], y, 0), masks[0])
        return ((y, Masked(weights, None)) if ctx.arguments.get("return_attention_scores") else y), state

    arguments = ("return_attention_scores", "use_causal_mask")
    return Definition(begin, apply, mixes_examples="never", arguments=arguments)


def _inputs(x: Any) -> tuple[Any, Any, Any]:
    if not isinstance(x, (list, tuple)) or len(x) not in (2, 3):
        raise ShapeError("it takes a list [query, value] or [query, value, key].")
    query, value = x[:2]
    if any(leaf.ndim != 3 for leaf in x):
        raise ShapeError(f"each input must be (batch, time, features), but they are {shapes_of(x)}.")
    return query, value, x[2] if len(x) == 3 else value


@layer
def Attention(use_scale: bool = False, score_mode: str = "dot", dropout: float = 0.0, seed: int | None = None) -> Definition:
    r"""Let each step of a query look at the steps of a value by the products of queries and keys.

    .. math:: \operatorname{softmax}(s\, Q K^T)\, V, \quad \text{or, for "concat",} \quad
        \operatorname{softmax}_j\Big(w \sum \tanh\big(s (q_i + k_j)\big)\Big)\, V

    Called on ``[query, value]`` or ``[query, value, key]``; the key is the value where none is given. A call also takes
    ``use_causal_mask=True``, which hides later steps, and ``return_attention_scores=True``. Masked steps of the value are not
    seen, those of the query give 0, and its mask passes through.

    Shapes: ``(batch, T, n)``, ``(batch, S, m)`` and ``(batch, S, n)`` to ``(batch, T, m)``; scores, where asked for,
    ``(batch, T, S)``. Params: ``scale`` () with ``use_scale``, ``concat_score_weight`` () with "concat".

    Args:
      use_scale: whether the scale :math:`s` is learned; else it is 1.
      score_mode: ``"dot"`` or ``"concat"``.
      dropout: fraction of the scores dropped in training.
      seed: sets this layer's stream apart.

    Raises:
      ShapeError: for other than two or three inputs of three axes.
      ValueError: for another ``score_mode``, or a fraction out of range.

    Example:
      >>> Attention()([Input((8, 64)), Input((4, 64))]).shape
      (None, 8, 64)

    Reference: Luong et al., arXiv:1508.04025; ``keras.layers.Attention``.
    """
    concat = choice("score_mode", score_mode, ("dot", "concat")) == "concat"

    def init(key: Any, query: Any) -> Any:
        names = (("scale",) if use_scale else ()) + (("concat_score_weight",) if concat else ())
        return {name: weight(key, name, "ones", ()) for name in names}, {}

    def score(params: Any, query: Any, key: Any) -> Any:
        if not concat:
            scores = query @ key.swapaxes(1, 2)
            return scores * params["scale"] if use_scale else scores
        both = query[:, :, None] + key[:, None]  # (batch, T, S, n)
        both = both * params["scale"] if use_scale else both
        return params["concat_score_weight"] * jnp.tanh(both).sum(-1)

    return _attention(init, score, dropout, seed)


@layer
def AdditiveAttention(use_scale: bool = True, dropout: float = 0.0) -> Definition:
    r"""Let each step of a query look at the steps of a value by a nonlinear sum of queries and keys.

    .. math:: \operatorname{softmax}_j\Big(\sum_n s_n \tanh(q_{i n} + k_{j n})\Big)\, V

    Called as ``Attention`` is, with the same masks.

    Shapes: ``(batch, T, n)``, ``(batch, S, m)`` and ``(batch, S, n)`` to ``(batch, T, m)``. Params: ``scale`` (n,) with
    ``use_scale``.

    Args:
      use_scale: whether the scale :math:`s` is learned; else it is 1.
      dropout: fraction of the scores dropped in training.

    Raises:
      ShapeError: for other than two or three inputs of three axes.
      ValueError: for a fraction out of range.

    Example:
      >>> AdditiveAttention()([Input((8, 64)), Input((4, 64))]).shape
      (None, 8, 64)

    Reference: Bahdanau et al., arXiv:1409.0473; ``keras.layers.AdditiveAttention``.
    """

    def init(key: Any, query: Any) -> Any:
        return ({"scale": weight(key, "scale", "glorot_uniform", (query.shape[-1],))} if use_scale else {}), {}

    def score(params: Any, query: Any, key: Any) -> Any:
        both = jnp.tanh(query[:, :, None] + key[:, None])  # (batch, T, S, n)
        return (params["scale"] * both if use_scale else both).sum(-1)

    return _attention(init, score, dropout, None)

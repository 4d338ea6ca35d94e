"""MultiHeadAttention and GroupQueryAttention, composites of EinsumDense."""

from __future__ import annotations

import dataclasses
from typing import Any

from jkeras.core import Definition, layer
from jkeras.core.arguments import whole_number
from jkeras.layers.attending import Attending, attention
from jkeras.layers.common import fraction


@layer
def MultiHeadAttention(
    num_heads: int,
    key_dim: int,
    value_dim: int | None = None,
    dropout: float = 0.0,
    use_bias: bool = True,
    output_shape: Any = None,
    attention_axes: Any = None,
    sliding_window: int | None = None,
    flash_attention: bool | None = None,
    kernel_initializer: Any = "glorot_uniform",
    bias_initializer: Any = "zeros",
    kernel_regularizer: Any = None,
    bias_regularizer: Any = None,
    activity_regularizer: Any = None,
    kernel_constraint: Any = None,
    bias_constraint: Any = None,
    use_gate: bool = False,
    seed: int | None = None,
) -> Definition:
    r"""Let each step of a query look at the steps of a value, several times side by side.

    .. math:: \operatorname{concat}_h\Big(\operatorname{softmax}\big(Q_h K_h^T / \sqrt{d}\big) V_h\Big) W_o + b_o

    with :math:`Q_h, K_h, V_h` the query, key and value multiplied by matrices of head h, and :math:`d` the ``key_dim``.

    Called as ``layer(query, value, key=None)``. A call also takes ``query_mask``, ``value_mask`` and ``key_mask``, (batch, T) and
    (batch, S), in the place of the masks that the inputs bring; ``attention_mask`` (batch, T, S), True where a step of the
    query may look at a step of the value; ``use_causal_mask=True``, which hides later steps;
    ``return_attention_scores=True``. A step is seen where all of these allow it. The mask of the query passes through.

    Shapes: query ``(batch, T, n)``, value ``(batch, S, m)`` and key ``(batch, S, k)`` to ``(batch, T, n)``; scores, where
    asked for, ``(batch, heads, T, S)``. Params, each with a ``bias``: ``query`` (n, heads, key_dim), ``key`` (k, heads,
    key_dim), ``value`` (m, heads, value_dim), ``attention_output`` (heads, value_dim, n), and with ``use_gate`` ``gate`` (n,
    heads, value_dim).

    Args:
      num_heads: how many heads.
      key_dim: the length of a head's queries and keys.
      value_dim: the length of its values; None: ``key_dim``.
      dropout: fraction of the scores dropped in training.
      use_bias: whether the products have an offset.
      output_shape: the shape of a step of the output; None: the query's.
      attention_axes: the axes of time, where the inputs have several: others are batch axes; None: all but the first and last.
      sliding_window: how many steps to either side are seen at most; None: all.
      flash_attention: ignored: XLA chooses the kernel.
      use_gate: whether the heads' outputs are multiplied by the sigmoid of a product of the query.
      seed: sets this layer's stream apart.
      kernel_initializer and the rest: of every product, as for ``Dense``.

    Raises:
      ShapeError: when the inputs do not go together.
      ValueError: for sizes and fractions out of range.

    Example:
      >>> layer = MultiHeadAttention(num_heads=2, key_dim=16)
      >>> query, value = Input((8, 64)), Input((4, 32))
      >>> layer(query, value).shape
      (None, 8, 64)

    Reference: Vaswani et al., arXiv:1706.03762; ``keras.layers.MultiHeadAttention``.
    """
    heads, key_size = whole_number("num_heads", num_heads), whole_number("key_dim", key_dim)
    value_size = key_size if value_dim is None else whole_number("value_dim", value_dim)
    window = None if sliding_window is None else whole_number("sliding_window", sliding_window)
    attend = Attending(heads, key_size, fraction("dropout", dropout), seed, window, _tuple(attention_axes))
    gate = {"gate": (heads, value_size)} if use_gate else {}  # where Keras has it in the order of weights
    sizes = {"query": (heads, key_size), "key": (heads, key_size), **gate, "value": (heads, value_size)}
    return attention(sizes, attend, _tuple(output_shape), locals())


def _tuple(value: Any) -> tuple | None:
    return value if value is None else tuple(value) if isinstance(value, (list, tuple)) else (value,)


@layer
def GroupQueryAttention(
    head_dim: int,
    num_query_heads: int,
    num_key_value_heads: int,
    dropout: float = 0.0,
    use_bias: bool = True,
    sliding_window: int | None = None,
    flash_attention: bool | None = None,
    kernel_initializer: Any = "glorot_uniform",
    bias_initializer: Any = "zeros",
    kernel_regularizer: Any = None,
    bias_regularizer: Any = None,
    activity_regularizer: Any = None,
    kernel_constraint: Any = None,
    bias_constraint: Any = None,
    use_gate: bool = False,
    seed: int | None = None,
) -> Definition:
    r"""Attention of many heads in which groups of queries share a key and a value.

    .. math:: \operatorname{concat}_h\Big(\operatorname{softmax}\big(Q_h K_{g(h)}^T / \sqrt{d}\big) V_{g(h)}\Big) W_o + b_o

    with :math:`g(h)` the group of head h, and :math:`d` the ``head_dim``.

    Called as ``layer(query, value, key=None)``. A call also takes ``query_mask``, ``value_mask`` and ``key_mask``, (batch, T) and
    (batch, S), in the place of the masks that the inputs bring; ``attention_mask`` (batch, T, S), True where a step of the
    query may look at a step of the value; ``use_causal_mask=True``, which hides later steps;
    ``return_attention_scores=True``. A step is seen where all of these allow it. The mask of the query passes through.

    Shapes: query ``(batch, T, n)``, value ``(batch, S, m)`` and key ``(batch, S, k)`` to ``(batch, T, n)``; scores, where
    asked for, ``(batch, num_query_heads, T, S)``. Params, each with a ``bias``: ``query`` (n, num_query_heads, head_dim),
    ``key`` and ``value`` (k or m, num_key_value_heads, head_dim), ``attention_output`` (num_query_heads, head_dim, n), and
    with ``use_gate`` ``gate``.

    Args:
      head_dim: the length of a head's queries, keys and values.
      num_query_heads: how many queries.
      num_key_value_heads: how many keys and values, which divides ``num_query_heads``.
      dropout, use_bias, sliding_window, flash_attention, use_gate, seed, and the rest: as for ``MultiHeadAttention``.

    Raises:
      ShapeError: when the inputs do not go together.
      ValueError: for sizes and fractions out of range.

    Example:
      >>> layer = GroupQueryAttention(head_dim=16, num_query_heads=4, num_key_value_heads=2)
      >>> x = Input((8, 64))
      >>> layer(x, x).shape
      (None, 8, 64)

    Reference: Ainslie et al., arXiv:2305.13245; ``keras.layers.GroupQueryAttention``.
    """
    size, heads = whole_number("head_dim", head_dim), whole_number("num_query_heads", num_query_heads)
    few = whole_number("num_key_value_heads", num_key_value_heads)
    window = None if sliding_window is None else whole_number("sliding_window", sliding_window)
    if heads % few:
        raise ValueError(f"num_query_heads must be divisible by num_key_value_heads, but got {heads} and {few}.")
    attend = Attending(heads, size, fraction("dropout", dropout), seed, window, None)
    gate = {"gate": (heads, size)} if use_gate else {}
    sizes = {"query": (heads, size), "key": (few, size), **gate, "value": (few, size)}
    made = attention(sizes, attend, None, locals())
    return dataclasses.replace(made, stem="grouped_query_attention")  # so Keras names it

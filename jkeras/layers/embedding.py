"""Embedding, ReversibleEmbedding."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from jkeras.core import Context, Definition, Masked, layer, weight
from jkeras.core.arguments import whole_number
from jkeras.core.errors import ShapeError
from jkeras.core.shapes import is_float, shape_of


@layer
def Embedding(
    input_dim: int,
    output_dim: int,
    embeddings_initializer: Any = "uniform",
    embeddings_regularizer: Any = None,
    embeddings_constraint: Any = None,
    mask_zero: bool = False,
    weights: Any = None,
    input_length: int | None = None,
) -> Definition:
    """Replace each index by its row of a table.

    Shapes: ``(batch, ...)`` integers to ``(batch, ..., output_dim)``. Params: ``embeddings`` (input_dim, output_dim).

    An index outside 0 ... input_dim - 1 gives a row of NaN, never another index's row; ``fit``, ``evaluate`` and ``predict``
    refuse such data where they see it. (Keras on JAX lets -1 stand for the last row.)

    Args:
      input_dim: number of rows: the largest index + 1.
      output_dim: length of a row.
      embeddings_initializer: uniform from -0.05 to 0.05 by default.
      embeddings_regularizer, embeddings_constraint: as for ``Dense``.
      mask_zero: whether index 0 is padding, masked for the layers that follow.
      weights: the table to start from, ``(input_dim, output_dim)``.
      input_length: ignored; scripts written for Keras 2 give it.

    Raises:
      ValueError: when a size is not a positive integer.

    Example:
      >>> Embedding(10000, 64)(Input((None,), dtype="int32")).shape
      (None, None, 64)

    Reference: ``keras.layers.Embedding``.
    """
    input_dim, output_dim = whole_number("input_dim", input_dim), whole_number("output_dim", output_dim)
    start = embeddings_initializer
    if weights is not None:
        start = np.array(weights[0] if isinstance(weights, (list, tuple)) else weights)
        if start.shape != (input_dim, output_dim):
            raise ValueError(f"weights must have shape {(input_dim, output_dim)}, but got {start.shape}.")

    def init(key: Any, x: Any) -> Any:
        return {"embeddings": weight(key, "embeddings", start, (input_dim, output_dim))}, {}

    def apply(params: Any, state: Any, x: Any, ctx: Context) -> Any:
        return _rows(params["embeddings"], x, mask_zero), state

    return Definition(init, apply, mixes_examples="never", indices=True)


def _rows(table: Any, x: Any, mask_zero: bool) -> Any:
    """Look rows up: ``(batch, ...)`` to ``(batch, ..., output_dim)``."""
    index = x.astype(jnp.int32) if is_float(x) or x.dtype == jnp.bool_ else x
    inside = jnp.where(index < 0, table.shape[0], index)
    rows = jnp.take(table, inside, axis=0, mode="fill", fill_value=jnp.nan)
    return Masked(rows, index != 0) if mask_zero else rows


@layer
def ReversibleEmbedding(
    input_dim: int,
    output_dim: int,
    tie_weights: bool = True,
    embeddings_initializer: Any = "uniform",
    embeddings_regularizer: Any = None,
    embeddings_constraint: Any = None,
    mask_zero: bool = False,
    reverse_dtype: Any = None,
    logit_soft_cap: float | None = None,
) -> Definition:
    r"""Replace each index by its row of a table, and, called with ``reverse=True``, compare vectors with all rows.

    .. math:: y = c \tanh(x E^T / c)

    with the table :math:`E` and, where it is given, the cap :math:`c`.

    Shapes: ``(batch, ...)`` integers to ``(batch, ..., output_dim)``; reversed, ``(batch, ..., output_dim)`` to
    ``(batch, ..., input_dim)``. Params: ``embeddings`` (input_dim, output_dim), and, where weights are not tied,
    ``reverse_embeddings`` (output_dim, input_dim).

    Args:
      input_dim, output_dim, embeddings_initializer, embeddings_regularizer, embeddings_constraint, mask_zero: as for
        ``Embedding``.
      tie_weights: whether the way back uses the same table.
      reverse_dtype: the dtype of the product on the way back, as ``"float32"`` for logits in mixed precision.
      logit_soft_cap: :math:`c`, which logits stay within; None: no cap.

    Raises:
      ValueError: when a size is not a positive integer.
      ShapeError: on the way back, for vectors that are not of length ``output_dim``.

    Example:
      >>> embedding = ReversibleEmbedding(1000, 64)
      >>> y = embedding(Input((None,), dtype="int32"))
      >>> embedding(y, reverse=True).shape
      (None, None, 1000)

    Reference: Press and Wolf, arXiv:1608.05859; ``keras.layers.ReversibleEmbedding``.
    """
    input_dim, output_dim = whole_number("input_dim", input_dim), whole_number("output_dim", output_dim)

    def init(key: Any, x: Any) -> Any:
        params = {"embeddings": weight(key, "embeddings", embeddings_initializer, (input_dim, output_dim))}
        if not tie_weights:
            params["reverse_embeddings"] = weight(key, "reverse_embeddings", embeddings_initializer, (output_dim, input_dim))
        return params, {}

    def apply(params: Any, state: Any, x: Any, ctx: Context) -> Any:
        if not ctx.arguments.get("reverse"):
            return _rows(params["embeddings"], x, mask_zero), state
        if x.shape[-1] != output_dim:
            raise ShapeError(f"reverse=True takes vectors of length {output_dim}, but the input is {shape_of(x)}.")
        kernel = params["embeddings"].T if tie_weights else params["reverse_embeddings"]  # (output_dim, input_dim)
        x = ctx.cast(x)
        if reverse_dtype is not None:
            x, kernel = x.astype(reverse_dtype), kernel.astype(reverse_dtype)
        logits = x @ kernel  # (batch, ..., input_dim)
        return (logits if logit_soft_cap is None else logit_soft_cap * jnp.tanh(logits / logit_soft_cap)), state

    return Definition(init, apply, mixes_examples="never", arguments=("reverse",), indices=True)

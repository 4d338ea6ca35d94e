"""Dense, Activation, Embedding, Masking, Flatten."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from jkeras.core import Context, Definition, Masked, layer, weight
from jkeras.core.arguments import whole_number
from jkeras.core.shapes import is_float
from jkeras.layers.common import activated, check_names, need_ndim, no_weights, penalised, stateless


@layer
def Dense(
    units: int,
    activation: Any = None,
    use_bias: bool = True,
    kernel_initializer: Any = "glorot_uniform",
    bias_initializer: Any = "zeros",
    kernel_regularizer: Any = None,
    bias_regularizer: Any = None,
    activity_regularizer: Any = None,
    kernel_constraint: Any = None,
    bias_constraint: Any = None,
) -> Definition:
    r"""Multiply the last axis by a matrix and add an offset.

    .. math:: y = f(x W + b)

    with :math:`W` the ``kernel``, :math:`b` the ``bias`` and :math:`f` the ``activation``.

    Shapes: ``(batch, ..., features)`` to ``(batch, ..., units)``. Params: ``kernel`` (features, units), ``bias`` (units,).

    Args:
      units: size of the output's last axis.
      activation: name or function; None is the identity.
      use_bias: whether an offset is added.
      kernel_initializer, bias_initializer: name, ``jkeras.initializers`` object or function.
      kernel_regularizer, bias_regularizer, activity_regularizer: penalties on weights and, per example, on the output.
      kernel_constraint, bias_constraint: projections of the weights after each step.

    Raises:
      ShapeError: when the input has fewer than 2 axes, or a last axis of unknown size.
      ValueError: when ``units`` is not a positive integer.

    Example:
      >>> Dense(10, activation="softmax")(Input((784,))).shape
      (None, 10)

    Reference: ``keras.layers.Dense``.
    """
    units = whole_number("units", units)
    check_names(
        (kernel_initializer, bias_initializer), (kernel_regularizer, bias_regularizer), (kernel_constraint, bias_constraint)
    )

    def init(key: Any, x: Any) -> Any:
        need_ndim(x, ("batch", "features"), at_least=True)
        params = {"kernel": weight(key, "kernel", kernel_initializer, (x.shape[-1], units))}
        if use_bias:
            params["bias"] = weight(key, "bias", bias_initializer, (units,))
        return params, {}

    def linear(params: Any, state: Any, x: Any, ctx: Context) -> Any:
        y = x @ params["kernel"]  # (batch, ..., units)
        return (y + params["bias"] if use_bias else y), state

    return penalised(activated(init, linear, activation), activity_regularizer)


@layer
def Activation(activation: Any) -> Definition:
    """Apply an activation function.

    Shapes: any to the same. Params: none.

    Args:
      activation: a name of ``jkeras.activations``, a function, or None for the identity.

    Raises:
      UnknownNameError: for a name that is not in the table.

    Example:
      >>> Activation("relu")(Input((32,))).shape
      (None, 32)

    Reference: ``keras.layers.Activation``.
    """
    return activated(no_weights, lambda params, state, x, ctx: (x, state), activation)


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
    check_names((start,), (embeddings_regularizer,), (embeddings_constraint,))

    def init(key: Any, x: Any) -> Any:
        return {"embeddings": weight(key, "embeddings", start, (input_dim, output_dim))}, {}

    def apply(params: Any, state: Any, x: Any, ctx: Context) -> Any:
        index = x.astype(jnp.int32) if is_float(x) or x.dtype == jnp.bool_ else x
        inside = jnp.where(index < 0, input_dim, index)
        rows = jnp.take(params["embeddings"], inside, axis=0, mode="fill", fill_value=jnp.nan)  # (batch, ..., output_dim)
        return (Masked(rows, index != 0) if mask_zero else rows), state

    return Definition(init, apply, mixes_examples="never", indices=True)


@layer
def Masking(mask_value: float = 0.0) -> Definition:
    """Mask the time steps of which every feature equals ``mask_value``; their values become 0.

    Shapes: ``(batch, time, features)`` to the same, with a mask ``(batch, time)``. Params: none.

    Args:
      mask_value: the value that marks padding.

    Example:
      >>> Masking(-1.0)(Input((None, 8))).shape
      (None, None, 8)

    Reference: ``keras.layers.Masking``.
    """

    def mask(x: Any) -> Masked:
        valid = jnp.any(x != mask_value, axis=-1)  # (batch, time)
        return Masked(x * valid[..., None].astype(x.dtype), valid)

    return stateless(mask)


@layer
def Flatten(data_format: str | None = None) -> Definition:
    """Join all axes but the first.

    Shapes: ``(batch, ...)`` to ``(batch, product)``; ``(batch,)`` to ``(batch, 1)``. Params: none. Ends a mask.

    Args:
      data_format: ``"channels_first"`` moves the channels last before joining; None and ``"channels_last"`` do not.

    Raises:
      ShapeError: when a later layer needs the size and one of the joined sizes is unknown.

    Example:
      >>> Flatten()(Input((8, 4))).shape
      (None, 32)

    Reference: ``keras.layers.Flatten``.
    """

    def flatten(x: Any) -> Masked:
        if data_format == "channels_first" and x.ndim > 2:
            x = jnp.moveaxis(x, 1, -1)
        return Masked(x.reshape(x.shape[0], -1), None)

    return stateless(flatten)

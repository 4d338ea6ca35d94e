"""LSTM."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jkeras import activations, initializers
from jkeras.core import Context, Definition, Masked, fold_in_name, layer, weight
from jkeras.core.arguments import whole_number
from jkeras.core.errors import ShapeError
from jkeras.core.shapes import shape_of, shapes_of
from jkeras.layers.common import choice, drop, fraction, need_ndim, penalised, seeded


@layer
def LSTM(
    units: int,
    activation: Any = "tanh",
    recurrent_activation: Any = "sigmoid",
    use_bias: bool = True,
    kernel_initializer: Any = "glorot_uniform",
    recurrent_initializer: Any = "orthogonal",
    bias_initializer: Any = "zeros",
    unit_forget_bias: bool = True,
    kernel_regularizer: Any = None,
    recurrent_regularizer: Any = None,
    bias_regularizer: Any = None,
    activity_regularizer: Any = None,
    kernel_constraint: Any = None,
    recurrent_constraint: Any = None,
    bias_constraint: Any = None,
    dropout: float = 0.0,
    recurrent_dropout: float = 0.0,
    seed: int | None = None,
    return_sequences: bool = False,
    return_state: bool = False,
    go_backwards: bool = False,
    stateful: bool = False,
    unroll: bool = False,
    use_cudnn: Any = "auto",
) -> Definition:
    r"""Run a long short-term memory over time.

    .. math::
        i, f, g, o &= \sigma(z_i), \sigma(z_f), a(z_g), \sigma(z_o), \quad z = x_t W + h_{t-1} U + b \\
        c_t &= f c_{t-1} + i g, \qquad h_t = o\, a(c_t)

    with :math:`a` the ``activation`` and :math:`\sigma` the ``recurrent_activation``.

    Shapes: ``(batch, time, features)`` to ``(batch, units)``, or ``(batch, time, units)`` with ``return_sequences``; with
    ``return_state`` a tuple of that, h and c, each ``(batch, units)``. Params: ``kernel`` (features, 4 units),
    ``recurrent_kernel`` (units, 4 units), ``bias`` (4 units,), gates in the order i, f, g, o.

    At a masked step output and state stay what they were. A mask passes through with ``return_sequences``, with ``go_backwards``
    reversed as the outputs are (Keras leaves it as it was), and ends without.

    Args:
      units: size of h and c.
      activation, recurrent_activation: :math:`a` and :math:`\sigma`.
      use_bias: whether :math:`b` is used.
      kernel_initializer, recurrent_initializer, bias_initializer: of :math:`W, U, b`.
      unit_forget_bias: whether the forget gate's part of :math:`b` starts at 1.
      kernel_regularizer, recurrent_regularizer, bias_regularizer, activity_regularizer: as for ``Dense``.
      kernel_constraint, recurrent_constraint, bias_constraint: as for ``Dense``.
      dropout: fraction of the input dropped in training, the same at all time steps.
      recurrent_dropout: the same for h; then every gate drops entries of its own.
      seed: sets this layer's stream apart.
      return_sequences: whether the output of every step is returned.
      return_state: whether the last h and c are returned too.
      go_backwards: whether time runs from the last step to the first; outputs come in the order of processing.
      stateful: whether each batch starts from the state in which the last one ended, until ``reset_state()``; needs a fixed
        batch size.
      unroll: whether the loop is written out; faster for very short sequences, slower to compile.
      use_cudnn: accepted for Keras's sake; ``"auto"`` and False are the same here.

    A call may have ``initial_state=[h, c]``, each ``(batch, units)``.

    Raises:
      ShapeError: when the input has not 3 axes, the initial state has other shapes, or ``stateful`` has no batch size.
      ValueError: when an argument is out of its range.

    Example:
      >>> LSTM(32)(Input((None, 64))).shape
      (None, 32)

    Reference: Hochreiter and Schmidhuber, Neural Computation 9 (1997); ``keras.layers.LSTM``.
    """
    units = whole_number("units", units)
    dropout, recurrent_dropout = fraction("dropout", dropout), fraction("recurrent_dropout", recurrent_dropout)
    act, gate = activations.get(activation), activations.get(recurrent_activation)
    if choice("use_cudnn", use_cudnn, ("auto", True, False)) is True:
        raise ValueError("use_cudnn=True asks for a kernel that jkeras does not have; leave it 'auto'.")

    def init(key: Any, x: Any) -> Any:
        need_ndim(x, ("batch", "time", "features"))
        params = {
            "kernel": weight(key, "kernel", kernel_initializer, (x.shape[-1], 4 * units)),
            "recurrent_kernel": weight(key, "recurrent_kernel", recurrent_initializer, (units, 4 * units)),
        }
        if use_bias:
            params["bias"] = _bias(key, units, bias_initializer, unit_forget_bias)
        if not stateful:
            return params, {}
        if not isinstance(x.shape[0], int):
            raise ShapeError("stateful=True needs a fixed batch size: write Input(shape, batch_size=...).")
        return params, {"hidden": jnp.zeros((x.shape[0], units)), "cell": jnp.zeros((x.shape[0], units))}

    def apply(params: Any, state: Any, x: Any, ctx: Context) -> Any:
        if ctx.mask is not None and ctx.mask.ndim != 2:
            raise ShapeError(f"its mask must be (batch, time), but has shape {shape_of(ctx.mask)}.")
        start = _start(x, params, state, ctx, units)
        z, between = _project(params, x, ctx, units, dropout, recurrent_dropout, seed)  # z: (batch, time, 4 units)

        def step(carry: Any, now: Any) -> Any:
            h, c = carry
            z_t, valid = now
            i, f, g, o = jnp.split(z_t + between(h), 4, axis=-1)  # each (batch, units)
            c_new = gate(f) * c + gate(i) * act(g)
            h_new = gate(o) * act(c_new)
            if valid is not None:
                h_new, c_new = jnp.where(valid[:, None], h_new, h), jnp.where(valid[:, None], c_new, c)
            return (h_new, c_new), h_new if return_sequences else None

        mask = None if ctx.mask is None else ctx.mask.swapaxes(0, 1)  # (time, batch)
        (h, c), hs = lax.scan(step, start, (z.swapaxes(0, 1), mask), reverse=go_backwards, unroll=bool(unroll) or 1)
        if stateful:
            state = {"hidden": h, "cell": c}
        if return_sequences:
            hs = (jnp.flip(hs, 0) if go_backwards else hs).swapaxes(0, 1)  # (batch, time, units)
        along = jnp.flip(ctx.mask, 1) if go_backwards and ctx.mask is not None else ctx.mask
        y = Masked(hs, along) if return_sequences else Masked(h, None)
        return ((y, Masked(h, None), Masked(c, None)) if return_state else y), state

    definition = Definition(
        init,
        apply,
        mixes_examples="always" if stateful else "never",
        arguments=("initial_state",),
        transient=("hidden", "cell") if stateful else (),
    )
    return penalised(definition, activity_regularizer)


def _bias(key: Any, units: int, initializer: Any, unit_forget_bias: bool) -> jax.Array:
    if not unit_forget_bias:
        return weight(key, "bias", initializer, (4 * units,))
    own = initializers.get(initializer)
    first, last = own(fold_in_name(key, "bias"), (units,), jnp.float32), own(fold_in_name(key, "bias"), (2 * units,), jnp.float32)
    return jnp.concatenate([first, jnp.ones((units,), jnp.float32), last])


def _fits(shape: tuple, wanted: tuple) -> bool:
    return len(shape) == 2 and shape[1] == wanted[1] and (shape[0] == wanted[0] or None in (shape[0], wanted[0]))


def _start(x: Any, params: Any, state: Any, ctx: Context, units: int) -> tuple[Any, Any]:
    """Return the h and c to start from: those given, those remembered, or zeros."""
    dtype = jnp.promote_types(x.dtype, params["kernel"].dtype)
    given = ctx.arguments.get("initial_state")
    if given is None and state.get("hidden") is not None:
        return state["hidden"].astype(dtype), state["cell"].astype(dtype)
    if given is None:
        zeros = jnp.zeros((x.shape[0], units), dtype)
        return zeros, zeros
    wanted = (shape_of(x)[0], units)
    if not isinstance(given, (list, tuple)) or len(given) != 2 or not all(_fits(shape_of(s), wanted) for s in given):
        raise ShapeError(f"initial_state must be [h, c], each of shape {wanted}, but got {shapes_of(given)}.")
    return given[0].astype(dtype), given[1].astype(dtype)


def _project(params: Any, x: Any, ctx: Context, units: int, dropout: float, recurrent_dropout: float, seed: Any) -> Any:
    """Compute everything that does not depend on the recurrence in one product, and say what a step adds to it."""
    kernel, recurrent = params["kernel"], params["recurrent_kernel"]
    bias = params.get("bias", 0)
    if not ctx.training or (dropout == 0 and recurrent_dropout == 0):
        return x @ kernel + bias, lambda h: h @ recurrent
    key = seeded(ctx, seed)
    ones = jnp.ones((x.shape[0], x.shape[-1]), x.dtype)  # (batch, features)
    if recurrent_dropout == 0:
        return (x * drop(ones, dropout, key)[:, None]) @ kernel + bias, lambda h: h @ recurrent
    # With recurrent dropout each of the four gates has masks of its own, as Keras's implementation 1.
    per_gate = [drop(ones, dropout, fold_in_name(key, f"input {gate}"))[:, None] for gate in range(4)]
    z = jnp.concatenate([(x * m) @ k for m, k in zip(per_gate, jnp.split(kernel, 4, axis=1), strict=True)], -1) + bias
    units_of_ones = jnp.ones((x.shape[0], units), x.dtype)
    masks = [drop(units_of_ones, recurrent_dropout, fold_in_name(key, f"recurrent {gate}")) for gate in range(4)]
    parts = jnp.split(recurrent, 4, axis=1)
    return z, lambda h: jnp.concatenate([(h * m) @ u for m, u in zip(masks, parts, strict=True)], -1)

"""ConvLSTM1D, ConvLSTM2D, ConvLSTM3D: LSTM over sequences of rows, images and volumes."""

from __future__ import annotations

import itertools
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jkeras import activations
from jkeras.core import Calls, Context, Definition, layer, weight
from jkeras.core.arguments import whole_number
from jkeras.core.errors import ShapeError
from jkeras.core.shapes import shape_of
from jkeras.layers.cells import Drops, Forgetful
from jkeras.layers.common import fraction, penalised
from jkeras.layers.convolution import convolve, steps
from jkeras.layers.recurrence import kept, lstm, with_bias
from jkeras.layers.rnn import Options, Shape, over_time
from jkeras.layers.spatial import covered_by, is_channels_first, last, need_length, need_space, padding_of, per_axis

_OPTIONS = ("return_sequences", "return_state", "go_backwards", "stateful")


@layer
def _ConvLSTMCell(
    rank: int,
    filters: int,
    size: tuple[int, ...],
    first: bool,
    use_bias: bool,
    kernel_initializer: Any,
    recurrent_initializer: Any,
    bias_initializer: Any,
    kernel_regularizer: Any,
    recurrent_regularizer: Any,
    bias_regularizer: Any,
    kernel_constraint: Any,
    recurrent_constraint: Any,
    bias_constraint: Any,
) -> Definition:
    """Hold the weights of one step; the layer around it runs all steps."""

    def init(key: Any, x: Any) -> Any:
        need_space(x, rank, first)
        params = {
            "kernel": weight(key, "kernel", kernel_initializer, (*size, x.shape[1 if first else -1], 4 * filters)),
            "recurrent_kernel": weight(key, "recurrent_kernel", recurrent_initializer, (*size, filters, 4 * filters)),
        }
        if use_bias:
            params["bias"] = weight(key, "bias", bias_initializer, (4 * filters,))
        return params, {}

    def apply(params: Any, state: Any, x: Any, ctx: Context) -> Any:
        return x, state

    return Definition(init, apply, mixes_examples="never")


def _same(h: Any, kernel: Any) -> Any:
    """Convolve ``(batch, *space, filters)`` with zeros around as one product of patches and a matrix.

    A convolution inside a loop on a CPU is some twenty times slower than outside of one; a product is not.
    """
    size = kernel.shape[:-2]
    pads = [(0, 0), *(((k - 1) // 2, k // 2) for k in size), (0, 0)]
    padded = jnp.pad(h, pads)
    patches = []
    for offset in itertools.product(*map(range, size)):
        index = tuple(slice(o, o + n) for o, n in zip(offset, h.shape[1:-1], strict=True))
        patches.append(padded[(slice(None), *index)])
    return jnp.concatenate(patches, -1) @ kernel.reshape(-1, kernel.shape[-1])  # (batch, *space, 4 filters)


def _conv_lstm(
    rank: int,
    filters: int,
    kernel_size: Any,
    strides: Any,
    padding: str,
    data_format: str | None,
    dilation_rate: Any,
    activation: Any,
    recurrent_activation: Any,
    bias_initializer: Any,
    unit_forget_bias: bool,
    activity_regularizer: Any,
    dropout: float,
    recurrent_dropout: float,
    seed: int | None,
    **others: Any,
) -> Definition:
    filters, size = whole_number("filters", filters), per_axis("kernel_size", kernel_size, rank)
    stride, dilation = steps(rank, strides, dilation_rate)
    pads, first = padding_of(padding).upper(), is_channels_first(data_format)
    drops = Drops(fraction("dropout", dropout), fraction("recurrent_dropout", recurrent_dropout), seed)
    options = Options(**{name: others.pop(name) for name in _OPTIONS})
    formula = lstm(activations.get(activation), activations.get(recurrent_activation))
    bias = Forgetful(bias_initializer) if unit_forget_bias else bias_initializer
    cell = _ConvLSTMCell(rank, filters, size, first, bias_initializer=bias, **others, name="conv_lstm_cell")
    covered = covered_by(size, dilation)

    def shapes(x: Any) -> Any:
        if x.ndim != rank + 3:
            raise ShapeError(
                f"expected {rank + 3} axes, with time behind the batch axis, but the input {shape_of(x)} has {x.ndim}."
            )
        step = jax.ShapeDtypeStruct((x.shape[0], *x.shape[2:]), jnp.float32)
        need_space(step, rank, first)
        if pads == "VALID":
            need_length(step, rank, first, covered)
        kernel = jax.ShapeDtypeStruct((*size, step.shape[1 if first else -1], filters), jnp.float32)
        space = jax.eval_shape(lambda x, k: convolve(last(x, first), k, stride, pads, dilation), step, kernel).shape[1:-1]
        state = (filters, *space) if first else (*space, filters)
        return [Shape(state), Shape(state)]

    def masks(ctx: Context, x: Any, rate: float, what: str) -> list[Any]:
        """Draw the factors of dropout for each gate, the same at all steps; none outside training."""
        return drops.per_gate(ctx.child("cell"), x, 4, rate, what) if ctx.training and rate > 0 else []

    def of_input(xs: Any, params: Any, factors: list[Any]) -> Any:
        """Convolve all steps at once, outside the loop: ``(time, batch, *space, channels)``."""
        time, batch = xs.shape[:2]

        def folded(x: Any, kernel: Any) -> Any:
            return convolve(x.reshape(time * batch, *x.shape[2:]), kernel, stride, pads, dilation)

        if factors:
            kernels = jnp.split(params["kernel"], 4, -1)
            z = jnp.concatenate([folded(xs * m, kernel) for m, kernel in zip(factors, kernels, strict=True)], -1)
        else:
            z = folded(xs, params["kernel"])
        z = with_bias(params, z)
        return z.reshape(time, batch, *z.shape[1:])

    def run(call: Calls, xs: Any, states: Any, valid: Any) -> Any:
        params = call.ctx.cast(call.params_of("cell", xs[0]))
        to_last = lambda x, axis: jnp.moveaxis(x, axis, -1) if first else x  # noqa: E731
        xs, states = to_last(xs, 2), [to_last(state, 1) for state in states]
        z = of_input(xs, params, masks(call.ctx, xs[0], drops.inputs, "input"))
        forget = masks(call.ctx, states[0], drops.states, "recurrent")

        def recur(h: Any) -> Any:
            if not forget:
                return _same(h, params["recurrent_kernel"])
            kernels = jnp.split(params["recurrent_kernel"], 4, -1)
            return jnp.concatenate([_same(h * m, k) for m, k in zip(forget, kernels, strict=True)], -1)

        def step(carry: Any, now: Any) -> Any:
            z, valid = now
            new, _ = formula.step(z, recur, carry)
            new = kept(valid, new, carry)
            return new, new[0] if options.return_sequences else None

        dtype = jnp.promote_types(z.dtype, params["kernel"].dtype)
        start = [state.astype(dtype) for state in states]
        end, ys = lax.scan(step, start, (z, valid), reverse=options.go_backwards)
        back = lambda x, axis: jnp.moveaxis(x, -1, axis) if first and x is not None else x  # noqa: E731
        end = [back(state, 1) for state in end]
        return back(ys, 2), end[0], end

    return penalised(over_time(cell, options, 2, shapes, run), activity_regularizer)


@layer
def ConvLSTM1D(
    filters: int,
    kernel_size: Any,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
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
) -> Definition:
    r"""Run a long short-term memory whose products are convolutions over rows.

    .. math::
        i, f, g, o &= \sigma(z_i), \sigma(z_f), a(z_g), \sigma(z_o), \quad z = W * x_t + U * h_{t-1} + b \\
        c_t &= f c_{t-1} + i g, \qquad h_t = o\, a(c_t)

    Shapes: ``(batch, time, rows, channels)`` to ``(batch, *space', filters)``, with ``return_sequences``
    ``(batch, time, *space', filters)``, sizes as for ``Conv1D``; with ``return_state`` a tuple of that, h and c. Params,
    under ``cell``: ``kernel`` (kernel_size, channels, 4 filters), ``recurrent_kernel`` (kernel_size, filters, 4 filters),
    ``bias`` (4 filters,). Masks as for ``LSTM``.

    Args:
      filters: size of the last axis of h and c.
      kernel_size: extent of the windows.
      strides, padding, dilation_rate: of the input's convolution, as for ``Conv1D``; the state's has zeros around it and no
        strides.
      data_format: ``"channels_last"`` (None, default) or ``"channels_first"``: channels behind time.
      dropout, recurrent_dropout: fractions of input and state dropped in training, for every gate others, the same at all steps.
      return_sequences, return_state, go_backwards, stateful: as for ``RNN``.
      activation and the rest: as for ``LSTM``.

    Raises:
      ShapeError: when the input has not 4 axes, is shorter than the window, or ``initial_state`` has another shape.
      ValueError: for sizes and fractions out of range.

    Example:
      >>> ConvLSTM1D(8, 3)(Input((None, 28, 2))).shape
      (None, 26, 8)

    Reference: Shi et al., arXiv:1506.04214; ``keras.layers.ConvLSTM1D``.
    """
    return _conv_lstm(1, **locals())


@layer
def ConvLSTM2D(
    filters: int,
    kernel_size: Any,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
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
) -> Definition:
    r"""Run a long short-term memory whose products are convolutions over rows, columns.

    .. math::
        i, f, g, o &= \sigma(z_i), \sigma(z_f), a(z_g), \sigma(z_o), \quad z = W * x_t + U * h_{t-1} + b \\
        c_t &= f c_{t-1} + i g, \qquad h_t = o\, a(c_t)

    Shapes: ``(batch, time, rows, columns, channels)`` to ``(batch, *space', filters)``, with ``return_sequences``
    ``(batch, time, *space', filters)``, sizes as for ``Conv2D``; with ``return_state`` a tuple of that, h and c. Params,
    under ``cell``: ``kernel`` (*kernel_size, channels, 4 filters), ``recurrent_kernel`` (*kernel_size, filters, 4 filters),
    ``bias`` (4 filters,). Masks as for ``LSTM``.

    Args:
      filters: size of the last axis of h and c.
      kernel_size: extent of the windows, an integer or two.
      strides, padding, dilation_rate: of the input's convolution, as for ``Conv2D``; the state's has zeros around it and no
        strides.
      data_format: ``"channels_last"`` (None, default) or ``"channels_first"``: channels behind time.
      dropout, recurrent_dropout: fractions of input and state dropped in training, for every gate others, the same at all steps.
      return_sequences, return_state, go_backwards, stateful: as for ``RNN``.
      activation and the rest: as for ``LSTM``.

    Raises:
      ShapeError: when the input has not 5 axes, is shorter than the window, or ``initial_state`` has another shape.
      ValueError: for sizes and fractions out of range.

    Example:
      >>> ConvLSTM2D(8, 3)(Input((None, 28, 28, 2))).shape
      (None, 26, 26, 8)

    Reference: Shi et al., arXiv:1506.04214; ``keras.layers.ConvLSTM2D``.
    """
    return _conv_lstm(2, **locals())


@layer
def ConvLSTM3D(
    filters: int,
    kernel_size: Any,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
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
) -> Definition:
    r"""Run a long short-term memory whose products are convolutions over depth, rows, columns.

    .. math::
        i, f, g, o &= \sigma(z_i), \sigma(z_f), a(z_g), \sigma(z_o), \quad z = W * x_t + U * h_{t-1} + b \\
        c_t &= f c_{t-1} + i g, \qquad h_t = o\, a(c_t)

    Shapes: ``(batch, time, depth, rows, columns, channels)`` to ``(batch, *space', filters)``, with ``return_sequences``
    ``(batch, time, *space', filters)``, sizes as for ``Conv3D``; with ``return_state`` a tuple of that, h and c. Params,
    under ``cell``: ``kernel`` (*kernel_size, channels, 4 filters), ``recurrent_kernel`` (*kernel_size, filters, 4 filters),
    ``bias`` (4 filters,). Masks as for ``LSTM``.

    Args:
      filters: size of the last axis of h and c.
      kernel_size: extent of the windows, an integer or three.
      strides, padding, dilation_rate: of the input's convolution, as for ``Conv3D``; the state's has zeros around it and no
        strides.
      data_format: ``"channels_last"`` (None, default) or ``"channels_first"``: channels behind time.
      dropout, recurrent_dropout: fractions of input and state dropped in training, for every gate others, the same at all steps.
      return_sequences, return_state, go_backwards, stateful: as for ``RNN``.
      activation and the rest: as for ``LSTM``.

    Raises:
      ShapeError: when the input has not 6 axes, is shorter than the window, or ``initial_state`` has another shape.
      ValueError: for sizes and fractions out of range.

    Example:
      >>> ConvLSTM3D(8, 3)(Input((None, 8, 28, 28, 2))).shape
      (None, 6, 26, 26, 8)

    Reference: Shi et al., arXiv:1506.04214; ``keras.layers.ConvLSTM3D``.
    """
    return _conv_lstm(3, **locals())

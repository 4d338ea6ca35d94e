"""LSTM, GRU, SimpleRNN: RNNs over their cells."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

from jkeras.core import Definition, layer
from jkeras.core.arguments import choice
from jkeras.layers.cells import GRUCell, LSTMCell, SimpleRNNCell
from jkeras.layers.common import penalised
from jkeras.layers.rnn import Options, recurrent


def _layer(cell: Any, name: str, given: dict[str, Any]) -> Definition:
    """Define a layer that runs a cell over time, from its constructor's arguments."""
    if choice("use_cudnn", given.get("use_cudnn", "auto"), ("auto", True, False)) is True:
        raise ValueError("use_cudnn=True asks for a kernel that jkeras does not have; leave it 'auto'.")
    inner = cell(**{argument: given[argument] for argument in inspect.signature(cell).parameters}, name=name)
    options = Options(**{field.name: given[field.name] for field in dataclasses.fields(Options)})
    return penalised(recurrent(inner, options), given["activity_regularizer"])


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
    zero_output_for_mask: bool = False,
) -> Definition:
    r"""Run a long short-term memory over time.

    .. math::
        i, f, g, o &= \sigma(z_i), \sigma(z_f), a(z_g), \sigma(z_o), \quad z = x_t W + h_{t-1} U + b \\
        c_t &= f c_{t-1} + i g, \qquad h_t = o\, a(c_t)

    with :math:`a` the ``activation`` and :math:`\sigma` the ``recurrent_activation``.

    Shapes: ``(batch, time, features)`` to ``(batch, units)``, or ``(batch, time, units)`` with ``return_sequences``; with
    ``return_state`` a tuple of that, h and c, each ``(batch, units)``. Params, under ``cell``: ``kernel`` (features, 4
    units), ``recurrent_kernel`` (units, 4 units), ``bias`` (4 units,), gates in the order i, f, g, o.

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
      return_sequences, return_state, go_backwards, stateful, unroll, zero_output_for_mask: as for ``RNN``.
      use_cudnn: only "auto" and False: there is no such kernel here.

    Raises:
      ShapeError: when the input has not 3 axes, ``initial_state`` has another shape, or a stateful layer's batch size is unknown.
      ValueError: for sizes and fractions out of range.

    Example:
      >>> LSTM(32)(Input((None, 64))).shape
      (None, 32)

    Reference: Hochreiter and Schmidhuber (1997); ``keras.layers.LSTM``.
    """
    return _layer(LSTMCell, "lstm_cell", locals())


@layer
def GRU(
    units: int,
    activation: Any = "tanh",
    recurrent_activation: Any = "sigmoid",
    use_bias: bool = True,
    kernel_initializer: Any = "glorot_uniform",
    recurrent_initializer: Any = "orthogonal",
    bias_initializer: Any = "zeros",
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
    reset_after: bool = True,
    use_cudnn: Any = "auto",
    zero_output_for_mask: bool = False,
) -> Definition:
    r"""Run gated recurrent units over time.

    .. math::
        z, r &= \sigma(x_t W_z + b_z + h_{t-1} U_z + b'_z), \ \sigma(x_t W_r + b_r + h_{t-1} U_r + b'_r) \\
        g &= a\big(x_t W_g + b_g + r (h_{t-1} U_g + b'_g)\big), \qquad h_t = z h_{t-1} + (1 - z) g

    with :math:`a` the ``activation`` and :math:`\sigma` the ``recurrent_activation``; with ``reset_after=False``, the
    original form, :math:`g = a(x_t W_g + b_g + (r h_{t-1}) U_g)`, and there is no :math:`b'`.

    Shapes: ``(batch, time, features)`` to ``(batch, units)``, or ``(batch, time, units)`` with ``return_sequences``; with
    ``return_state`` a tuple of that, h, ``(batch, units)``. Params, under ``cell``: ``kernel`` (features, 3 units),
    ``recurrent_kernel`` (units, 3 units), ``bias`` (2, 3 units), or (3 units,) without ``reset_after``, gates in the order z,
    r, g.

    At a masked step output and state stay what they were. A mask passes through with ``return_sequences``, with ``go_backwards``
    reversed as the outputs are (Keras leaves it as it was), and ends without.

    Args:
      units: size of h.
      activation, recurrent_activation: :math:`a` and :math:`\sigma`.
      use_bias: whether :math:`b` and :math:`b'` are used.
      kernel_initializer, recurrent_initializer, bias_initializer: of :math:`W, U, b`.
      kernel_regularizer, recurrent_regularizer, bias_regularizer, activity_regularizer: as for ``Dense``.
      kernel_constraint, recurrent_constraint, bias_constraint: as for ``Dense``.
      dropout: fraction of the input dropped in training, the same at all time steps.
      recurrent_dropout: the same for h; then every gate drops entries of its own.
      reset_after: whether the gate r is applied after the product with :math:`U_g` or before.
      seed: sets this layer's stream apart.
      return_sequences, return_state, go_backwards, stateful, unroll, zero_output_for_mask: as for ``RNN``.
      use_cudnn: only "auto" and False: there is no such kernel here.

    Raises:
      ShapeError: when the input has not 3 axes, ``initial_state`` has another shape, or a stateful layer's batch size is unknown.
      ValueError: for sizes and fractions out of range.

    Example:
      >>> GRU(32)(Input((None, 64))).shape
      (None, 32)

    Reference: Cho et al., arXiv:1406.1078; ``keras.layers.GRU``.
    """
    return _layer(GRUCell, "gru_cell", locals())


@layer
def SimpleRNN(
    units: int,
    activation: Any = "tanh",
    use_bias: bool = True,
    kernel_initializer: Any = "glorot_uniform",
    recurrent_initializer: Any = "orthogonal",
    bias_initializer: Any = "zeros",
    kernel_regularizer: Any = None,
    recurrent_regularizer: Any = None,
    bias_regularizer: Any = None,
    activity_regularizer: Any = None,
    kernel_constraint: Any = None,
    recurrent_constraint: Any = None,
    bias_constraint: Any = None,
    dropout: float = 0.0,
    recurrent_dropout: float = 0.0,
    return_sequences: bool = False,
    return_state: bool = False,
    go_backwards: bool = False,
    stateful: bool = False,
    unroll: bool = False,
    seed: int | None = None,
    zero_output_for_mask: bool = False,
) -> Definition:
    r"""Run a fully connected recurrence over time.

    .. math:: h_t = a(x_t W + h_{t-1} U + b)

    with :math:`a` the ``activation``.

    Shapes: ``(batch, time, features)`` to ``(batch, units)``, or ``(batch, time, units)`` with ``return_sequences``; with
    ``return_state`` a tuple of that, h, ``(batch, units)``. Params, under ``cell``: ``kernel`` (features, units),
    ``recurrent_kernel`` (units, units), ``bias`` (units,).

    At a masked step output and state stay what they were. A mask passes through with ``return_sequences``, with ``go_backwards``
    reversed as the outputs are (Keras leaves it as it was), and ends without.

    Args:
      units: size of h.
      activation: :math:`a`.
      use_bias: whether :math:`b` is used.
      kernel_initializer, recurrent_initializer, bias_initializer: of :math:`W, U, b`.
      kernel_regularizer, recurrent_regularizer, bias_regularizer, activity_regularizer: as for ``Dense``.
      kernel_constraint, recurrent_constraint, bias_constraint: as for ``Dense``.
      dropout: fraction of the input dropped in training, the same at all time steps.
      recurrent_dropout: the same for h.
      seed: sets this layer's stream apart.
      return_sequences, return_state, go_backwards, stateful, unroll, zero_output_for_mask: as for ``RNN``.

    Raises:
      ShapeError: when the input has not 3 axes, ``initial_state`` has another shape, or a stateful layer's batch size is unknown.
      ValueError: for sizes and fractions out of range.

    Example:
      >>> SimpleRNN(32)(Input((None, 64))).shape
      (None, 32)

    Reference: Elman (1990); ``keras.layers.SimpleRNN``.
    """
    return _layer(SimpleRNNCell, "simple_rnn_cell", locals())

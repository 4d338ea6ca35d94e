"""Cells, the steps of recurrent layers: LSTMCell, GRUCell, SimpleRNNCell, and StackedRNNCells of any."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jkeras import activations, initializers
from jkeras.core import Calls, Context, Definition, as_layer, composite, fold_in_name, layer, weight
from jkeras.core.arguments import whole_number
from jkeras.core.errors import ShapeError
from jkeras.core.named import named
from jkeras.core.shapes import shape_of, shapes_of
from jkeras.layers.common import drop, fraction, need_ndim, seeded
from jkeras.layers.recurrence import WHOLE, Formula, gru, gru_before, lstm, of_input, of_state, simple, with_bias


class Drops(NamedTuple):
    """What a cell drops in training, by fractions, and what sets its stream of random numbers apart."""

    inputs: float
    states: float
    seed: int | None

    def mask(self, ctx: Context, x: Any) -> Any:
        """Return the factors of an input ``(batch, features)``, the same at all steps of a sequence."""
        return drop(jnp.ones_like(x), self.inputs, seeded(ctx, self.seed))

    def per_gate(self, ctx: Context, x: Any, gates: int, rate: float, what: str) -> list[Any]:
        """Return the factors of an input, or a state, for every gate by itself."""
        key = seeded(ctx, self.seed)
        return [drop(jnp.ones_like(x), rate, fold_in_name(key, f"{what} {gate}")) for gate in range(gates)]


class Recurrence(NamedTuple):
    """How a whole sequence of a cell's steps is run at once; with dropout of states it is not."""

    formula: Formula
    drops: Drops


def sizes_of(cell: Any, where: str) -> Any:
    """Return the sizes of a cell's states, always a list.

    Raises:
      TypeError: for a layer that is no cell.
    """
    size = as_layer(cell, where).definition.state_size
    if size is None:
        raise TypeError(
            f"{where} takes cells, but {cell!r} is none: a cell is a layer that is called on (x, states), returns (y, states) "
            "and gives the sizes of its states, Definition(init, apply, state_size=...)."
        )
    return list(size) if isinstance(size, (list, tuple)) else [size]


def _cell(
    units: int, gates: int, size: Any, bias: tuple[int, ...], formula: Formula, start: Any, drops: Drops, functions: tuple
) -> Definition:
    sizes = size if isinstance(size, list) else [size]

    def init(key: Any, x: Any) -> Any:
        x, states = x
        need_ndim(x, ("batch", "features"))
        _check_states(states, sizes)
        shapes = {"kernel": (x.shape[-1], gates * units), "recurrent_kernel": (units, gates * units), "bias": bias}
        return {name: weight(key, name, how, shapes[name]) for name, how in start.items() if how is not None}, {}

    def apply(params: Any, state: Any, x: Any, ctx: Context) -> Any:
        x, states = x
        given = _check_states(states, sizes)
        a, recur = _parts(params, x, gates, ctx, drops)
        new, _ = formula.step(a, recur, given)
        return (new[0], list(new) if isinstance(states, (list, tuple)) else new[0]), state

    fast = all(activations.is_elementwise(activations.get(function)) for function in functions)
    recurrence = Recurrence(formula, drops) if fast else None
    return Definition(init, apply, mixes_examples="never", inputs=("inputs", "states"), state_size=size, recurrence=recurrence)


def _check_states(states: Any, sizes: list[int]) -> list[Any]:
    given = list(states) if isinstance(states, (list, tuple)) else [states]
    if len(given) != len(sizes) or any(s.ndim != 2 or shape_of(s)[1] != n for s, n in zip(given, sizes, strict=True)):
        raise ShapeError(f"its states must be {len(sizes)}, each (batch, {sizes[0]}), but got {shapes_of(states)}.")
    return given


def _parts(params: Any, x: Any, gates: int, ctx: Context, drops: Drops) -> tuple[Any, Callable[..., Any]]:
    """Return the input's part of the gates' arguments, and what multiplies a state, with dropout in training."""
    if not ctx.training or drops.inputs == drops.states == 0:
        return of_input(params, x), of_state(params)
    if drops.states == 0:
        return of_input(params, x * drops.mask(ctx, x)), of_state(params)
    # With recurrent dropout each gate has factors of its own, as Keras's implementation 1.
    units = params["recurrent_kernel"].shape[0]
    masks = drops.per_gate(ctx, x, gates, drops.inputs, "input")
    a = [(x * m) @ kernel for m, kernel in zip(masks, jnp.split(params["kernel"], gates, 1), strict=True)]
    forget = drops.per_gate(ctx, jnp.ones((x.shape[0], units), x.dtype), gates, drops.states, "recurrent")
    whole = of_state(params)

    def recur(h: Any, columns: slice = WHOLE) -> Any:
        first, last, _ = columns.indices(gates * units)
        of = [whole(h * forget[g], slice(g * units, (g + 1) * units)) for g in range(first // units, last // units)]
        return jnp.concatenate(of, -1)

    return with_bias(params, jnp.concatenate(a, -1)), recur


@named
def Forgetful(initializer: Any) -> Callable[..., jax.Array]:
    """Draw LSTM's bias by an initializer, but for its second quarter, the forget gate's, which is 1."""
    own = initializers.get(initializer)

    def draw(key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
        units = shape[0] // 4
        return jnp.concatenate([own(key, (units,), dtype), jnp.ones((units,), dtype), own(key, (2 * units,), dtype)])

    return draw


@layer
def LSTMCell(
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
    kernel_constraint: Any = None,
    recurrent_constraint: Any = None,
    bias_constraint: Any = None,
    dropout: float = 0.0,
    recurrent_dropout: float = 0.0,
    seed: int | None = None,
) -> Definition:
    r"""One step of ``LSTM``, for ``RNN`` or a loop of your own.

    .. math::
        i, f, g, o &= \sigma(z_i), \sigma(z_f), a(z_g), \sigma(z_o), \quad z = x_t W + h_{t-1} U + b \\
        c_t &= f c_{t-1} + i g, \qquad h_t = o\, a(c_t)

    with :math:`a` the ``activation`` and :math:`\sigma` the ``recurrent_activation``.

    Shapes: called on ``(x, states)``, with x ``(batch, features)`` and states ``[h, c]``, each ``(batch, units)``; returns
    ``(h, [h, c])``. Params: ``kernel`` (features, 4 units), ``recurrent_kernel`` (units, 4 units), ``bias`` (4 units,), gates
    in the order i, f, g, o.

    Args:
      units: size of h and c.
      activation, recurrent_activation: :math:`a` and :math:`\sigma`.
      use_bias: whether :math:`b` is used.
      kernel_initializer, recurrent_initializer, bias_initializer: of :math:`W, U, b`.
      unit_forget_bias: whether the forget gate's part of :math:`b` starts at 1.
      kernel_regularizer, recurrent_regularizer, bias_regularizer: as for ``Dense``.
      kernel_constraint, recurrent_constraint, bias_constraint: as for ``Dense``.
      dropout: fraction of the input dropped in training, the same at all time steps.
      recurrent_dropout: the same for h; then every gate drops entries of its own.
      seed: sets this layer's stream apart.

    Raises:
      ShapeError: when x has not 2 axes, or the states have other shapes.
      ValueError: for sizes and fractions out of range.

    Example:
      >>> RNN(LSTMCell(32), return_sequences=True)(Input((None, 64))).shape
      (None, None, 32)

    Reference: Hochreiter and Schmidhuber (1997); ``keras.layers.LSTMCell``.
    """
    units = whole_number("units", units)
    shape = (4 * units,)
    drops = Drops(fraction("dropout", dropout), fraction("recurrent_dropout", recurrent_dropout), seed)
    formula = lstm(activations.get(activation), activations.get(recurrent_activation))
    start = {
        "kernel": kernel_initializer,
        "recurrent_kernel": recurrent_initializer,
        "bias": (Forgetful(bias_initializer) if unit_forget_bias else bias_initializer) if use_bias else None,
    }
    return _cell(units, 4, [units, units], shape, formula, start, drops, (activation, recurrent_activation))


@layer
def GRUCell(
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
    kernel_constraint: Any = None,
    recurrent_constraint: Any = None,
    bias_constraint: Any = None,
    dropout: float = 0.0,
    recurrent_dropout: float = 0.0,
    reset_after: bool = True,
    seed: int | None = None,
) -> Definition:
    r"""One step of ``GRU``, for ``RNN`` or a loop of your own.

    .. math::
        z, r &= \sigma(x_t W_z + b_z + h_{t-1} U_z + b'_z), \ \sigma(x_t W_r + b_r + h_{t-1} U_r + b'_r) \\
        g &= a\big(x_t W_g + b_g + r (h_{t-1} U_g + b'_g)\big), \qquad h_t = z h_{t-1} + (1 - z) g

    with :math:`a` the ``activation`` and :math:`\sigma` the ``recurrent_activation``; with ``reset_after=False``, the
    original form, :math:`g = a(x_t W_g + b_g + (r h_{t-1}) U_g)`, and there is no :math:`b'`.

    Shapes: called on ``(x, states)``, with x ``(batch, features)`` and states ``[h]``, each ``(batch, units)``; returns
    ``(h, [h])``. Params: ``kernel`` (features, 3 units), ``recurrent_kernel`` (units, 3 units), ``bias`` (2, 3 units), or (3
    units,) without ``reset_after``, gates in the order z, r, g.

    Args:
      units: size of h.
      activation, recurrent_activation: :math:`a` and :math:`\sigma`.
      use_bias: whether :math:`b` and :math:`b'` are used.
      kernel_initializer, recurrent_initializer, bias_initializer: of :math:`W, U, b`.
      kernel_regularizer, recurrent_regularizer, bias_regularizer: as for ``Dense``.
      kernel_constraint, recurrent_constraint, bias_constraint: as for ``Dense``.
      dropout: fraction of the input dropped in training, the same at all time steps.
      recurrent_dropout: the same for h; then every gate drops entries of its own.
      reset_after: whether the gate r is applied after the product with :math:`U_g` or before.
      seed: sets this layer's stream apart.

    Raises:
      ShapeError: when x has not 2 axes, or the states have other shapes.
      ValueError: for sizes and fractions out of range.

    Example:
      >>> RNN(GRUCell(32), return_sequences=True)(Input((None, 64))).shape
      (None, None, 32)

    Reference: Cho et al., arXiv:1406.1078; ``keras.layers.GRUCell``.
    """
    units = whole_number("units", units)
    shape = (2, 3 * units) if reset_after else (3 * units,)
    drops = Drops(fraction("dropout", dropout), fraction("recurrent_dropout", recurrent_dropout), seed)
    formula = (gru if reset_after else gru_before)(activations.get(activation), activations.get(recurrent_activation))
    start = {
        "kernel": kernel_initializer,
        "recurrent_kernel": recurrent_initializer,
        "bias": bias_initializer if use_bias else None,
    }
    return _cell(units, 3, units, shape, formula, start, drops, (activation, recurrent_activation))


@layer
def SimpleRNNCell(
    units: int,
    activation: Any = "tanh",
    use_bias: bool = True,
    kernel_initializer: Any = "glorot_uniform",
    recurrent_initializer: Any = "orthogonal",
    bias_initializer: Any = "zeros",
    kernel_regularizer: Any = None,
    recurrent_regularizer: Any = None,
    bias_regularizer: Any = None,
    kernel_constraint: Any = None,
    recurrent_constraint: Any = None,
    bias_constraint: Any = None,
    dropout: float = 0.0,
    recurrent_dropout: float = 0.0,
    seed: int | None = None,
) -> Definition:
    r"""One step of ``SimpleRNN``, for ``RNN`` or a loop of your own.

    .. math:: h_t = a(x_t W + h_{t-1} U + b)

    with :math:`a` the ``activation``.

    Shapes: called on ``(x, states)``, with x ``(batch, features)`` and states ``[h]``, each ``(batch, units)``; returns
    ``(h, [h])``. Params: ``kernel`` (features, units), ``recurrent_kernel`` (units, units), ``bias`` (units,).

    Args:
      units: size of h.
      activation: :math:`a`.
      use_bias: whether :math:`b` is used.
      kernel_initializer, recurrent_initializer, bias_initializer: of :math:`W, U, b`.
      kernel_regularizer, recurrent_regularizer, bias_regularizer: as for ``Dense``.
      kernel_constraint, recurrent_constraint, bias_constraint: as for ``Dense``.
      dropout: fraction of the input dropped in training, the same at all time steps.
      recurrent_dropout: the same for h.
      seed: sets this layer's stream apart.

    Raises:
      ShapeError: when x has not 2 axes, or the states have other shapes.
      ValueError: for sizes and fractions out of range.

    Example:
      >>> RNN(SimpleRNNCell(32), return_sequences=True)(Input((None, 64))).shape
      (None, None, 32)

    Reference: Elman (1990); ``keras.layers.SimpleRNNCell``.
    """
    units = whole_number("units", units)
    shape = (units,)
    drops = Drops(fraction("dropout", dropout), fraction("recurrent_dropout", recurrent_dropout), seed)
    formula = simple(activations.get(activation))
    start = {
        "kernel": kernel_initializer,
        "recurrent_kernel": recurrent_initializer,
        "bias": bias_initializer if use_bias else None,
    }
    return _cell(units, 1, units, shape, formula, start, drops, (activation,))


@layer
def StackedRNNCells(cells: Any) -> Definition:
    """Several cells as one: each is called on what the one before it returned.

    Shapes: called on ``(x, states)``, with one state or list of states for each cell; returns ``(y, states)``, y the last cell's.
    Params: those of ``cell_0``, ``cell_1``, ...

    Args:
      cells: a list of cells.

    Raises:
      ValueError: for an empty list.
      TypeError: for a layer that is no cell.

    Example:
      >>> RNN(StackedRNNCells([LSTMCell(32), GRUCell(16)]))(Input((None, 64))).shape
      (None, 16)

    Reference: ``keras.layers.StackedRNNCells``.
    """
    if not isinstance(cells, (list, tuple)) or not cells:
        raise ValueError(f"cells must be a list of at least one cell, but got {cells!r}.")
    sizes = []
    for cell in cells:
        sizes_of(cell, "StackedRNNCells")
        sizes.append(as_layer(cell, "StackedRNNCells").definition.state_size)

    def body(call: Calls, x: Any) -> Any:
        y, states = x
        if not isinstance(states, (list, tuple)) or len(states) != len(cells):
            raise ShapeError(f"its states must be {len(cells)}, those of each cell, but got {shapes_of(states)}.")
        new = []
        for i, state in enumerate(states):
            y, state = call(f"cell_{i}", (y, state))
            new.append(state)
        return y, new

    children = {f"cell_{i}": cell for i, cell in enumerate(cells)}
    return dataclasses.replace(composite(body, mixes_examples="never", **children), inputs=("inputs", "states"), state_size=sizes)

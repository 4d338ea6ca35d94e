"""RNN, and what every recurrent layer does: run a cell over time, with states, masks and directions."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jkeras.core import Calls, Definition, Masked, as_layer, composite, layer
from jkeras.core.arguments import checked_bool
from jkeras.core.context import cast_floats
from jkeras.core.errors import ShapeError
from jkeras.core.masks import all_of, lengthened, unmask
from jkeras.core.nest import flatten, map_nest, nested
from jkeras.core.shapes import accepts, is_float, shape_of, shapes_of
from jkeras.layers.cells import StackedRNNCells, sizes_of
from jkeras.layers.common import need_ndim
from jkeras.layers.recurrence import How, kept, recur


@dataclasses.dataclass(frozen=True)
class Options:
    """How a recurrent layer runs its cell; the names are those of its arguments."""

    return_sequences: bool = False
    return_state: bool = False
    go_backwards: bool = False
    stateful: bool = False
    unroll: bool = False
    zero_output_for_mask: bool = False

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            checked_bool(field.name, getattr(self, field.name))


@layer
def RNN(
    cell: Any,
    return_sequences: bool = False,
    return_state: bool = False,
    go_backwards: bool = False,
    stateful: bool = False,
    unroll: bool = False,
    zero_output_for_mask: bool = False,
) -> Definition:
    """Run a cell over time.

    Shapes: ``(batch, time, ...)`` to ``(batch, units)``, or ``(batch, time, units)`` with ``return_sequences``; with
    ``return_state`` a tuple of that and the last states. Params: ``{"cell": ...}`` of the cell.

    A cell is a layer that is called on ``(x, states)`` and returns ``(y, states)``, and whose ``Definition`` says its
    ``state_size``, an integer or a list of them. At a masked step output and states stay what they were. A mask passes
    through with ``return_sequences``, with ``go_backwards`` reversed as the outputs are, and ends without.

    Args:
      cell: the cell, or a list of cells, one upon the other.
      return_sequences: whether the output of every step is returned.
      return_state: whether the last states are returned too.
      go_backwards: whether time runs from the last step to the first; outputs come in the order of processing.
      stateful: whether each batch starts from the state in which the last one ended, until ``reset_state()``; needs a fixed
        batch size.
      unroll: whether the loop is written out, which compiles slowly.
      zero_output_for_mask: whether the output at a masked step is 0.

    Raises:
      ShapeError: when the input has fewer than 3 axes or an initial state has another shape.
      TypeError: for a layer that is no cell.

    Example:
      >>> @layer
      ... def Sum():
      ...     init = lambda key, x: ({}, {})
      ...     apply = lambda params, state, x, ctx: ((x[0] + x[1][0], [x[0] + x[1][0]]), state)
      ...     return Definition(init, apply, state_size=2)
      >>> RNN(Sum())(jnp.ones((1, 5, 2))).tolist()
      [[5.0, 5.0]]
      >>> RNN([LSTMCell(32), GRUCell(16)], return_sequences=True)(Input((None, 64))).shape
      (None, None, 16)

    Reference: ``keras.layers.RNN``.
    """
    cell = StackedRNNCells(list(cell)) if isinstance(cell, (list, tuple)) else cell
    options = Options(return_sequences, return_state, go_backwards, stateful, unroll, zero_output_for_mask)
    return recurrent(cell, options, at_least=True)


def recurrent(cell: Any, options: Options, at_least: bool = False) -> Definition:
    """Define a layer that runs a cell over time, of inputs with three axes, or ``at_least`` three."""
    sizes, inner = sizes_of(cell, "RNN"), as_layer(cell, "RNN")

    def shapes(x: Any) -> Any:
        for leaf in flatten(x):
            need_ndim(leaf, ("batch", "time", "features"), at_least)
        return map_nest(lambda size: Shape((size,)), sizes)

    def run(call: Calls, *given: Any) -> Any:
        return (_at_once if _is_fast(inner, call) else _one_by_one)(call, inner, options, *given)

    return over_time(inner, options, len(flatten(sizes)), shapes, run)


class Shape:
    """The shape of a state of one example; a leaf of a nest, which a tuple is not."""

    def __init__(self, sizes: tuple[Any, ...]):
        self.sizes = sizes


def over_time(cell: Any, options: Options, count: int, shapes: Callable[[Any], Any], run: Callable[..., Any]) -> Definition:
    """Define a layer that runs something over time: states, masks and directions are seen to.

    Args:
      cell: the layer inside, called ``cell``.
      options: how it is run.
      count: how many states there are.
      shapes: the shapes of the states, a nest of :class:`Shape`, for an input or its spec, which it may refuse.
      run: ``(call, xs, states, valid) -> (ys, y, states)``, from ``(time, batch, ...)``.
    """
    names = tuple(f"state_{i}" for i in range(count)) if options.stateful else ()

    def weights(key: Any, x: Any) -> Any:
        batch, wanted = flatten(x)[0].shape[0], flatten(shapes(x))
        if not isinstance(batch, int):
            raise ShapeError("stateful=True needs a fixed batch size: write Input(shape, batch_size=...).")
        return {}, {name: jnp.zeros((batch, *shape.sizes)) for name, shape in zip(names, wanted, strict=True)}

    def body(call: Calls, x: Any) -> Any:
        wanted = shapes(x)
        mask = all_of([leaf.mask for leaf in flatten(x)])  # (batch, time)
        if mask is not None and mask.ndim != 2:
            raise ShapeError(f"its mask must be (batch, time), but has shape {shape_of(mask)}.")
        xs = map_nest(lambda leaf: leaf.value.swapaxes(0, 1), x)  # (time, batch, ...)
        valid = None if mask is None else mask.swapaxes(0, 1)
        before = [call.states[name] for name in names]
        ys, y, states = run(call, xs, _start(call, flatten(xs)[0], wanted, before), valid)
        if options.stateful:
            new = zip(names, before, flatten(states), strict=True)
            call.states = {**call.states, **{name: state.astype(old.dtype) for name, old, state in new}}
        if options.return_sequences:
            ys = (jnp.flip(ys, 0) if options.go_backwards else ys).swapaxes(0, 1)  # (batch, time, units)
        along = jnp.flip(mask, 1) if options.go_backwards and mask is not None else mask
        y = Masked(ys, along) if options.return_sequences else Masked(y, None)
        return (y, *map_nest(lambda state: Masked(state, None), states)) if options.return_state else y

    mixing = "always" if options.stateful else "never"
    more: Any = {"weights": weights, "transient": names} if options.stateful else {}
    return composite(body, mixes_examples=mixing, arguments=("initial_state",), cell=cell, **more)


def _is_fast(cell: Any, call: Calls) -> bool:
    fused = cell.definition.recurrence
    return fused is not None and not (call.ctx.training and fused.drops.states > 0)


def _start(call: Calls, xs: Any, wanted: Any, before: list[Any]) -> Any:
    """Return the states to start from: those given, those remembered, or zeros."""
    dtype = xs.dtype if is_float(xs) else jnp.dtype(call.ctx.compute_dtype or jnp.float32)
    given, batch = call.ctx.arguments.get("initial_state"), xs.shape[1]
    if given is None and before:
        return nested(wanted, [state.astype(dtype) for state in before])
    if given is None:
        return map_nest(lambda shape: jnp.zeros((batch, *shape.sizes), dtype), wanted)
    given = list(given) if isinstance(given, (list, tuple)) else [given]
    leaves = flatten(unmask(given))
    sizes = [jax.ShapeDtypeStruct((batch, *shape.sizes), dtype) for shape in flatten(wanted)]
    if len(leaves) != len(sizes) or not all(accepts(s, leaf) for s, leaf in zip(sizes, leaves, strict=True)):
        raise ShapeError(f"initial_state must be {_states_of(sizes)}, but got {shapes_of(given)}.")
    return nested(wanted, [state.astype(dtype) for state in leaves])


def _states_of(sizes: list[Any]) -> str:
    if len(sizes) == 2 and sizes[0].shape == sizes[1].shape:
        return f"[h, c], each of shape {shape_of(sizes[0])}"
    return f"states of the shapes {', '.join(str(shape_of(size)) for size in sizes)}"


def _at_once(call: Calls, cell: Any, options: Options, xs: Any, states: Any, valid: Any) -> Any:
    """Run a cell of the library's: all steps in one scan with a derivative of its own."""
    fused, ctx = cell.definition.recurrence, call.ctx
    params = call.params_of("cell", (xs[0], states))
    dtype = cell.dtype_within(ctx.compute_dtype)
    params, xs, states = (tree if dtype is None else cast_floats(tree, dtype) for tree in (params, xs, states))
    states = cast_floats(states, jnp.promote_types(xs.dtype, params["kernel"].dtype))
    if ctx.training and fused.drops.inputs > 0:
        xs = xs * fused.drops.mask(ctx.child("cell"), xs[0])
    how = How(options.go_backwards, options.return_sequences, options.unroll)
    ys, last = recur(fused.formula, how, params, xs, states, valid)
    y = last[0]
    if options.zero_output_for_mask and valid is not None:
        ys = None if ys is None else jnp.where(valid[..., None], ys, 0)
        y = jnp.where(valid[0 if options.go_backwards else -1][:, None], y, 0)
    return ys, y, last


def _one_by_one(call: Calls, cell: Any, options: Options, xs: Any, states: Any, valid: Any) -> Any:
    """Run any cell step by step in a scan that JAX differentiates."""

    def step(carry: Any, now: Any) -> Any:
        (states, inner), (x, valid) = carry, now
        call.states = inner
        y, new = unmask(call("cell", (x, states)))
        new = nested(states, [leaf.astype(old.dtype) for leaf, old in zip(flatten(new), flatten(states), strict=True)])
        return (kept(valid, new, states), call.states), y

    carry = (states, call.states)
    (last, call.states), ys = lax.scan(step, carry, (xs, valid), reverse=options.go_backwards, unroll=options.unroll or 1)
    if valid is not None:
        ys = jnp.where(lengthened(valid, ys.ndim), ys, 0) if options.zero_output_for_mask else _held(ys, valid, states, options)
    return ys, ys[0 if options.go_backwards else -1], last


def _held(ys: Any, valid: Any, states: Any, options: Options) -> Any:
    """Put at each masked step the output of the last valid one; before the first, the state, where it has the output's shape."""
    time = jnp.arange(ys.shape[0])[:, None]  # (time, 1)
    if options.go_backwards:
        last = lax.cummin(jnp.where(valid, time, ys.shape[0]), 0, reverse=True)
    else:
        last = lax.cummax(jnp.where(valid, time, -1), 0)  # (time, batch)
    inside = (last >= 0) & (last < ys.shape[0])
    held = jnp.take_along_axis(ys, lengthened(jnp.clip(last, 0, ys.shape[0] - 1), ys.ndim), 0)
    of_last = states[-1] if any(isinstance(state, (list, tuple)) for state in states) else states  # of several cells
    first = flatten(of_last)[0]
    start = first if first.shape == ys.shape[1:] else jnp.zeros_like(ys[0])
    return jnp.where(lengthened(inside, ys.ndim), held, start.astype(ys.dtype))

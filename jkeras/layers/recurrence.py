"""A whole sequence of steps of LSTM, GRU or SimpleRNN in one scan, with a derivative that is a second, linear scan.

A step computes new states from an input and the states before it, and with them the coefficients of its derivative: how a small
change of each gate's argument changes the new states. So the derivative of the whole sequence is a scan that is linear in the
changes, and what does not depend on the recurrence, products with changed inputs and weights, is computed for all steps at once
outside it. JAX transposes that scan and these products: the gradient by a weight is then one product over all steps and examples,
where a scan differentiated as it stands adds one up step by step. Forward mode and higher derivatives follow from the same
formula.

On two cores of a CPU, value and gradient of an LSTM of 32 units over (128, 100, 64) take 8 ms; differentiated as it stands, 11.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_derivatives import SymbolicZero

from jkeras import activations
from jkeras.core.masks import lengthened


class Formula(NamedTuple):
    """What one step of a family computes, and its derivative; a step's arrays are ``(batch, n)``, stacks ``(time, batch, n)``.

    Attributes:
      step: ``(a, recur, states) -> (new states, coefficients)``, from the input's part ``a`` of the gates' arguments and a
        function that multiplies a state by the recurrent kernel, or by some of its columns.
      changes: ``(dx, dh, coefficients) -> changes``: stacks that do not depend on the recurrence, from the changes that the input
        and its weights cause, ``dx``, and ``dh``, a function of a stack of states that gives those of the recurrent weights.
      linear: ``(kernel, coefficients, changes, dstates) -> dstates`` of a step, linear in ``changes`` and ``dstates``.
    """

    step: Callable[[Any, Callable[..., Any], Any], tuple[Any, Any]]
    changes: Callable[[Any, Callable[..., Any], Any], Any]
    linear: Callable[[Any, Any, Any, Any], Any]


class How(NamedTuple):
    """How a sequence is run: from the end, with all outputs, unrolled."""

    backwards: bool
    sequences: bool
    unroll: bool


WHOLE = slice(None)


def of_input(weights: Any, x: Any) -> Any:
    """Multiply an input by the kernel and add the bias."""
    return with_bias(weights, x @ weights["kernel"])


def with_bias(weights: Any, y: Any) -> Any:
    """Add the input's bias, where there is one; GRU has one for the input and one for the state."""
    bias = weights.get("bias")
    return y if bias is None else y + (bias[0] if bias.ndim == 2 else bias)


def of_state(weights: Any) -> Callable[..., Any]:
    """Return the function that multiplies a state by the recurrent kernel."""
    kernel, bias = weights["recurrent_kernel"], weights.get("bias")
    offset = None if bias is None or bias.ndim == 1 else bias[1]

    def recur(h: Any, columns: slice = WHOLE) -> Any:
        y = h @ kernel[:, columns]
        return y if offset is None else y + offset[columns]

    return recur


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def recur(formula: Formula, how: How, weights: Any, xs: Any, states: Any, valid: Any) -> tuple[Any, Any]:
    """Run all steps; returns the outputs ``(time, batch, units)``, or None without ``how.sequences``, and the last states.

    Args:
      formula: the family.
      how: how it is run.
      weights: ``kernel``, ``recurrent_kernel`` and, where there is one, ``bias``.
      xs: ``(time, batch, features)``.
      states: those to start from, each ``(batch, units)``, the output first.
      valid: ``(time, batch)``, False where a step leaves the states as they are; None: nowhere.
    """
    ys, last, _ = _run(formula, how, weights, xs, states, valid, differentiate=False)
    return ys, last


def _run(formula: Formula, how: How, weights: Any, xs: Any, states: Any, valid: Any, differentiate: bool) -> Any:
    def step(carry: Any, now: Any) -> Any:
        x, valid = now
        new, coefficients = formula.step(of_input(weights, x), of_state(weights), carry)
        new = kept(valid, new, carry)
        return new, (new[0] if how.sequences else None, (carry[0], coefficients) if differentiate else None)

    last, (ys, beside) = lax.scan(step, states, (xs, valid), reverse=how.backwards, unroll=how.unroll or 1)
    return ys, last, beside


def kept(valid: Any, new: Any, old: Any) -> Any:
    """Return new states where a step ``(batch,)`` is valid, and the old ones where it is masked."""
    return new if valid is None else jax.tree.map(lambda a, b: jnp.where(lengthened(valid, a.ndim), a, b), new, old)


@functools.partial(recur.defjvp, symbolic_zeros=True)
def _derivative(formula: Formula, how: How, primals: Any, tangents: Any) -> Any:
    weights, xs, states, valid = primals
    dweights, dxs, dstates, _ = tangents
    ys, last, (before, coefficients) = _run(formula, how, weights, xs, states, valid, differentiate=True)
    given = [_product(xs, dweights["kernel"]), _product(dxs, weights["kernel"]), _row(dweights.get("bias"), 0)]

    def of_states(h: Any, columns: slice = WHOLE) -> Any:
        change = dweights["recurrent_kernel"]
        return [_product(h, change if _is_zero(change) else change[:, columns]), _row(dweights.get("bias"), 1, columns)]

    gates = weights["kernel"].shape[-1]
    none = jnp.zeros((*xs.shape[:2], gates), before.dtype)
    total = lambda parts, like: sum((part for part in parts if part is not None), like)  # noqa: E731
    changes = formula.changes(
        total(given, none), lambda h, columns=WHOLE: total(of_states(h, columns), none[..., columns]), (before, coefficients)
    )

    def step(carry: Any, now: Any) -> Any:
        coefficients, changes, valid = now
        new = kept(valid, formula.linear(weights["recurrent_kernel"], coefficients, changes, carry), carry)
        return new, new[0] if how.sequences else None

    start = jax.tree.map(lambda d, s: jnp.zeros_like(s) if _is_zero(d) else d, dstates, states, is_leaf=_is_zero)
    dlast, dys = lax.scan(step, start, (coefficients, changes, valid), reverse=how.backwards, unroll=how.unroll or 1)
    return (ys, last), (dys, dlast)


def _is_zero(tangent: Any) -> bool:
    return isinstance(tangent, SymbolicZero)


def _product(a: Any, b: Any) -> Any:
    """Multiply ``(time, batch, n)`` by ``(n, m)`` as one matrix: XLA's product of three axes, transposed, is slower on a CPU."""
    return None if _is_zero(a) or _is_zero(b) else (a.reshape(-1, a.shape[-1]) @ b).reshape(*a.shape[:2], b.shape[-1])


def _row(bias: Any, row: int, columns: slice = WHOLE) -> Any:
    if bias is None or _is_zero(bias):
        return None
    return bias[row, columns] if bias.ndim == 2 else (bias[columns] if row == 0 else None)


# -- the families -----------------------------------------------------------------------------------------------------


def _with_slope(activation: Callable[[Any], Any]) -> Callable[[Any], tuple[Any, Any]]:
    """Return a function that gives an activation's values and, for one that treats every entry by itself, its derivatives."""
    if activation is activations.tanh:
        return lambda a: ((y := jnp.tanh(a)), 1 - y * y)
    if activation is activations.sigmoid:
        return lambda a: ((y := jax.nn.sigmoid(a)), y * (1 - y))
    if not activations.is_elementwise(activation):
        return lambda a: (activation(a), a)  # whose coefficients nobody asks for
    return lambda a: jax.jvp(activation, (a,), (jnp.ones_like(a),))


def _as_it_is(dx: Any, dh: Any, beside: Any) -> Any:
    before, _ = beside
    return dx + dh(before)


def simple(activation: Any, gate: Any = None) -> Formula:
    """Return the formula of SimpleRNN: ``h' = f(a + U h)``."""
    close = _with_slope(activation)

    def step(a: Any, recur: Any, states: Any) -> Any:
        (h,) = states
        h, slope = close(a + recur(h))
        return [h], slope

    def linear(kernel: Any, slope: Any, change: Any, d: Any) -> Any:
        return [slope * (change + d[0] @ kernel)]

    return Formula(step, _as_it_is, linear)


def lstm(activation: Any, gate: Any) -> Formula:
    """Return the formula of LSTM: gates i, f, g, o; ``c' = f c + i g``, ``h' = o a(c')``."""
    close, open_ = _with_slope(activation), _with_slope(gate)

    def step(a: Any, recur: Any, states: Any) -> Any:
        h, c = states
        ai, af, ag, ao = jnp.split(a + recur(h), 4, -1)
        (i, di), (f, df), (g, dg), (o, do) = open_(ai), open_(af), close(ag), open_(ao)
        new = f * c + i * g
        shown, slope = close(new)
        return [o * shown, new], (g * di, c * df, i * dg, shown * do, o * slope, f)

    def linear(kernel: Any, coefficients: Any, change: Any, d: Any) -> Any:
        by_i, by_f, by_g, by_o, by_c, f = coefficients
        di, df, dg, do = jnp.split(change + d[0] @ kernel, 4, -1)
        dc = f * d[1] + by_i * di + by_f * df + by_g * dg
        return [by_o * do + by_c * dc, dc]

    return Formula(step, _as_it_is, linear)


def gru(activation: Any, gate: Any) -> Formula:
    """Return the formula of GRU that resets after the product: ``g = f(a + r (U h + b))``, ``h' = z h + (1 - z) g``."""
    close, open_ = _with_slope(activation), _with_slope(gate)

    def step(a: Any, recur: Any, states: Any) -> Any:
        (h,) = states
        (az, ar, ag), (uz, ur, ug) = jnp.split(a, 3, -1), jnp.split(recur(h), 3, -1)
        (z, dz), (r, dr) = open_(az + uz), open_(ar + ur)
        g, dg = close(ag + r * ug)
        by_g = (1 - z) * dg
        return [z * h + (1 - z) * g], (z, (h - g) * dz, by_g * ug * dr, by_g, by_g * r)

    def changes(dx: Any, dh: Any, beside: Any) -> Any:
        before, (_, by_z, by_r, by_g, by_u) = beside
        (xz, xr, xg), (uz, ur, ug) = jnp.split(dx, 3, -1), jnp.split(dh(before), 3, -1)
        return by_z * (xz + uz) + by_r * (xr + ur) + by_g * xg + by_u * ug

    def linear(kernel: Any, coefficients: Any, change: Any, d: Any) -> Any:
        z, by_z, by_r, _, by_u = coefficients
        uz, ur, ug = jnp.split(d[0] @ kernel, 3, -1)
        return [z * d[0] + change + by_z * uz + by_r * ur + by_u * ug]

    return Formula(step, changes, linear)


def gru_before(activation: Any, gate: Any) -> Formula:
    """Return the formula of GRU that resets before the product: ``g = f(a + U (r h))``, ``h' = z h + (1 - z) g``."""
    close, open_ = _with_slope(activation), _with_slope(gate)

    def step(a: Any, recur: Any, states: Any) -> Any:
        (h,) = states
        units = h.shape[-1]
        az, ar, ag = jnp.split(a, 3, -1)
        uz, ur = jnp.split(recur(h, slice(0, 2 * units)), 2, -1)
        (z, dz), (r, dr) = open_(az + uz), open_(ar + ur)
        g, dg = close(ag + recur(r * h, slice(2 * units, None)))
        return [z * h + (1 - z) * g], (z, (h - g) * dz, h * dr, (1 - z) * dg, r)

    def changes(dx: Any, dh: Any, beside: Any) -> Any:
        before, (*_, r) = beside
        units = before.shape[-1]
        return dx + jnp.concatenate([dh(before, slice(0, 2 * units)), dh(r * before, slice(2 * units, None))], -1)

    def linear(kernel: Any, coefficients: Any, change: Any, d: Any) -> Any:
        z, by_z, by_r, by_g, r = coefficients
        units = r.shape[-1]
        dz, dr, dg = jnp.split(change, 3, -1)
        uz, ur = jnp.split(d[0] @ kernel[:, : 2 * units], 2, -1)
        inner = r * d[0] + by_r * (dr + ur)  # of r h
        return [z * d[0] + by_z * (dz + uz) + by_g * (dg + inner @ kernel[:, 2 * units :])]

    return Formula(step, changes, linear)

"""Dense, EinsumDense, Masking, Identity, Lambda."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp

from jkeras import initializers
from jkeras.core import Context, Definition, Masked, layer, weight
from jkeras.core.arguments import checked_shape, whole_number
from jkeras.core.errors import ShapeError
from jkeras.core.functions import find
from jkeras.core.nest import map_nest
from jkeras.core.shapes import shape_of
from jkeras.layers.common import activated, need_ndim, no_weights, penalised, stateless


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
def EinsumDense(
    equation: str,
    output_shape: Any,
    activation: Any = None,
    bias_axes: str | None = None,
    kernel_initializer: Any = "glorot_uniform",
    bias_initializer: Any = "zeros",
    kernel_regularizer: Any = None,
    bias_regularizer: Any = None,
    kernel_constraint: Any = None,
    bias_constraint: Any = None,
    activity_regularizer: Any = None,
) -> Definition:
    r"""Multiply the input by a matrix along the axes that an equation says, and add an offset.

    .. math:: y = f(\operatorname{einsum}(x, W) + b)

    Shapes: as the equation says. Params: ``kernel``, whose axes are the equation's second term, and, with ``bias_axes``,
    ``bias``.

    Args:
      equation: ``"input,kernel->output"`` as for ``jnp.einsum``; an ellipsis at the start or the end of input and output
        stands for further axes.
      output_shape: the shape of one example's output, without the axes of an ellipsis; None for a size that is the input's.
      activation: name or function; None is the identity.
      bias_axes: the axes of the output on which the offset differs; None (default): there is no offset.
      kernel_initializer, bias_initializer, and the rest: as for ``Dense``. A variance is scaled by the sizes that are summed over
        and those that come new.

    Raises:
      ValueError: for an equation that is none.
      ShapeError: where the input does not fit the equation.

    Example:
      >>> EinsumDense("abc,cd->abd", output_shape=(None, 64), bias_axes="d")(Input((32, 128))).shape
      (None, 32, 64)
      >>> EinsumDense("...x,xy->...y", output_shape=64)(Input((32, 128))).shape
      (None, 32, 64)

    Reference: ``keras.layers.EinsumDense``.
    """
    terms = re.fullmatch(r"(\.\.\.)?(\w+)(\.\.\.)?,(\w+)->(\.\.\.)?(\w+)(\.\.\.)?", equation.replace(" ", ""))
    if terms is None or terms[1] != terms[5] or terms[3] != terms[7] or (terms[1] and terms[3]):
        raise ValueError(f"equation must be like 'ab,bc->ac', '...a,ab->...b' or 'ab...,bc->ac...', but got {equation!r}.")
    left, given, used, made = terms[1], terms[2], terms[4], terms[6]
    for letter in used:
        if letter not in given + made:
            raise ValueError(f"axis {letter!r} of the kernel in {equation!r} is neither the input's nor the output's.")
    for letter in made:
        if letter not in given + used:
            raise ValueError(f"axis {letter!r} of the output in {equation!r} is neither the input's nor the kernel's.")
    wanted = checked_shape("output_shape", output_shape if isinstance(output_shape, (list, tuple)) else (output_shape,))
    if bias_axes is not None and not set(bias_axes) <= set(made):
        raise ValueError(f"bias_axes {bias_axes!r} must be axes of the output of {equation!r}.")

    def sizes(x: Any) -> dict[str, Any]:
        beyond = x.ndim - len(given)
        if beyond < 0 or (beyond and not (left or terms[3])):
            raise ShapeError(f"{equation!r} takes {len(given)} axes, but the input {shape_of(x)} has {x.ndim}.")
        known = dict(zip(given, x.shape[beyond:] if left else x.shape, strict=False))
        new = made if left and beyond else made[1:]  # output_shape is that of one example, and an ellipsis has the batch axis
        if len(wanted) != len(new):
            raise ShapeError(f"output_shape {wanted} must have a size for each of the axes {new!r} of {equation!r}.")
        for letter, size in zip(new, wanted, strict=True):
            if known.setdefault(letter, size) != size and size is not None:
                raise ShapeError(
                    f"output_shape {wanted} differs from the input {shape_of(x)} at axis {letter!r} of {equation!r}."
                )
        return known

    def init(key: Any, x: Any) -> Any:
        known = sizes(x)
        inner, outer = (tuple(i for i, letter in enumerate(used) if (letter in made) == new) for new in (False, True))
        start = initializers.along(kernel_initializer, inner, outer)
        params = {"kernel": weight(key, "kernel", start, tuple(known[letter] for letter in used))}
        if bias_axes:
            after = made[min(made.index(letter) for letter in bias_axes) :]
            shape = [known[letter] if letter in bias_axes else 1 for letter in after]
            params["bias"] = weight(key, "bias", bias_initializer, (*shape, *(1,) * (0 if left else x.ndim - len(given))))
        return params, {}

    def linear(params: Any, state: Any, x: Any, ctx: Context) -> Any:
        y = jnp.einsum(equation, x, params["kernel"])
        y = y + params["bias"] if bias_axes else y
        stay = next((i for i, (a, b) in enumerate(zip(given, made, strict=False)) if a != b or a in used), len(made))
        stay += x.ndim - len(given) if left else 0  # the leading axes that the product leaves alone, on which a mask may stay
        mask = ctx.mask
        return Masked(y, mask if mask is not None and mask.ndim <= stay else None), state

    return penalised(activated(init, linear, activation), activity_regularizer)


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
def Identity() -> Definition:
    """Return the input as it is: a place holder, or a name for a tensor.

    Shapes: any nest to the same, masks included. Params: none.

    Example:
      >>> Identity()(Input((None, 8))).shape
      (None, None, 8)

    Reference: ``keras.layers.Identity``.
    """

    def apply(params: Any, state: Any, x: Any, ctx: Context) -> Any:
        return map_nest(lambda value, mask: Masked(value, mask), x, ctx.masks), state

    return Definition(no_weights, apply, mixes_examples="never")


@layer
def Lambda(function: Any, output_shape: Any = None, mask: Any = None, arguments: Mapping[str, Any] | None = None) -> Definition:
    """Apply a function of your own, which has no weights.

    Shapes: as the function says. Params: none. A mask ends here, unless ``mask`` makes one. A function of ``jkeras.ops`` or
    ``jax.numpy`` is written with the model that holds it; a function of your own makes such a model one that cannot be saved:
    what is to be saved is better written with ``@jkeras.layer``, in no more lines.

    Args:
      function: ``function(x, **arguments)`` of arrays, or the name of one of ``jkeras.ops``. It must be pure. Where it has
        arguments called ``mask`` and ``training``, it is given them.
      output_shape: ignored, since shapes are found by tracing; scripts written for Keras give it.
      mask: a function ``(inputs, mask)`` that returns the output's mask, or None.
      arguments: further keyword arguments of the function.

    Raises:
      TypeError: for what is neither a function nor a name.

    Example:
      >>> Lambda(lambda x: x ** 2)(jnp.array([3.0])).tolist()
      [9.0]
      >>> Lambda("square", name="squares")(Input((8,))).shape
      (None, 8)

    Reference: ``keras.layers.Lambda``.
    """
    found: Callable[..., Any] = find(function) if isinstance(function, str) else function
    if not callable(found):
        raise TypeError(f"function must be a function or a name of jkeras.ops, but got {function!r}.")
    if mask is not None and not callable(mask):
        raise TypeError(f"mask must be a function (inputs, mask) or None, but got {mask!r}.")
    given, takes = dict(arguments or {}), _names_of(found)

    def apply(params: Any, state: Any, x: Any, ctx: Context) -> Any:
        more = {"mask": ctx.masks, "training": ctx.training}
        y = found(x, **{**{name: value for name, value in more.items() if name in takes}, **given})
        made = None if mask is None else mask(x, ctx.masks)
        return map_nest(lambda leaf: Masked(jnp.asarray(leaf), made), y), state

    return Definition(no_weights, apply)


def _names_of(function: Callable[..., Any]) -> frozenset[str]:
    try:
        return frozenset(inspect.signature(function).parameters)
    except (TypeError, ValueError):  # some of NumPy's and C's functions have none
        return frozenset()

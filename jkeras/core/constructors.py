"""How layers are made: the ``@layer`` decorator, ``Input``, and what counts as a layer where one is asked for."""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from jkeras.core.arguments import bind
from jkeras.core.context import Context
from jkeras.core.layer import COMPUTE_DTYPES, Definition, Layer, Params, State
from jkeras.core.shapes import spec
from jkeras.core.symbolic import Call, SymbolicTensor

CONSTRUCTORS: dict[str, Callable[..., Layer]] = {}
_COMMON = ("name", "dtype", "trainable", "input_shape", "input_dim")


def layer(constructor: Callable[..., Any]) -> Callable[..., Layer]:
    """Turn a function that returns ``(init, apply)``, or a ``Definition``, into a layer constructor.

    The call's arguments become the layer's ``config``, and every constructor also takes ``name``, ``dtype``, ``trainable``
    (default True), ``input_shape`` and ``input_dim``.

    Example:
      >>> @layer
      ... def Scale(start=1.0):
      ...     def init(key, x):
      ...         return {"scale": jnp.full(x.shape[-1], start)}, {}
      ...
      ...     def apply(params, state, x, ctx):
      ...         return x * params["scale"], state
      ...
      ...     return init, apply
      >>> Scale(2.0)
      Scale(start=2.0)
      >>> Scale()(Input((5,))).shape
      (None, 5)
    """
    signature = inspect.signature(constructor)
    kind = constructor.__name__
    names = tuple(signature.parameters)
    defaults = {name: given.default for name, given in signature.parameters.items() if given.default is not given.empty}

    @functools.wraps(constructor)
    def make(*args: Any, **kwargs: Any) -> Layer:
        common = {name: kwargs.pop(name) for name in _COMMON if name in kwargs and name not in names}
        bound = bind(kind, signature, args, kwargs, _COMMON)
        try:
            definition = constructor(*bound.args, **bound.kwargs)
        except (TypeError, ValueError) as error:
            error.args = (f"{kind}: {error}",)  # the type, the traceback and the cause stay as they are
            raise
        if not isinstance(definition, Definition):
            definition = Definition(*definition)
        return Layer(definition, kind, dict(bound.arguments), _checked_common(kind, common), defaults)

    CONSTRUCTORS[kind] = make
    return make


def _checked_common(kind: str, common: dict[str, Any]) -> dict[str, Any]:
    name = common.get("name")
    if name is not None and (not isinstance(name, str) or not name or "/" in name):
        raise ValueError(f"{kind}: name must be a non-empty string without '/', but got {name!r}.")
    if "input_dim" in common:
        if "input_shape" in common:
            raise TypeError(f"{kind}: give input_shape or input_dim, not both.")
        common["input_shape"] = (common.pop("input_dim"),)
    if "input_shape" in common:
        common["input_shape"] = checked_shape(f"{kind}(input_shape=...)", common["input_shape"])
    if common.get("dtype") is not None and common["dtype"] not in COMPUTE_DTYPES:
        common["dtype"] = jnp.dtype(common["dtype"]).name
    return common


def checked_shape(where: str, shape: Any) -> tuple[int | None, ...]:
    """Return a shape as a tuple of positive ints and None, or say what is wrong with it."""
    if isinstance(shape, (str, bytes, dict)) or not hasattr(shape, "__iter__"):
        raise ValueError(f"{where} takes a tuple such as (784,) or (None, 8), without the batch axis, but got {shape!r}.")
    sizes = []
    for size in shape:
        try:
            sizes.append(None if size is None else operator.index(size))
        except TypeError:
            raise ValueError(f"{where}: each size must be an integer or None, but got {size!r} in {shape!r}.") from None
        if sizes[-1] is not None and sizes[-1] <= 0:
            raise ValueError(f"{where}: each size must be positive, but got {size!r} in {shape!r}.")
    return tuple(sizes)


# -- where graphs begin, and what counts as a layer -------------------------------------------------------------------


def Input(
    shape: Any = None,
    batch_size: int | None = None,
    dtype: Any = None,
    *,
    batch_shape: Any = None,
    name: str | None = None,
) -> SymbolicTensor:
    """Start a model: a symbolic tensor of the given shape.

    Args:
      shape: the shape of one example, ``None`` for a size not known yet; ``(None,)`` is a sequence of any length.
      batch_size: a fixed batch size; None (default) leaves it free.
      dtype: the dtype of the data, float32 by default; ``"int32"`` for indices.
      batch_shape: the shape with the batch axis, instead of ``shape`` and ``batch_size``.
      name: what the input is called, in dictionaries of data and in ``summary``.

    Raises:
      ValueError: when the shape is missing, given twice, or not a tuple of positive sizes.

    Example:
      >>> Input((None, 8), name="posts").shape
      (None, None, 8)
    """
    if (shape is None) == (batch_shape is None):
        raise ValueError("Input takes either shape, without the batch axis, or batch_shape, with it: write Input((784,)).")
    whole = (batch_size, *checked_shape("Input(shape=...)", shape)) if batch_shape is None else batch_shape
    whole = checked_shape("Input(batch_shape=...)", whole)
    described = spec(whole, dtype or "float32")

    def apply(params: Params, state: State, x: Any, ctx: Context) -> tuple[Any, State]:
        return x, state

    start = Definition(lambda key, x: ({}, {}), apply, couples="never")
    config = {"batch_shape": whole, "dtype": described.dtype.name}
    source = Layer(start, "InputLayer", config, _checked_common("Input", {"name": name}))
    source.held.call = Call(source, (), {}, described)
    return SymbolicTensor(described, source.held.call)


def as_layer(candidate: Any, where: str) -> Layer:
    """Return the pure layer of a layer, a model, or an ``(init, apply)`` pair in the style of stax and Flax.

    Args:
      candidate: a ``Layer``, a ``Model``, or a pair of functions ``init(key, x_spec) -> params`` and
        ``apply(params, x) -> y``, which becomes a layer without state.
      where: what asks for it, for the message.
    """
    if isinstance(candidate, Layer):
        return candidate
    if isinstance(getattr(candidate, "layer", None), Layer):
        return candidate.layer
    if isinstance(candidate, tuple) and len(candidate) == 2 and all(map(callable, candidate)):
        init, apply = candidate
        pure = Definition(lambda key, x: (init(key, x), {}), lambda params, state, x, ctx: (apply(params, x), state))
        return Layer(pure, "Pair", {"init": init, "apply": apply})
    if isinstance(candidate, type) or candidate in CONSTRUCTORS.values():
        written = getattr(candidate, "__name__", "Layer")
        raise TypeError(f"{where} takes layers, but got the constructor {written}: call it, as in {written}(...).")
    raise TypeError(f"{where} takes layers and models, but got {candidate!r} of type {type(candidate).__name__}.")

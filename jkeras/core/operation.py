"""Operators, indexing and ``jkeras.ops`` on symbolic tensors: one generic layer over a closed table of named functions."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jkeras.core.constructors import layer
from jkeras.core.errors import UnknownNameError, nearest
from jkeras.core.layer import Definition
from jkeras.core.symbolic import is_symbolic

_NAMESPACES = (jnp, jax.nn, jax.lax)
SPACES = ("linalg", "fft")  # sub-modules of jax.numpy


def get_item(x: Any, index: Any) -> Any:
    """Index an array as ``x[index]``."""
    return x[index]


def cast(x: Any, dtype: Any) -> Any:
    """Convert an array to another dtype."""
    return jnp.asarray(x).astype(dtype)


_OWN: dict[str, Callable[..., Any]] = {"get_item": get_item, "cast": cast}

# Functions that treat every element by itself; with the batch axis in front they cannot mix examples.
_ELEMENTWISE = frozenset(
    """
    abs absolute add arccos arcsin arctan arctanh cast cbrt ceil celu clip cos cosh divide elu equal exp exp2 expm1
    floor floor_divide fmod gelu greater greater_equal hard_sigmoid hard_silu hard_swish hard_tanh isfinite isinf
    isnan leaky_relu less less_equal log log10 log1p log2 log_sigmoid logaddexp logical_and logical_not logical_or
    logical_xor maximum minimum mish mod multiply negative not_equal ones_like power reciprocal relu relu6 remainder
    round rsqrt selu sigmoid sign silu sin sinh soft_sign softplus sqrt square squareplus subtract swish tan tanh
    true_divide where zeros_like
    """.split()  # noqa: SIM905, a list of sixty quoted names is harder to read
)


class Hole(NamedTuple):
    """Where, among a function's recorded arguments, its ``index``-th symbolic tensor goes."""

    index: int


def find(name: str) -> Callable[..., Any]:
    """Return the function called ``name``: of jkeras, ``jax.numpy``, ``jax.nn`` or ``jax.lax``, in that order.

    Raises:
      UnknownNameError: when none of them has it.

    Example:
      >>> find("tanh")(0.0).item()
      0.0
    """
    if name in _OWN:
        return _OWN[name]
    for space in _NAMESPACES:
        function = space
        for part in name.split("."):
            function = getattr(function, part, None)
        if callable(function) and not isinstance(function, type) and not name.startswith("_"):
            return function
    raise UnknownNameError(f"jkeras.ops has no function {name!r}.{nearest(name, names())}")


def names() -> list[str]:
    """List the functions that :func:`find` knows, those of sub-modules such as ``linalg.norm`` excepted."""
    known = {n for space in _NAMESPACES for n in dir(space) if not n.startswith("_") and callable(getattr(space, n))}
    return sorted(known | set(_OWN))


def _is_hole(x: Any) -> bool:
    return isinstance(x, Hole)


def _mixes_examples(function: str, args: Any, kwargs: Any) -> bool:
    """Whether a function may join different examples; it does not where it works by element or along another axis."""
    if function in _ELEMENTWISE:
        return False
    if function == "get_item":
        index = args[1] if isinstance(args[1], tuple) else (args[1],)
        return not (isinstance(index[0], slice) and index[0] == slice(None)) and index[0] is not Ellipsis
    try:
        bound = inspect.signature(find(function)).bind(*args, **kwargs)
        bound.apply_defaults()
        axis = bound.arguments.get("axis")
    except (TypeError, ValueError):
        return True
    axes = axis if isinstance(axis, tuple) else (axis,)
    return not all(isinstance(a, int) and a > 0 for a in axes)


@layer
def Operation(function: str, args: Any = (), kwargs: Any = None) -> Definition:
    """Apply a named function to symbolic tensors; what ``x + y`` and ``jkeras.ops`` become.

    Args:
      function: a name that :func:`find` knows.
      args, kwargs: its arguments, with a :class:`Hole` for each symbolic tensor.
    """
    call, kwargs = find(function), kwargs or {}

    def apply(params: Any, state: Any, x: Any, ctx: Any) -> Any:
        placed = jax.tree.map(lambda a: x[a.index] if _is_hole(a) else a, (args, kwargs), is_leaf=_is_fixed)
        return call(*placed[0], **placed[1]), state

    couples = "always" if _mixes_examples(function, args, kwargs) else "never"
    return Definition(lambda key, x: ({}, {}), apply, couples=couples, stem=function.split(".")[-1])


def _is_fixed(x: Any) -> bool:
    return _is_hole(x) or isinstance(x, slice) or x is None or x is Ellipsis


def operate(function: str, *args: Any, **kwargs: Any) -> Any:
    """Call a named function: at once on arrays, as a step of a model where a symbolic tensor is among its arguments.

    A mask stays with the result for as long as the rank and the leading axes stay what they were.
    """
    tensors: list[Any] = []

    def hole(leaf: Any) -> Any:
        if not is_symbolic(leaf):
            return np.asarray(leaf) if isinstance(leaf, jax.Array) else leaf
        tensors.append(leaf)
        return Hole(len(tensors) - 1)

    if not any(map(is_symbolic, jax.tree.leaves((args, kwargs)))):
        return find(function)(*args, **kwargs)
    args, kwargs = jax.tree.map(hole, (args, kwargs), is_leaf=_is_fixed)
    return Operation(function, args, kwargs or None)(tensors)

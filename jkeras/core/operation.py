"""Operators, indexing and ``jkeras.ops`` on symbolic tensors and masked values: one layer over the table of functions."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from jkeras.core.constructors import layer
from jkeras.core.context import is_traced
from jkeras.core.definition import Definition
from jkeras.core.errors import UnknownNameError
from jkeras.core.functions import find, offer
from jkeras.core.masks import Masked, any_of, indexed, is_masked, leading_slices, strongest
from jkeras.core.nest import flatten, map_nest
from jkeras.core.symbolic import SymbolicTensor, has_symbolic, is_symbolic

# Functions that treat every element by itself; with the batch axis in front they cannot mix examples.
_ELEMENTWISE = frozenset(
    """
    abs absolute add angle arccos arccosh arcsin arcsinh arctan arctan2 arctanh bitwise_and bitwise_invert
    bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift bitwise_xor cast cbrt ceil celu clip conj conjugate
    convert_to_tensor copy cos cosh deg2rad divide divide_no_nan elu empty_like equal erf erfc erfinv exp exp2 expm1
    fabs floor floor_divide fmax fmin fmod full_like gelu greater greater_equal hard_shrink hard_sigmoid hard_silu
    hard_swish hard_tanh hypot imag isfinite isinf isnan isneginf isposinf leaky_relu left_shift less less_equal log
    log10 log1p log2 log_sigmoid logaddexp logaddexp2 logical_and logical_not logical_or logical_xor maximum minimum
    mish mod multiply nan_to_num negative not_equal ones_like power rad2deg real reciprocal relu relu6 remainder
    right_shift round rsqrt saturate_cast selu sigmoid sign signbit silu sin sinc sinh soft_shrink soft_sign softplus
    softsign sparse_plus sparse_sigmoid sqrt square squareplus stop_gradient subtract swish tan tanh tanh_shrink
    threshold true_divide trunc where zeros_like
    """.split()  # noqa: SIM905, a list of so many quoted names is harder to read
)

# Functions that work along the axes named axis, and leave those before them as they are.
_JOINING = frozenset({"concatenate", "stack"})
_ALONG_AN_AXIS = _JOINING | frozenset(
    """
    all any argmax argmin argsort average count_nonzero cumprod cumsum diff expand_dims flip log_softmax logsumexp max
    mean median min nanmax nanmean nanmin nansum norm prod repeat roll softmax sort squeeze standardize std sum take var
    """.split()  # noqa: SIM905
)

# Python's operators, with the function that each stands for; the first ones also with their operands swapped.
_SWAPPED = {
    "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "true_divide", "floordiv": "floor_divide", "mod": "mod",
    "pow": "power", "matmul": "matmul", "and": "logical_and", "or": "logical_or", "xor": "logical_xor",
}  # fmt: skip
_OPERATORS = _SWAPPED | {
    "neg": "negative", "abs": "absolute", "invert": "logical_not", "lt": "less", "le": "less_equal", "gt": "greater",
    "ge": "greater_equal", "getitem": "get_item",
}  # fmt: skip


class Hole(NamedTuple):
    """Where, among a function's recorded arguments, its ``index``-th tensor goes."""

    index: int


def _is_hole(x: Any) -> bool:
    return isinstance(x, Hole)


def kept_axes(function: str, args: Any, kwargs: Any, shapes: list[tuple]) -> int:
    """Count the leading axes of its tensors that an operation treats position by position, its result having them too.

    Element by element: all, where every tensor has as many axes and constants do not broadcast against the first. An index: those
    that it slices. Along an axis: those before it. Anything else: none.
    """
    ndims = {len(shape) for shape in shapes}
    if len(ndims) != 1 or 0 in ndims:
        return 0
    ndim = ndims.pop()
    if function in _ELEMENTWISE:
        constants = [np.shape(leaf) for leaf in flatten((args, kwargs)) if hasattr(leaf, "shape")]
        wide = any(len(shape) > ndim or (len(shape) == ndim and shape[0] != 1) for shape in constants)
        return 0 if wide or any(shape[0] != shapes[0][0] for shape in shapes) else ndim
    if function == "matmul":
        constants = [np.ndim(leaf) for leaf in flatten(args) if hasattr(leaf, "shape")]
        return ndim - 1 if constants and _is_hole(args[0]) and constants[0] <= 2 else max(ndim - 2, 0)
    if function == "get_item":
        slices = leading_slices(args[1], ndim) if len(shapes) == 1 else ()
        return len(slices) if slices and slices[0] == _WHOLE else 0
    if function not in _ALONG_AN_AXIS or (len(shapes) > 1 and function not in _JOINING):
        return 0
    try:
        bound = inspect.signature(find(function)).bind(*args, **kwargs)
        bound.apply_defaults()
        axis = bound.arguments.get("axis")
    except (TypeError, ValueError):
        return 0
    axes: list[Any] = list(axis) if isinstance(axis, (tuple, list)) else [axis]
    if not all(isinstance(a, int) for a in axes):
        return 0
    return max(min(a + ndim if a < 0 else a for a in axes), 0)


_WHOLE = np.s_[:]


@layer
def Operation(function: str, args: Any = (), kwargs: Any = None) -> Definition:
    """Apply a named function to tensors; what ``x + y`` and ``jkeras.ops`` become.

    Args:
      function: a name that :func:`jkeras.core.functions.find` knows.
      args, kwargs: its arguments, with a :class:`Hole` for each tensor.
    """
    if not isinstance(function, str):
        raise TypeError(f"function must be the name of a function of jkeras.ops, but got {function!r}.")
    kwargs = kwargs or {}

    def apply(params: Any, state: Any, x: Any, ctx: Any) -> Any:
        y, masks = _compute(function, args, kwargs, x), flatten(ctx.masks)
        return map_nest(lambda leaf: Masked(leaf, _mask(function, args, masks, x, leaf)), y), state

    def mixing(x_spec: Any, arguments: Any) -> str:
        return "never" if kept_axes(function, args, kwargs, [x.shape for x in x_spec]) else "always"

    return Definition(lambda key, x: ({}, {}), apply, mixes_examples=mixing, stem=function.split(".")[-1])


def _compute(function: str, args: Any, kwargs: Any, tensors: list[Any]) -> Any:
    def fill(leaf: Any) -> Any:
        return tensors[leaf.index] if _is_hole(leaf) else leaf

    args, kwargs = _map_arguments(fill, args), _map_arguments(fill, kwargs)
    return find(function)(*args, **kwargs)


def _map_arguments(change: Callable[[Any], Any], tree: Any) -> Any:
    """Apply a function to what is neither a list, a tuple nor a dictionary; holes and slices are single things."""
    if isinstance(tree, dict):
        return {name: _map_arguments(change, branch) for name, branch in tree.items()}
    if isinstance(tree, (list, tuple)) and not _is_hole(tree):
        return type(tree)(_map_arguments(change, branch) for branch in tree)
    return change(tree)


def _mask(function: str, args: Any, masks: list[Any], x: list[Any], y: Any) -> Any:
    """Return the mask of an operation's result, by the rules of ``core/masks.py``."""
    if function == "get_item":
        return indexed(masks[0], args[1], x[0].ndim) if len(x) == 1 else None
    if function not in _ELEMENTWISE:
        return None
    mask = any_of(masks)
    return mask if mask is not None and y.shape[: mask.ndim] == mask.shape else None


def operate(function: str, *args: Any, **kwargs: Any) -> Any:
    """Call a named function: at once on arrays and masked values, as a step of a model where a tensor is symbolic."""
    everything = [*args, *kwargs.values()]
    symbolic = has_symbolic(everything)
    if not symbolic and not any(map(is_masked, flatten(everything))):
        return find(function)(*args, **kwargs)
    tensors: list[Any] = []

    def hole(leaf: Any) -> Any:
        if is_symbolic(leaf) or (is_masked(leaf) and not symbolic):
            tensors.append(leaf)
            return Hole(len(tensors) - 1)
        return np.asarray(leaf) if symbolic and isinstance(leaf, jax.Array) else leaf

    args, kwargs = _map_arguments(hole, args), _map_arguments(hole, kwargs)
    if symbolic:
        return Operation(function, args, kwargs or None)(tensors)
    values, masks = [t.value for t in tensors], [t.mask for t in tensors]
    kept = kept_axes(function, args, kwargs, [value.shape for value in values])
    if is_traced((args, kwargs)):
        kept = 0  # nobody knows what a plain array went through that was computed on the way
    mixing = strongest("never" if kept else "always", *(t.mixes_examples for t in tensors))
    y = _compute(function, args, kwargs, values)
    return map_nest(lambda leaf: Masked(leaf, _mask(function, args, masks, values, leaf), mixes_examples=mixing), y)


def lift(name: str) -> Callable[..., Any]:
    """Return a function of the table for arrays, symbolic tensors and masked values alike.

    Example:
      >>> lift("tanh")(Input((3,))).shape
      (None, 3)
    """
    return _lifted(name, find(name))


def lifting(*forms: str) -> Callable[[str], Any]:
    """Return what a module has for ``__getattr__`` so that the table's functions are its attributes, lifted.

    Args:
      forms: how a name of the module's may be called in the table, the first that is there first: ``"image.{}"``, ``"{}"``.
    """

    @functools.cache
    def look_up(name: str) -> Any:
        said = name
        for form in forms if not name.startswith("__") else ():
            try:
                return lift(form.format(name))
            except UnknownNameError as error:
                said = str(error)
        raise AttributeError(said)

    return look_up


def op(function: Callable[..., Any], name: str | None = None) -> Callable[..., Any]:
    """Offer a function of arrays under a name, its own unless another is given, and return it lifted."""
    name = name or function.__name__
    offer(name, function)
    return _lifted(name, function)


def _lifted(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def lifted(*args: Any, **kwargs: Any) -> Any:
        return operate(name, *args, **kwargs)

    return lifted


def _operator(function: str, swapped: bool) -> Callable[..., Any]:
    return lambda self, *others: operate(function, *others, self) if swapped else operate(function, self, *others)


def _reshape(self: Any, *shape: Any) -> Any:
    """Return the tensor with another shape; ``-1`` stands for one size to be worked out."""
    return operate("reshape", self, shape[0] if len(shape) == 1 else shape)


def _squeeze(self: Any, axis: Any = None) -> Any:
    """Return the tensor without axes of size 1."""
    return operate("squeeze", self, axis)


for _kind in (SymbolicTensor, Masked):
    for _name, _function in _OPERATORS.items():
        setattr(_kind, f"__{_name}__", _operator(_function, False))
    for _name, _function in _SWAPPED.items():
        setattr(_kind, f"__r{_name}__", _operator(_function, True))
    _kind.reshape, _kind.squeeze = _reshape, _squeeze  # type: ignore[attr-defined]
    _kind.__array_ufunc__ = None  # type: ignore[attr-defined]  # so that NumPy's operators leave the matter to these

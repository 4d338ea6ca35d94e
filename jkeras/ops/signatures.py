"""Keras's signatures over functions of JAX: what differs is how arguments are called, ordered and defaulted, nothing else.

Arguments without a default are handed on by position, the others by name; further ones that JAX's function takes, such as
``where``, may be given by name too. Lists and tuples become arrays.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jkeras import activations
from jkeras.core.errors import nearest
from jkeras.core.functions import offer

# Where functions are looked up by their names, in this order.
_SPACES = (jnp, jax.nn, jax.scipy.special, jnp.linalg, jax.lax, activations)

SIGNATURES = {
    "x": """
        abs absolute angle arccos arccosh arcsin arcsinh arctan arctanh bitwise_invert bitwise_not cbrt conj conjugate
        corrcoef cos cosh deg2rad erf erfc erfinv exp exp2 expm1 fabs fliplr flipud hard_sigmoid hard_silu hard_swish
        hard_tanh i0 imag isfinite isinf isnan isneginf isposinf isreal log log10 log1p log2 log_sigmoid logical_not
        ndim negative nonzero rad2deg ravel real reciprocal relu relu6 selu sigmoid sign signbit silu sin sinc sinh
        size softplus softsign sparse_plus sparse_sigmoid sqrt square swish tan tanh tanh_shrink trunc copy det eig eigh inv
        slogdet bartlett blackman hamming hanning
        """,
    "x, axis=None": "count_nonzero flip squeeze",
    "x, axis=-1": "argsort glu log_softmax softmax sort sparsemax",
    "x, axis": "expand_dims",
    "x, axis=None, keepdims=False": """
        all amax amin any argmax argmin logsumexp mean median nanargmax nanargmin nanmax nanmean nanmedian nanmin
        nanprod nanstd nansum nanvar ptp std sum var
        """,
    "x, axis=None, keepdims=False, initial=None": "max min",
    "x, axis=None, keepdims=False, dtype=None": "prod",
    "x, axis=None, dtype=None": "cumprod cumsum nancumprod nancumsum",
    "x, q, axis=None, method='linear', keepdims=False": "percentile quantile nanpercentile nanquantile",
    "x, axis=None, weights=None": "average",
    "x, dtype=None": "array ones_like zeros_like empty_like",
    "x, fill_value, dtype=None": "full_like",
    "x1, x2": """
        add arctan2 divide equal floor_divide fmax fmin fmod gcd greater greater_equal heaviside hypot inner kron lcm
        ldexp less less_equal logaddexp logaddexp2 logical_and logical_or logical_xor maximum minimum mod multiply
        nextafter not_equal outer power subtract true_divide vdot dot
        """,
    "x, y": "bitwise_and bitwise_or bitwise_xor left_shift right_shift bitwise_left_shift bitwise_right_shift",
    "x1, x2, rtol=1e-05, atol=1e-08, equal_nan=False": "allclose isclose",
    "x1, x2, axis=None": "append",
    "x1, x2, axes=2": "tensordot",
    "x1, x2, assume_unique=False, invert=False": "isin",
    "x1, x2, mode='valid'": "correlate",
    "x1, x2, axisa=-1, axisb=-1, axisc=-1, axis=None": "cross",
    "x, kth, axis=-1": "argpartition",
    "x, alpha=1.0": "celu elu",
    "x, approximate=True": "gelu",
    "x, b=4": "squareplus",
    "x, negative_slope=0.2": "leaky_relu",
    "x, threshold=0.5": "hard_shrink soft_shrink",
    "x, threshold, default_value": "threshold",
    "x, shape": "broadcast_to",
    "x, newshape": "reshape",
    "x, k=0": "diag diagflat tril triu",
    "x, offset=0, axis1=0, axis2=1": "diagonal trace",
    "a, n=1, axis=-1": "diff",
    "x, bins": "digitize",
    "x, bins=10, range=None": "histogram",
    "x, indices_or_sections": "dsplit hsplit vsplit",
    "x, indices_or_sections, axis=0": "array_split split",
    "x, source, destination": "moveaxis",
    "x, axis1, axis2": "swapaxes",
    "x, axes=None": "transpose",
    "x, repeats": "tile",
    "x, repeats, axis=None": "repeat",
    "x, shift, axis=None": "roll",
    "x, N=None, increasing=False": "vander",
    "x, indices, axis=None": "take take_along_axis",
    "x, nan=0.0, posinf=None, neginf=None": "nan_to_num",
    "x, beta": "kaiser",
    "x, mode='reduced'": "qr",
    "x, full_matrices=True, compute_uv=True": "svd",
    "a, b": "solve",
    "array, k=1, axes=(0, 1)": "rot90",
    "y, x=None, dx=1.0, axis=-1": "trapezoid",
    "xs, axis=0": "concatenate",
    "xs": "dstack hstack vstack",
    "condlist, choicelist, default=0": "select",
    "indices, shape": "unravel_index",
    "N, M=None, k=0, dtype=None": "eye tri",
    "n, dtype=None": "identity",
    "shape, dtype=None": "empty ones zeros",
    "start, stop, num=50, endpoint=True, dtype=None, axis=0": "geomspace",
    "start, stop, num=50, endpoint=True, base=10, dtype=None, axis=0": "logspace",
    "start, stop, num=50, endpoint=True, retstep=False, dtype=None, axis=0": "linspace",
}  # fmt: skip

# Arguments that are arrays, or lists of them.
_ARRAYS = {"x", "x1", "x2", "y", "a", "b", "array", "indices", "weights", "q"}
_SEVERAL = {"xs", "condlist", "choicelist"}


def _signature(text: str) -> inspect.Signature:
    given = ast.parse(f"lambda {text}: 0", mode="eval").body.args  # type: ignore[attr-defined]
    defaults = [inspect.Parameter.empty] * (len(given.args) - len(given.defaults))
    defaults += [ast.literal_eval(default) for default in given.defaults]
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    named = [inspect.Parameter(one.arg, kind, default=default) for one, default in zip(given.args, defaults, strict=True)]
    return inspect.Signature([*named, inspect.Parameter("more", inspect.Parameter.VAR_KEYWORD)])


def _as_array(x: Any) -> Any:
    return jnp.asarray(x) if isinstance(x, (list, tuple)) else x


def _converted(name: str, value: Any) -> Any:
    if name in ("axis", "axes") and isinstance(value, list):
        return tuple(value)  # JAX needs what it can hash
    if name == "newshape" and isinstance(value, (list, tuple)):
        return [-1 if size is None else size for size in value]  # a size of ops.shape that is not known yet
    if name in _ARRAYS:
        return _as_array(value)
    return [_as_array(one) for one in value] if name in _SEVERAL and isinstance(value, (list, tuple)) else value


def _over(function: Callable[..., Any], name: str, text: str, signature: inspect.Signature) -> Callable[..., Any]:
    """Return a function with Keras's signature that calls one of JAX's."""
    required = [p.name for p in signature.parameters.values() if p.default is p.empty and p.kind is not p.VAR_KEYWORD]

    def called(*args: Any, **kwargs: Any) -> Any:
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{name}({text}): {error}.") from None
        bound.apply_defaults()
        given = {key: _converted(key, value) for key, value in bound.arguments.items()}
        more = given.pop("more")
        return function(*[given.pop(key) for key in required], **given, **more)

    called.__name__ = called.__qualname__ = name
    called.__signature__ = signature  # type: ignore[attr-defined]
    where = getattr(function, "__module__", None) or "jax"
    called.__doc__ = f"``{name}({text})``: {_first_sentence(function)}\n\nKeras's arguments for ``{where}.{name}``."
    return called


def _first_sentence(function: Callable[..., Any]) -> str:
    text = inspect.getdoc(function) or ""
    return " ".join(text.split("\n\n")[0].split())


def _source(name: str) -> Callable[..., Any]:
    for space in _SPACES:
        if callable(function := getattr(space, name, None)):
            return function
    raise LookupError(f"JAX has no function {name!r}.{nearest(name, dir(jnp))}")


for _text, _names in SIGNATURES.items():
    _of_all = _signature(_text)
    for _name in _names.split():
        offer(_name, _over(_source(_name), _name, _text, _of_all))

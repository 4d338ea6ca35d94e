"""Keras's initializers by name, over ``jax.nn.initializers``: functions ``(key, shape, dtype) -> array``.

A constructor called with a ``seed`` draws the same numbers in every layer; without one, which is the rule, each layer's
numbers come from its own key. Called as Keras's are, ``(shape, dtype)``, they draw from their seed, or from a fresh one. A
function of your own may have either form.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.nn import initializers as jni

from jkeras.core import named as names
from jkeras.core.named import Named, Written, look_up, table
from jkeras.core.plain import made, written
from jkeras.core.store import next_seed


class Initializer(Written):
    """The base of initializers that are written as classes; any function will do as well."""


class NamedInitializer(Named, Initializer):
    """An initializer and the call that made it."""

    def __call__(self, *args: Any, **kwargs: Any) -> jax.Array:
        """Draw: ``(key, shape, dtype="float32")`` as in JAX, or ``(shape, dtype="float32")`` as in Keras."""
        if "shape" not in kwargs and args and isinstance(args[0], (tuple, list, int)):
            kwargs, args = {"shape": args[0], **dict(zip(("dtype",), args[1:], strict=False)), **kwargs}, ()
        if "shape" in kwargs and not args and "key" not in kwargs:
            shape, seed = kwargs["shape"], self.config.get("seed")
            whole = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
            key = jax.random.key(next_seed() if seed is None else seed)
            return self.function(key, whole, jnp.dtype(kwargs.get("dtype") or "float32"))
        return self.function(*args, **kwargs)


named = functools.partial(names.named, kind=NamedInitializer)


def _seeded(function: Callable[..., jax.Array], seed: int | None) -> Callable[..., jax.Array]:
    if seed is None:
        return function
    return lambda key, shape, dtype=jnp.float32: function(jax.random.key(seed), shape, dtype)


def _scaled(
    scale: float, mode: str, distribution: str, input_axes: Any = None, output_axes: Any = None
) -> Callable[..., jax.Array]:
    """Return JAX's variance scaling, extended to vectors, whose two fans are their length, as in Keras."""

    def draw(key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
        if input_axes is not None and output_axes is not None:
            inner, outer = (tuple(axis % len(shape) for axis in axes) for axes in (input_axes, output_axes))
            others = tuple(axis for axis in range(len(shape)) if axis not in inner + outer)
            return jni.variance_scaling(scale, mode, distribution, inner, outer, others)(key, shape, dtype)  # type: ignore[arg-type]
        if len(shape) > 1:
            return jni.variance_scaling(scale, mode, distribution)(key, shape, dtype)  # type: ignore[arg-type]
        n = shape[0] if shape else 1
        column = jni.variance_scaling(scale, "fan_in", distribution)(key, (n, 1), dtype)  # type: ignore[arg-type]
        return column.reshape(shape)

    return draw


@named
def VarianceScaling(
    scale: float = 1.0,
    mode: str = "fan_in",
    distribution: str = "truncated_normal",
    seed: int | None = None,
    input_axes: Any = None,
    output_axes: Any = None,
) -> Callable[..., jax.Array]:
    r"""Draw with variance ``scale / n``, n being the fan that ``mode`` names: ``fan_in``, ``fan_out`` or ``fan_avg``.

    ``distribution`` is ``"truncated_normal"`` (at two standard deviations, then corrected to the variance asked for),
    ``"untruncated_normal"`` or ``"uniform"``. A convolution's fans count its receptive field; with ``input_axes`` and
    ``output_axes`` the fans are the products of the sizes on those axes.
    """
    if isinstance(scale, bool) or not isinstance(scale, (int, float)) or not 0 < scale < float("inf"):
        raise ValueError(f"scale must be a positive number, but got {scale!r}.")
    if distribution not in ("truncated_normal", "untruncated_normal", "normal", "uniform"):
        raise ValueError(f"distribution must be 'truncated_normal', 'untruncated_normal' or 'uniform', but got {distribution!r}.")
    spelled = {"untruncated_normal": "normal"}.get(distribution, distribution)
    if mode not in ("fan_in", "fan_out", "fan_avg"):
        raise ValueError(f"mode must be 'fan_in', 'fan_out' or 'fan_avg', but got {mode!r}.")
    return _seeded(_scaled(scale, mode, spelled, input_axes, output_axes), seed)


@named
def GlorotUniform(seed: int | None = None, input_axes: Any = None, output_axes: Any = None) -> Callable[..., jax.Array]:
    r"""Draw from :math:`U(-l, l)`, :math:`l = \sqrt{6 / (\text{fan in} + \text{fan out})}` (Glorot and Bengio, 2010)."""
    return _seeded(_scaled(1.0, "fan_avg", "uniform", input_axes, output_axes), seed)


@named
def GlorotNormal(seed: int | None = None, input_axes: Any = None, output_axes: Any = None) -> Callable[..., jax.Array]:
    r"""Draw from a truncated normal of variance :math:`2 / (\text{fan in} + \text{fan out})` (Glorot and Bengio, 2010)."""
    return _seeded(_scaled(1.0, "fan_avg", "truncated_normal", input_axes, output_axes), seed)


@named
def HeUniform(seed: int | None = None, input_axes: Any = None, output_axes: Any = None) -> Callable[..., jax.Array]:
    r"""Draw from :math:`U(-l, l)`, :math:`l = \sqrt{6 / \text{fan in}}` (He et al., arXiv:1502.01852)."""
    return _seeded(_scaled(2.0, "fan_in", "uniform", input_axes, output_axes), seed)


@named
def HeNormal(seed: int | None = None, input_axes: Any = None, output_axes: Any = None) -> Callable[..., jax.Array]:
    r"""Draw from a truncated normal of variance :math:`2 / \text{fan in}` (He et al., arXiv:1502.01852)."""
    return _seeded(_scaled(2.0, "fan_in", "truncated_normal", input_axes, output_axes), seed)


@named
def LecunUniform(seed: int | None = None, input_axes: Any = None, output_axes: Any = None) -> Callable[..., jax.Array]:
    r"""Draw from :math:`U(-l, l)`, :math:`l = \sqrt{3 / \text{fan in}}` (LeCun et al., 1998)."""
    return _seeded(_scaled(1.0, "fan_in", "uniform", input_axes, output_axes), seed)


@named
def LecunNormal(seed: int | None = None, input_axes: Any = None, output_axes: Any = None) -> Callable[..., jax.Array]:
    r"""Draw from a truncated normal of variance :math:`1 / \text{fan in}` (LeCun et al., 1998)."""
    return _seeded(_scaled(1.0, "fan_in", "truncated_normal", input_axes, output_axes), seed)


@named
def RandomUniform(minval: float = -0.05, maxval: float = 0.05, seed: int | None = None) -> Callable[..., jax.Array]:
    """Draw from the interval [minval, maxval)."""
    return _seeded(lambda key, shape, dtype=jnp.float32: jax.random.uniform(key, shape, dtype, minval, maxval), seed)


@named
def RandomNormal(mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> Callable[..., jax.Array]:
    """Draw from a normal distribution."""
    return _seeded(lambda key, shape, dtype=jnp.float32: mean + jni.normal(stddev)(key, shape, dtype), seed)


@named
def TruncatedNormal(mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> Callable[..., jax.Array]:
    """Draw from a normal distribution cut off at two of its standard deviations."""
    return _seeded(lambda key, shape, dtype=jnp.float32: mean + jni.truncated_normal(stddev)(key, shape, dtype), seed)


@named
def Orthogonal(gain: float = 1.0, seed: int | None = None) -> Callable[..., jax.Array]:
    """Draw a matrix with orthonormal rows or columns, times ``gain`` (Saxe et al., arXiv:1312.6120)."""

    def draw(key: Any, shape: Any, dtype: Any = jnp.float32) -> jax.Array:
        if len(shape) < 2:
            raise ValueError(f"Orthogonal draws matrices, but was asked for the shape {tuple(shape)}.")
        rows, columns = math.prod(shape[:-1]), shape[-1]
        wide = jnp.promote_types(dtype, jnp.float32)  # no QR decomposition knows half precision
        q, r = jnp.linalg.qr(jax.random.normal(key, (max(rows, columns), min(rows, columns)), wide))
        # JAX's own initializer takes the diagonal by jnp.diagonal, which takes a third of a second to trace.
        place = jax.lax.iota(jnp.int32, r.shape[0])
        q = q * jnp.sign(jnp.where(place[:, None] == place, r, 0).sum(0))
        return (gain * (q.T if rows < columns else q)).reshape(shape).astype(dtype)

    return _seeded(draw, seed)


@named
def Zeros() -> Callable[..., jax.Array]:
    """Fill with 0."""
    return jni.zeros


@named
def Ones() -> Callable[..., jax.Array]:
    """Fill with 1."""
    return jni.ones


@named
def Constant(value: Any = 0.0) -> Callable[..., jax.Array]:
    """Fill with a number, or with an array of the weight's shape."""
    return jni.constant(value)


@named
def Identity(gain: float = 1.0) -> Callable[..., jax.Array]:
    """Fill a square or rectangular matrix with ``gain`` on its diagonal and 0 elsewhere."""
    return lambda key, shape, dtype=jnp.float32: gain * jnp.eye(*shape, dtype=dtype)


@named
def STFT(
    side: str = "real", window: Any = "hann", scaling: str | None = "density", periodic: bool = False
) -> Callable[..., jax.Array]:
    r"""Fill a kernel ``(T, 1, F / 2 + 1)`` with the cosines, or minus the sines, of a short-time Fourier transform.

    .. math:: \cos(2 \pi t f / F)\, w_t / c \quad \text{or} \quad -\sin(2 \pi t f / F)\, w_t / c

    with the window :math:`w`. ``side`` is ``"real"`` or ``"imag"``; ``window`` a name of ``scipy.signal.get_window``, an array of
    T numbers or None; ``scaling`` divides by the window's length ("density"), its sum ("spectrum") or nothing; ``periodic``
    is the window's.
    """
    if side not in ("real", "imag"):
        raise ValueError(f"side must be 'real' or 'imag', but got {side!r}.")
    if scaling not in ("density", "spectrum", None):
        raise ValueError(f"scaling must be 'density', 'spectrum' or None, but got {scaling!r}.")

    def draw(key: Any, shape: Any, dtype: Any = jnp.float32) -> jax.Array:
        length, _, bins = shape
        w = np.ones(length) if window is None else window
        if isinstance(w, str):
            from scipy.signal import get_window  # which JAX needs anyway; importing it is slow

            w = get_window(w, length, periodic)
        w = np.asarray(w, "float64")
        if w.shape != (length,):
            raise ValueError(f"window must have the length of the kernel, {length}, but has shape {w.shape}.")
        size = (
            1.0 if window is None else {"density": np.sqrt(np.square(w).sum()), "spectrum": np.abs(w).sum(), None: 1.0}[scaling]
        )
        angle = 2 * np.pi * np.arange(length)[:, None, None] * np.arange(bins) / (2 * (bins - 1))
        wave = np.cos(angle) if side == "real" else -np.sin(angle)
        return jnp.asarray(wave * w[:, None, None] / size, dtype)

    return draw


# Keras's other spellings
IdentityInitializer = Identity
OrthogonalInitializer = Orthogonal
STFTInitializer = STFT
constant = Constant
glorot_normal = GlorotNormal
glorot_uniform = GlorotUniform
he_normal = HeNormal
he_uniform = HeUniform
identity = Identity
lecun_normal = LecunNormal
lecun_uniform = LecunUniform
ones = Ones
orthogonal = Orthogonal
random_normal = RandomNormal
random_uniform = RandomUniform
stft = STFT
truncated_normal = TruncatedNormal
variance_scaling = VarianceScaling
zeros = Zeros

_TABLE = table(
    VarianceScaling, GlorotUniform, GlorotNormal, HeUniform, HeNormal, LecunUniform, LecunNormal, RandomUniform, RandomNormal,
    TruncatedNormal, Orthogonal, Zeros, Ones, Constant, Identity, STFT,
    uniform=RandomUniform, normal=RandomNormal, zero=Zeros, one=Ones, IdentityInitializer=Identity,
    OrthogonalInitializer=Orthogonal, STFTInitializer=STFT,
)  # fmt: skip


def along(identifier: Any, input_axes: tuple[int, ...], output_axes: tuple[int, ...]) -> Any:
    """Return an initializer whose fans, where it has any, are the sizes on the given axes, unless it was told its own.

    Example:
      >>> along("glorot_uniform", (0,), (1, 2)).config["output_axes"]
      (1, 2)
    """
    found = get(identifier)
    axes = {"input_axes": input_axes, "output_axes": output_axes}
    if not isinstance(found, Named) or found.config.get("input_axes", 0) is not None:
        return found
    return names.makers["functions"][found.kind](**{**found.config, **axes})


@functools.cache
def _default(constructor: Callable[[], Any]) -> Callable[..., jax.Array]:
    """Return one and the same function for a name, so that what was compiled for it is found again."""
    return constructor()


def get(identifier: Any) -> Callable[..., jax.Array]:
    """Return the initializer of a given name; a function or an array stands for itself, None for Keras's default, Glorot's.

    Raises:
      UnknownNameError: for a name that is not in the table, with the nearest that is.

    Example:
      >>> get("ones")(jax.random.key(0), (2,)).tolist()
      [1.0, 1.0]
    """
    if identifier is None:
        return _default(GlorotUniform)
    if hasattr(identifier, "shape"):
        return Constant(identifier)
    found = look_up(identifier, _TABLE, "initializer")
    if found in _TABLE.values():
        return _default(found)
    if not isinstance(found, Named) and next(iter(inspect.signature(found).parameters), None) == "shape":
        return lambda key, shape, dtype=jnp.float32: jnp.asarray(found(shape, dtype=dtype), dtype)
    return found


names.tables["initializer"] = get


def serialize(initializer: Any) -> Any:
    """Return an initializer as plain data: its name, or the call that made it.

    Raises:
      TypeError: for a function that has no name here.

    Example:
      >>> serialize(Constant(2.0))["config"]
      {'value': 2.0}
    """
    return written(initializer, "initializer")


def deserialize(config: Any, custom_objects: Any = None) -> Any:
    """Return what :func:`serialize` wrote down.

    Args:
      config: plain data.
      custom_objects: functions of your own by name.

    Raises:
      UnknownNameError: for a name that is in no table.

    Example:
      >>> deserialize(serialize(Constant(2.0)))
      Constant(value=2.0)
    """
    return made(config, "initializer", custom_objects)


__all__ = [
    "Constant",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Identity",
    "IdentityInitializer",
    "Initializer",
    "LecunNormal",
    "LecunUniform",
    "Ones",
    "Orthogonal",
    "OrthogonalInitializer",
    "RandomNormal",
    "RandomUniform",
    "STFT",
    "STFTInitializer",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
    "constant",
    "deserialize",
    "get",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "identity",
    "lecun_normal",
    "lecun_uniform",
    "ones",
    "orthogonal",
    "random_normal",
    "random_uniform",
    "serialize",
    "stft",
    "truncated_normal",
    "variance_scaling",
    "zeros",
]

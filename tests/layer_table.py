"""One table of every layer of the catalogue with every argument that matters, and how to build a model of one of its rows.

A row is written once and made in jkeras and in Keras alike: its functions take the namespace ``k``, ``jkeras`` or ``keras``.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

BATCH, TIME, FEATURES, UNITS = 3, 6, 4, 4  # few sizes, so that Keras and JAX compile few programs


def _quick_options() -> dict[str, Any]:
    """Options with which tiny programs compile several times faster; not every version of XLA has the last one."""
    fast = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
    faster = {**fast, "xla_cpu_use_fusion_emitters": False}
    try:
        jax.jit(lambda: 0, compiler_options=faster)()
    except jax.errors.JaxRuntimeError:
        return fast
    return faster


quick_jit = functools.partial(jax.jit, compiler_options=_quick_options())  # most of a test's time is compilation


class Recipe:
    """A constructor call that is not made yet; recipes among its arguments are made first."""

    def __init__(self, what: str, *args: Any, **kwargs: Any):
        self.what, self.args, self.kwargs = what, args, kwargs

    def __call__(self, k: Any, **common: Any) -> Any:
        made = [_made(k, value) for value in self.args]
        return self._constructor(k)(*made, **{name: _made(k, value) for name, value in self.kwargs.items()}, **common)

    def _constructor(self, k: Any) -> Any:
        family, _, name = self.what.rpartition(".")
        return getattr(getattr(k, family or "layers"), name)


def _made(k: Any, value: Any) -> Any:
    if isinstance(value, list):
        return [_made(k, part) for part in value]
    return value(k) if isinstance(value, (Recipe, Chain)) else value


class Chain:
    """A model to be put inside another layer."""

    def __init__(self, *layers: Recipe, functional: Any = None):
        self.layers, self.functional = layers, functional

    def __call__(self, k: Any) -> Any:
        if self.functional is None:
            return k.Sequential([layer(k) for layer in self.layers])
        x = y = k.Input(self.functional)
        for layer in self.layers:
            y = layer(k)(y)
        return k.Model(x, y)


def plain(layer: Any, k: Any, xs: list) -> Any:
    return layer(xs[0] if len(xs) == 1 else xs)


def masked(layer: Any, k: Any, xs: list) -> Any:
    """Call the layer on inputs of which the steps that are 0 throughout are masked."""
    return plain(layer, k, [k.layers.Masking()(x) for x in xs])


def starting_from(layer: Any, k: Any, xs: list) -> Any:
    return layer(xs[0], initial_state=[xs[1], xs[2]])


@dataclasses.dataclass(frozen=True)
class Case:
    """One row.

    Attributes:
      name: what the row is called in reports.
      make: makes the layer, ``make(k, **common)`` with common arguments such as ``dtype``.
      inputs: data, one array per input of the layer.
      free: the axis of the inputs whose length may be unknown, or None.
      call: calls the layer on symbolic tensors, with layers before it where the row needs them.
      read_mask: whether an LSTM follows in models, whose result depends on the mask that reaches it.
      params, state, random: whether the layer has parameters, has state, and draws random numbers in training.
    """

    name: str
    make: Recipe
    inputs: tuple[np.ndarray, ...]
    free: int | None = 1
    call: Callable = plain
    read_mask: bool = False
    params: bool = False
    state: bool = False
    random: bool = False

    def __str__(self) -> str:
        return self.name

    def symbols(self, k: Any, lengths_known: bool = True) -> list:
        """Start a model: one symbolic tensor per input."""
        forgotten = self.free if not lengths_known else None
        shapes = [
            [None if a == forgotten and x.ndim == self.inputs[0].ndim else n for a, n in enumerate(x.shape)] for x in self.inputs
        ]
        return [k.Input(tuple(shape[1:]), dtype=x.dtype.name) for shape, x in zip(shapes, self.inputs, strict=True)]

    def model(self, k: Any, lengths_known: bool = True) -> Any:
        """Make a model of the layer and what the row puts around it."""
        xs = self.symbols(k, lengths_known)
        y = self.call(self.make(k), k, xs)
        return k.Model(xs, k.layers.LSTM(UNITS)(y) if self.read_mask else y)

    def data(self) -> Any:
        """Return the inputs as a model takes them."""
        return self.inputs[0] if len(self.inputs) == 1 else list(self.inputs)


_rng = np.random.default_rng(7)


def _floats(*shape: int) -> np.ndarray:
    return _rng.normal(size=shape).astype("float32")


def _pad(x: np.ndarray) -> np.ndarray:
    """Set steps to 0: none of the first example, some at the end of the second, some in and before the third."""
    x = x.copy()
    x[1, 4:] = x[2, 0] = x[2, 3] = 0
    return x


FLAT = _floats(BATCH, FEATURES)
SERIES = _floats(BATCH, TIME, FEATURES)
TURNED = SERIES.swapaxes(1, 2).copy()  # channels first
OTHER = _floats(BATCH, TIME, FEATURES)
PADDED = _pad(SERIES)
CUT = OTHER * (np.arange(TIME) < 3)[None, :, None].astype("float32")  # masked elsewhere than PADDED
NESTED = _floats(BATCH, 2, TIME, FEATURES)
IDS = _rng.integers(0, 7, (BATCH, TIME)).astype("int32")
H, C = _floats(BATCH, UNITS), _floats(BATCH, UNITS)


def _row(name: str, make: Recipe, *inputs: np.ndarray, **more: Any) -> Case:
    return Case(name, make, inputs or (SERIES,), **more)


def _weighted(name: str, make: Recipe, *inputs: np.ndarray, **more: Any) -> Case:
    return _row(name, make, *inputs, **{"params": True, **more})


def _lstm(name: str, *inputs: np.ndarray, call: Callable = plain, read_mask: bool = False, **kwargs: Any) -> Case:
    has_dropout = any("dropout" in argument for argument in kwargs)
    make = Recipe("LSTM", UNITS, **kwargs)
    return _weighted(f"LSTM {name}", make, *inputs, call=call, read_mask=read_mask, random=has_dropout)


def _conv(name: str, *inputs: np.ndarray, free: int = 1, **kwargs: Any) -> Case:
    return _weighted(f"Conv1D {name}", Recipe("Conv1D", **{"filters": 4, "kernel_size": 3, **kwargs}), *inputs, free=free)


def _batch_norm(name: str, *inputs: np.ndarray, call: Callable = plain, free: int | None = 1, **kwargs: Any) -> Case:
    make = Recipe("BatchNormalization", **kwargs)
    has_params = kwargs.get("center", True) or kwargs.get("scale", True)
    return _row(f"BatchNormalization {name}", make, *inputs, call=call, free=free, state=True, params=has_params)


_BASIC = [
    _weighted("Dense", Recipe("Dense", 2), FLAT, free=None),
    _weighted("Dense relu without bias", Recipe("Dense", 2, activation="relu", use_bias=False), FLAT, free=None),
    _weighted("Dense softmax", Recipe("Dense", 2, activation="softmax"), FLAT, free=None),
    _weighted("Dense tanh on each step", Recipe("Dense", 2, "tanh", kernel_initializer=Recipe("initializers.HeNormal"))),
    _weighted("Dense penalised", Recipe("Dense", 2, activity_regularizer="l2"), FLAT, free=None, state=True),
    _row("Activation relu", Recipe("Activation", "relu")),
    _row("Activation softmax", Recipe("Activation", "softmax"), FLAT, free=None),
    _weighted("Embedding", Recipe("Embedding", 7, FEATURES), IDS),
    _weighted("Embedding of one index", Recipe("Embedding", 7, FEATURES), IDS[:, 0], free=None),
    _weighted("Embedding that masks 0", Recipe("Embedding", 7, FEATURES, mask_zero=True), IDS, read_mask=True),
    _row("Flatten", Recipe("Flatten")),
    _row("Flatten channels_first", Recipe("Flatten", data_format="channels_first")),
    _row("Flatten numbers", Recipe("Flatten"), FLAT[:, 0], free=None),
    _row("Masking", Recipe("Masking"), PADDED, read_mask=True),
    _row("Masking another value", Recipe("Masking", mask_value=-1.0), PADDED - 1, read_mask=True),
    _row("Dropout", Recipe("Dropout", 0.4), random=True),
    _row("Dropout of whole features", Recipe("Dropout", 0.4, noise_shape=(None, 1, None), seed=3), random=True),
]

_RECURRENT = [
    _lstm("plain"),
    _lstm("return_sequences", return_sequences=True),
    _lstm("return_state", return_state=True),
    _lstm("go_backwards, return_sequences", go_backwards=True, return_sequences=True, return_state=True),
    _lstm("without bias", use_bias=False),
    _lstm("unit_forget_bias False", unit_forget_bias=False),
    _lstm("other activations", activation="relu", recurrent_activation="hard_sigmoid", return_sequences=True),
    _lstm("dropout", dropout=0.3),
    _lstm("recurrent_dropout", dropout=0.2, recurrent_dropout=0.3, seed=5, return_sequences=True),
    _lstm("initial_state", SERIES, H, C, call=starting_from, return_state=True),
    _lstm("masked", PADDED, call=masked, return_state=True),
    _lstm("masked, unroll", PADDED, call=masked, unroll=True),
    _lstm("masked, return_sequences", PADDED, call=masked, read_mask=True, return_sequences=True),
    _lstm("masked, backwards", PADDED, call=masked, return_sequences=True, return_state=True, go_backwards=True),
]

_CONVOLUTION = [
    _conv("valid"),
    _conv("same", padding="same", activation="relu"),
    _conv("causal", padding="causal"),
    _conv("strides", strides=2),
    _conv("strides same", strides=2, padding="same", kernel_size=(3,)),
    _conv("strides causal", strides=2, padding="causal"),
    _conv("dilation", dilation_rate=2),
    _conv("dilation same", dilation_rate=2, padding="same"),
    _conv("dilation causal", dilation_rate=2, padding="causal", use_bias=False),
    _conv("groups", groups=2, activation="tanh"),
    _conv("channels_first", TURNED, data_format="channels_first", free=2),
    _conv("channels_first causal", TURNED, data_format="channels_first", padding="causal", free=2),
    _row("MaxPooling1D", Recipe("MaxPooling1D")),
    _row("MaxPooling1D that leaves a rest", Recipe("MaxPooling1D", 4)),
    _row("MaxPooling1D overlapping", Recipe("MaxPooling1D", 3, strides=2)),
    _row("MaxPooling1D with gaps", Recipe("MaxPooling1D", 2, 3)),
    _row("MaxPooling1D same", Recipe("MaxPooling1D", 4, padding="same")),
    _row("MaxPooling1D same overlapping", Recipe("MaxPooling1D", 3, 2, "same")),
    _row("MaxPooling1D channels_first", Recipe("MaxPooling1D", 2, data_format="channels_first"), TURNED, free=2),
    _row("GlobalMaxPooling1D", Recipe("GlobalMaxPooling1D")),
    _row("GlobalMaxPooling1D keepdims", Recipe("GlobalMaxPooling1D", keepdims=True)),
    _row("GlobalMaxPooling1D channels_first", Recipe("GlobalMaxPooling1D", data_format="channels_first"), TURNED, free=2),
]

_JOINING = [
    _row("Concatenate", Recipe("Concatenate"), FLAT, H, C, free=None),
    _row("Concatenate along time", Recipe("Concatenate", axis=1), SERIES, OTHER),
    _row("Concatenate masked", Recipe("Concatenate"), PADDED, CUT, call=masked, read_mask=True),
    _row("Concatenate masked along time", Recipe("Concatenate", axis=1), PADDED, CUT, call=masked, read_mask=True),
    _row("Add", Recipe("Add"), SERIES, OTHER, PADDED),
    _row("Add with broadcasting", Recipe("Add"), SERIES, OTHER[:, :1], free=None),
    _row("Add of unequal ranks", Recipe("Add"), SERIES, FLAT, free=None),
    _row("Add masked", Recipe("Add"), PADDED, CUT, call=masked, read_mask=True),
]

_NORMALIZATION = [
    _batch_norm("of vectors", FLAT, free=None),
    _batch_norm("of series", momentum=0.8, epsilon=0.1),
    _batch_norm("along axis 1", axis=1, free=None),
    _batch_norm("without center", center=False),
    _batch_norm("without scale", scale=False),
    _batch_norm("masked", PADDED, call=masked),
]

_WRAPPING = [
    _weighted("TimeDistributed Dense", Recipe("TimeDistributed", Recipe("Dense", 2, activation="tanh"))),
    _weighted("TimeDistributed Conv1D", Recipe("TimeDistributed", Recipe("Conv1D", 4, 3)), NESTED),
    _weighted("TimeDistributed LSTM", Recipe("TimeDistributed", Recipe("LSTM", UNITS)), NESTED),
    _row("TimeDistributed Flatten", Recipe("TimeDistributed", Recipe("Flatten")), NESTED),
    _row("TimeDistributed Dropout", Recipe("TimeDistributed", Recipe("Dropout", 0.5)), random=True),
    _weighted(
        "TimeDistributed Sequential",
        Recipe("TimeDistributed", Chain(Recipe("Dense", 4, activation="relu"), Recipe("Dense", 2))),
    ),
    _weighted(
        "TimeDistributed Model",
        Recipe(
            "TimeDistributed", Chain(Recipe("Masking"), Recipe("LSTM", UNITS), Recipe("Dense", 2), functional=(TIME, FEATURES))
        ),
        _pad(NESTED.reshape(-1, TIME, FEATURES)).reshape(NESTED.shape),
    ),
]

CASES = [*_BASIC, *_RECURRENT, *_CONVOLUTION, *_JOINING, *_NORMALIZATION, *_WRAPPING]

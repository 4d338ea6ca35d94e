"""What a row of the table of layers is, how a model is built of it, and the data that rows run on.

A row is written once and made in jkeras and in Keras alike: its functions take the namespace ``k``, ``jkeras`` or ``keras``.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
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


def square_sum(y: Any) -> Any:
    """Make one number of all outputs; each is moved by a number of its own, so that outputs of a fixed length tell something."""
    leaves = [jnp.asarray(leaf) for leaf in jax.tree.leaves(y)]
    return sum(jnp.sum(jnp.square(y - jnp.cos(jnp.arange(y.size, dtype=y.dtype)).reshape(y.shape))) for y in leaves)


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


def with_given_mask(layer: Any, k: Any, xs: list) -> Any:
    return layer(xs[0], mask=xs[1])


def there_and_back(layer: Any, k: Any, xs: list) -> Any:
    return layer(layer(xs[0]), reverse=True)


def starting_from(layer: Any, k: Any, xs: list) -> Any:
    return layer(xs[0], initial_state=xs[1:])


def stepping(layer: Any, k: Any, xs: list) -> Any:
    """Call a cell on an input and its states."""
    return layer(xs[0], xs[1:])


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
      stopped: whether, by the layer's definition, its gradient leaves out what some of its numbers depend on.
      whole: whether its outputs are whole numbers, which have no gradient and no precision.
      differs: whether it differs from Keras's on purpose, in what a test of its own compares.
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
    stopped: bool = False
    whole: bool = False
    differs: bool = False

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


def pad(x: np.ndarray) -> np.ndarray:
    """Set steps to 0: none of the first example, some at the end of the second, some in and before the third."""
    x = x.copy()
    x[1, 4:] = x[2, 0] = x[2, 3] = 0
    return x


FLAT = _floats(BATCH, FEATURES)
SERIES = _floats(BATCH, TIME, FEATURES)
TURNED = SERIES.swapaxes(1, 2).copy()  # channels first
OTHER = _floats(BATCH, TIME, FEATURES)
PADDED = pad(SERIES)
CUT = OTHER * (np.arange(TIME) < 3)[None, :, None].astype("float32")  # masked elsewhere than PADDED
NESTED = _floats(BATCH, 2, TIME, FEATURES)
IDS = _rng.integers(0, 7, (BATCH, TIME)).astype("int32")
IMAGE = _floats(BATCH, 7, 6, FEATURES)
IMAGE_FIRST = np.moveaxis(IMAGE, -1, 1).copy()
VOLUME = _floats(2, 5, 4, 6, 2)
VOLUME_FIRST = np.moveaxis(VOLUME, -1, 1).copy()
ROWS, FILMS, VOLUMES = _floats(2, 3, 5, 2), _floats(2, 3, 4, 5, 2), _floats(2, 2, 3, 4, 3, 2)  # over time
ROW_STATE = _floats(2, 5, 3)
H, C = _floats(BATCH, UNITS), _floats(BATCH, UNITS)


def row(name: str, make: Recipe, *inputs: np.ndarray, **more: Any) -> Case:
    """Write a row; it runs on SERIES unless it is given other inputs."""
    return Case(name, make, inputs or (SERIES,), **more)


def weighted(name: str, make: Recipe, *inputs: np.ndarray, **more: Any) -> Case:
    """Write a row of a layer that has parameters."""
    return row(name, make, *inputs, **{"params": True, **more})


_ABOUT = {field.name for field in dataclasses.fields(Case)} - {"name", "make", "inputs"}


def family(kind: str, *arguments: Any, data: tuple[np.ndarray, ...] = (), **about: Any) -> Callable[..., Case]:
    """Return a function that writes rows of one layer.

    Args:
      kind: the constructor's name.
      arguments: what its rows give it first.
      data: the inputs of its rows; SERIES by default.
      about: what :class:`Case` should know of its rows.
    """

    def write(name: str = "", *inputs: np.ndarray, **given: Any) -> Case:
        more = {key: given.pop(key) for key in list(given) if key in _ABOUT}
        make = Recipe(kind, *(() if "first" in given else arguments), *given.pop("first", ()), **given)
        return row(f"{kind} {name}".strip(), make, *(inputs or data), **{**about, **more})

    return write

"""A weight as scripts see it: a name, a shape, and the array that its layer holds now, which can be set."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from jkeras.core import store

if TYPE_CHECKING:
    from jkeras.core.layer import Layer


class Variable:
    """A view of one weight of a layer; it holds no array, but reads and writes what the layer holds.

    It is an array to NumPy and JAX, and has Python's operators. As a pytree it is its array: ``jax.jit``, ``jax.grad`` and
    ``jax.tree.map`` take the array, and give arrays back.

    Attributes:
      owner: the layer whose weight it is.
      name: ``"kernel"``.
      path: ``"dense/kernel"``: the layer's name, and the weight's; ``"lstm/lstm_cell/kernel"`` of a layer inside another.
      shape: its sizes.
      dtype: NumPy's.

    Example:
      >>> model = Sequential([Input((2,)), Dense(1, kernel_initializer="ones", name="out")])
      >>> kernel = model.weights[0]
      >>> kernel.path, kernel.shape, kernel.trainable
      ('out/kernel', (2, 1), True)
      >>> kernel.assign(kernel * 3)
      <Variable out/kernel shape=(2, 1) dtype=float32 value=[[3.] [3.]]>
      >>> model.get_layer("out").kernel.numpy().sum()
      np.float32(6.0)
    """

    def __init__(self, layer: Layer, part: int, place: tuple[str, ...], spec: Any):
        self.owner, self._part, self._place = layer, part, place
        self.name = place[-1] if place else ("params", "state")[part]
        self.shape: tuple[int, ...] = tuple(spec.shape)
        self.dtype = np.dtype(spec.dtype)

    @property
    def path(self) -> str:
        """The names of the layer, of composite layers around it and of the weight, joined by ``/``."""
        names, layer = list(self._place), self.owner
        while layer is not None:
            names.insert(0, layer.name)
            layer = layer.store.around and layer.store.around()
        return "/".join(names)

    @property
    def trainable(self) -> bool:
        """Whether it learns: a parameter of a layer whose ``trainable`` is True."""
        return self._part == 0 and self.owner.trainable

    @property
    def value(self) -> jax.Array:
        """The JAX array that the layer holds now."""
        return store.array_at(self.owner, self._part, self._place)

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """How many numbers it holds."""
        return int(np.prod(self.shape))

    def numpy(self) -> np.ndarray:
        """Return a copy as a NumPy array."""
        return np.array(self.value)

    def assign(self, value: Any) -> Variable:
        """Let the layer hold other numbers, copied, of the same shape; returns the variable.

        Raises:
          ValueError: for another shape.
        """
        if isinstance(value, Variable):
            value = value.value
        if tuple(np.shape(value)) != self.shape:
            raise ValueError(f"Weight {self.path!r} has shape {self.shape}, but got an array of shape {np.shape(value)}.")
        store.set_array_at(self.owner, self._part, self._place, store.owned(value, self.dtype))
        return self

    def assign_add(self, value: Any) -> Variable:
        """Add to it."""
        return self.assign(self.value + jnp.asarray(value))

    def assign_sub(self, value: Any) -> Variable:
        """Subtract from it."""
        return self.assign(self.value - jnp.asarray(value))

    def __jax_array__(self) -> jax.Array:
        return self.value

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.value, dtype=dtype)  # a copy, as the layer's own array must not be written to

    def __getitem__(self, index: Any) -> jax.Array:
        return self.value[index]

    def __len__(self) -> int:
        return len(self.value)

    def __iter__(self) -> Iterator[jax.Array]:
        return iter(self.value)

    def __float__(self) -> float:
        return float(self.value)

    def __int__(self) -> int:
        return int(self.value)

    def __bool__(self) -> bool:
        return bool(self.value)

    def __hash__(self) -> int:
        return hash((id(self.owner), self._part, self._place))

    def __repr__(self) -> str:
        numbers = np.array2string(np.asarray(self), threshold=20, precision=4).replace("\n", "")
        return f"<Variable {self.path} shape={self.shape} dtype={self.dtype} value={numbers}>"

    def __getattr__(self, name: str) -> Any:
        """Find what JAX arrays have besides: ``sum``, ``T``, ``reshape``, ``astype``."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.value, name)


def _both(function: Callable[[Any, Any], Any]) -> Callable[[Variable, Any], Any]:
    return lambda self, other: function(self.value, other.value if isinstance(other, Variable) else other)


def _reflected(function: Callable[[Any, Any], Any]) -> Callable[[Variable, Any], Any]:
    return lambda self, other: function(other, self.value)


def _alone(function: Callable[[Any], Any]) -> Callable[[Variable], Any]:
    return lambda self: function(self.value)


for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul"):
    setattr(Variable, f"__{_name}__", _both(getattr(operator, _name)))
    setattr(Variable, f"__r{_name}__", _reflected(getattr(operator, _name)))
for _name in ("lt", "le", "gt", "ge", "eq", "ne"):
    setattr(Variable, f"__{_name}__", _both(getattr(operator, _name)))
for _name in ("neg", "abs", "pos"):
    setattr(Variable, f"__{_name}__", _alone(getattr(operator, _name)))


# The functions of jax.numpy that are compiled take no object but arrays and pytrees.
jax.tree_util.register_pytree_node(Variable, lambda variable: ((variable.value,), None), lambda _, children: children[0])  # type: ignore[arg-type]


def variables_of(layer: Layer) -> list[Variable]:
    """List the weights of a layer and of those inside, in Keras's order; none while a shape is not known."""
    if not store.is_known(layer):
        return []
    return [Variable(*slot) for slot in store.slots(layer)]

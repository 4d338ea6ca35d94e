"""Symbolic tensors: what flows between layers while a model is being built.

A tensor points back at the call that made it, a call at the tensors that it took; nothing points forward, so a graph that
no model keeps is collected like any other value.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

import jax

from jkeras.core.shapes import Shape, shape_of

if TYPE_CHECKING:
    from jkeras.core.layer import Layer


@dataclasses.dataclass(frozen=True, eq=False)
class Call:
    """One use of a layer: a layer called twice has two of these and one set of weights.

    Attributes:
      layer: what was called.
      inputs: the pytree of symbolic tensors that it was called on; ``()`` for an ``Input``.
      arguments: its keyword arguments, constants and symbolic tensors alike.
      outputs: the specs of what it returns, as a pytree.
    """

    layer: Layer
    inputs: Any
    arguments: Mapping[str, Any]
    outputs: Any


def _operate(function: str, *args: Any) -> SymbolicTensor:
    from jkeras.core.operation import operate  # deferred: an operation is a layer, and layers make symbolic tensors

    return operate(function, *args)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class SymbolicTensor:
    """A placeholder with a shape and a dtype, made by ``Input`` and by calling layers on others.

    It takes Python's operators, indexing, and every function of ``jkeras.ops``; each of these becomes a step of the model.
    ``==`` compares identity, as in Keras.

    Attributes:
      spec: shape and dtype, unknown sizes as symbols.
      call: the call that makes it.
      index: its place among the leaves of that call's output.
    """

    spec: jax.ShapeDtypeStruct
    call: Call
    index: int = 0

    @property
    def shape(self) -> Shape:
        """The shape, batch axis first, with ``None`` for sizes not known yet."""
        return shape_of(self.spec)

    @property
    def dtype(self) -> Any:
        """The NumPy dtype."""
        return self.spec.dtype

    @property
    def ndim(self) -> int:
        """The number of axes, the batch axis included."""
        return len(self.spec.shape)

    @property
    def name(self) -> str:
        """The name of the layer that makes it."""
        return self.call.layer.name

    def __repr__(self) -> str:
        return f"<SymbolicTensor shape={self.shape} dtype={self.dtype.name} from {self.name!r}>"

    def __add__(self, other: Any) -> SymbolicTensor:
        return _operate("add", self, other)

    def __radd__(self, other: Any) -> SymbolicTensor:
        return _operate("add", other, self)

    def __sub__(self, other: Any) -> SymbolicTensor:
        return _operate("subtract", self, other)

    def __rsub__(self, other: Any) -> SymbolicTensor:
        return _operate("subtract", other, self)

    def __mul__(self, other: Any) -> SymbolicTensor:
        return _operate("multiply", self, other)

    def __rmul__(self, other: Any) -> SymbolicTensor:
        return _operate("multiply", other, self)

    def __truediv__(self, other: Any) -> SymbolicTensor:
        return _operate("true_divide", self, other)

    def __rtruediv__(self, other: Any) -> SymbolicTensor:
        return _operate("true_divide", other, self)

    def __floordiv__(self, other: Any) -> SymbolicTensor:
        return _operate("floor_divide", self, other)

    def __rfloordiv__(self, other: Any) -> SymbolicTensor:
        return _operate("floor_divide", other, self)

    def __mod__(self, other: Any) -> SymbolicTensor:
        return _operate("mod", self, other)

    def __rmod__(self, other: Any) -> SymbolicTensor:
        return _operate("mod", other, self)

    def __pow__(self, other: Any) -> SymbolicTensor:
        return _operate("power", self, other)

    def __rpow__(self, other: Any) -> SymbolicTensor:
        return _operate("power", other, self)

    def __matmul__(self, other: Any) -> SymbolicTensor:
        return _operate("matmul", self, other)

    def __rmatmul__(self, other: Any) -> SymbolicTensor:
        return _operate("matmul", other, self)

    def __neg__(self) -> SymbolicTensor:
        return _operate("negative", self)

    def __abs__(self) -> SymbolicTensor:
        return _operate("absolute", self)

    def __invert__(self) -> SymbolicTensor:
        return _operate("logical_not", self)

    def __lt__(self, other: Any) -> SymbolicTensor:
        return _operate("less", self, other)

    def __le__(self, other: Any) -> SymbolicTensor:
        return _operate("less_equal", self, other)

    def __gt__(self, other: Any) -> SymbolicTensor:
        return _operate("greater", self, other)

    def __ge__(self, other: Any) -> SymbolicTensor:
        return _operate("greater_equal", self, other)

    def __and__(self, other: Any) -> SymbolicTensor:
        return _operate("logical_and", self, other)

    def __rand__(self, other: Any) -> SymbolicTensor:
        return _operate("logical_and", other, self)

    def __or__(self, other: Any) -> SymbolicTensor:
        return _operate("logical_or", self, other)

    def __ror__(self, other: Any) -> SymbolicTensor:
        return _operate("logical_or", other, self)

    def __xor__(self, other: Any) -> SymbolicTensor:
        return _operate("logical_xor", self, other)

    def __rxor__(self, other: Any) -> SymbolicTensor:
        return _operate("logical_xor", other, self)

    def __getitem__(self, index: Any) -> SymbolicTensor:
        return _operate("get_item", self, index)

    def reshape(self, *shape: Any) -> SymbolicTensor:
        """Return the tensor with another shape; ``-1`` stands for one size to be worked out."""
        return _operate("reshape", self, shape[0] if len(shape) == 1 else shape)

    def squeeze(self, axis: Any = None) -> SymbolicTensor:
        """Return the tensor without axes of size 1."""
        return _operate("squeeze", self, axis)

    def _refuse(self, what: str) -> NoReturn:
        raise TypeError(
            f"{self!r} has a shape but no values yet, so it cannot {what}. Use a function of jkeras.ops, such as "
            "jkeras.ops.tanh(x), or a layer; jax.numpy and NumPy take arrays only."
        )

    def __bool__(self) -> bool:
        self._refuse("be used as a condition")

    def __iter__(self) -> Any:
        self._refuse("be iterated over")

    def __len__(self) -> int:
        self._refuse("have its length taken")

    def __float__(self) -> float:
        self._refuse("be turned into a number")

    def __int__(self) -> int:
        self._refuse("be turned into a number")

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        self._refuse("be turned into an array")

    @property
    def __jax_array__(self) -> Any:  # a property, because JAX looks it up before it would say something else
        self._refuse("be turned into an array")


def is_symbolic(x: Any) -> bool:
    """Whether a tree leaf is a symbolic tensor."""
    return isinstance(x, SymbolicTensor)


def specs_of(tree: Any) -> Any:
    """Replace symbolic tensors by their specs, and leave the rest."""
    return jax.tree.map(lambda t: t.spec if is_symbolic(t) else t, tree)

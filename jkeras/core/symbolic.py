"""Symbolic tensors: what flows between layers while a model is being built.

A tensor points back at the call that made it, a call at the tensors that it took; nothing points forward, so a graph that
no model keeps is collected like any other value.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

import jax

from jkeras.core.nest import flatten, map_nest, nested
from jkeras.core.shapes import Shape, shape_of

if TYPE_CHECKING:
    from jkeras.core.layer import Layer


@dataclasses.dataclass(frozen=True, eq=False)
class Call:
    """One use of a layer: a layer called twice has two of these and one set of weights.

    Attributes:
      layer: what was called.
      inputs: the nest of symbolic tensors that it was called on; ``()`` for an ``Input``.
      arguments: its keyword arguments, constants and symbolic tensors alike.
      outputs: the specs of what it returns, as a nest in the order in which it was written.
    """

    layer: Layer
    inputs: Any
    arguments: Mapping[str, Any]
    outputs: Any

    def tensors(self) -> Any:
        """Return the symbolic tensors that the call makes, the same ones each time, in the nest of its outputs."""
        return self._tensors

    @functools.cached_property
    def _tensors(self) -> Any:
        return nested(self.outputs, [SymbolicTensor(spec, self, i) for i, spec in enumerate(flatten(self.outputs))])


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
    def sparse(self) -> bool:
        """False: all arrays are dense."""
        return False

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
    """Whether a leaf of a nest is a symbolic tensor."""
    return isinstance(x, SymbolicTensor)


def has_symbolic(tree: Any) -> bool:
    """Whether there is a symbolic tensor among the leaves of a nest."""
    return any(map(is_symbolic, flatten(tree)))


def specs_of(tree: Any) -> Any:
    """Replace symbolic tensors by their specs, and leave the rest."""
    return map_nest(lambda t: t.spec if is_symbolic(t) else t, tree)


def inputs_of(call: Call) -> list[SymbolicTensor]:
    """List the symbolic tensors that a call took, those among its keyword arguments included."""
    return [leaf for given in (call.inputs, *call.arguments.values()) for leaf in flatten(given) if is_symbolic(leaf)]


def parents_first(
    calls: Iterable[Call],
    parents: Callable[[Call], list[SymbolicTensor]] = inputs_of,
    meet: Callable[[Call], None] = lambda call: None,
) -> list[Call]:
    """List some calls and all that stand behind them, each once and after its parents; the walk has its own stack.

    Args:
      calls: where to begin.
      parents: the tensors behind a call that count.
      meet: told of each call when it is first found.
    """
    finished: list[Call] = []
    done: set[int] = set()
    for start in calls:
        stack: list[tuple[Call, Any]] = [(start, None)]
        while stack:
            call, behind = stack.pop()
            if id(call) in done:
                continue
            if behind is None:
                meet(call)
                behind = iter(parents(call))
            waiting = next((parent for parent in behind if id(parent.call) not in done), None)
            if waiting is None:
                done.add(id(call))
                finished.append(call)
            else:
                stack += [(call, behind), (waiting.call, None)]
    return finished

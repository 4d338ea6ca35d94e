"""What scripts read of a layer besides calling it: weights, arguments, shapes, dtypes."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from jkeras.core import store
from jkeras.core.describe import outputs
from jkeras.core.errors import Answering, nearest
from jkeras.core.nest import map_nest
from jkeras.core.policy import DTypePolicy
from jkeras.core.shapes import shape_of, spec
from jkeras.core.spellings import METHODS, older
from jkeras.core.symbolic import specs_of
from jkeras.core.variable import Variable, variables_of

if TYPE_CHECKING:
    from jkeras.core.definition import Definition

TABLES: dict[str, Any] = {}  # the end of an argument's name, "initializer", to the function that looks one up


def argument_about(config: Mapping[str, Any], weight: str, what: str) -> Any:
    """Return a layer's argument about one of its weights: ``recurrent_regularizer`` for ``recurrent_kernel``; None for none.

    Args:
      config: the layer's arguments by name.
      weight: the weight's name.
      what: the end of the argument's name, ``"regularizer"`` or ``"constraint"``.

    Example:
      >>> argument_about({"recurrent_regularizer": "l2"}, "recurrent_kernel", "regularizer")
      'l2'
    """
    words = (weight, weight.removesuffix("_kernel"), *(("depthwise",) if weight == "kernel" else ()))
    return next((value for word in words if (value := config.get(f"{word}_{what}")) is not None), None)


class Common(Answering):
    """What a layer and a model show alike: groups of their weights, dtypes, shapes."""

    # what Layer or Model supplies
    name: str
    trainable: bool
    weights: list[Variable]
    given_dtype: str | None

    @property
    def variables(self) -> list[Variable]:
        """The same as :attr:`weights`."""
        return self.weights

    @property
    def trainable_weights(self) -> list[Variable]:
        """The weights that learn once a model is compiled; none where ``trainable`` is False."""
        return [weight for weight in self.weights if weight.trainable] if self.trainable else []

    @property
    def trainable_variables(self) -> list[Variable]:
        """The same as :attr:`trainable_weights`."""
        return self.trainable_weights

    @property
    def non_trainable_weights(self) -> list[Variable]:
        """The weights that do not learn: of frozen layers, and what a layer only remembers."""
        return [weight for weight in self.weights if not (weight.trainable and self.trainable)]

    @property
    def non_trainable_variables(self) -> list[Variable]:
        """The same as :attr:`non_trainable_weights`."""
        return self.non_trainable_weights

    @property
    def losses(self) -> list[Any]:
        """The penalties of its weights' regularizers, computed now."""
        found = [(weight, argument_about(weight.owner.config, weight.name, "regularizer")) for weight in self.trainable_weights]
        return [TABLES["regularizer"](penalty)(weight.value) for weight, penalty in found if penalty is not None]

    def get_weights(self) -> list[Any]:
        """Return copies of all arrays as NumPy arrays, in Keras's order; none before it knows its input shape."""
        return [weight.numpy() for weight in self.weights]

    @property
    def variable_dtype(self) -> str:
        """The dtype of its weights."""
        return self.dtype_policy.variable_dtype

    @property
    def dtype(self) -> str:
        """The same as :attr:`variable_dtype`."""
        return self.variable_dtype

    @property
    def compute_dtype(self) -> str:
        """The dtype in which it computes, outside of a model or trainer with a policy of its own."""
        return self.dtype_policy.compute_dtype

    @property
    def dtype_policy(self) -> DTypePolicy:
        """The policy or dtype that it was given, or that was in force when it was made, ``"float32"`` at first."""
        return DTypePolicy(self.given_dtype or "float32")

    @property
    def supports_masking(self) -> bool:
        """True: masks are passed on, made or ended by the rules of jkeras everywhere."""
        return True

    @property
    def path(self) -> str:
        """Its name."""
        return self.name

    def compute_output_spec(self, inputs: Any) -> Any:
        """Return shapes and dtypes of what it makes of inputs like these, as ``jax.ShapeDtypeStruct``."""
        raise NotImplementedError

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shapes of what it makes of inputs of these shapes, batch axis included.

        Example:
          >>> Dense(3).compute_output_shape((None, 8))
          (None, 3)
        """
        return map_nest(shape_of, self.compute_output_spec(specs_of_shapes(input_shape)))


class Face(Common):
    """Attributes of a layer as Keras names them."""

    # what Layer and Shell supply
    kind: str
    config: Mapping[str, Any]
    definition: Definition
    store: store.Store
    label: str

    @property
    def weights(self) -> list[Variable]:
        """All its weights, in Keras's order; none before it knows its input shape."""
        return variables_of(self)  # type: ignore[arg-type]

    def _unknown(self, name: str) -> Any:
        """Find a weight by its name (``kernel``), a layer inside (``cell``) or an argument of the constructor (``units``)."""
        if "config" not in self.__dict__:  # while it is being copied
            raise AttributeError(name)
        known = self.store.specs or ({}, {})
        for part in (0, 1):
            if hasattr(known[part].get(name), "shape"):
                return Variable(self, part, (name,), known[part][name])  # type: ignore[arg-type]
        if name in self.definition.children:
            return self.definition.children[name]
        if name in self.definition.methods:
            return functools.partial(self.definition.methods[name], self)
        if name in self.config:
            look_up = next((get for end, get in TABLES.items() if name == end or name.endswith(f"_{end}")), None)
            value = self.config[name]
            return value if look_up is None or (value is None and not name.endswith("activation")) else look_up(value)
        unbuilt = "" if self.store.specs else " It has no weights before it is called or built."
        raise AttributeError(
            f"{self.label} has no attribute {name!r}.{older(name, METHODS) or nearest(name, self._names())}{unbuilt}"
        )

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._names()})

    def _names(self) -> list[str]:
        known = self.store.specs or ({}, {})
        return [*self.config, *known[0], *known[1], *self.definition.children, *self.definition.methods]

    @property
    def built(self) -> bool:
        """Whether it knows its input shape, and so which weights it has."""
        return store.is_known(self)  # type: ignore[arg-type]

    def build(self, input_shape: Any) -> None:
        """Fix the input shape, batch axis included, and so which weights it has."""
        store.record(self, specs_of_shapes(input_shape))  # type: ignore[arg-type]

    @property
    def input_shape(self) -> Any:
        """The shapes that it was first called on, batch axis first, ``None`` for unknown sizes."""
        return map_nest(shape_of, self._first_call().inputs)  # type: ignore[attr-defined]

    @property
    def output_shape(self) -> Any:
        """The shapes that its first call returned."""
        return map_nest(shape_of, self._first_call().outputs)  # type: ignore[attr-defined]

    @property
    def input_spec(self) -> Any:
        """Shapes and dtypes that it was first called on, as ``jax.ShapeDtypeStruct``; None before."""
        return None if self.store.call is None else specs_of(self.store.call.inputs)

    def compute_output_spec(self, inputs: Any, **arguments: Any) -> Any:
        """Return shapes and dtypes of what it makes of inputs like these, as ``jax.ShapeDtypeStruct``."""
        return outputs(self, map_nest(lambda leaf: spec(shape_of(leaf), leaf.dtype), inputs), arguments)  # type: ignore[arg-type]

    @property
    def metrics(self) -> list[Any]:
        """No layer has metrics."""
        return []

    def call(self, *inputs: Any, **arguments: Any) -> Any:
        """Call it: the same as ``layer(...)``."""
        return self(*inputs, **arguments)  # type: ignore[operator]


def specs_of_shapes(shapes: Any) -> Any:
    """Turn a shape, or a list or dict of shapes, into specs of float32."""
    if isinstance(shapes, Mapping):
        return {name: specs_of_shapes(shape) for name, shape in shapes.items()}
    if all(size is None or hasattr(size, "__index__") for size in shapes):
        return spec(tuple(None if size is None else int(size) for size in shapes))
    return type(shapes)(specs_of_shapes(shape) for shape in shapes)

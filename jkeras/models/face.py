"""What scripts read of a model besides training it: weights, losses, shapes, by Keras's names."""

from __future__ import annotations

from typing import Any

from jkeras.core.errors import nearest
from jkeras.core.face import specs_of_shapes
from jkeras.core.layer import Layer
from jkeras.core.nest import map_nest
from jkeras.core.shapes import shape_of
from jkeras.core.spellings import METHODS, older
from jkeras.core.variable import Variable


class ModelFace:
    """Attributes of a model as Keras names them; ``Model`` supplies the layer."""

    # what Model supplies
    layer: Layer
    _layer: Layer | None
    name: str
    program: Any

    def _fill(self) -> None: ...

    def __getattr__(self, name: str) -> Any:
        """Say what an unknown attribute may have meant."""
        if name.startswith("_"):
            raise AttributeError(name)
        found = getattr(type(self), name, None)
        if isinstance(found, property):  # which has raised an AttributeError of its own: say that again
            return found.__get__(self)
        hint = older(name, METHODS) or nearest(name, [known for known in dir(type(self)) if known[0] != "_"])
        raise AttributeError(f"A {type(self).__name__} has no attribute {name!r}.{hint}")

    @property
    def weights(self) -> list[Variable]:
        """All weights, in Keras's order, as variables; none before the model knows its input shape."""
        if self._layer is None or not self._layer.built:
            return []
        self._fill()
        return self._layer.weights

    @property
    def variables(self) -> list[Variable]:
        """The same as :attr:`weights`."""
        return self.weights

    @property
    def trainable_weights(self) -> list[Variable]:
        """The weights that learn once the model is compiled."""
        return self._layer.trainable_weights if self._layer is not None and self.weights else []

    @property
    def trainable_variables(self) -> list[Variable]:
        """The same as :attr:`trainable_weights`."""
        return self.trainable_weights

    @property
    def non_trainable_weights(self) -> list[Variable]:
        """The weights of frozen layers, and what layers only remember."""
        return self._layer.non_trainable_weights if self._layer is not None and self.weights else []

    @property
    def non_trainable_variables(self) -> list[Variable]:
        """The same as :attr:`non_trainable_weights`."""
        return self.non_trainable_weights

    @property
    def losses(self) -> list[Any]:
        """The penalties of its weights' regularizers, computed now."""
        return self._layer.losses if self._layer is not None and self.weights else []

    @property
    def metrics(self) -> list[Any]:
        """The metrics as ``compile`` was given them, in a list; ``metrics_names`` has the names in the logs."""
        given = (getattr(self, "_compiled", None) or {}).get("metric")
        return [] if given is None else list(given.values()) if isinstance(given, dict) else list(given)

    @property
    def operations(self) -> list[Layer]:
        """Its layers and, where operators and ``jkeras.ops`` made some, operations, in the order in which they run."""
        return list(self.program.layers.values())

    @property
    def dtype(self) -> str:
        """The dtype of its weights."""
        return self.layer.dtype

    @property
    def variable_dtype(self) -> str:
        """The dtype of its weights."""
        return self.layer.variable_dtype

    @property
    def compute_dtype(self) -> str:
        """The dtype in which it computes."""
        return self.layer.compute_dtype

    @property
    def dtype_policy(self) -> str:
        """The dtype or mixed-precision policy of the model, ``"float32"`` by default."""
        return self.layer.dtype_policy

    def compute_output_spec(self, inputs: Any) -> Any:
        """Return shapes and dtypes of its outputs for inputs like these, as ``jax.ShapeDtypeStruct``."""
        return self.layer.compute_output_spec(inputs)

    @property
    def supports_masking(self) -> bool:
        """True: masks pass through it by the rules of its layers."""
        return True

    @property
    def path(self) -> str:
        """Its name."""
        return self.name

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shapes of its outputs for inputs of these shapes, batch axis included."""
        return map_nest(shape_of, self.layer.compute_output_spec(specs_of_shapes(input_shape)))

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Call it: the same as ``model(inputs)``."""
        return self(inputs, training=training)  # type: ignore[operator]

    def reset_metrics(self) -> None:
        """Do nothing: every evaluation and every epoch begins with empty metrics."""

"""What scripts read of a model besides training it: weights, losses, shapes, by Keras's names."""

from __future__ import annotations

from typing import Any

from jkeras.core.errors import nearest
from jkeras.core.face import Common
from jkeras.core.layer import Layer
from jkeras.core.spellings import METHODS, older
from jkeras.core.variable import Variable


class ModelFace(Common):
    """Attributes of a model as Keras names them; ``Model`` supplies the layer."""

    # what Model supplies
    layer: Layer
    program: Any
    _layer: Layer | None
    _compiled: dict[str, Any] | None

    def _fill(self) -> None: ...

    def _unknown(self, name: str) -> Any:
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
    def given_dtype(self) -> str | None:
        """The dtype or mixed-precision policy of the model, or None."""
        return self.layer.given_dtype

    @property
    def metrics(self) -> list[Any]:
        """The metrics as ``compile`` was given them, in a list; ``metrics_names`` has the names in the logs."""
        given = (self._compiled or {}).get("metric")
        return [] if given is None else list(given.values()) if isinstance(given, dict) else list(given)

    @property
    def operations(self) -> list[Layer]:
        """Its layers and, where operators and ``jkeras.ops`` made some, operations, in the order in which they run."""
        return list(self.program.layers.values())

    def compute_output_spec(self, inputs: Any) -> Any:
        """Return shapes and dtypes of its outputs for inputs like these, as ``jax.ShapeDtypeStruct``."""
        return self.layer.compute_output_spec(inputs)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Call it: the same as ``model(inputs)``."""
        return self(inputs, training=training)  # type: ignore[operator]

    def reset_metrics(self) -> None:
        """Do nothing: every evaluation and every epoch begins with empty metrics."""

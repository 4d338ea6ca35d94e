"""Sequential: a chain of layers that can grow, shrink, and learn its input shape from data."""

from __future__ import annotations

from typing import Any

import numpy as np

from jkeras.core import GraphError, Input, InputLayer, Layer, ShapeError, as_layer, functional, sequential
from jkeras.core.arguments import checked_arguments, checked_bool
from jkeras.core.constructors import input_of
from jkeras.core.nest import flatten, is_numbers, map_nest
from jkeras.core.plain import MODELS, Writer
from jkeras.core.shapes import accepts, shape_of, spec
from jkeras.core.symbolic import is_symbolic
from jkeras.models.config import sequential_of
from jkeras.models.model import Model, outward
from jkeras.training.data import is_stream


class Sequential(Model):
    """A chain of layers.

    Args:
      layers: layers and models in order; an ``Input`` may come first. The input shape may also be given to the first layer as
        ``input_shape=`` or ``input_dim=``, or be left to the first data.
      name: what it is called inside other models and in ``summary``.
      trainable: False freezes all its layers.

    Raises:
      ShapeError: when a layer cannot take what the one before gives.
      TypeError: when something is not a layer.

    Example:
      >>> model = Sequential([Dense(32, activation="relu", input_shape=(784,)), Dense(10, activation="softmax")])
      >>> model.output_shape
      (None, 10)
    """

    @checked_arguments
    def __init__(self, layers: Any = None, name: str | None = None, trainable: bool = True):
        self._chain: list[Layer] = []
        self._named: dict[str | None, Layer] = {}
        self._whole: Layer | None = None
        self._setup(name)
        self._tensors: list[Any] = []  # the input and what each layer makes of it; empty while the input shape is unknown
        self._learned_shape = False
        self._trainable = checked_bool("trainable", trainable)
        for layer in [layers] if isinstance(layers, (Layer, Model)) else layers or ():
            self.add(layer)

    def add(self, layer: Any) -> None:
        """Append a layer; after an error the model is what it was."""
        if is_symbolic(layer) or isinstance(layer, InputLayer):
            return self._start(layer if is_symbolic(layer) else input_of(layer))
        pure = as_layer(layer, "Sequential.add")
        if self._named.get(pure.given_name, pure) is not pure:
            raise GraphError(f"Two layers of this model are both named {pure.given_name!r}: give one another name.")
        known = self._tensors or (self._start_from(pure) if not self._chain else [])
        made = [pure(known[-1])] if known else []
        if made and len(flatten(made[0])) != 1:
            raise GraphError(
                f"{pure.label} returns several tensors, and a Sequential model is a chain; use Model(inputs, outputs)."
            )
        if known is not self._tensors:
            self._tensors = known
        self._chain.append(pure)
        self._tensors += made
        self._changed()

    def _start(self, tensor: Any) -> None:
        if self._tensors or self._chain:
            raise GraphError(f"Sequential {self.name!r} starts already; an Input can only come first.")
        self._tensors = [tensor]

    def _start_from(self, pure: Layer) -> list[Any]:
        """Return the Input that a first layer asks for, in a list; an empty one if it asks for none."""
        program = pure.definition.program
        if pure.input_shape_given is not None:
            return [Input(pure.input_shape_given)]
        if program is not None and program.input_spec is not None:
            return [map_nest(lambda s: Input(batch_shape=shape_of(s), dtype=s.dtype), program.input_spec)]
        return []

    def _rewired(self, chain: list[Layer], tensors: list[Any]) -> None:
        self._chain, self._tensors = chain, tensors
        self._named = {layer.given_name: layer for layer in chain if layer.given_name is not None}
        self._changed()

    def _changed(self) -> None:
        """Forget what was made of the chain: it is made anew when it is needed, so that n calls of ``add`` cost n steps."""
        if self._chain and self._chain[-1].given_name is not None:
            self._named[self._chain[-1].given_name] = self._chain[-1]
        if self._whole is not None:
            self._trainable = self._whole.trainable
        self._whole, self._inputs, self._outputs = None, None, None

    @property
    def _layer(self) -> Layer | None:
        if self._whole is None and self._chain:
            self._whole = self._made()
        return self._whole

    @_layer.setter
    def _layer(self, layer: Layer | None) -> None:
        self._whole = layer

    def _made(self) -> Layer:
        if self._tensors:
            self._inputs, self._outputs = self._tensors[0], self._tensors[-1]
            made = functional(self._inputs, self._outputs, self._given_name, kind="Sequential")
        else:
            made = sequential(self._chain, self._given_name)
        made.store.shell, made.store.trainable = self, self._trainable
        return made

    def add_loss(self, loss: Any, name: str = "add_loss") -> None:
        """Refuse: what is added hangs on a tensor, which is no part of a chain."""
        raise TypeError("A Sequential is a chain of layers: write model = Model(model.inputs, model.outputs), then add_loss.")

    def pop(self) -> Layer:
        """Remove the last layer and return it."""
        if not self._chain:
            raise ValueError(f"Sequential {self.name!r} has no layer to remove.")
        last = self._chain[-1]
        self._rewired(self._chain[:-1], self._tensors[: len(self._tensors) - 1] if self._tensors else [])
        self._forget_optimizer()  # another layer may come to bear the same name
        return last

    @property
    def layer(self) -> Layer:
        """The pure layer that this model is."""
        made = self._layer
        if made is None:
            raise ValueError(f"Sequential {self.name!r} has no layers: call add(layer).")
        return made

    @property
    def layers(self) -> list[Any]:
        """Its layers in order, without the Input."""
        _ = self._layer  # its layers have their names from it
        return [outward(layer) for layer in self._chain]

    def build(self, input_shape: Any = None) -> None:
        """Fix the input shape, batch axis included, and make the weights."""
        if input_shape is not None and not self._tensors:
            self._trace((None, *tuple(input_shape)[1:]))
        self._fill()

    def get_config(self) -> dict[str, Any]:
        """Return its name and its layers as plain data, which JSON takes as it is; the Input comes first, where there is one."""
        if self._chain:
            return super().get_config()
        layers = [Writer().layer(tensor.call.layer) for tensor in self._tensors]
        return {"name": self.name, "trainable": self._trainable, "layers": layers}

    def _trace(self, shape: tuple) -> None:
        starts_with_indices = bool(self._chain) and self._chain[0].kind == "Embedding"
        tensors = [Input(batch_shape=shape, dtype="int32" if starts_with_indices else "float32")]
        for layer in self._chain:
            tensors.append(layer(tensors[-1]))
        self._rewired(self._chain, tensors)

    def _is_unused(self) -> bool:
        """Whether no layer holds arrays yet, so that a shape learned from data that were refused binds nothing."""
        return all(node.store.params is None for _, node in self.layer.nodes)

    def _program_for(self, x: Any) -> Any:
        """Learn the input shape from the first data; an axis that has another size later becomes unknown."""
        known = self.layer.definition.program
        if self._tensors and not self._learned_shape:
            return known
        if is_stream(x) or x is None:
            if not self._tensors:
                raise ValueError(
                    f"Sequential {self.name!r} cannot learn its input shape from a stream: start it with Input(shape)."
                )
            return known
        is_nest = isinstance(x, dict) or (isinstance(x, (list, tuple)) and not is_numbers(x))
        alone: Any = flatten(x)[0] if is_nest else x
        sizes = (None, *np.shape(alone)[1:])
        if self._tensors:
            before = self._tensors[0].shape
            if len(before) != len(sizes) or accepts(self._tensors[0].spec, spec(sizes)):
                return known
            if self._is_unused():
                for _, node in self.layer.nodes:
                    node.store.forget_call()
            else:
                sizes = tuple(a if a == b else None for a, b in zip(before, sizes, strict=True))
        try:
            self._trace(sizes)
        except ShapeError:
            if self._tensors:
                return known  # the door for data then says which shape was expected
            raise
        self._learned_shape = True
        return self.program


MODELS["Sequential"] = lambda reader, config: sequential_of(reader, config, Sequential)

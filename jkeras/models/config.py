"""Models as plain data: ``get_config`` and ``from_config``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from jkeras.core.constructors import InputLayer
from jkeras.core.errors import kind_of
from jkeras.core.layer import Layer
from jkeras.core.nest import flatten
from jkeras.core.plain import Reader, Writer, in_words
from jkeras.core.shell import layer_of


class Configs:
    """How a model is written down and made again; ``Model`` supplies the layer."""

    layer: Layer

    def get_config(self) -> dict[str, Any]:
        """Return name, layers and wiring as plain data, which JSON takes as it is; weights and ``compile`` are not in it.

        Each layer is ``{"module", "class_name", "config"}``. A functional model lists ``calls`` in the order in which they run:
        which of its ``layers`` is called, on which tensors, and which tensors that gives; tensors have numbers.

        Raises:
          TypeError: for an argument of a layer that cannot be written: an array, a function without a name.

        Example:
          >>> config = Sequential([Input((4,)), Dense(2, activation="relu", name="head")]).get_config()
          >>> config["layers"][1]["class_name"], config["layers"][1]["config"]["units"]
          ('Dense', 2)
        """
        return Writer().layer(self.layer)["config"]

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
        """Make the model that :meth:`get_config` wrote down, with weights of its own.

        Args:
          config: what it returned.
          custom_objects: constructors by name, for layers of your own that no imported module defines.

        Raises:
          UnknownNameError: for a layer or function that is not known, with the nearest that is.
          ValueError: for data that describe no model.

        Example:
          >>> model = Sequential([Input((4,)), Dense(2)])
          >>> Sequential.from_config(model.get_config()).output_shape
          (None, 2)
        """
        if not isinstance(config, Mapping):
            raise ValueError(f"The config of a model is a dictionary, as get_config returns it, but got {kind_of(config)}.")
        kind = "Functional" if {"calls", "inputs", "outputs"} & set(config) else "Sequential"
        with in_words(f"The config of a {kind} model"):
            made = Reader(custom_objects).read({"module": "models", "class_name": kind, "config": dict(config)})
        if not isinstance(made, cls):
            raise ValueError(
                f"The config is that of a {kind} model: write {kind.replace('Functional', 'Model')}.from_config(config)."
            )
        return made


def functional_of(reader: Reader, config: Mapping[str, Any], model: Callable[..., Any]) -> Any:
    """Make a functional model by calling its layers on new inputs, one call after another."""
    name, trainable, given, calls, inputs, outputs = _parts(
        config, "Functional", **_NAMED, calls=list, inputs=object, outputs=object
    )
    layers = [_layer_in(reader, entry, "Functional") for entry in given]
    tensors: dict[int, Any] = {}

    def tensor_of(number: int) -> Any:
        if number not in tensors:
            raise ValueError(f"The config of a Functional model takes tensor {number} before a call gives it.")
        return tensors[number]

    for call in calls:
        numbers, made = _made_by(reader, call, layers, tensor_of)
        if len(numbers) != len(made):
            raise ValueError(
                f"The config of a Functional model numbers {len(numbers)} of {len(made)} tensors of a call: {call!r}."
            )
        tensors.update(zip(numbers, made, strict=True))
    made = model(reader.nest(inputs, tensor_of), reader.nest(outputs, tensor_of), name=name)
    added = [tensor for tensor in tensors.values() if tensor.call.layer.kind == "AddLoss"]
    if added:
        made._add_losses(added)
    made.layer.store.trainable = trainable
    return made


def _made_by(reader: Reader, call: Any, layers: list[Any], tensor_of: Callable[[int], Any]) -> tuple[list[Any], list[Any]]:
    """Return the numbers of the tensors that a call gives, and the tensors."""
    number = call.get("layer") if isinstance(call, dict) else None
    if type(number) is not int or not 0 <= number < len(layers) or not {"outputs"} <= set(call) <= _OF_A_CALL:
        raise ValueError(f"The config of a Functional model with {len(layers)} layers holds what is no call: {call!r}.")
    layer, numbers = layers[number], flatten(reader.nest(call["outputs"], lambda slot: slot))
    if "inputs" not in call:
        if not isinstance(layer, InputLayer):
            raise ValueError(f"The config of a Functional model calls {layer!r} without inputs.")
        return numbers, flatten(layer.store.call.tensors())
    parts = [call.get(name, {}) for name in ("arguments", "tensors")]
    if not all(isinstance(part, dict) and all(isinstance(name, str) for name in part) for part in parts):
        raise ValueError(f"The config of a Functional model holds a call whose arguments are not given by name: {call!r}.")
    arguments = {name: reader.read(value) for name, value in parts[0].items()}
    arguments |= {name: reader.nest(value, tensor_of) for name, value in parts[1].items()}
    return numbers, flatten(layer(reader.nest(call["inputs"], tensor_of), **arguments))


def sequential_of(reader: Reader, config: Mapping[str, Any], model: Callable[..., Any]) -> Any:
    """Make a Sequential by adding its layers."""
    name, trainable, given = _parts(config, "Sequential", **_NAMED)
    made = model(name=name)
    for layer in (_layer_in(reader, entry, "Sequential") for entry in given):
        made.add(layer)
    made._trainable = trainable
    if made._layer is not None:
        made.layer.store.trainable = trainable
    return made


def _layer_in(reader: Reader, entry: Any, kind: str) -> Layer:
    layer = layer_of(reader.read(entry))
    if not isinstance(layer, Layer):
        raise ValueError(f"The config of a {kind} model holds something among its layers that is none: {entry!r}.")
    return layer


_NAMED: dict[str, type] = {"name": str, "trainable": bool, "layers": list}
_OF_A_CALL = {"layer", "inputs", "outputs", "arguments", "tensors"}


def _parts(config: Mapping[str, Any], kind: str, **parts: type) -> list[Any]:
    """Return the entries of a config in a given order, all of them, each of its type."""
    for name, of in parts.items():
        if name not in config or not isinstance(config[name], of):
            got = repr(config[name]) if name in config else "nothing"
            raise ValueError(f"The config of a {kind} model must have {name!r}, a {of.__name__}, but has {got}.")
    unknown = sorted(map(repr, set(config) - set(parts)))
    if unknown:
        raise ValueError(f"The config of a {kind} model has {', '.join(map(repr, parts))}, but this one {unknown[0]} too.")
    return [config[name] for name in parts]

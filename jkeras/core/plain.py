"""Layers and models as plain data: the calls of their constructors, and how models are wired, written down and made again.

Data name no code and no place to find any: ``class_name`` is looked up in the one table that ``module`` says, and the constructor
checks its arguments as it always does.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from jkeras.core.constructors import CONSTRUCTORS, CUSTOM, Input, common_of, made_again
from jkeras.core.errors import UnknownNameError, nearest
from jkeras.core.graph import Fixed, Program, Step
from jkeras.core.layer import Layer
from jkeras.core.named import Named, makers
from jkeras.core.operation import Hole
from jkeras.core.shell import layer_of

MODELS: dict[str, Callable[[Reader, Any], Any]] = {}  # what makes a model of each kind from its config; models fill it in
_TABLES = {"layers": "layer", "custom": "custom layer", "functions": "function", "models": "model"}
_SPECIAL: dict[str, tuple[type, Callable[[Any], Any], Callable[[Any], Any]]] = {  # word: (type, what is written, how it is read)
    "hole": (Hole, lambda hole: hole.index, Hole),
    "slice": (builtins.slice, lambda s: [s.start, s.stop, s.step], lambda parts: builtins.slice(*parts)),
    "ellipsis": (type(...), lambda _: True, lambda _: ...),
    "dtype": (np.dtype, lambda dtype: dtype.name, np.dtype),
}


class Writer:
    """Writes values; a layer that was written before is written as its number."""

    def __init__(self) -> None:
        self._seen: list[Layer] = []

    def write(self, value: Any, where: str) -> Any:
        """Return a value as what JSON knows; tuples are lists, dictionaries ``{"dict": ...}``.

        Args:
          value: a number, string, layer, model, named function, or a list, tuple or dictionary of such.
          where: what it is, for the message.

        Raises:
          TypeError: for anything else.
        """
        value = layer_of(value)
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, type) and hasattr(value, "dtype"):  # jnp.float32
            value = np.dtype(value)  # type: ignore[call-overload]
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        for word, (kind, taken, _) in _SPECIAL.items():
            if isinstance(value, kind):
                return {word: taken(value)}
        if isinstance(value, (list, tuple)):
            return [self.write(part, where) for part in value]
        if isinstance(value, Mapping) and all(isinstance(name, str) for name in value):
            return {"dict": {name: self.write(part, where) for name, part in value.items()}}
        if isinstance(value, Layer):
            return self.layer(value)
        if isinstance(value, Named):
            config = {name: self.write(given, where) for name, given in value.config.items()}
            return {"module": "functions", "class_name": value.kind, "config": config}
        raise TypeError(f"{where} cannot be written as JSON: {value!r} is no number, string, layer or named function.")

    def layer(self, layer: Layer, label: str | None = None) -> Any:
        """Return a layer as the call that makes it, named by ``label`` where a model calls it so."""
        for number, other in enumerate(self._seen):
            if other is layer:
                return {"again": number}
        self._seen.append(layer)
        if layer.definition.program is not None:
            return {"module": "models", "class_name": layer.kind, "config": self._model(layer, layer.definition.program)}
        config = {name: self.write(given, f"argument {name!r} of {layer.title}") for name, given in layer.config.items()}
        config |= {name: self.write(given, name) for name, given in common_of(layer, label).items()}
        config |= {} if layer.store.trainable else {"trainable": False}
        ours = CONSTRUCTORS.get(layer.kind) is type(layer)
        return {"module": "layers" if ours else "custom", "class_name": layer.kind, "config": config}

    def _model(self, layer: Layer, program: Program) -> dict[str, Any]:
        config = {"name": layer.name, "trainable": layer.store.trainable}
        if layer.kind == "Sequential":
            chain = [*((program.layers[label], label) for label in program.sources.values())]
            chain += [(step.layer, step.name) for step in program.steps]
            return {**config, "layers": [self.layer(inner, label) for inner, label in chain]}
        layers = [self.layer(inner, label) for label, inner in program.layers.items()]
        numbers = {label: number for number, label in enumerate(program.layers)}
        calls = [{"layer": numbers[label], "outputs": slot} for slot, label in program.sources.items()]
        calls += [self._call(step, numbers[step.name]) for step in program.steps]
        wiring = {"calls": calls, "inputs": self._nest(program.inputs), "outputs": self._nest(program.outputs)}
        return {**config, "layers": layers, **wiring}

    def _call(self, step: Step, number: int) -> dict[str, Any]:
        where = f"an argument of a call of {step.name!r}"
        constants = {name: self.write(value, where) for name, value in step.constants.items()}
        tensors = {name: self._nest(slots) for name, slots in step.tensors.items()}
        arguments = {**({"arguments": constants} if constants else {}), **({"tensors": tensors} if tensors else {})}
        return {"layer": number, "inputs": self._nest(step.inputs), "outputs": self._nest(step.outputs), **arguments}

    def _nest(self, nest: Any) -> Any:
        """Return a nest of numbers of tensors; unlike :meth:`write`, it keeps lists and tuples apart."""
        if isinstance(nest, int):
            return nest
        if isinstance(nest, Fixed):
            return {"fixed": self.write(nest.value, "an argument of a call")}
        if type(nest) in (list, tuple):
            parts = [self._nest(part) for part in nest]
            return parts if type(nest) is list else {"tuple": parts}
        if isinstance(nest, dict) and all(isinstance(name, str) for name in nest):
            return {"dict": {name: self._nest(part) for name, part in nest.items()}}
        raise TypeError(f"A {type(nest).__name__} of tensors cannot be written as JSON; lists, tuples and dictionaries can.")


class Reader:
    """Makes what a :class:`Writer` wrote down, with arrays of its own.

    Args:
      custom_objects: constructors by name, for layers of your own that no imported module defines.
    """

    def __init__(self, custom_objects: Mapping[str, Any] | None = None):
        custom = {**CUSTOM, **(custom_objects or {})}
        self._tables: dict[str, Mapping[str, Any]] = {
            "layers": CONSTRUCTORS,
            "custom": custom,
            "functions": makers,
            "models": MODELS,
        }
        self._seen: list[Any] = []

    def read(self, value: Any) -> Any:
        """Return the value that was written.

        Raises:
          UnknownNameError: for a class that is not in its table, with the nearest that is.
          ValueError: for what no :class:`Writer` writes.
        """
        if isinstance(value, (list, tuple)):
            return tuple(self.read(part) for part in value)
        if not isinstance(value, dict):
            return value
        if set(value) == {"module", "class_name", "config"}:
            return self._made(value["module"], value["class_name"], value["config"])
        word, given = next(iter(value.items())) if len(value) == 1 else (None, None)
        if word == "again" and type(given) is int and 0 <= given < len(self._seen):
            return self._seen[given]
        if word == "dict" and isinstance(given, dict):
            return {name: self.read(part) for name, part in given.items()}
        if word in _SPECIAL:
            return _SPECIAL[word][2](given)
        raise ValueError(f"the data hold an object that is no layer and no function: {sorted(map(str, value))}.")

    def nest(self, nest: Any, tensor_of: Callable[[int], Any]) -> Any:
        """Return a nest of tensors, each found by its number."""
        if type(nest) is int:
            return tensor_of(nest)
        if isinstance(nest, list):
            return [self.nest(part, tensor_of) for part in nest]
        word, given = next(iter(nest.items())) if isinstance(nest, dict) and len(nest) == 1 else (None, None)
        if word == "tuple" and isinstance(given, list):
            return tuple(self.nest(part, tensor_of) for part in given)
        if word == "dict" and isinstance(given, dict):
            return {name: self.nest(part, tensor_of) for name, part in given.items()}
        if word == "fixed":
            return self.read(given)
        raise ValueError(f"{nest!r} is no nest of numbers of tensors.")

    def _made(self, module: Any, kind: Any, config: Any) -> Any:
        if module not in _TABLES or not isinstance(kind, str) or not isinstance(config, dict):
            raise ValueError(f"the data hold an object of module {module!r}, which is none of {', '.join(_TABLES)}.")
        known = self._tables[module]
        if kind not in known:
            raise UnknownNameError(f"There is no {_TABLES[module]} called {kind!r}.{nearest(kind, known)}")
        if module == "functions":
            return made_again(known[kind], {name: self.read(given) for name, given in config.items()})
        place = len(self._seen)
        self._seen.append(None)  # numbered as they were written: a layer before those among its arguments
        if module == "models":
            made = known[kind](self, config)
        elif kind == "InputLayer":
            made = Input(**{name: self.read(given) for name, given in config.items()}).call.layer
        else:
            made = made_again(known[kind], {name: self.read(given) for name, given in config.items()})
        self._seen[place] = made
        return made

"""Layers as JSON: the recorded calls of their constructors, written down and made again; data only, no code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from jkeras.core.constructors import CONSTRUCTORS, CUSTOM, common_of, made_again
from jkeras.core.errors import UnknownNameError, nearest
from jkeras.core.layer import Layer
from jkeras.core.named import Named, makers
from jkeras.core.shell import layer_of


def to_json(layer: Any) -> str:
    """Write the call that made a layer, and those of the layers and functions among its arguments, as JSON.

    Raises:
      TypeError: for an argument that cannot be written: an array, a function without a name, a model.

    Example:
      >>> from_json(to_json(TimeDistributed(Dense(3, activation="relu"))))
      TimeDistributed(layer=Dense(units=3, activation='relu'))
    """
    return json.dumps(_written(layer, "the layer", []))


def _written(value: Any, where: str, seen: list[Any]) -> Any:
    value = layer_of(value)
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return [_written(part, where, seen) for part in value]
    if isinstance(value, Mapping) and all(isinstance(name, str) for name in value):
        return {"dict": {name: _written(part, where, seen) for name, part in value.items()}}
    if isinstance(value, Layer) and value.definition.program is None:
        if any(value is other for other in seen):
            return {"again": next(i for i, other in enumerate(seen) if other is value)}
        seen.append(value)
        config = {name: _written(given, f"argument {name!r} of {value.title}", seen) for name, given in value.config.items()}
        config |= {name: _written(given, name, seen) for name, given in common_of(value).items()}
        own = CONSTRUCTORS.get(value.kind) is not type(value)
        return {"custom" if own else "layer": value.kind, "config": config | ({} if value.trainable else {"trainable": False})}
    if isinstance(value, Named):
        return {"function": value.kind, "config": {name: _written(v, where, seen) for name, v in value.config.items()}}
    raise TypeError(f"{where} cannot be written as JSON: {value!r} is no number, string, layer or named function.")


def from_json(text: str, custom_objects: Mapping[str, Any] | None = None) -> Layer:
    """Make the layer that :func:`to_json` wrote down, with arrays of its own.

    Args:
      text: the JSON.
      custom_objects: constructors by name, for layers of your own that no imported module defines.

    Raises:
      UnknownNameError: for a constructor that is not known, with the nearest that is.
    """
    made = _made(json.loads(text), {**CUSTOM, **(custom_objects or {})}, [])
    if not isinstance(made, Layer):
        raise ValueError(f"the JSON describes no layer but {made!r}.")
    return made


def _made(value: Any, custom: Mapping[str, Any], seen: list[Any]) -> Any:
    if isinstance(value, list):
        return tuple(_made(part, custom, seen) for part in value)
    if not isinstance(value, dict):
        return value
    if set(value) == {"again"} and type(value["again"]) is int and 0 <= value["again"] < len(seen):
        return seen[value["again"]]
    if set(value) == {"dict"} and isinstance(value["dict"], dict):
        return {name: _made(part, custom, seen) for name, part in value["dict"].items()}
    word = next((word for word in ("layer", "custom", "function") if word in value), None)
    if word is None or set(value) != {word, "config"} or not isinstance(value["config"], dict):
        raise ValueError(f"the JSON holds an object that is no layer and no function: {sorted(value)}.")
    known: Mapping[str, Any] = {"layer": CONSTRUCTORS, "custom": custom, "function": makers}[word]
    if value[word] not in known:
        raise UnknownNameError(f"There is no {word} called {value[word]!r}.{nearest(value[word], known)}")
    place = len(seen)
    if word != "function":
        seen.append(None)  # numbered as they were written: a layer before those among its arguments
    made = made_again(known[value[word]], {name: _made(given, custom, seen) for name, given in value["config"].items()})
    if word != "function":
        seen[place] = made
    return made

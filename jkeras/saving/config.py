"""Layers and models as JSON: the recorded calls of their constructors, written down and made again; data only, no code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from jkeras.core.plain import in_words
from jkeras.layers import deserialize, serialize


def to_json(layer: Any) -> str:
    """Write the call that made a layer, and those of the layers and functions among its arguments, as JSON.

    Args:
      layer: a layer, or a model: then its layers and how they are wired.

    Raises:
      TypeError: for an argument that cannot be written: an array, a function without a name.

    Example:
      >>> from_json(to_json(TimeDistributed(Dense(3, activation="relu"))))
      TimeDistributed(layer=Dense(units=3, activation='relu'))
    """
    return json.dumps(serialize(layer))


def from_json(text: str, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Make the layer or model that :func:`to_json` wrote down, with arrays of its own.

    Args:
      text: the JSON.
      custom_objects: constructors by name, for layers of your own that no imported module defines.

    Raises:
      UnknownNameError: for a constructor that is not known, with the nearest that is.
      ValueError: for JSON that describes no layer.
    """
    with in_words("The JSON of a layer"):
        config = json.loads(text)
    return deserialize(config, custom_objects)

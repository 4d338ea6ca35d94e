"""Layers as plain data and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jkeras.core import Layer
from jkeras.core.plain import Reader, Writer, in_words
from jkeras.core.shell import layer_of


def serialize(layer: Any) -> Any:
    """Return the call that made a layer, and those of the layers and functions among its arguments, as plain data.

    Args:
      layer: a layer, or a model: then its layers and how they are wired.

    Raises:
      TypeError: for an argument that cannot be written: an array, a function without a name.

    Example:
      >>> serialize(ReLU())["class_name"]
      'ReLU'
    """
    return Writer().write(layer, "the layer")


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Make the layer or model that :func:`serialize` wrote down, with arrays of its own.

    Args:
      config: plain data.
      custom_objects: constructors by name, for layers of your own that no imported module defines.

    Raises:
      UnknownNameError: for a constructor that is not known, with the nearest that is.
      ValueError: for data that describe no layer.

    Example:
      >>> deserialize(serialize(Dense(3, activation="relu")))
      Dense(units=3, activation='relu')
    """
    with in_words("The data of a layer"):
        made = Reader(custom_objects).read(config)
    if not isinstance(layer_of(made), Layer):
        raise ValueError(f"the data describe no layer but {made!r}.")
    return made

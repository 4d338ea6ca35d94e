"""Keras's optimizers by name and with its defaults, each an Optax transformation.

Keras and Optax define some optimizers differently by default; what is here reproduces Keras's, and any
``optax.GradientTransformation`` can be used in its place, unchanged. A learning rate is a number or a schedule
``step -> number``; a number is kept in the optimizer's state, where it can be changed without compiling anew.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jkeras.core.named import look_up, tables
from jkeras.core.plain import made, written
from jkeras.optimizers import schedules
from jkeras.optimizers.adam import Adam, Adamax, AdamW, Lamb, Lion, Nadam, ScheduleFreeAdamW
from jkeras.optimizers.descent import SGD, Adadelta, Adagrad, Ftrl, RMSprop
from jkeras.optimizers.face import FOREIGN, Optimizer
from jkeras.optimizers.matrices import Adafactor, Muon
from jkeras.optimizers.wrapping import LossScaleOptimizer, PathOptimizer

_CLASSES: tuple[Any, ...] = (
    Adadelta, Adafactor, Adagrad, Adam, AdamW, Adamax, Ftrl, Lamb, Lion, Muon, Nadam, RMSprop, SGD, ScheduleFreeAdamW,
)  # fmt: skip
_TABLE: dict[str, Callable[..., Optimizer]] = {name: c for c in _CLASSES for name in (c.__name__, c.__name__.lower())}


def get(identifier: Any) -> Any:
    """Return the optimizer of a given name or object; an ``optax.GradientTransformation`` is wrapped in one.

    Raises:
      UnknownNameError: for a name that is not in the table, with the nearest that is.

    Example:
      >>> get("adam").kind
      'Adam'
    """
    if isinstance(identifier, Optimizer):
        return identifier
    if callable(getattr(identifier, "init", None)) and callable(getattr(identifier, "update", None)):
        return Optimizer(FOREIGN, {}, identifier)
    if isinstance(identifier, str) and identifier not in _TABLE and identifier.lower() in _TABLE:
        identifier = identifier.lower()
    found = look_up(identifier, _TABLE, "optimizer") if isinstance(identifier, str) else identifier
    if callable(found) and found in _TABLE.values():
        return found()
    raise TypeError(f"An optimizer is a name, an object of jkeras.optimizers or an Optax transformation, but got {identifier!r}.")


tables["optimizer"] = get


def serialize(optimizer: Any) -> Any:
    """Return an optimizer as plain data: the call that made it; what it remembers belongs to the model.

    Raises:
      TypeError: for an Optax transformation, or a schedule that is a plain function.

    Example:
      >>> serialize(Adam(0.01))["config"]["learning_rate"]
      0.01
    """
    return written(optimizer, "optimizer")


def deserialize(config: Any, custom_objects: Any = None) -> Any:
    """Return the optimizer that :func:`serialize` wrote down.

    Args:
      config: plain data.
      custom_objects: functions of your own by name.

    Raises:
      UnknownNameError: for a name that is in no table.

    Example:
      >>> deserialize(serialize(Adam(0.01))).kind
      'Adam'
    """
    return made(config, "optimizer", custom_objects)


__all__ = [
    "SGD", "Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW", "Adamax", "Ftrl", "Lamb", "Lion", "LossScaleOptimizer", "Muon",
    "Nadam", "Optimizer", "PathOptimizer", "RMSprop", "ScheduleFreeAdamW", "deserialize", "get", "schedules", "serialize",
]  # fmt: skip

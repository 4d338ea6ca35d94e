"""``keras.backend`` as far as scripts still use it: settings, and reading and setting variables."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np

from jkeras.config import (
    backend,
    epsilon,
    floatx,
    image_data_format,
    set_epsilon,
    set_floatx,
    set_image_data_format,
)
from jkeras.core.errors import kind_of
from jkeras.core.symbolic import is_symbolic


def clear_session(free_memory: bool = True) -> None:
    """Collect what nothing refers to any more; there is no session and no global graph to clear.

    Args:
      free_memory: whether Python's garbage collector runs.
    """
    if free_memory:
        gc.collect()


def is_keras_tensor(x: Any) -> bool:
    """Whether something is a symbolic tensor, made by ``Input`` or by calling a layer on one.

    Example:
      >>> is_keras_tensor(Input((3,))), is_keras_tensor(np.ones(3))
      (True, False)
    """
    return is_symbolic(x)


def get_value(x: Any) -> Any:
    """Return a variable, a learning rate or an array as NumPy's.

    Example:
      >>> float(get_value(jkeras.optimizers.Adam(0.5).learning_rate))
      0.5
    """
    return x.numpy() if hasattr(x, "numpy") else np.asarray(x)


def set_value(x: Any, value: Any) -> None:
    """Assign to a weight or a learning rate.

    Raises:
      TypeError: for what cannot be assigned to.
    """
    if not hasattr(x, "assign"):
        raise TypeError(f"set_value takes a weight or a learning rate, but got {kind_of(x)}.")
    x.assign(value)


__all__ = [
    "backend",
    "clear_session",
    "epsilon",
    "floatx",
    "get_value",
    "image_data_format",
    "is_keras_tensor",
    "set_epsilon",
    "set_floatx",
    "set_image_data_format",
    "set_value",
]

"""Functions for arrays and symbolic tensors alike: every function of ``jax.numpy``, ``jax.nn`` and ``jax.lax``.

``jkeras.ops.tanh(x)`` is ``jax.numpy.tanh(x)`` on an array, and a step of the model on a symbolic tensor. Names are looked
up in ``jax.numpy`` first, then ``jax.nn``, then ``jax.lax``; ``cast(x, dtype)`` and ``get_item(x, index)`` are added. Where Keras
means something else by the same call, as ``logsumexp(x, axis, keepdims)``, its meaning is taken, or the name is refused.

Example:
  >>> from jkeras import Input
  >>> x = Input((4, 3))
  >>> jkeras.ops.mean(jkeras.ops.square(x), axis=1).shape
  (None, 3)
"""

import functools
from collections.abc import Callable
from typing import Any

from jkeras.core.operation import SPACES, find, names, operate
from jkeras.core.shapes import shape_of


def shape(x: Any) -> tuple[int | None, ...]:
    """Return the shape of an array or symbolic tensor, ``None`` where a size is not known yet."""
    return shape_of(x.spec if hasattr(x, "spec") else x)


class _Space:
    """A sub-module such as ``jax.numpy.linalg``, its functions lifted likewise."""

    def __init__(self, name: str):
        self._name = name

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return _lifted(f"{self._name}.{name}")


def _lifted(name: str) -> Callable[..., Any]:
    try:
        function = find(name)
    except ValueError as error:
        raise AttributeError(str(error)) from None

    @functools.wraps(function)
    def lifted(*args: Any, **kwargs: Any) -> Any:
        return operate(name, *args, **kwargs)

    return lifted


@functools.cache
def __getattr__(name: str) -> Any:
    return _Space(name) if name in SPACES else _lifted(name)


def __dir__() -> list[str]:
    return [*names(), *SPACES, "shape"]

"""The closed table of functions that plain data, operators and ``jkeras.ops`` name: jkeras's own, then JAX's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jkeras.core.errors import UnknownNameError, nearest

_SPACES = {space.__name__: space for space in (jnp, jax.nn, jax.lax, jnp.linalg, jnp.fft)}
_SHORT = {"": [jnp, jax.nn, jax.lax], "linalg": [jnp.linalg], "fft": [jnp.fft]}  # what stands before a name for short
OFFERED: dict[str, Callable[..., Any]] = {}  # what ``jkeras.ops`` offers, by Keras's names and with Keras's meaning

# What is no function of tensors: it touches files, or how arrays are printed. Plain data may name an operation, so a name must
# never do more than compute; ``load`` alone would run the code in a pickle.
_BEYOND_TENSORS = frozenset({"fromfile", "get_printoptions", "load", "printoptions", "save", "savez", "set_printoptions"})


def offer(name: str, function: Callable[..., Any]) -> None:
    """Put a function into the table; in place of JAX's of that name, where there is one."""
    if name in OFFERED:
        raise ValueError(f"there are two functions called {name!r}.")
    OFFERED[name] = function


def find(name: str) -> Callable[..., Any]:
    """Return the function called ``name``: of the table, ``jax.numpy``, ``jax.nn`` or ``jax.lax``, in that order.

    Names are closed, and so are the modules of JAX that they may lead into, which compute and do nothing else. ``jax.numpy.sum``
    is JAX's function, ``sum`` the table's.

    Raises:
      UnknownNameError: when none of them has it.

    Example:
      >>> find("tanh")(0.0).item()
      0.0
    """
    if name in OFFERED:
        return OFFERED[name]
    within, _, last = name.rpartition(".")
    spaces = [_SPACES[within]] if within in _SPACES else _SHORT.get(within, [])
    for space in spaces:  # no other dotted way: attributes of functions lead to everything that Python has loaded
        if _is_of_tensors(space, last):
            return getattr(space, last)
    raise UnknownNameError(f"jkeras.ops has no function {name!r}.{nearest(name, names())}")


def name_of(function: Callable[..., Any]) -> str | None:
    """Return the name by which :func:`find` gives this very function, or None if it has none.

    Example:
      >>> name_of(jnp.tanh)
      'jax.numpy.tanh'
    """
    plain = getattr(function, "__wrapped__", function)  # jkeras.ops.tanh is the table's function, lifted
    for name, known in OFFERED.items():
        if known is plain:
            return name
    last = getattr(function, "__name__", "")
    for where, space in _SPACES.items():
        if getattr(space, last, None) is function and _is_of_tensors(space, last):
            return f"{where}.{last}"
    return None


def _is_of_tensors(space: Any, name: str) -> bool:
    """Whether a module has a function of that name, JAX's own and one that does nothing but compute."""
    function = getattr(space, name, None)
    if name.startswith("_") or name in _BEYOND_TENSORS or not callable(function) or isinstance(function, type):
        return False
    return (getattr(function, "__module__", None) or "").split(".")[0] == "jax"


def names() -> list[str]:
    """List the functions that :func:`find` knows, JAX's in sub-modules such as ``linalg`` excepted."""
    return sorted({n for space in _SHORT[""] for n in dir(space) if _is_of_tensors(space, n)} | set(OFFERED))

"""Checks of constructors' arguments, with errors that name the constructor, the argument and the nearest known name."""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from jkeras.core.errors import nearest
from jkeras.core.spellings import ARGUMENTS, older


def bind(kind: str, signature: inspect.Signature, args: Any, kwargs: Mapping[str, Any], more: Iterable[str] = ()) -> Any:
    """Return the arguments bound to a signature, defaults applied.

    Args:
      kind: the constructor's name, for messages.
      signature: what it takes.
      args, kwargs: what it was given.
      more: further names worth suggesting.

    Raises:
      TypeError: for an unknown, missing or doubled argument.
    """
    names = tuple(name for name in signature.parameters if name != "self")
    takes_any = any(given.kind is given.VAR_KEYWORD for given in signature.parameters.values())
    for name in kwargs:
        if name not in names and not takes_any:
            hint = older(name, ARGUMENTS) or nearest(name, (*names, *more))
            raise TypeError(f"{kind} takes no argument {name!r}.{hint} It takes {', '.join(names) or 'none'}.")
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError as error:
        raise TypeError(f"{kind}: {error}. It takes {', '.join(names) or 'no arguments'}.") from None
    bound.apply_defaults()
    return bound


def checked_arguments(method: Callable[..., Any]) -> Callable[..., Any]:
    """Let a method say the nearest name, or today's, where it is given an argument that it does not take."""
    signature = inspect.signature(method)
    names = frozenset(signature.parameters)
    shown = method.__qualname__.split(".")[0] if method.__name__ == "__init__" else method.__name__

    @functools.wraps(method)
    def checked(*args: Any, **kwargs: Any) -> Any:
        if not names.issuperset(kwargs):
            bind(shown, signature, args, kwargs)
        return method(*args, **kwargs)

    return checked


def whole_number(name: str, value: Any, least: int = 1) -> int:
    """Return an argument as an int of at least ``least``; NumPy integers count, booleans, floats and strings do not."""
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None or number < least:
        kind = "a positive integer" if least == 1 else f"an integer of at least {least}"
        raise ValueError(f"{name} must be {kind}, but got {value!r}.")
    return number


def choice(name: str, value: Any, allowed: tuple[Any, ...]) -> Any:
    """Return an argument that must be one of a few words."""
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, but got {value!r}.")
    return value


def checked_bool(what: str, value: Any) -> bool:
    """Return True or False, also of NumPy's kind; refuse what would only count as one of them."""
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError(f"{what} must be True or False, but got {value!r}.")
    return bool(value)


def checked_shape(where: str, shape: Any) -> tuple[int | None, ...]:
    """Return a shape as a tuple of positive ints and None, or say what is wrong with it."""
    if isinstance(shape, (str, bytes, dict)) or not hasattr(shape, "__iter__"):
        raise ValueError(f"{where} takes a tuple such as (784,) or (None, 8), without the batch axis, but got {shape!r}.")
    sizes = []
    for size in shape:
        try:
            sizes.append(None if size is None else operator.index(size))
        except TypeError:
            raise ValueError(f"{where}: each size must be an integer or None, but got {size!r} in {shape!r}.") from None
        if sizes[-1] is not None and sizes[-1] <= 0:
            raise ValueError(f"{where}: each size must be positive, but got {size!r} in {shape!r}.")
    return tuple(sizes)


def checked_dtype(where: str, dtype: Any) -> str:
    """Return the name of a dtype, given as its name, as NumPy's object or as JAX's type, or say what is wrong with it."""
    try:
        return jnp.dtype(dtype).name
    except TypeError:
        raise ValueError(f"{where}: dtype must be a dtype such as 'float32', but got {dtype!r}.") from None

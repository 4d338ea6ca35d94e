"""Binding a constructor's arguments, with an error that names the constructor and the nearest known argument."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from jkeras.core.errors import nearest


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
    names = tuple(signature.parameters)
    for name in kwargs:
        if name not in names:
            hint = nearest(name, (*names, *more))
            raise TypeError(f"{kind} takes no argument {name!r}.{hint} It takes {', '.join(names) or 'none'}.")
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError as error:
        raise TypeError(f"{kind}: {error}. It takes {', '.join(names) or 'no arguments'}.") from None
    bound.apply_defaults()
    return bound

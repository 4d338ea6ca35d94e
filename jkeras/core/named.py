"""Functions made by a configured constructor, and the tables in which strings find them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from jkeras.core.arguments import bind
from jkeras.core.constructors import made_again
from jkeras.core.describe import hashable
from jkeras.core.errors import UnknownNameError, nearest, with_article
from jkeras.core.face import TABLES
from jkeras.core.layer import spell

tables = TABLES  # "initializer" and the like to the function that looks one up

# what makes configured objects, by module and by name: "MeanSquaredError" is a loss and a metric
makers: dict[str, dict[str, Callable[..., Any]]] = {
    module: {} for module in ("functions", "losses", "metrics", "optimizers", "schedules")
}


class Written:
    """A function written as a class, as for Keras: ``__call__``, and ``get_config`` with the arguments of its constructor."""

    def get_config(self) -> dict[str, Any]:
        """Return the arguments by name; none unless a subclass says so."""
        return {}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        """Make one from what :meth:`get_config` returned."""
        return cls(**config)


class Configured(Written):
    """What a constructor of a table made, so that it can be shown, pickled and written to a file.

    Attributes:
      module: the table of :data:`makers`.
      kind: the constructor's name in it; empty for what no constructor made.
      config: the arguments of the call.
    """

    module = "functions"
    kind = ""
    config: Mapping[str, Any] = {}

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the call that made it, by name."""
        return dict(self.config)

    def __reduce__(self) -> Any:
        """Pickle the call that made it: closures have no names."""
        return (made_again, (makers[self.module][self.kind], dict(self.config))) if self.kind else super().__reduce__()

    def __repr__(self) -> str:
        return f"{self.kind}({', '.join(f'{name}={value!r}' for name, value in self.config.items())})"


class Named(Configured):
    """A function together with the constructor call that made it, so that it can be shown and written to a file.

    Two of them are equal if equal calls with plain arguments (numbers, strings, tuples) made them.
    """

    def __init__(self, function: Callable[..., Any], kind: str, config: Mapping[str, Any]):
        self.function, self.kind, self.config = function, kind, config
        self.plain_key = hashable((kind, config))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function."""
        return self.function(*args, **kwargs)

    @property
    def is_plain(self) -> bool:
        """Whether its arguments hold no array and no function."""
        return self.plain_key is not None

    def __eq__(self, other: object) -> bool:
        return self is other or (type(self) is type(other) and self.is_plain and self.plain_key == other.plain_key)  # type: ignore[attr-defined]

    def __hash__(self) -> int:
        return hash(self.plain_key) if self.is_plain else id(self)


def named(constructor: Callable[..., Callable[..., Any]], kind: type[Named] = Named) -> Callable[..., Named]:
    """Turn a function that returns a function into a constructor of :class:`Named` functions."""
    signature = inspect.signature(constructor)

    @functools.wraps(constructor)
    def make(*args: Any, **kwargs: Any) -> Named:
        bound = bind(constructor.__name__, signature, args, kwargs)
        return kind(constructor(*bound.args, **bound.kwargs), constructor.__name__, dict(bound.arguments))

    makers["functions"][constructor.__name__] = make
    return make


def classed(base: type, stub: Callable[..., Any], init: Callable[..., None], signature: inspect.Signature, **about: Any) -> Any:
    """Make a class of configured objects that is called and documented as a function is, and register it.

    Args:
      base: the class that it extends.
      stub: the function whose name, module and docstring it takes.
      init: its ``__init__``.
      signature: what calls of it look like.
      about: further attributes.
    """
    kind = stub.__name__
    about |= {"__init__": init, "__doc__": stub.__doc__, "__module__": stub.__module__, "__signature__": signature, "kind": kind}
    made = makers[base.module][kind] = type(kind, (base,), about)  # type: ignore[attr-defined]
    return made


def table(*constructors: Callable[..., Any], **aliases: Callable[..., Any]) -> dict[str, Callable[..., Any]]:
    """Key constructors by their CamelCase and snake_case names, and by further names."""
    both = {key: c for c in constructors for key in (c.__name__, spell(c.__name__))}
    return {**both, **aliases}


def look_up(identifier: Any, known: Mapping[str, Any], what: str) -> Any:
    """Return what a string stands for, calling a constructor without arguments; anything callable stands for itself.

    Raises:
      UnknownNameError: for a string that is not in the table, with the nearest that is.
      TypeError: for anything else.
    """
    if isinstance(identifier, str):
        if identifier not in known:
            raise UnknownNameError(
                f"There is no {what} called {identifier!r}.{nearest(identifier, known)} "
                f"Known are {', '.join(sorted(k for k in known if k.islower()))}."
            )
        return known[identifier]
    if callable(identifier):
        return identifier
    raise TypeError(f"{with_article(what).capitalize()} is a name or a function, but got {identifier!r}.")

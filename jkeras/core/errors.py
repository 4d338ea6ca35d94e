"""The errors that jkeras raises on purpose, and the words that they share.

    ValueError
    ├── ShapeError        a layer or a model cannot take arrays of this shape
    ├── GraphError        tensors and layers do not make one model
    ├── UnknownNameError  a name that no table or model knows; the nearest known one is offered
    └── DataError         the arrays given to fit, evaluate or predict do not fit the model

All are ``ValueError`` s, so code written for Keras catches them as before.
"""

import contextlib
import difflib
from collections.abc import Callable, Iterable, Iterator
from typing import Any


class ShapeError(ValueError):
    """An array or symbolic tensor has a shape that its receiver cannot take."""


class GraphError(ValueError):
    """Layers and tensors were joined in a way that makes no model."""


class UnknownNameError(ValueError):
    """A name was given that nothing here is called by."""


class DataError(ValueError):
    """Data given to a model is malformed, mismatched or out of range."""


@contextlib.contextmanager
def noted(place: str | Callable[[], str]) -> Iterator[None]:
    """Note on an error where it arose; its type, message and traceback stay as they are.

    Args:
      place: the note, or a function that is asked for it when there is an error.

    Example:
      >>> with noted("In loss 'mine'."):
      ...     assert True
    """
    try:
        yield
    except Exception as error:
        error.add_note(place if isinstance(place, str) else place())
        raise


def kind_of(value: Any) -> str:
    """Say what a value is, with its article.

    Example:
      >>> kind_of(3), kind_of([1, 2])
      ('an int', 'a list of 2')
    """
    several = f" of {len(value)}" if isinstance(value, (list, tuple, dict)) else ""
    return f"{with_article(type(value).__name__)}{several}"


def with_article(word: str) -> str:
    """Write "a" or "an" before a word."""
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"


class Answering:
    """An object that says in words which attribute it has not."""

    def __getattr__(self, name: str) -> Any:
        """Ask :meth:`_unknown`; Python comes here for what is not found, and for properties that raised an AttributeError."""
        if name.startswith("_"):
            raise AttributeError(name)
        found = getattr(type(self), name, None)
        return found.__get__(self) if isinstance(found, property) else self._unknown(name)  # a property says its own words again

    def _unknown(self, name: str) -> Any:
        """Return what is meant by a name that is no attribute of the class, or raise an AttributeError."""
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}.")


def nearest(name: object, known: Iterable[str]) -> str:
    """Return a sentence offering the known name closest to ``name``, or nothing.

    Example:
      >>> nearest("rellu", ["relu", "tanh"])
      " Did you mean 'relu'?"
    """
    spelled = {k.lower(): k for k in sorted(known)}  # capitals sort first, so a lower-case spelling wins
    close = difflib.get_close_matches(str(name).lower(), spelled, n=1, cutoff=0.6)
    return f" Did you mean {spelled[close[0]]!r}?" if close else ""

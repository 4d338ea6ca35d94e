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
from collections.abc import Iterable, Iterator


class ShapeError(ValueError):
    """An array or symbolic tensor has a shape that its receiver cannot take."""


class GraphError(ValueError):
    """Layers and tensors were joined in a way that makes no model."""


class UnknownNameError(ValueError):
    """A name was given that nothing here is called by."""


class DataError(ValueError):
    """Data given to a model is malformed, mismatched or out of range."""


@contextlib.contextmanager
def noted(place: str) -> Iterator[None]:
    """Note on an error in whose code it arose; its type, message and traceback stay as they are.

    Example:
      >>> with noted("In loss 'mine'."):
      ...     assert True
    """
    try:
        yield
    except Exception as error:
        error.add_note(place)
        raise


def nearest(name: object, known: Iterable[str]) -> str:
    """Return a sentence offering the known name closest to ``name``, or nothing.

    Example:
      >>> nearest("rellu", ["relu", "tanh"])
      " Did you mean 'relu'?"
    """
    spelled = {k.lower(): k for k in sorted(known)}  # capitals sort first, so a lower-case spelling wins
    close = difflib.get_close_matches(str(name).lower(), spelled, n=1, cutoff=0.6)
    return f" Did you mean {spelled[close[0]]!r}?" if close else ""

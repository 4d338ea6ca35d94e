"""Answers to names and modules that are not there: what they are called now, where they are, or what is nearest.

``from module import name`` puts words of Python's own in the place of an AttributeError's, whatever its class. So a module's
``__getattr__`` looks at the instruction that asks: an import gets an ImportError, which Python lets through, and anything else,
such as ``hasattr``, the AttributeError that it expects.
"""

from __future__ import annotations

import dis
import functools
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from jkeras.core.errors import nearest
from jkeras.core.spellings import ABSENT, MODULES, NAMES, older

PACKAGE = __name__.partition(".")[0]
_IMPORT_FROM = dis.opmap["IMPORT_FROM"]


def answer_unknown_names() -> None:
    """Let every module of the package that is imported by now say what an unknown name may have meant.

    Example:
      >>> from jkeras.layers import CuDNNLSTM
      Traceback (most recent call last):
      ImportError: jkeras.layers has no 'CuDNNLSTM'. 'CuDNNLSTM' is an older name: it is called LSTM now.
    """
    for name, module in list(sys.modules.items()):
        if f"{name}.".startswith(f"{PACKAGE}."):
            space = vars(module)
            space["__getattr__"] = _answering(name, space.get("__getattr__") or functools.partial(_refuse, name))


def _refuse(module: str, name: str) -> Any:
    hint = "" if name.startswith("_") else _hint(module, name)
    raise AttributeError(f"{module} has no {name!r}.{hint}")


def _answering(module: str, find: Callable[[str], Any]) -> Callable[[str], Any]:
    def __getattr__(name: str) -> Any:  # noqa: N807, it becomes the module's
        try:
            return find(name)
        except AttributeError as error:
            asker = sys._getframe(1)
            if asker.f_code.co_code[asker.f_lasti] != _IMPORT_FROM:
                raise
            raise ImportError(str(error), name=module) from None

    return __getattr__


def _hint(module: str, name: str) -> str:
    said = older(name, NAMES) or _answer(f"{module}.{name}".partition(".")[2]) or _answer(name)
    home = next((home for home, names in _public() if name in names and home != module), None)
    return said or (f" It is {home}.{name}." if home else nearest(name, _names(sys.modules[module])))


def _answer(name: str) -> str:
    return f" {ABSENT[name]}" if name in ABSENT else older(name, MODULES)


def _public() -> Iterator[tuple[str, list[str]]]:
    """Give the package and its public modules with the names that each exports."""
    package = sys.modules[PACKAGE]
    yield PACKAGE, _names(package)
    for name in _names(package):
        value = getattr(package, name)
        if isinstance(value, ModuleType):
            yield f"{PACKAGE}.{name}", _names(value)


def _names(module: ModuleType) -> list[str]:
    return vars(module).get("__all__") or [name for name in dir(module) if not name.startswith("_")]


class _Signpost:
    """The last finder of modules: for a module that Keras had, and that nothing else has found, it says where its names are."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        package, _, within = name.partition(".")
        if package == PACKAGE and _answer(within):
            raise ModuleNotFoundError(f"No module named {name!r}.{_answer(within)}", name=name)


sys.meta_path.append(_Signpost())

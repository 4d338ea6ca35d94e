"""Layers and models as plain data: the calls of their constructors, and how models are wired, written down and made again.

Data name no code and no place to find any: ``class_name`` is looked up in the one table that ``module`` says, and the constructor
checks its arguments as it always does.
"""

from __future__ import annotations

import builtins
import contextlib
import inspect
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from jkeras.core.arguments import bind, checked_dtype
from jkeras.core.constructors import CONSTRUCTORS, CUSTOM, Input, InputLayer, common_of, made_again
from jkeras.core.errors import UnknownNameError, kind_of, nearest, noted
from jkeras.core.face import TABLES
from jkeras.core.functions import find, name_of
from jkeras.core.graph import Fixed, Program, Step
from jkeras.core.layer import Layer
from jkeras.core.named import Configured, makers
from jkeras.core.operation import Hole
from jkeras.core.shell import layer_of

MODELS: dict[str, Callable[[Reader, Any], Any]] = {}  # what makes a model of each kind from its config; models fill it in
_TABLES = {"layers": "layer", "custom": "custom layer", "models": "model", "functions": "function", "losses": "loss"}
_TABLES |= {"metrics": "metric", "optimizers": "optimizer", "schedules": "schedule"}


def _hole_of(index: Any) -> Hole:
    if type(index) is not int or index < 0:
        raise ValueError(f"a hole is the number of a tensor, but the data hold {index!r}.")
    return Hole(index)


def _slice_of(parts: Any) -> builtins.slice:
    if not isinstance(parts, list) or len(parts) != 3 or not all(part is None or type(part) is int for part in parts):
        raise ValueError(f"a slice is three integers or null, start, stop and step, but the data hold {parts!r}.")
    return builtins.slice(*parts)


def _dtype_of(name: Any) -> np.dtype:
    if not isinstance(name, str):
        raise ValueError(f"a dtype is written by its name, but the data hold {name!r}.")
    return jnp.dtype(checked_dtype("the data", name))


def _number_of(word: Any) -> float:
    if word not in ("inf", "-inf", "nan"):
        raise ValueError(f"the data hold {word!r} for a number that is not finite: inf, -inf and nan are.")
    return float(word)


def _function_of(name: Any) -> Callable[..., Any]:
    if not isinstance(name, str):
        raise ValueError(f"the data hold {name!r} for the name of a function of jkeras.ops.")
    return find(name)


_SPECIAL: dict[str, tuple[type, Callable[[Any], Any], Callable[[Any], Any]]] = {  # word: (type, what is written, how it is read)
    "hole": (Hole, lambda hole: hole.index, _hole_of),
    "slice": (builtins.slice, lambda s: [s.start, s.stop, s.step], _slice_of),
    "ellipsis": (type(...), lambda _: True, lambda _: ...),
    "dtype": (np.dtype, lambda dtype: dtype.name, _dtype_of),
}
_READ = {**{word: read for word, (_, _, read) in _SPECIAL.items()}, "number": _number_of, "function": _function_of}


class Writer:
    """Writes values; a layer that was written before is written as its number."""

    def __init__(self) -> None:
        self._numbers: dict[Layer, int] = {}

    def write(self, value: Any, where: str) -> Any:
        """Return a value as what JSON knows; tuples are lists, dictionaries ``{"dict": ...}``.

        Args:
          value: a number, string, layer, model, named function, or a list, tuple or dictionary of such.
          where: what it is, for the message.

        Raises:
          TypeError: for anything else.
        """
        value = layer_of(value)
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, type) and hasattr(value, "dtype"):  # jnp.float32
            value = np.dtype(value)  # type: ignore[call-overload]
        if isinstance(value, float) and not math.isfinite(value):
            return {"number": str(float(value))}  # which JSON has no word for
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        for word, (kind, taken, _) in _SPECIAL.items():
            if isinstance(value, kind):
                return {word: taken(value)}
        if isinstance(value, (list, tuple)):
            return [self.write(part, where) for part in value]
        if isinstance(value, Mapping) and all(isinstance(name, str) for name in value):
            return {"dict": {name: self.write(part, where) for name, part in value.items()}}
        if isinstance(value, Layer):
            return self.layer(value)
        if isinstance(value, Configured) and value.kind:
            config = {name: self.write(given, where) for name, given in value.config.items()}
            return {"module": value.module, "class_name": value.kind, "config": config}
        if callable(value) and (name := name_of(value)):  # jax.nn.relu, jkeras.ops.relu
            return {"function": name}
        raise TypeError(f"{where} cannot be written as JSON: {value!r} is no number, string, layer or named function.")

    def layer(self, layer: Layer, label: str | None = None) -> Any:
        """Return a layer as the call that makes it, named by ``label`` where a model calls it so."""
        if layer in self._numbers:
            return {"again": self._numbers[layer]}
        self._numbers[layer] = len(self._numbers)
        if layer.definition.program is not None:
            return {"module": "models", "class_name": layer.kind, "config": self._model(layer, layer.definition.program)}
        config = {
            name: self.write(_name_in_table(name, given), f"argument {name!r} of {layer.title}")
            for name, given in layer.config.items()
        }
        config |= {name: self.write(given, name) for name, given in common_of(layer, label).items()}
        config |= {} if layer.store.trainable else {"trainable": False}
        ours = CONSTRUCTORS.get(layer.kind) is type(layer)
        return {"module": "layers" if ours else "custom", "class_name": layer.kind, "config": config}

    def _model(self, layer: Layer, program: Program) -> dict[str, Any]:
        config = {"name": layer.name, "trainable": layer.store.trainable}
        if layer.kind == "Sequential":
            chain = [*((program.layers[label], label) for label in program.sources.values())]
            chain += [(step.layer, step.name) for step in program.steps]
            return {**config, "layers": [self.layer(inner, label) for inner, label in chain]}
        layers = [self.layer(inner, label) for label, inner in program.layers.items()]
        numbers = {label: number for number, label in enumerate(program.layers)}
        calls = [{"layer": numbers[label], "outputs": slot} for slot, label in program.sources.items()]
        calls += [self._call(step, numbers[step.name]) for step in program.steps]
        wiring = {"calls": calls, "inputs": self._nest(program.inputs), "outputs": self._nest(program.outputs)}
        return {**config, "layers": layers, **wiring}

    def _call(self, step: Step, number: int) -> dict[str, Any]:
        where = f"an argument of a call of {step.name!r}"
        constants = {name: self.write(value, where) for name, value in step.constants.items()}
        tensors = {name: self._nest(slots) for name, slots in step.tensors.items()}
        arguments = {**({"arguments": constants} if constants else {}), **({"tensors": tensors} if tensors else {})}
        return {"layer": number, "inputs": self._nest(step.inputs), "outputs": self._nest(step.outputs), **arguments}

    def _nest(self, nest: Any) -> Any:
        """Return a nest of numbers of tensors; unlike :meth:`write`, it keeps lists and tuples apart."""
        if isinstance(nest, int):
            return nest
        if isinstance(nest, Fixed):
            return {"fixed": self.write(nest.value, "an argument of a call")}
        if type(nest) in (list, tuple):
            parts = [self._nest(part) for part in nest]
            return parts if type(nest) is list else {"tuple": parts}
        if isinstance(nest, dict) and all(isinstance(name, str) for name in nest):
            return {"dict": {name: self._nest(part) for name, part in nest.items()}}
        raise TypeError(f"A {type(nest).__name__} of tensors cannot be written as JSON; lists, tuples and dictionaries can.")


def _name_in_table(argument: str, given: Any) -> Any:
    """Return the name of a function that a table has for arguments so called: relu for ``activation=activations.relu``."""
    name = getattr(given, "__name__", None)
    if isinstance(name, str) and callable(given):
        for end, look_up in TABLES.items():
            if (argument == end or argument.endswith(f"_{end}")) and _is_found(look_up, name, given):
                return name
    return given


def _is_found(look_up: Callable[[str], Any], name: str, *functions: Any) -> bool:
    try:
        return look_up(name) in functions
    except UnknownNameError:
        return False


def _started(given: dict[str, Any]) -> Layer:
    """Return the layer of a new input; it has nothing to train, whatever its ``trainable`` says."""
    given = {name: value for name, value in given.items() if name != "trainable"}
    return Input(**bind("InputLayer", inspect.signature(Input), (), given).arguments).call.layer


@contextlib.contextmanager
def in_words(what: str) -> Iterator[None]:
    """Say in words what data make the code of layers stumble over where a user's call would be no better off.

    Args:
      what: what is being read, for the message: ``"The config of a Sequential model"``.

    Raises:
      ValueError: in the place of everything that is neither a ValueError nor a TypeError, which are in words already.
    """
    try:
        yield
    except (ValueError, TypeError):
        raise
    except RecursionError:
        raise ValueError(f"{what} is nested too deeply.") from None
    except Exception as error:
        raise ValueError(f"{what} describes none: {error}") from error


_UNFINISHED = object()  # stands for a layer while its arguments are read


class Reader:
    """Makes what a :class:`Writer` wrote down, with arrays of its own.

    Args:
      custom_objects: constructors by name, for layers of your own that no imported module defines.
    """

    def __init__(self, custom_objects: Mapping[str, Any] | None = None):
        custom = {**CUSTOM, **(custom_objects or {})}
        self._tables: dict[str, Mapping[str, Any]] = {
            "layers": CONSTRUCTORS,
            "custom": custom,
            "models": MODELS,
            **makers,
        }
        self._seen: list[Any] = []

    def read(self, value: Any) -> Any:
        """Return the value that was written.

        Raises:
          UnknownNameError: for a class that is not in its table, with the nearest that is.
          ValueError: for what no :class:`Writer` writes.
        """
        if isinstance(value, (list, tuple)):
            return tuple(self.read(part) for part in value)
        if not isinstance(value, dict):
            return value
        if set(value) == {"module", "class_name", "config"}:
            return self._made(value["module"], value["class_name"], value["config"])
        word, given = next(iter(value.items())) if len(value) == 1 else (None, None)
        if word == "again" and type(given) is int and 0 <= given < len(self._seen):
            if self._seen[given] is _UNFINISHED:
                raise ValueError(f"the data hold a layer, number {given}, inside itself.")
            return self._seen[given]
        if word == "dict" and isinstance(given, dict):
            return {name: self.read(part) for name, part in given.items()}
        if word in _READ:
            return _READ[word](given)
        raise ValueError(f"the data hold an object that is no layer and no function: {sorted(map(str, value))}.")

    def nest(self, nest: Any, tensor_of: Callable[[int], Any]) -> Any:
        """Return a nest of tensors, each found by its number."""
        if type(nest) is int:
            return tensor_of(nest)
        if isinstance(nest, list):
            return [self.nest(part, tensor_of) for part in nest]
        word, given = next(iter(nest.items())) if isinstance(nest, dict) and len(nest) == 1 else (None, None)
        if word == "tuple" and isinstance(given, list):
            return tuple(self.nest(part, tensor_of) for part in given)
        if word == "dict" and isinstance(given, dict):
            return {name: self.nest(part, tensor_of) for name, part in given.items()}
        if word == "fixed":
            return self.read(given)
        raise ValueError(f"{nest!r} is no nest of numbers of tensors.")

    def layer(self, constructor: Any, config: Mapping[str, Any]) -> Any:
        """Make a layer by calling a constructor with what a config holds."""
        if constructor is InputLayer:
            return self._numbered(lambda: _started(self._arguments(config)))
        return self._numbered(lambda: made_again(constructor, self._arguments(config)))

    def _numbered(self, make: Callable[[], Any]) -> Any:
        """Make a layer or model, numbered as it was written: before those among its arguments."""
        place = len(self._seen)
        self._seen.append(_UNFINISHED)
        self._seen[place] = made = make()
        return made

    def _arguments(self, config: Mapping[str, Any]) -> dict[str, Any]:
        return {name: self.read(value) for name, value in config.items()}

    def _made(self, module: Any, kind: Any, config: Any) -> Any:
        if not isinstance(module, str) or module not in _TABLES:
            raise ValueError(f"the data hold an object of module {module!r}, which is none of {', '.join(_TABLES)}.")
        known = self._tables[module]
        if not isinstance(kind, str) or kind not in known:
            raise UnknownNameError(f"There is no {_TABLES[module]} called {kind!r}.{nearest(kind, known)}")
        if not isinstance(config, dict) or not all(isinstance(name, str) for name in config):
            raise ValueError(f"The config of {kind} must be a dictionary of arguments by name, but is {config!r}.")
        with noted(f"In the config of {kind} {config.get('name')!r}." if "name" in config else f"In the config of {kind}."):
            if module in makers:
                return made_again(known[kind], self._arguments(config))
            return self._numbered(lambda: known[kind](self, config)) if module == "models" else self.layer(known[kind], config)


def written(value: Any, what: str) -> Any:
    """Return a function as plain data: the name that a table has for it, or the call that made it."""
    return Writer().write(_name_in_table(what, value), f"the {what}")


def made(config: Any, what: str, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Return what :func:`written` wrote down, ``custom_objects`` first."""
    if isinstance(config, str):
        return TABLES[what]((custom_objects or {}).get(config, config))
    return Reader(custom_objects).read(config)


def _get_config(self: Layer) -> dict[str, Any]:
    """Return the arguments that made it as plain data, ``name``, ``dtype`` and ``trainable`` included.

    Raises:
      TypeError: for an argument that cannot be written: an array, a function that neither jkeras nor JAX has a name for.

    Example:
      >>> TimeDistributed(Dense(3)).get_config()["layer"]["config"]["units"]
      3
    """
    config = Writer().layer(self)["config"]
    return {"name": self.name, "trainable": self.trainable, "dtype": self.given_dtype, **config}


def _from_config(cls: type[Layer], config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Make a layer from what :meth:`get_config` of one of its class returned, with weights of its own, inside too.

    Args:
      config: what it returned, or the ``config`` of such a layer in that of a model.
      custom_objects: constructors by name, for layers of your own inside it that no imported module defines.

    Raises:
      ValueError: for what is no config.
      TypeError: for an argument that the layer does not take.

    Example:
      >>> Dense.from_config(Dense(3, activation="relu").get_config()).units
      3
    """
    if not isinstance(config, Mapping) or not all(isinstance(name, str) for name in config):
        raise ValueError(f"A config is a dictionary of arguments by name, but got {kind_of(config)}.")
    with in_words(f"The config of a {cls.__name__}"):
        return Reader(custom_objects).layer(cls, config)


# Here, since what writes and reads layers is made of layers.
Layer.get_config, Layer.from_config = _get_config, classmethod(_from_config)  # type: ignore[attr-defined]

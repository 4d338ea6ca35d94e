"""How layers are made: the ``@layer`` decorator, ``Input``, and what counts as a layer where one is asked for."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from jkeras.core.arguments import bind, checked_bool, checked_dtype, checked_shape
from jkeras.core.definition import Definition
from jkeras.core.face import TABLES
from jkeras.core.layer import Layer
from jkeras.core.policy import MIXED, in_force
from jkeras.core.shapes import spec
from jkeras.core.shell import layer_of
from jkeras.core.symbolic import Call, SymbolicTensor

CONSTRUCTORS: dict[str, type[Layer]] = {}  # the library's, closed to users
CUSTOM: dict[str, type[Layer]] = {}  # users' own, a later one of a name in place of an earlier one
_PACKAGE = __file__.rpartition("core")[0]
_COMMON = ("name", "dtype", "trainable", "input_shape", "input_dim")


def layer(constructor: Callable[..., Any]) -> type[Layer]:
    """Turn a function that returns ``(init, apply)``, or a ``Definition``, into a layer constructor.

    The call's arguments become the layer's ``config``, and every constructor also takes ``name``, ``dtype``, ``trainable``
    (default True), ``input_shape`` and ``input_dim``. What is returned is a class, so that ``isinstance(layer, Dense)`` holds.

    Example:
      >>> @layer
      ... def Scale(start=1.0):
      ...     def init(key, x):
      ...         return {"scale": jnp.full(x.shape[-1], start)}, {}
      ...
      ...     def apply(params, state, x, ctx):
      ...         return x * params["scale"], state
      ...
      ...     return init, apply
      >>> Scale(2.0)
      Scale(start=2.0)
      >>> Scale()(Input((5,))).shape
      (None, 5)
    """
    signature = inspect.signature(constructor)
    kind = constructor.__name__
    names = tuple(signature.parameters)
    defaults = {name: given.default for name, given in signature.parameters.items() if given.default is not given.empty}

    def __init__(self: Layer, *args: Any, **kwargs: Any) -> None:  # noqa: N807, it becomes the class's
        common = {name: kwargs.pop(name) for name in _COMMON if name in kwargs and name not in names}
        bound = bind(kind, signature, args, kwargs, _COMMON)
        try:
            _look_up_names(bound.arguments)
            definition = constructor(*bound.args, **bound.kwargs)
            if not isinstance(definition, Definition):
                definition = _pair(definition)
        except (TypeError, ValueError) as error:
            # The type, the traceback and the cause stay as they are. A layer of the library's speaks for those that it makes.
            said = getattr(error, "said", str(error)) if ours else str(error)
            error.said, error.args = said, (f"{kind}: {said}",)  # type: ignore[union-attr]
            raise
        self._record(definition, kind, dict(bound.arguments), _checked_common(kind, common), defaults)
        for name, child in definition.children.items() if not ours else ():  # the library's have names as Keras's do
            child.store.name = child.store.name or name

    ours = constructor.__code__.co_filename.startswith(_PACKAGE)
    about = {"__init__": __init__, "__doc__": constructor.__doc__, "__module__": constructor.__module__}
    made = type(kind, (Layer,), {**about, "__qualname__": constructor.__qualname__, "__signature__": signature})
    (CONSTRUCTORS if ours else CUSTOM)[kind] = made
    return made


def made_again(constructor: Any, config: dict[str, Any]) -> Any:
    """Call a constructor with the arguments that a config holds, those of ``*args`` and ``**kwargs`` included."""
    kinds = {name: given.kind for name, given in inspect.signature(constructor).parameters.items()}
    starred = next((name for name, kind in kinds.items() if kind is inspect.Parameter.VAR_POSITIONAL), None)
    before = list(kinds)[: list(kinds).index(starred)] if starred else []
    config = dict(config)
    positional = [config.pop(name) for name in before if name in config] + list(config.pop(starred, ()) if starred else ())
    named = [config.pop(name) for name, kind in kinds.items() if kind is inspect.Parameter.VAR_KEYWORD and name in config]
    return constructor(*positional, **config, **(named[0] if named else {}))


def common_of(layer: Layer, name: str | None = None) -> dict[str, Any]:
    """Return what a layer was told that every constructor takes, ``trainable`` aside; ``name`` in place of its own."""
    common = {"name": name or layer.given_name, "dtype": layer.given_dtype, "input_shape": layer.input_shape_given}
    return {name: given for name, given in common.items() if given is not None}


def _look_up_names(arguments: Mapping[str, Any]) -> None:
    """Look up what arguments such as ``kernel_initializer`` name, so that a misspelt one is refused where it is written."""
    for name, identifier in arguments.items():
        what = name.rpartition("_")[2]
        if what in ("initializer", "regularizer", "constraint", "activation") and identifier is not None:
            TABLES[what](identifier)


def _pair(returned: Any) -> Definition:
    if not isinstance(returned, tuple) or len(returned) != 2:
        raise TypeError(f"a layer constructor must return (init, apply) or a Definition, but returned {type(returned).__name__}.")
    return Definition(*returned)


def _checked_common(kind: str, common: dict[str, Any]) -> dict[str, Any]:
    name = common.get("name")
    if name is not None and (not isinstance(name, str) or not name or "/" in name):
        raise ValueError(f"{kind}: name must be a non-empty string without '/', but got {name!r}.")
    if "trainable" in common:
        common["trainable"] = checked_bool(f"{kind}: trainable", common["trainable"])
    if "input_dim" in common:
        if "input_shape" in common:
            raise TypeError(f"{kind}: give input_shape or input_dim, not both.")
        common["input_shape"] = (common.pop("input_dim"),)
    if "input_shape" in common:
        common["input_shape"] = checked_shape(f"{kind}(input_shape=...)", common["input_shape"])
    if common.get("dtype") is not None:
        common["dtype"] = str(common["dtype"] if common["dtype"] in MIXED else checked_dtype(kind, common["dtype"]))
    elif in_force() != "float32" and kind not in ("InputLayer", "Operation"):  # whose dtypes are those of what they are given
        common["dtype"] = str(in_force())
    return common


# -- where graphs begin, and what counts as a layer -------------------------------------------------------------------


@layer
def InputLayer(shape: Any = None, batch_size: int | None = None, dtype: Any = None, batch_shape: Any = None) -> Definition:
    """Stand at the beginning of a model; :func:`Input` makes its tensor, and so does a Sequential model that it is added to.

    Args:
      shape, batch_size, dtype, batch_shape: as for :func:`Input`; ``input_shape`` stands for ``shape``.

    Example:
      >>> model = Model(x := Input((3,), name="x"), Dense(2)(x))
      >>> isinstance(model.get_layer("x"), jkeras.layers.InputLayer)
      True
    """
    return Definition(lambda key, x: ({}, {}), lambda params, state, x, ctx: (x, state), mixes_examples="never")


def Input(
    shape: Any = None,
    batch_size: int | None = None,
    dtype: Any = None,
    *,
    batch_shape: Any = None,
    name: str | None = None,
) -> SymbolicTensor:
    """Start a model: a symbolic tensor of the given shape.

    Args:
      shape: the shape of one example, ``None`` for a size not known yet; ``(None,)`` is a sequence of any length.
      batch_size: a fixed batch size; None (default) leaves it free.
      dtype: the dtype of the data, float32 by default; ``"int32"`` for indices.
      batch_shape: the shape with the batch axis, instead of ``shape`` and ``batch_size``.
      name: what the input is called, in dictionaries of data and in ``summary``.

    Raises:
      ValueError: when the shape is missing, given twice, or not a tuple of positive sizes.

    Example:
      >>> Input((None, 8), name="posts").shape
      (None, None, 8)
    """
    if (shape is None) == (batch_shape is None):
        raise ValueError("Input takes either shape, without the batch axis, or batch_shape, with it: write Input((784,)).")
    whole = (batch_size, *checked_shape("Input(shape=...)", shape)) if batch_shape is None else batch_shape
    whole = checked_shape("Input(batch_shape=...)", whole)
    described = spec(whole, checked_dtype("Input", dtype or "float32"))
    source = InputLayer(batch_shape=whole, dtype=described.dtype.name, name=name)
    source.store.call, source.store.specs = Call(source, (), {}, described), ({}, {})
    source.store.params, source.store.state = {}, {}
    return source.store.call.tensors()


def input_of(layer: Layer) -> SymbolicTensor:
    """Return the tensor of an ``InputLayer``, made of its arguments where it has none yet."""
    if layer.store.call is not None:
        return layer.store.call.tensors()
    given = {**layer.config}
    if layer.input_shape_given is not None:
        given["shape"] = layer.input_shape_given
    return Input(**given, name=layer.given_name)


def as_layer(candidate: Any, where: str) -> Layer:
    """Return the pure layer of a layer, a model, or a pair of functions.

    Args:
      candidate: a ``Layer``, a ``Model``, or a pair as :func:`jkeras.core.adapters.from_pair` takes it.
      where: what asks for it, for the message.
    """
    if isinstance(layer_of(candidate), Layer):
        return layer_of(candidate)
    if isinstance(candidate, tuple) and len(candidate) == 2 and all(map(callable, candidate)):
        from_pair: Any = CONSTRUCTORS["Pair"]
        return from_pair(*candidate)
    if isinstance(candidate, type):
        raise TypeError(
            f"{where} takes layers, but got the constructor {candidate.__name__}: call it, as in {candidate.__name__}(...)."
        )
    raise TypeError(f"{where} takes layers and models, but got {candidate!r} of type {type(candidate).__name__}.")

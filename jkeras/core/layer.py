"""The contract that every layer and every model keeps.

    init (key, x_spec)               -> (params, state)
    apply(params, state, x, ctx)     -> (y, state)

``x`` and ``y`` are one nest of arrays each. ``params`` are trained, ``state`` is remembered but not trained; both are nested
dicts by name, ``{}`` where there is none. ``x_spec`` has the structure of ``x`` with ``jax.ShapeDtypeStruct`` leaves: ``init``
sees shapes, never data. ``ctx`` (:class:`~jkeras.core.context.Context`) is all else that a call may know. Both functions are
pure: they read and write nothing but their arguments. What a layer *holds* is the shell's business (``core/store.py``).
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import re
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jkeras.core.context import Context, cast_floats
from jkeras.core.definition import Definition, Params, State
from jkeras.core.describe import shared_answers
from jkeras.core.masks import Masked, join, part, unmask
from jkeras.core.nest import flatten, get_in, map_nest, set_in
from jkeras.core.shapes import PENALTY, is_float, shapes_of, spec_of
from jkeras.core.shell import Shell
from jkeras.core.store import Store, put_around

Path = tuple[str, ...]

_SERIAL = itertools.count()


def spell(kind: str) -> str:
    """Spell a constructor's name as Keras spells automatic layer names: MaxPooling1D, max_pooling1d."""
    words = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", kind))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", words).lower()


class Layer(Shell):
    """A pure pair of functions, and the record of the call that made it.

    Layers are compared by identity: one object called twice shares its parameters, two objects never do. They are made by
    constructors such as ``Dense``, whose instances they are; this class is their common base and makes none.

    Attributes:
      kind: the constructor's name, ``"Dense"``.
      config: the constructor's arguments by name, defaults included.
      given_name: the name that the user chose, or None.
      given_dtype: the dtype or mixed-precision policy that the user chose, or None.
      input_shape_given: ``input_shape=`` or ``input_dim=``, for a Sequential model that starts with this layer.
      definition: the functions; :meth:`init` and :meth:`apply` are their comfortable face.
      serial: the order of creation, for automatic names.
      defaults: the constructor's default arguments, which ``repr`` leaves out.
      specs: what is known of its outputs and arrays by input specs (``core/describe.py``); no arrays.
      store: the arrays that it holds at present, for the shell.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        raise TypeError(
            f"{type(self).__name__} cannot be made or subclassed: a layer is a pair of functions. Write @jkeras.layer over a "
            "function that returns (init, apply), as the docstring of jkeras.layer shows."
        )

    @classmethod
    def of(
        cls,
        definition: Definition,
        kind: str,
        config: Mapping[str, Any],
        common: Mapping[str, Any] | None = None,
        defaults: Mapping[str, Any] | None = None,
    ) -> Any:
        """Make a layer of this class from a definition; constructors do it for their users."""
        layer = cls.__new__(cls)
        layer._record(definition, kind, config, common or {}, defaults or {})
        return layer

    def _record(
        self, definition: Definition, kind: str, config: Mapping[str, Any], common: Mapping[str, Any], defaults: Mapping[str, Any]
    ) -> None:
        self.definition, self.kind, self.config, self.defaults = definition, kind, config, defaults
        self.given_name: str | None = common.get("name")
        self.given_dtype: str | None = common.get("dtype")
        self.input_shape_given: tuple | None = common.get("input_shape")
        self.stem = definition.stem or spell(kind)
        self.serial = next(_SERIAL)
        self.specs: dict[Any, Any] = shared_answers(self)
        self.store = Store(trainable=common.get("trainable", True))
        put_around(self)

    # -- the pair -----------------------------------------------------------------------------------------------------

    def init(self, key: jax.Array, x_spec: Any) -> tuple[Params, State]:
        """Make parameters and state for inputs like ``x_spec``, a nest of arrays or ``jax.ShapeDtypeStruct``; pure.

        Example:
          >>> params, state = Dense(3).init(jax.random.key(0), jax.ShapeDtypeStruct((1, 4), "float32"))
          >>> jax.tree.map(jnp.shape, params)
          {'bias': (3,), 'kernel': (4, 3)}
        """
        made = self.definition.init(key, map_nest(spec_of, x_spec))
        if not isinstance(made, tuple) or len(made) != 2 or not all(isinstance(tree, dict) for tree in made):
            raise TypeError(f"{self.title}: init must return (params, state), two dictionaries, but returned {_typed(made)}.")
        params, state = made
        if self.given_dtype is not None:
            params = cast_floats(params, self.variable_dtype)
        return gathered(self.shared, params), gathered(self.shared, state)

    def apply(
        self,
        params: Params,
        state: State,
        x: Any,
        ctx: Context | None = None,
        *,
        training: bool = False,
        key: jax.Array | None = None,
    ) -> tuple[Any, State]:
        """Compute ``(y, state)``; pure, so ``jit``, ``grad``, ``vmap`` and ``scan`` take it as it is.

        Args:
          params, state: trees as :meth:`init` makes them.
          x: one array or nest, batch axis first; ``Masked`` where it has a mask.
          ctx: what an enclosing layer passes; then a result that has a mask comes as ``Masked``.
          training: without ``ctx``, whether this is a training step.
          key: without ``ctx``, the key for layers that draw random numbers.
        """
        y, state = run(self, params, state, x, context_of(ctx, training, key))
        return (unmask(y) if ctx is None else map_nest(lambda leaf: leaf.value if leaf.mask is None else leaf, y)), state

    def __iter__(self) -> Any:
        """Unpack into the pure functions: ``init, apply = layer``."""
        return iter((self.init, self.apply))

    # -- what is inside -----------------------------------------------------------------------------------------------

    @functools.cached_property
    def places(self) -> tuple[tuple[Path, Layer], ...]:
        """(path, layer) of each layer inside at every path that leads to it, itself first."""
        return (((), self), *places_in(self.definition.children))

    @functools.cached_property
    def nodes(self) -> tuple[tuple[Path, Layer], ...]:
        """(path, layer) of each layer inside, itself first, each layer once, at the first of its paths."""
        return tuple({id(node): (path, node) for path, node in reversed(self.places)}.values())[::-1]

    @functools.cached_property
    def shared(self) -> tuple[tuple[Layer, tuple[Path, ...]], ...]:
        """(layer, its paths) for each layer inside that is met several times; the first path holds its arrays."""
        return shared_in(self.definition.children)

    def own(self, tree: Any) -> Any:
        """Return the entries of this layer's params or state that belong to itself and not to a layer inside."""
        children = self.definition.children
        return {name: value for name, value in tree.items() if name not in children} if children else tree

    def dtype_within(self, inherited: Any) -> Any:
        """Return the dtype in which it computes: by its own policy, else the one that is inherited."""
        return inherited if self.given_dtype is None else self.compute_dtype

    @functools.cached_property
    def casts_inputs(self) -> bool:
        """Whether its inputs are brought to the compute dtype: not a model's, whose layers do it, and no indices."""
        return self.definition.program is None and not any(node.definition.indices for _, node in self.nodes)

    # -- the record ---------------------------------------------------------------------------------------------------

    def become(self, **changes: Any) -> None:
        """Take other arguments, as if it had been made with them; for methods that find arguments in data, such as ``adapt``."""
        other = type(self)(**{**self.config, **changes})
        self.definition, self.config = other.definition, other.config

    @property
    def title(self) -> str:
        """How pure functions call it in messages: ``Dense 'head'``, or ``Dense`` where the user chose no name."""
        return f"{self.kind} {self.given_name!r}" if self.given_name else self.kind

    def __repr__(self) -> str:
        shown = {name: value for name, value in self.config.items() if not _is_default(self.defaults.get(name), value)}
        if self.given_name:
            shown["name"] = self.given_name
        return f"{self.kind}({', '.join(f'{name}={value!r}' for name, value in shown.items())})"


def places_in(children: Mapping[str, Layer]) -> tuple[tuple[Path, Layer], ...]:
    """List (path, layer) for every path to every layer in some children."""
    return tuple(((name, *path), node) for name, child in children.items() for path, node in child.places)


def shared_in(children: Mapping[str, Layer]) -> tuple[tuple[Layer, tuple[Path, ...]], ...]:
    """List (layer, its paths) for each layer with arrays of its own that several paths lead to."""
    paths: dict[int, list[Path]] = {}
    nodes: dict[int, Layer] = {}
    for path, node in places_in(children):
        if node.definition.program is None:
            paths.setdefault(id(node), []).append(path)
            nodes[id(node)] = node
    return tuple((nodes[i], tuple(found)) for i, found in paths.items() if len(found) > 1)


def context_of(ctx: Any, training: bool, key: Any) -> Context:
    """Return the context that a call was given, or one of ``training`` and ``key``; refuse both, or anything else."""
    if ctx is None:
        return Context(training=bool(training), key=key)
    if not isinstance(ctx, Context):
        raise TypeError(f"apply takes a Context after its input, but got {ctx!r}; training=True is written as a keyword.")
    if training or key is not None:
        raise TypeError("apply was given a context beside training= or key=: write Context(training=..., key=...).")
    return ctx


def run(layer: Layer, params: Params, state: State, x: Any, ctx: Context) -> tuple[Any, State]:
    """Call a layer on values with masks: every leaf of the result is :class:`Masked`. The one road of all calls.

    Here, and here only, masks are taken apart and joined, precision is set, shared arrays are put in place, penalties are added
    up, and what the layer returned is checked.
    """
    definition = layer.definition
    if layer.given_dtype is not None:
        ctx = dataclasses.replace(ctx, compute_dtype=layer.dtype_within(None))
    at_root = not ctx.path
    if at_root:  # a pass begins here
        params, state = spread(layer.shared, params), spread(layer.shared, without_penalties(state))
    try:
        values, masks = part(x, ctx.masks)
        ctx = dataclasses.replace(ctx, masks=masks)
        params = {**params, **ctx.cast(layer.own(params))}
        if layer.casts_inputs:
            values = ctx.cast(values)
        before = _penalty_in(layer, state)
        given = state if before is None else {**state, PENALTY: jnp.zeros_like(before)}
        y, state = _checked(layer, definition.apply(params, given, values, ctx), given, ctx)
        y = join(y, values, masks)
    except Exception as error:
        _add_place(error, layer, x, ctx)
        raise
    if before is not None:
        state = {**state, PENALTY: before + state[PENALTY]}
    return y, gathered(layer.shared, state) if at_root else state


def spread(shared: Any, tree: Any, source: Callable[[tuple[Path, ...]], Path | None] = lambda paths: paths[0]) -> Any:
    """Put the arrays that a shared layer has at one of its paths, the first or another, at all of them."""
    for node, paths in shared:
        origin = source(paths)
        own = node.own(get_in(tree, origin)) if origin is not None else {}
        for path in paths if own else ():
            if path != origin:
                tree = set_in(tree, path, {**get_in(tree, path), **own})
    return tree


def gathered(shared: Any, tree: Any) -> Any:
    """Keep the arrays of a shared layer at the first of its paths only."""
    for node, paths in shared:
        for path in paths[1:]:
            inner = get_in(tree, path)
            tree = set_in(tree, path, {name: branch for name, branch in inner.items() if name in node.definition.children})
    return tree


def _penalty_in(layer: Layer, state: State) -> Any:
    found = None if PENALTY in layer.definition.children else state.get(PENALTY)
    if found is not None and jnp.shape(found) != ():
        raise TypeError(
            f"{layer.title}: its state {PENALTY!r} is added to the loss and must be one number, not {jnp.shape(found)}."
        )
    return found


def without_penalties(tree: Any) -> Any:
    """Set the penalties in a state tree to 0, before a pass adds them up."""
    if not isinstance(tree, dict):
        return tree
    return {
        name: jnp.zeros_like(branch) if name == PENALTY and not isinstance(branch, dict) else without_penalties(branch)
        for name, branch in tree.items()
    }


def penalties_in(tree: Any) -> Any:
    """Add up the penalties that a pass left in a state tree."""
    total = jnp.zeros((), jnp.float32)
    for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        if getattr(path[-1], "key", None) == PENALTY:
            total = total + leaf
    return total


def _typed(value: Any) -> str:
    inside = f" of {', '.join(type(part).__name__ for part in value)}" if isinstance(value, (tuple, list)) else ""
    return f"a {type(value).__name__}{inside}"


def _checked(layer: Layer, result: Any, given: State, ctx: Context) -> tuple[Any, State]:
    """Return what ``apply`` returned if it is a pair whose state has the structure, shapes and dtypes of the one it was given."""
    if not isinstance(result, tuple) or len(result) != 2 or not isinstance(result[1], dict):
        raise TypeError(
            f"{layer.title}: apply must return (y, state), its output and a dictionary, but returned {_typed(result)}."
        )
    y, state = result
    for leaf in flatten(y):
        if not isinstance(leaf, Masked) and not hasattr(leaf, "shape"):
            raise TypeError(f"{layer.title}: apply must return arrays, but its output holds a {type(leaf).__name__}.")
    if ctx.compute_dtype is not None and jax.tree.structure(state) == jax.tree.structure(given):
        state = jax.tree.map(lambda new, old: new.astype(old.dtype) if is_float(old) and is_float(new) else new, state, given)
    (now, kept), (was, structure) = jax.tree.flatten(state), jax.tree.flatten(given)
    if kept != structure or any(jnp.shape(a) != jnp.shape(b) or _dtype(a) != _dtype(b) for a, b in zip(now, was, strict=True)):
        raise TypeError(
            f"{layer.title}: apply must return a state like the one that it was given, {described(given)}, but returned "
            f"{described(state)}."
        )
    return y, state


def _dtype(array: Any) -> Any:
    return getattr(array, "dtype", type(array))


def described(tree: Any) -> str:
    """Write names, shapes and dtypes of a tree of arrays."""
    if isinstance(tree, dict):
        return "{" + ", ".join(f"{name!r}: {described(branch)}" for name, branch in tree.items()) + "}"
    return f"{shapes_of(tree)} {tree.dtype}" if hasattr(tree, "dtype") else repr(tree)


def _add_place(error: BaseException, layer: Layer, x: Any, ctx: Context) -> None:
    """Note on an error which layer it arose in; its type, message and traceback stay as they are."""
    if not any(note.startswith("In layer") for note in getattr(error, "__notes__", ())):
        error.add_note(
            f"In layer {'/'.join(ctx.path) or layer.given_name or layer.stem!r}, {layer!r}, called on {shapes_of(unmask(x))}."
        )


def _is_default(default: Any, value: Any) -> bool:
    return default is value or (isinstance(value, (str, int, float)) and type(default) is type(value) and default == value)

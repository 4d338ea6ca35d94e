"""The contract that every layer and every model keeps, and the decorator that makes layers.

    init (key, x_spec)               -> (params, state)
    apply(params, state, x, ctx)     -> (y, state)

``x`` and ``y`` are one pytree each. ``params`` are trained, ``state`` is remembered but not trained; both are nested dicts
by name, ``{}`` where there is none. ``x_spec`` has the structure of ``x`` with ``jax.ShapeDtypeStruct`` leaves: ``init`` sees
shapes, never data. ``ctx`` (:class:`~jkeras.core.context.Context`) is all else that a call may know. Both functions are pure.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import jax
import jax.numpy as jnp

from jkeras.core import variables
from jkeras.core.context import Context, cast_floats, is_traced, unmask
from jkeras.core.errors import GraphError, nearest
from jkeras.core.inference import add_place, infer, masks_of
from jkeras.core.shapes import spec_of
from jkeras.core.symbolic import Call, SymbolicTensor, is_symbolic, specs_of

Params = dict[str, Any]
State = dict[str, Any]


class InitFn(Protocol):
    """Makes a layer's arrays from a key and the specs of its input."""

    def __call__(self, key: jax.Array, x_spec: Any, /) -> tuple[Params, State]:
        """Return ``(params, state)`` for inputs like ``x_spec``."""
        ...


class ApplyFn(Protocol):
    """Computes a layer's output and its next state; pure."""

    def __call__(self, params: Params, state: State, x: Any, ctx: Context, /) -> tuple[Any, State]:
        """Return ``(y, state)``."""
        ...


@dataclasses.dataclass(frozen=True)
class Definition:
    """What a layer constructor returns when ``(init, apply)`` alone does not say everything.

    Attributes:
      init, apply: the pair.
      couples: when an example's output may depend on the rest of its batch: ``"never"``, in ``"training"`` only (batch
        statistics), or ``"always"``. Where it never does, a last, smaller batch is padded and runs in the same compiled
        program; a plain ``(init, apply)`` counts as ``"always"``, which is right for every layer.
      children: inner layers by name. Then ``params`` and ``state`` hold nothing but one entry per child.
      arguments: the keyword arguments that a call may have, read from ``ctx.arguments``.
      linear: like ``apply``, but without the closing activation: ``apply`` is ``closing`` of ``linear``.
      closing: that activation, a function; for several outputs a tuple with None where nothing closes one.
      transient: names of state entries that are no weights: not in ``get_weights``, and zeros after ``reset_state``.
      program: the steps inside, for a model.
      infer: output specs from input specs, where ``jax.eval_shape`` of ``apply`` is not the way (models).
      stem: what automatic names are made of; None: the constructor's name.
    """

    init: InitFn
    apply: ApplyFn
    couples: str = "always"
    children: Mapping[str, Layer] = dataclasses.field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    linear: ApplyFn | None = None
    closing: Any = None
    transient: tuple[str, ...] = ()
    program: Any = None
    infer: Callable[[Any], Any] | None = None
    stem: str | None = None


def spell(kind: str) -> str:
    """Spell a constructor's name as Keras spells automatic layer names: MaxPooling1D, max_pooling1d."""
    words = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", kind)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", words).lower()


def _owners(children: Mapping[str, Layer]) -> tuple[tuple, tuple]:
    """List the (path, leaf layer) pairs below, each leaf once, and the groups of paths that share one leaf."""
    first: dict[int, tuple[tuple[str, ...], Layer]] = {}
    groups: dict[int, list[tuple[str, ...]]] = {}
    for name, child in children.items():
        for path, leaf in child.owned:
            first.setdefault(id(leaf), ((name, *path), leaf))
            groups.setdefault(id(leaf), []).append((name, *path))
    return tuple(first.values()), tuple(tuple(paths) for paths in groups.values() if len(paths) > 1)


def _is_default(default: Any, value: Any) -> bool:
    return default is value or (isinstance(value, (str, int, float)) and type(default) is type(value) and default == value)


PENALTY = "penalty"  # the state entry in which a layer leaves what its output adds to the loss

_SERIAL = itertools.count()
_VARIABLE_DTYPES = {"mixed_bfloat16": "float32", "mixed_float16": "float32"}
COMPUTE_DTYPES = {"mixed_bfloat16": "bfloat16", "mixed_float16": "float16"}


class Layer:
    """A pure pair of functions, and the record of the call that made it.

    Layers are compared by identity: one object called twice shares its parameters, two objects never do. They are made by
    constructors such as ``Dense``, not by this class, and do not change, except that ``trainable`` can be set.

    Attributes:
      kind: the constructor's name, ``"Dense"``.
      config: the constructor's arguments by name, defaults included.
      given_name: the name that the user chose, or None.
      dtype: the dtype or mixed-precision policy that the user chose, or None.
      input_shape_given: ``input_shape=`` or ``input_dim=``, for a Sequential model that starts with this layer.
      definition: the functions; :meth:`init` and :meth:`apply` are their comfortable face.
      owned: (path, leaf layer) for each leaf layer inside, itself at ``()`` where there is none inside.
      shared: groups of paths at which one leaf layer appears; the first path holds its arrays.
      serial: the order of creation, for automatic names.
      held: the arrays that it holds at present, for the shell.
      defaults: the constructor's default arguments, which ``repr`` leaves out.
    """

    def __init__(
        self,
        definition: Definition,
        kind: str,
        config: Mapping[str, Any],
        common: Mapping[str, Any] | None = None,
        defaults: Mapping[str, Any] | None = None,
    ):
        common = common or {}
        self.defaults = defaults or {}
        self.definition = definition
        self.kind = kind
        self.config = config
        self.given_name: str | None = common.get("name")
        self.dtype: str | None = common.get("dtype")
        self.input_shape_given: tuple | None = common.get("input_shape")
        self.stem = definition.stem or spell(kind)
        self.owned, self.shared = _owners(definition.children) if definition.children else ((((), self),), ())
        self.serial = next(_SERIAL)
        self.held = variables.Held(trainable=common.get("trainable", True))

    # -- the pair -----------------------------------------------------------------------------------------------------

    def init(self, key: jax.Array, x_spec: Any) -> tuple[Params, State]:
        """Make parameters and state for inputs like ``x_spec``, a pytree of arrays or ``jax.ShapeDtypeStruct``.

        Example:
          >>> params, state = Dense(3).init(jax.random.key(0), jax.ShapeDtypeStruct((1, 4), "float32"))
          >>> jax.tree.map(jnp.shape, params)
          {'bias': (3,), 'kernel': (4, 3)}
        """
        params, state = self.definition.init(key, jax.tree.map(spec_of, x_spec))
        if not self.definition.children:
            self.held.record(x_spec, params, state, self.definition.transient)
        if self.dtype is not None:
            params = cast_floats(params, _VARIABLE_DTYPES.get(self.dtype, self.dtype))
        for paths in self.shared:
            for path in paths[1:]:
                params, state = variables.set_in(params, path, {}), variables.set_in(state, path, {})
        return params, state

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
          x: one array or pytree, batch axis first.
          ctx: what an enclosing layer passes; then masks stay attached to the result (``Masked``).
          training: without ``ctx``, whether this is a training step.
          key: without ``ctx``, the key for layers that draw random numbers.
        """
        if ctx is not None:
            return self.run(self.definition.apply, params, state, x, ctx)
        y, state = self.run(self.definition.apply, params, state, x, Context(training=training, key=key))
        return unmask(y), state

    def run(self, function: ApplyFn, params: Params, state: State, x: Any, ctx: Context) -> tuple[Any, State]:
        """Call ``apply`` or ``linear`` of the definition with shared arrays in place and precision set."""
        if self.dtype is not None:
            ctx = dataclasses.replace(ctx, compute_dtype=COMPUTE_DTYPES.get(self.dtype, self.dtype))
        for paths in self.shared:
            for path in paths[1:]:
                params = variables.set_in(params, path, variables.get_in(params, paths[0]))
                state = variables.set_in(state, path, variables.get_in(state, paths[0]))
        if not self.definition.children:
            params, x = ctx.cast(params), ctx.cast(x)
        try:
            y, state = function(params, state, x, ctx)
        except Exception as error:
            add_place(error, self, x, ctx)
            raise
        for paths in self.shared:
            for path in paths[1:]:
                state = variables.set_in(state, path, {})
        return y, state

    # -- symbolic and eager calls -------------------------------------------------------------------------------------

    def __call__(self, *inputs: Any, **arguments: Any) -> Any:
        """Call the layer on symbolic tensors, which records a step, or on arrays, with the weights that it holds."""
        if not inputs:
            raise TypeError(f"{self.label} was called without an input: write {self.label}(x).")
        x = inputs[0] if len(inputs) == 1 else tuple(inputs)
        arguments = {name: value for name, value in arguments.items() if value is not None}
        allowed = ("training", "mask", *self.definition.arguments)
        for name in arguments:
            if name not in allowed:
                raise TypeError(
                    f"A call of {self.label} takes no argument {name!r}, only {', '.join(allowed)}.{nearest(name, allowed)}"
                )
        if any(map(is_symbolic, jax.tree.leaves((x, arguments)))):
            return self._trace(x, arguments)
        return self._run_now(x, arguments)

    def _trace(self, x: Any, arguments: Mapping[str, Any]) -> Any:
        for leaf in jax.tree.leaves(x):
            if not is_symbolic(leaf):
                raise GraphError(
                    f"{self.label} was called on symbolic tensors mixed with {type(leaf).__name__}. Give it symbolic tensors "
                    "only; a constant can be joined with an operator or a function of jkeras.ops."
                )
        outputs = infer(self, specs_of(x), specs_of(arguments))
        call = Call(self, x, arguments, outputs)
        if self.held.call is None:
            self.held.call = call
        leaves, structure = jax.tree.flatten(outputs)
        return structure.unflatten([SymbolicTensor(leaf, call, i) for i, leaf in enumerate(leaves)])

    def _run_now(self, x: Any, arguments: Mapping[str, Any]) -> Any:
        x = jax.tree.map(jnp.asarray, x)
        key = jax.random.key(variables.next_seed())
        infer(self, jax.tree.map(spec_of, x), {k: v for k, v in arguments.items() if hasattr(v, "shape")})
        variables.fill(self, key, jax.tree.map(spec_of, x))
        arguments = dict(arguments)
        training, mask = bool(arguments.pop("training", False)), arguments.pop("mask", None)
        ctx = Context(training=training, key=key, arguments=arguments, masks=masks_of(mask, x), path=(self.name,))
        params, state = variables.read(self)
        y, state = self.apply(params, state, x, ctx)
        if training and not is_traced(state):
            variables.write(self, params, state)
        return unmask(y)

    # -- the record ---------------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The user's name, else the one that the first model around it gave, else the automatic stem."""
        return self.given_name or self.held.name or self.stem

    @property
    def label(self) -> str:
        """How messages refer to it: ``Dense 'head'``."""
        return f"{self.kind} {self.name!r}" if self.given_name or self.held.name else self.kind

    @property
    def trainable(self) -> bool:
        """Whether it learns. Set it before ``fit``; each ``fit`` reads it afresh."""
        return self.held.trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self.held.trainable = bool(value)
        for child in self.definition.children.values():
            child.trainable = value

    def __repr__(self) -> str:
        shown = {name: value for name, value in self.config.items() if not _is_default(self.defaults.get(name), value)}
        if self.given_name:
            shown["name"] = self.given_name
        return f"{self.kind}({', '.join(f'{name}={value!r}' for name, value in shown.items())})"

    @property
    def output(self) -> Any:
        """What its first call returned: a symbolic tensor, from which a new model can be cut."""
        return self._tensors_of_first_call()[1]

    @property
    def input(self) -> Any:
        """What it was first called on."""
        return self._tensors_of_first_call()[0]

    def _tensors_of_first_call(self) -> tuple[Any, Any]:
        call = self.held.call
        if call is None:
            raise AttributeError(f"{self.label} has never been called on a symbolic tensor, so it has no input or output.")
        leaves, structure = jax.tree.flatten(call.outputs)
        return call.inputs, structure.unflatten([SymbolicTensor(leaf, call, i) for i, leaf in enumerate(leaves)])

    def get_weights(self) -> list[Any]:
        """Return copies of its arrays as NumPy arrays, in Keras's order."""
        return variables.get_weights(self)

    def set_weights(self, weights: Any) -> None:
        """Replace its arrays by arrays of the same shapes, in Keras's order."""
        variables.set_weights(self, weights)

    def reset_state(self) -> None:
        """Forget what a stateful layer carries from batch to batch."""
        variables.reset(self)

    def count_params(self) -> int:
        """Count the numbers that it holds, trained or not."""
        return variables.count(self)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that made it, ``name``, ``dtype`` and ``trainable`` included."""
        return {"name": self.name, "trainable": self.trainable, "dtype": self.dtype, **self.config}

"""What a layer constructor returns: the pair of functions, and what else there is to say of a layer."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import jax

from jkeras.core.context import Context
from jkeras.core.errors import kind_of
from jkeras.core.masks import checked_mixing
from jkeras.core.shell import Shell, layer_of

if TYPE_CHECKING:
    from jkeras.core.layer import Layer

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
      mixes_examples: when an example's output may depend on the rest of its batch: ``"never"``, in ``"training"`` only (batch
        statistics), or ``"always"``; or a function ``(x_spec, arguments)`` that says so. Where it never does, a last, smaller
        batch is filled up and runs in the same compiled program; a plain ``(init, apply)`` counts as ``"always"``, which is
        right for every layer.
      children: inner layers by name. Params and state then have one entry per child, beside any arrays of the layer's own.
      arguments: the keyword arguments that a call may have, read from ``ctx.arguments``.
      transient: names of state entries that are no weights: not in ``get_weights``, and zeros after ``reset_state``.
      indices: whether inputs are indices, which no precision policy may round.
      outputs: output specs from input specs, arguments and compute dtype, where ``jax.eval_shape`` of ``apply`` is not the way
        (composites).
      program: the steps inside, for a model.
      stem: what automatic names are made of; None: the constructor's name.
      inputs: the names under which a call may also give its inputs; several are one nest, a tuple.
      state_size: for a cell, called on ``(x, states)`` and returning ``(y, states)``: the size of its state, or a list of sizes.
      recurrence: for a cell, how a whole sequence of its steps is run faster than one by one (``layers/recurrence.py``).
      methods: what its layers can do besides being called, by name: functions of the layer and of what the user gives.
      host: what a call computes from values that are not traced, NumPy's arrays or strings, instead of ``apply``.
      training: whether a call on values is a training step where it does not say.
    """

    init: InitFn
    apply: ApplyFn
    mixes_examples: str | Callable[[Any, Mapping[str, Any]], str] = "always"
    children: Mapping[str, Layer] = dataclasses.field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    transient: tuple[str, ...] = ()
    indices: bool = False
    outputs: Callable[[Any, Mapping[str, Any], Any], Any] | None = None
    program: Any = None
    stem: str | None = None
    inputs: tuple[str, ...] = ("inputs",)
    state_size: Any = None
    recurrence: Any = None
    methods: Mapping[str, Callable[..., Any]] = dataclasses.field(default_factory=dict)
    host: Callable[[Any], Any] | None = None
    training: bool = False

    def __post_init__(self) -> None:
        inside = {name: layer_of(child) for name, child in self.children.items()}
        for name, child in inside.items():
            if not isinstance(child, Shell):
                raise TypeError(f"children are layers by name, but {name!r} is {child!r}, {kind_of(child)}.")
        object.__setattr__(self, "children", inside)
        if not callable(self.init) or not callable(self.apply):
            raise TypeError(f"a layer is a pair of functions, init and apply, but got {self.init!r} and {self.apply!r}.")
        if not callable(self.mixes_examples):
            checked_mixing(self.mixes_examples)
        for name in ("arguments", "transient"):
            if isinstance(getattr(self, name), str):
                raise TypeError(f"{name} is a tuple of names, but got {getattr(self, name)!r}.")

"""A layer as Keras shows it: called on tensors and arrays, with a name, with weights that it holds.

What is here reads and writes the store; :class:`~jkeras.core.layer.Layer` adds the pure pair, which does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from jkeras.core import store
from jkeras.core.arguments import checked_bool
from jkeras.core.context import Context, is_traced
from jkeras.core.describe import has_arrays, outputs
from jkeras.core.errors import GraphError, ShapeError, nearest
from jkeras.core.face import Face
from jkeras.core.masks import is_masked, part, unmask, with_mask
from jkeras.core.nest import flatten, map_nest
from jkeras.core.shapes import deep_copy, shapes_of, spec_of
from jkeras.core.symbolic import Call, has_symbolic, is_symbolic, specs_of

if TYPE_CHECKING:
    from jkeras.core.definition import Definition


def _plain(value: Any) -> Any:
    """Return 0 and 1 as booleans."""
    return bool(value) if isinstance(value, int) and value in (0, 1) else value


_INSTEAD = """{name} cannot be a class with build and call: a layer is a pair of functions. Write instead, for example,
    @jkeras.layer
    def {name}(units=32):
        def init(key, x):  # x has a shape and a dtype
            return {{"kernel": jkeras.weight(key, "kernel", "glorot_uniform", (x.shape[-1], units))}}, {{}}
        def apply(params, state, x, ctx):
            return x @ params["kernel"], state
        return init, apply"""


def layer_of(candidate: Any) -> Any:
    """Return the layer that a model is, and anything else as it is."""
    return candidate if isinstance(candidate, Shell) else getattr(candidate, "layer", candidate)


class Shell(Face):
    """Calls, name, weights and ``trainable`` of a layer."""

    # what Layer supplies
    kind: str
    config: Mapping[str, Any]
    given_name: str | None
    given_dtype: str | None
    stem: str
    definition: Definition
    store: store.Store
    apply: Any

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "call" in cls.__dict__ or "build" in cls.__dict__:
            raise TypeError(_INSTEAD.format(name=cls.__name__))

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """Copy what the layer holds, and the layers inside; what is known of shapes, and the arguments, are shared."""
        other = deep_copy(self, memo, {name: self.__dict__[name] for name in ("config", "defaults", "specs")})
        store.put_around(other)
        return other

    def __call__(self, *inputs: Any, **arguments: Any) -> Any:
        """Call the layer on symbolic tensors, which records a step, or on arrays, with the weights that it holds."""
        arguments = {name: value for name, value in arguments.items() if value is not None}
        for name in self.definition.inputs[len(inputs) :]:
            if name not in arguments:
                break
            inputs = (*inputs, arguments.pop(name))
        if not inputs:
            raise TypeError(f"{self.label} was called without an input: write {self.label}(x).")
        x = inputs[0] if len(inputs) == 1 else tuple(inputs)
        allowed = ("training", "mask", *self.definition.arguments)
        for name in arguments:
            if name not in allowed:
                raise TypeError(
                    f"A call of {self.label} takes no argument {name!r}, only {', '.join(allowed)}.{nearest(name, allowed)}"
                )
        if "training" in arguments:
            arguments["training"] = checked_bool(f"{self.label}: training", _plain(arguments["training"]))
        if is_traced(x) and any(is_masked(leaf) and leaf.mixes_examples != "always" for leaf in flatten(x)):
            raise TypeError(f"{self.label} was called inside the body of a composite: there it is written call(name, x).")
        if has_symbolic((x, arguments)):
            return self._trace(x, arguments)
        host = self.definition.host
        return self._run_now(x, arguments) if host is None or is_traced(x) else host(x)

    def _trace(self, x: Any, arguments: Mapping[str, Any]) -> Any:
        for leaf in flatten(x):
            if not is_symbolic(leaf):
                raise GraphError(
                    f"{self.label} was called on symbolic tensors mixed with {type(leaf).__name__}. Give it symbolic tensors "
                    "only; a constant can be joined with an operator or a function of jkeras.ops."
                )
        described: Any = self
        if "mask" in arguments:
            self._check_mask(specs_of(x), specs_of(arguments["mask"]))
        found = outputs(described, specs_of(x), specs_of(arguments))
        store.record(described, specs_of(x))
        call = Call(described, x, arguments, found)
        if self.store.call is None:
            self.store.call = call
        return call.tensors()

    def _check_mask(self, x: Any, mask: Any) -> None:
        try:
            part(with_mask(x, mask))
        except (ShapeError, AttributeError, KeyError, TypeError, ValueError) as error:
            said = error if isinstance(error, ShapeError) else "a mask is one array, or nested as the inputs are."
            raise ShapeError(f"{self.label} cannot take a mask of shape {shapes_of(mask)}: {said}") from error

    def _run_now(self, x: Any, arguments: Mapping[str, Any]) -> Any:
        x = map_nest(lambda leaf: leaf if hasattr(leaf, "mask") else jnp.asarray(leaf), x)
        layer: Any = self
        x_spec, seed = map_nest(spec_of, unmask(x)), store.next_seed()
        outputs(layer, x_spec, {k: map_nest(spec_of, unmask(v)) if has_arrays(v) else v for k, v in arguments.items()})
        store.record(layer, x_spec)
        store.fill(layer, seed, x_spec)
        arguments = dict(arguments)
        training, mask = bool(arguments.pop("training", self.definition.training)), arguments.pop("mask", None)
        if mask is not None:
            mask = map_nest(lambda m: m if m is None else jnp.asarray(m), mask)
            self._check_mask(unmask(x), mask)
            x = with_mask(x, mask)
        params, state = store.read(layer)
        ctx = Context(training=training, key=jax.random.key(seed), arguments=arguments, frozen=store.frozen_paths(layer))
        y, state = self.apply(params, state, x, ctx)
        if not is_traced(state):
            store.write(layer, params, state)  # a pass may leave statistics, or what a stateful layer carries on
        return unmask(y)

    @property
    def name(self) -> str:
        """The user's name, else the one that the first model around it gave, else the automatic stem."""
        return self.given_name or self.store.name or self.stem

    @property
    def label(self) -> str:
        """How messages refer to it: ``Dense 'head'``."""
        return f"{self.kind} {self.name!r}" if self.given_name or self.store.name else self.kind

    @property
    def trainable(self) -> bool:
        """Whether it learns, as ``compile`` will find it: set it before. Setting it sets every layer inside."""
        return self.store.trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self.store.trainable = checked_bool(f"{self.label}.trainable", value)
        for child in self.definition.children.values():
            child.trainable = value

    @property
    def output(self) -> Any:
        """What its first call returned: a symbolic tensor, from which a new model can be cut."""
        return self._first_call().tensors()

    @property
    def input(self) -> Any:
        """What it was first called on."""
        return self._first_call().inputs

    def _first_call(self) -> Call:
        if self.store.call is None:
            raise AttributeError(f"{self.label} has never been called on a symbolic tensor, so it has no input or output.")
        return self.store.call

    def set_weights(self, weights: Any) -> None:
        """Replace its arrays by arrays of the same shapes, in Keras's order."""
        store.set_weights(self, weights)  # type: ignore[arg-type]

    def reset_state(self) -> None:
        """Forget what a stateful layer carries from batch to batch."""
        store.reset(self)  # type: ignore[arg-type]

    def count_params(self) -> int:
        """Count the numbers that it holds, trained or not."""
        return store.count(self)  # type: ignore[arg-type]

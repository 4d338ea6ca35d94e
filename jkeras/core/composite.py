"""Layers made of layers: a body that calls inner layers by name, from which the pure pair follows."""

from __future__ import annotations

import collections
import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jkeras.core import describe
from jkeras.core.constructors import as_layer, common_of, made_again
from jkeras.core.context import Context, fold_in_name
from jkeras.core.definition import Definition
from jkeras.core.describe import has_arrays, hashable, hollow, kept, known_variables
from jkeras.core.errors import ShapeError, UnknownNameError, nearest
from jkeras.core.layer import Layer, run, shared_in, spread
from jkeras.core.masks import Masked, checked_mixing, is_masked, strongest, unmask, with_mask
from jkeras.core.nest import flatten, map_nest, nested
from jkeras.core.shapes import forget, spec_of, traceable
from jkeras.core.shell import layer_of


class Plan(NamedTuple):
    """What a composite does with inputs of some specs.

    Attributes:
      inputs: the specs of each inner layer's input at its first call, by name.
      outputs: the specs of the output.
      mixes_examples: when an example's output depends on the rest of its batch.
    """

    inputs: Mapping[str, Any]
    outputs: Any
    mixes_examples: str


class Calls:
    """How a body calls inner layers: ``call("name", x)``. It lives for one pass through the composite.

    Keys, call numbers, paths, params, state, precision and freezing are seen to; values come back as ``Masked``, on which
    operators, indexing, ``jkeras.ops`` and ``jax.numpy`` work. A keyword argument goes to the inner layer; ``mask=`` replaces
    the mask of the values, ``training=`` the phase, ``params=`` the inner layer's parameters, of the same shapes.

    Attributes:
      params: the composite's own parameters.
      states: the state by name, that of inner layers and the composite's own entries. In a loop of JAX's a body carries it
        along and puts it back here; elsewhere there is nothing to do.
      ctx: the call's context.
    """

    def __init__(self, children: Mapping[str, Layer], shared: Any, params: Any, state: Any, ctx: Context):
        self.params, self.states, self.ctx = params, dict(state), ctx
        self._children, self._shared, self._counts = children, shared, dict.fromkeys(children, 0)

    def __call__(self, name: str, x: Any, /, **arguments: Any) -> Any:
        """Call the inner layer of that name."""
        if name not in self._counts:
            raise UnknownNameError(f"There is no inner layer {name!r}, only {', '.join(map(repr, self._counts))}.")
        allowed = ("training", "mask", "params", *self._children[name].definition.arguments)
        for argument in arguments:
            if argument not in allowed:
                hint = nearest(argument, allowed)
                raise TypeError(f"A call of {name!r} takes no argument {argument!r}, only {', '.join(allowed)}.{hint}")
        number = self._counts[name]
        self._counts[name] += 1
        arguments = {argument: value for argument, value in arguments.items() if value is not None}
        if "training" in arguments:
            arguments["training"] = bool(arguments["training"])
        return self._run(name, number, x, arguments)

    def params_of(self, name: str, x: Any) -> Any:
        """Return the params that ``call(name, x)`` will use, for a body that computes with them or gives others, ``params=``."""
        return self.params.get(name, {})

    def _run(self, name: str, number: int, x: Any, arguments: dict[str, Any]) -> Any:
        given = dict(arguments)
        params = given.pop("params", self.params.get(name, {}))
        x = with_mask(x, given.pop("mask")) if "mask" in given else x
        training = bool(given.pop("training", self.ctx.training))
        ctx = self.ctx.child(name, number, training=training, arguments=map_nest(unmask, given))
        child = self._children[name]
        with jax.named_scope(name):
            y, state = run(child, params, self.states.get(name, {}), x, ctx)
        if state:
            # A layer that is met at several paths has, at all of them, the state that its last call left.
            self.states[name] = state
            called = lambda paths: next((path for path in paths if path[0] == name), None)  # noqa: E731
            self.states = spread(self._shared, self.states, called)
        return y


class _DryCalls(Calls):
    """Calls that compute nothing: they note what each layer is called on, and return zeros of the right shapes."""

    def __init__(self, children: Mapping[str, Layer]):
        super().__init__(children, (), {}, {}, Context())
        self.inputs: dict[str, Any] = {}
        self.mixings: list[str] = []

    def start(self, params: Any, state: Any, ctx: Context) -> None:
        """Begin a pass with the composite's own arrays."""
        self.params, self.states, self.ctx = _Zeros(params, self._specs_of), collections.defaultdict(dict, state), ctx

    def params_of(self, name: str, x: Any) -> Any:
        """Note what the inner layer will be called on, and return zeros of the shapes of its params."""
        self.inputs.setdefault(name, map_nest(lambda leaf: forget(spec_of(leaf)), unmask(x)))
        return self.params[name]

    def _specs_of(self, name: str) -> Any:
        """Return the specs of an inner layer's params once it was called."""
        if name in self._children and name not in self.inputs:
            raise ShapeError(f"the body reads the params of {name!r} before it calls it, so that their shapes are unknown.")
        return describe.variables(self._children[name], self.inputs[name])[0]

    def _run(self, name: str, number: int, x: Any, arguments: dict[str, Any]) -> Any:
        arguments.pop("params", None)
        child, exact = self._children[name], map_nest(spec_of, unmask(x))
        x_spec, batch = map_nest(forget, exact), flatten(exact)[0].shape[:1]  # a folded batch is a product of sizes
        self.inputs.setdefault(name, x_spec)
        described = {k: map_nest(spec_of, unmask(v)) if has_arrays(v) else v for k, v in arguments.items()}
        beside = [leaf for value in arguments.values() if has_arrays(value) for leaf in _mixings(value)]
        self.mixings.append(strongest(describe.mixing(child, x_spec, described), *beside))
        mixing = strongest(self.mixings[-1], *_mixings(x))
        found = describe.outputs(child, x_spec, described, self.ctx.compute_dtype)
        again = flatten(x_spec)[0].shape[:1]

        def zeros(spec: Any) -> Masked:
            shape = (*batch, *spec.shape[1:]) if spec.shape[:1] == again else spec.shape
            return Masked(jnp.zeros(shape, spec.dtype), mixes_examples=mixing)

        return map_nest(zeros, found)


class _Zeros(dict):
    """The composite's own arrays, and for an inner layer's, which are not there yet, zeros made where they are asked for."""

    def __init__(self, own: Any, specs: Callable[[str], Any]):
        super().__init__(own)
        self._specs = specs

    def get(self, name: str, default: Any = None) -> Any:
        """Return what ``[name]`` returns."""
        return self[name]

    def __missing__(self, name: str) -> Any:
        return jax.tree.map(lambda spec: jnp.zeros(spec.shape, spec.dtype), self._specs(name))


def _of_zeros(names: Any, values: Any) -> Any:
    return dict(zip(names, values, strict=True))


jax.tree_util.register_pytree_node(_Zeros, lambda tree: (tuple(tree.values()), tuple(tree)), _of_zeros)


def _mixings(x: Any) -> list[str]:
    """Say of each leaf whether examples of it were mixed; nobody knows what a body did that left a plain array."""
    return [leaf.mixes_examples if is_masked(leaf) else "always" for leaf in flatten(x)]


def composite(
    body: Callable[[Calls, Any], Any],
    /,
    *,
    weights: Callable[[Any, Any], Any] | None = None,
    mixes_examples: str | None = None,
    arguments: tuple[str, ...] = (),
    transient: tuple[str, ...] = (),
    **children: Any,
) -> Definition:
    """Define a layer by a function that calls inner layers by name.

    The body is run on values when the layer is applied, and on specs when it is initialised; there each inner layer is told what
    it will be called on. Nothing else needs to be said: keys, names, shapes, state, masks, precision, freezing, the mixing of
    examples and the order of weights follow from the calls.

    Args:
      body: a function ``(call, x) -> y``; ``call("name", x)`` calls an inner layer, in loops of JAX's too. ``x`` is a nest of
        ``Masked`` values: ``x.value`` and ``x.mask``, on which operators, ``jkeras.ops`` and ``jax.numpy`` work as well.
      weights: makes arrays of the layer's own, ``(key, x_spec) -> (params, state)``; the body finds them in ``call.params`` and
        ``call.states``.
      mixes_examples: whether the body itself lets examples of a batch see one another. None (default): found out from operators
        and calls; a body that computes with plain arrays counts as ``"always"`` unless it says ``"never"`` here.
      arguments: the keyword arguments that a call may have, read from ``call.ctx.arguments``; ``init`` runs the body without any.
      transient: names of own state entries that are no weights.
      children: the inner layers by name: layers, models, or pairs.

    Example:
      >>> @layer
      ... def Residual(units, rate=0.1):
      ...     first, second = Dense(units, activation="relu"), Dense(units)
      ...     norm, drop = BatchNormalization(), Dropout(rate)
      ...     body = lambda call, x: x + call("drop", call("second", call("first", call("norm", x))))
      ...     return composite(body, first=first, second=second, norm=norm, drop=drop)
      >>> Residual(4)(Input((4,))).shape
      (None, 4)
    """
    inside = {name: as_layer(child, "composite") for name, child in children.items()}
    if mixes_examples is not None:
        checked_mixing(mixes_examples)
    plans: dict[Any, Plan] = {}

    def plan(x_spec: Any, given: Mapping[str, Any], dtype: Any) -> Plan:
        key = hashable((x_spec, dict(given), str(dtype)))
        answer = functools.partial(_planned, inside, body, weights, x_spec, given, dtype, mixes_examples)
        return answer() if key is None else kept(plans, key, answer)

    return compose(body, inside, plan, weights=weights, arguments=arguments, transient=transient)


def compose(
    body: Callable[[Calls, Any], Any],
    children: Mapping[str, Layer],
    plan: Callable[[Any, Mapping[str, Any], Any], Plan],
    weights: Callable[[Any, Any], Any] | None = None,
    **more: Any,
) -> Definition:
    """Make the pure pair of a body whose plan is known; what :func:`composite` and models have in common."""

    def init(key: jax.Array, x_spec: Any) -> tuple[dict, dict]:
        params, state = map(dict, weights(key, x_spec) if weights else ({}, {}))
        for name, spec in plan(x_spec, {}, None).inputs.items():
            made = children[name].init(fold_in_name(key, name), spec)
            for tree, branch in zip((params, state), made, strict=True):
                if name in tree:
                    raise ValueError(f"{name!r} is an array of the layer's own and a layer inside it.")
                if branch:
                    tree[name] = branch
        return params, state

    def apply(params: Any, state: Any, x: Any, ctx: Context) -> Any:
        call = Calls(children, shared(), params, state, ctx)
        y = body(call, map_nest(lambda value, mask: Masked(value, mask, mixes_examples="never"), x, ctx.masks))
        return y, call.states

    shared = functools.cache(lambda: shared_in(children))
    return Definition(
        init,
        apply,
        mixes_examples=lambda x_spec, given: plan(x_spec, given, None).mixes_examples,
        children=children,
        outputs=lambda x_spec, given, dtype: plan(x_spec, given, dtype).outputs,
        **more,
    )


def _planned(children: Any, body: Any, weights: Any, x_spec: Any, given: Mapping[str, Any], dtype: Any, mixes: Any) -> Plan:
    own: Any = ({}, {})
    if weights:
        pair = Definition(weights, lambda params, state, x, ctx: (x, state))
        own = known_variables(Layer.of(pair, "weights=", {}), x_spec)
    phases = [_dry_run(children, body, own, x_spec, given, dtype, training) for training in (False, True)]
    inputs, outputs, mixing = phases[0]
    if mixes is not None:
        mixing = strongest(mixes, *(inner for phase in phases for inner in phase[2][1]))
    elif own[1]:
        mixing = "always"  # nobody knows what a state of its own is computed from
    else:
        at_rest, training = (strongest(*outer, *inner) for _, _, (outer, inner) in phases)
        mixing = at_rest if at_rest == "always" or training == "never" else "training"
    return Plan(inputs, outputs, mixing)


def _dry_run(children: Any, body: Any, own: Any, x_spec: Any, given: Mapping[str, Any], dtype: Any, training: bool) -> Any:
    """Run a body on specs; return the specs of inner inputs, those of outputs, and what the body and its calls mix."""
    calls = _DryCalls(children)
    tensors = {name: value for name, value in given.items() if has_arrays(value)}
    casts = not any(node.definition.indices for child in children.values() for _, node in child.nodes)
    found: list[Any] = []

    def dry(params: Any, state: Any, leaves: list[Any], tensors: Any) -> Any:
        ctx = Context(training, jax.random.key(0), arguments={**given, **tensors}, compute_dtype=dtype)
        calls.start(ctx.cast(params), state, ctx)
        x = nested(x_spec, ctx.cast(leaves) if casts else leaves)  # a list, because JAX sorts dictionaries
        y = body(calls, map_nest(lambda value: Masked(value, mixes_examples="never"), x))
        if not all(hasattr(leaf, "shape") for leaf in flatten(y)):
            raise TypeError(f"the body of a composite must return arrays, but returned {y!r}.")
        found.extend((hollow(y), _mixings(y)))
        calls.start({}, {}, Context())  # nothing of this trace outlives it
        return flatten(unmask(y))

    specs = jax.eval_shape(dry, *own, *jax.tree.map(traceable, (flatten(x_spec), tensors)))
    order, mixings = found
    inputs = {name: calls.inputs[name] for name in children if name in calls.inputs}
    return inputs, nested(order, specs), (mixings, calls.mixings)


def clone(layer: Any, **changes: Any) -> Layer:
    """Make a layer like another, with arrays of its own; layers among its arguments are cloned too.

    Args:
      layer: the layer; what it holds is not copied.
      changes: arguments of its constructor to be changed, ``name``, ``dtype`` and ``trainable`` included.

    Example:
      >>> clone(LSTM(8, name="forward"), go_backwards=True, name="backward")
      LSTM(units=8, go_backwards=True, name='backward')
    """
    return _cloned(as_layer(layer, "clone"), {}, changes)


def _cloned(value: Any, known: dict[int, Layer], changes: Mapping[str, Any]) -> Any:
    """Clone a layer; one that is met twice among its arguments has one clone."""
    value = layer_of(value)
    if not isinstance(value, Layer):
        return map_nest(lambda leaf: _cloned(leaf, known, {}), value) if isinstance(value, (list, tuple, dict)) else value
    if value.definition.program is not None:
        raise TypeError(f"clone makes a layer like another from its arguments, which {value!r}, a model, has none of.")
    if id(value) not in known:
        again = {name: _cloned(argument, known, {}) for name, argument in value.config.items()}
        known[id(value)] = made_again(type(value), {**again, **common_of(value), "trainable": value.trainable, **changes})
    return known[id(value)]

"""A traced graph becomes a straight-line program, and the program is one more layer.

Sequential and functional models, models inside models and models cut out of others are all such programs, run by the one
evaluator :func:`evaluate`. Summaries, sub-models and files read the same list of steps.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax

from jkeras.core import variables
from jkeras.core.constructors import as_layer
from jkeras.core.context import Context, Masked, fold_in_name, is_masked
from jkeras.core.errors import GraphError, ShapeError
from jkeras.core.inference import infer
from jkeras.core.layer import Definition, Layer
from jkeras.core.order import Order, unique_names
from jkeras.core.resolve import Structure, flatten, map_nest, resolve
from jkeras.core.shapes import accepts, shape_of
from jkeras.core.symbolic import Call, SymbolicTensor, is_symbolic


class Step(NamedTuple):
    """One equation of a program: ``slots[outputs] = layer(slots[inputs], **constants, **slots[tensors])``.

    Attributes:
      name: the layer's name in this program.
      call: 0, 1, ... : which of the layer's calls this is.
      layer: what is called.
      inputs: a nest of slots.
      outputs: one slot per leaf of the output, in the order of ``jax.tree.leaves``.
      constants: keyword arguments that are not arrays, such as ``training=True``.
      tensors: keyword arguments that are, as nests of slots.
    """

    name: str
    call: int
    layer: Layer
    inputs: Any
    outputs: tuple[int, ...]
    constants: Mapping[str, Any]
    tensors: Mapping[str, Any]


@dataclasses.dataclass(frozen=True, eq=False)
class Program:
    """The steps of a model, in an order in which they can run.

    Attributes:
      steps: the calls.
      layers: every layer by name, inputs included, in Keras's order.
      inputs, outputs: nests of slots.
      input_names, output_names: nests of names, of the same shapes.
      specs: the spec of each slot as recorded while the graph was built; empty where the input shape was not known.
    """

    steps: tuple[Step, ...]
    layers: Mapping[str, Layer]
    inputs: Any
    outputs: Any
    input_names: Structure
    output_names: Structure
    specs: Mapping[int, jax.ShapeDtypeStruct]

    @property
    def input_spec(self) -> Any:
        """The specs of the inputs, or None where the input shape was not known."""
        return map_nest(self.specs.__getitem__, self.inputs) if self.specs else None

    def enter(self, x: Any, check: bool = True) -> dict[int, Any]:
        """Put an input, in any form that the resolver takes, into the input slots."""
        found = resolve(x, self.input_names, "inputs")
        slots = dict(zip(flatten(self.inputs), found.values(), strict=True))
        for (slot, leaf), name in zip(slots.items(), found, strict=True):
            expected = self.specs.get(slot)
            value = leaf.value if is_masked(leaf) else leaf
            if check and expected is not None and not accepts(expected, value):
                raise ShapeError(f"input {name!r} must have shape {shape_of(expected)}, but got {shape_of(value)}.")
        return slots

    def specs_for(self, x_spec: Any) -> Mapping[int, Any]:
        """Return the spec of every slot for an input like ``x_spec``: as recorded, or worked out step by step."""
        specs = self.enter(x_spec)
        if self.specs and all(shape_of(self.specs[slot]) == shape_of(given) for slot, given in specs.items()):
            return self.specs
        for step in self.steps:
            arguments = {**step.constants, **_fetch(specs, step.tensors)}
            outputs = infer(step.layer, _fetch(specs, step.inputs), arguments)
            specs.update(zip(step.outputs, jax.tree.leaves(outputs), strict=True))
        return specs


def _fetch(values: Mapping[int, Any], nest: Any) -> Any:
    return map_nest(values.__getitem__, nest)


def _put(step: Step, y: Any, ctx: Context, x: Any, values: dict, masks: dict) -> None:
    """Store a step's output; its mask is its own, or else the input's while rank and leading axes stay."""
    leaves = jax.tree.leaves(y, is_leaf=is_masked)
    ranks = {leaf.ndim for leaf in jax.tree.leaves(x)}
    inherited = ctx.mask
    for slot, leaf in zip(step.outputs, leaves, strict=True):
        if is_masked(leaf):
            values[slot], masks[slot] = leaf
            continue
        keeps = inherited is not None and leaf.ndim in ranks and leaf.shape[: inherited.ndim] == inherited.shape
        values[slot], masks[slot] = leaf, inherited if keeps else None


def evaluate(program: Program, groups: Any, params: Any, state: Any, x: Any, ctx: Context, opened: dict | None) -> Any:
    """Run a program: the one evaluator of every model.

    Args:
      program: what to run.
      groups: paths that share one layer's arrays (``Layer.shared``); its state is kept equal at all of them.
      params, state, x, ctx: as for any layer.
      opened: None; or a dict in which the outputs before their closing activations are put, by slot.
    """
    values = program.enter(x)
    masks: dict[int, Any] = dict(zip(values, ctx.masks or (None,) * len(values), strict=True))
    for slot, leaf in values.items():
        if is_masked(leaf):
            values[slot], masks[slot] = leaf
    wanted, state = set(flatten(program.outputs)), dict(state)
    for step in program.steps:
        inputs, arguments = _fetch(values, step.inputs), {**step.constants, **_fetch(values, step.tensors)}
        mask = arguments.pop("mask", None)
        child = ctx.child(
            step.name,
            step.call,
            masks=tuple(masks[slot] if mask is None else mask for slot in jax.tree.leaves(step.inputs)),
            training=bool(arguments.pop("training", ctx.training)),
            arguments=arguments,
        )
        definition = step.layer.definition
        opens = opened is not None and definition.linear is not None and not wanted.isdisjoint(step.outputs)
        function: Any = definition.linear if opens else definition.apply
        with jax.named_scope(step.name):
            y, inner = step.layer.run(function, params.get(step.name, {}), state.get(step.name, {}), inputs, child)
        if opens:
            y = _close(step, y, opened)
        state = _with_state(state, step.name, inner, groups)
        _put(step, y, child, inputs, values, masks)
    outputs = map_nest(lambda slot: values[slot] if masks[slot] is None else Masked(values[slot], masks[slot]), program.outputs)
    return outputs, state


def _close(step: Step, z: Any, opened: Any) -> Any:
    """Remember a step's output before its closing activation, and return it after."""
    leaves, structure = jax.tree.flatten(z, is_leaf=is_masked)
    closed = []
    for slot, leaf, closing in zip(step.outputs, leaves, closings(step.layer), strict=True):
        value, mask = leaf if is_masked(leaf) else (leaf, None)
        opened[slot] = leaf
        value = closing(value) if closing else value
        closed.append(Masked(value, mask) if is_masked(leaf) else value)
    return structure.unflatten(closed)


def closings(layer: Layer) -> tuple[Any, ...]:
    """Return the closing activation of each output, None where there is none."""
    closing = layer.definition.closing
    return closing if isinstance(closing, tuple) else (closing,)


def _with_state(state: dict, name: str, inner: Any, groups: Any) -> dict:
    state = variables.set_in(state, (name,), inner)
    for paths in groups:
        source = next((path for path in paths if path[0] == name), None)
        if source is not None:
            for path in paths:
                state = variables.set_in(state, path, variables.get_in(state, source))
    return state


def from_program(program: Program, kind: str, name: str | None = None) -> Layer:
    """Make a program the layer that models are."""
    called = {step.name for step in program.steps}
    children = {name: layer for name, layer in program.layers.items() if name in called}  # in the order of Keras's weights
    groups: Any = ()

    def init(key: jax.Array, x_spec: Any) -> tuple[dict, dict]:
        specs, made = program.specs_for(x_spec), {}
        for step in program.steps:
            if step.name not in made:
                made[step.name] = step.layer.init(fold_in_name(key, step.name), _fetch(specs, step.inputs))
        params = {name: pair[0] for name, pair in made.items() if jax.tree.leaves(pair[0])}
        return params, {name: pair[1] for name, pair in made.items() if jax.tree.leaves(pair[1])}

    def apply(params: Any, state: Any, x: Any, ctx: Context) -> Any:
        return evaluate(program, groups, params, state, x, ctx, None)

    def linear(params: Any, state: Any, x: Any, ctx: Context) -> Any:
        opened: dict[int, Any] = {}
        outputs, state = evaluate(program, groups, params, state, x, ctx, opened)
        flat = iter([_reopened(opened.get(slot), y) for slot, y in zip(slots, _outputs_of(outputs), strict=True)])
        return map_nest(lambda _: next(flat), program.outputs), state

    slots = flatten(program.outputs)
    makers = {
        slot: closing
        for step in program.steps
        if step.layer.definition.linear
        for slot, closing in zip(step.outputs, closings(step.layer), strict=True)
    }
    couplings = {layer.definition.couples for layer in children.values()}
    definition = Definition(
        init,
        apply,
        couples=next((c for c in ("always", "training") if c in couplings), "never"),
        children=children,
        linear=linear,
        closing=tuple(makers.get(slots[i]) for i in _leaf_order(program.outputs)),
        program=program,
        infer=lambda x_spec: map_nest(program.specs_for(x_spec).__getitem__, program.outputs),
    )
    made = Layer(definition, kind, {}, {"name": name})
    groups = made.shared
    for label, layer in program.layers.items():
        if layer.held.name is None:
            layer.held.name = label
    return made


def _reopened(z: Any, y: Any) -> Any:
    """Return what came before an output's closing activation, with the output's mask; the output itself where nothing did."""
    if z is None:
        return y
    value = z.value if is_masked(z) else z
    return Masked(value, y.mask) if is_masked(y) else value


def _outputs_of(tree: Any) -> list[Any]:
    """Flatten outputs in the order in which they were written, taking masked values whole."""
    if is_masked(tree) or not isinstance(tree, (dict, list, tuple)):
        return [tree]
    return [leaf for branch in (tree.values() if isinstance(tree, dict) else tree) for leaf in _outputs_of(branch)]


def _leaf_order(nest: Any) -> list[int]:
    """For each leaf in JAX's order, its place in the order in which the nest was written."""
    places = iter(range(len(flatten(nest))))
    return jax.tree.leaves(map_nest(lambda _: next(places), nest))


def _unwrap(nest: Any) -> Any:
    return nest[0] if isinstance(nest, (list, tuple)) and len(nest) == 1 else nest


def functional(inputs: Any, outputs: Any, name: str | None = None, kind: str = "Functional") -> Layer:
    """Make one layer of everything between ``inputs`` and ``outputs``.

    Args:
      inputs: a symbolic tensor, or a list, dict or nest of them; intermediate tensors of another model are allowed.
      outputs: the same; each must depend on the inputs alone.
      name: the model's name in models around it.
      kind: what ``repr`` and summaries call it.

    Raises:
      GraphError: when something else than a symbolic tensor is given, when an output needs an input that is missing, or when
        two different layers bear the same name.

    Example:
      >>> x = Input((4,))
      >>> model = functional(x, Dense(2)(Dense(3)(x)))
      >>> params, state = model.init(jax.random.key(0), x.spec)
      >>> sorted(params)
      ['dense', 'dense_1']
    """
    inputs, outputs = _unwrap(inputs), _unwrap(outputs)
    for where, nest in (("inputs", inputs), ("outputs", outputs)):
        leaves = flatten(nest)
        if not leaves:
            raise GraphError(f"A model needs at least one tensor among its {where}, but got {nest!r}.")
        for leaf in leaves:
            if not is_symbolic(leaf):
                raise GraphError(
                    f"The {where} of a model are symbolic tensors, made by Input and by calling layers, but got {leaf!r}."
                )
    sources = flatten(inputs)
    if len({id(t) for t in sources}) < len(sources):
        raise GraphError("The same tensor is given twice among the inputs of a model.")
    order = Order(sources, flatten(outputs))
    names = unique_names(order.layers)
    return from_program(_program(order, names, inputs, outputs), kind, name)


def _program(order: Order, names: Mapping[int, str], inputs: Any, outputs: Any) -> Program:
    slots: dict[tuple[int, int], int] = {}
    specs: dict[int, jax.ShapeDtypeStruct] = {}

    def new_slot(call: Call, index: int, spec: jax.ShapeDtypeStruct) -> int:
        slot = slots[id(call), index] = len(slots)
        specs[slot] = spec
        return slot

    def slot_of(tensor: SymbolicTensor) -> int:
        return slots[id(tensor.call), tensor.index]

    for tensor in flatten(inputs):
        new_slot(tensor.call, tensor.index, tensor.spec)
    steps, counts = [], {}
    for call in order.calls:
        name = names[id(call.layer)]
        tensors = {k: v for k, v in call.arguments.items() if any(map(is_symbolic, flatten(v)))}
        constants = {k: v for k, v in call.arguments.items() if k not in tensors}
        made = []
        for index, spec in enumerate(jax.tree.leaves(call.outputs)):
            known = slots.get((id(call), index))
            made.append(new_slot(call, index, spec) if known is None else known)
        steps.append(
            Step(
                name,
                counts.setdefault(name, 0),
                call.layer,
                map_nest(slot_of, call.inputs),
                tuple(made),
                constants,
                {k: map_nest(slot_of, v) for k, v in tensors.items()},
            )
        )
        counts[name] += 1
    return Program(
        steps=tuple(steps),
        layers={names[id(layer)]: layer for layer in order.layers},
        inputs=map_nest(slot_of, inputs),
        outputs=map_nest(slot_of, outputs),
        input_names=_names_of(inputs, lambda tensor: names[id(order.source_layer(tensor))]),
        output_names=_names_of(outputs, lambda tensor: _output_name(tensor, names, order)),
        specs=specs,
    )


def _output_name(tensor: SymbolicTensor, names: Mapping[int, str], order: Order) -> str:
    layer = order.source_layer(tensor) if order.is_source(tensor) else tensor.call.layer
    inner = layer.definition.program
    several = flatten(inner.output_names) if inner else []
    if len(several) > 1:
        return several[_leaf_order(inner.outputs)[tensor.index]]
    return names[id(layer)]


def _names_of(nest: Any, name_of: Any) -> Structure:
    """Name the leaves of a nest: by key in a dict, by ``name_of`` elsewhere; a name met again gets a number."""
    used: dict[str, int] = {}

    def unique(name: str) -> str:
        used[name] = used.get(name, -1) + 1
        return unique(f"{name}_{used[name]}") if used[name] else name

    def walk(branch: Any, prefix: str) -> Structure:
        if isinstance(branch, Mapping):
            return {key: walk(inner, f"{prefix}_{key}" if prefix else str(key)) for key, inner in branch.items()}
        if isinstance(branch, (list, tuple)):
            return [walk(inner, f"{prefix}_{i}" if prefix else "") for i, inner in enumerate(branch)]
        return unique(prefix or name_of(branch))

    return walk(nest, "")


def sequential(layers: Sequence[Any], name: str | None = None) -> Layer:
    """Chain layers; sizes are worked out when ``init`` is told what the input looks like.

    Example:
      >>> model = sequential([Dense(8, "relu"), Dense(1)])
      >>> params, state = model.init(jax.random.key(0), jax.ShapeDtypeStruct((1, 4), "float32"))
      >>> params["dense"]["kernel"].shape
      (4, 8)
    """
    chain = [as_layer(candidate, "sequential") for candidate in layers]
    if not chain:
        raise GraphError("A Sequential model needs at least one layer.")
    names = unique_names(chain)
    counts: dict[str, int] = {}
    steps = []
    for i, inner in enumerate(chain):
        label = names[id(inner)]
        steps.append(Step(label, counts.setdefault(label, 0), inner, i, (i + 1,), {}, {}))
        counts[label] += 1
    last = names[id(chain[-1])]
    program = Program(tuple(steps), {names[id(c)]: c for c in chain}, 0, len(chain), "input_layer", last, {})
    return from_program(program, "Sequential", name)

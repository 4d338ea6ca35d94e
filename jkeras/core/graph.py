"""A traced graph becomes a straight-line program, and the program is one more layer.

Sequential and functional models, models inside models and models cut out of others are all such programs: composites whose body
is the one evaluator, :meth:`Program.run`. Summaries, sub-models and files read the same list of steps.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax

from jkeras.core import describe
from jkeras.core.composite import Calls, Plan, compose
from jkeras.core.constructors import as_layer
from jkeras.core.errors import GraphError, ShapeError
from jkeras.core.layer import Layer
from jkeras.core.masks import is_masked, strongest
from jkeras.core.nest import Structure, flatten, map_nest, nested, resolve
from jkeras.core.order import Order, unique_names
from jkeras.core.shapes import accepts, shape_of
from jkeras.core.shapes import spec as described
from jkeras.core.symbolic import Call, SymbolicTensor, has_symbolic, is_symbolic


class Step(NamedTuple):
    """One equation of a program: ``slots[outputs] = layer(slots[inputs], **constants, **slots[tensors])``.

    Attributes:
      name: the layer's name in this program.
      call: 0, 1, ... : which of the layer's calls this is.
      layer: what is called.
      inputs: a nest of slots.
      outputs: a nest of slots.
      constants: keyword arguments that are not arrays, such as ``training=True``.
      tensors: keyword arguments that are, as nests of slots; :class:`Fixed` where a leaf is no tensor.
    """

    name: str
    call: int
    layer: Layer
    inputs: Any
    outputs: Any
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
      sources: the name of the input layer behind each input slot.
    """

    steps: tuple[Step, ...]
    layers: Mapping[str, Layer]
    inputs: Any
    outputs: Any
    input_names: Structure
    output_names: Structure
    specs: Mapping[int, jax.ShapeDtypeStruct]
    sources: Mapping[int, str]

    @functools.cached_property
    def input_spec(self) -> Any:
        """The specs of the inputs, or None where the input shape was not known."""
        return map_nest(self.specs.__getitem__, self.inputs) if self.specs else None

    @functools.cached_property
    def examples(self) -> Mapping[str, jax.ShapeDtypeStruct]:
        """The spec of each input by name, with any number of examples; a fixed batch size is the batches' business."""
        found = resolve(self.input_spec, self.input_names, "inputs")
        return {name: described((None, *shape_of(spec)[1:]), spec.dtype) for name, spec in found.items()}

    def enter(self, x: Any) -> dict[int, Any]:
        """Put an input, in any form that the resolver takes, into the input slots."""
        found = resolve(x, self.input_names, "inputs")
        slots = dict(zip(flatten(self.inputs), found.values(), strict=True))
        for (slot, leaf), name in zip(slots.items(), found, strict=True):
            expected, value = self.specs.get(slot), leaf.value if is_masked(leaf) else leaf
            if expected is not None and not accepts(expected, value):
                raise ShapeError(f"input {name!r} must have shape {shape_of(expected)}, but got {shape_of(value)}.")
        return slots

    def knows(self, x_spec: Any) -> bool:
        """Whether the specs of all slots were recorded for inputs of these very shapes."""
        given = self.enter(x_spec)
        return bool(self.specs) and all(shape_of(self.specs[slot]) == shape_of(leaf) for slot, leaf in given.items())

    def run(self, call: Calls, x: Any) -> Any:
        """Run the steps one after another: the body of every model."""
        values = self.enter(x)
        for step in self.steps:
            y = call(step.name, _fetch(values, step.inputs), **step.constants, **_fetch(values, step.tensors))
            map_nest(values.__setitem__, step.outputs, y)
        return _fetch(values, self.outputs)

    def plan(self, x_spec: Any, dtype: Any) -> Plan:
        """Say what the steps do with inputs like ``x_spec``: as recorded, or worked out step by step."""
        specs = dict(self.specs) if dtype is None and self.knows(x_spec) else self.enter(x_spec)
        inputs: dict[str, Any] = {}
        mixing = "never"
        for step in self.steps:
            given, arguments = _fetch(specs, step.inputs), {**step.constants, **_fetch(specs, step.tensors)}
            if flatten(step.outputs)[0] not in specs:
                map_nest(specs.__setitem__, step.outputs, describe.outputs(step.layer, given, arguments, dtype))
            inputs.setdefault(step.name, given)
            mixing = strongest(mixing, describe.mixing(step.layer, given, arguments))
        return Plan(inputs, _fetch(specs, self.outputs), mixing)


@dataclasses.dataclass(frozen=True)
class Fixed:
    """A leaf of a keyword argument that is no tensor, beside leaves that are."""

    value: Any


def _fetch(values: Mapping[int, Any], nest: Any) -> Any:
    return map_nest(lambda leaf: leaf.value if isinstance(leaf, Fixed) else values[leaf], nest)


class Functional(Layer):
    """The layer that a model is: made by :func:`functional` and :func:`sequential`."""


def from_program(program: Program, kind: str, name: str | None = None) -> Layer:
    """Make a program the layer that models are."""
    called = {step.name for step in program.steps}
    children = {name: layer for name, layer in program.layers.items() if name in called}  # in the order of Keras's weights
    plans: dict[Any, Plan] = {}

    def plan(x_spec: Any, given: Any, dtype: Any) -> Plan:
        leaves = resolve(x_spec, program.input_names, "inputs").values()
        key = (str(dtype), *((leaf.shape, leaf.dtype) for leaf in leaves))
        return describe.kept(plans, key, lambda: program.plan(x_spec, dtype))

    made = Functional.of(compose(program.run, children, plan, program=program), kind, {}, {"name": name})
    for label, layer in program.layers.items():
        if layer.store.name is None:
            layer.store.name = label
    return made


def _unwrap(nest: Any) -> Any:
    return nest[0] if isinstance(nest, (list, tuple)) and len(nest) == 1 else nest


def functional(
    inputs: Any, outputs: Any, name: str | None = None, kind: str = "Functional", also: Sequence[SymbolicTensor] = ()
) -> Layer:
    """Make one layer of everything between ``inputs`` and ``outputs``.

    Args:
      inputs: a symbolic tensor, or a list, dict or nest of them; intermediate tensors of another model are allowed.
      outputs: the same; each must depend on the inputs alone.
      name: the model's name in models around it.
      kind: what ``repr`` and summaries call it.
      also: tensors whose steps run as well, though nothing that is returned depends on them.

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
    order = Order(sources, [*flatten(outputs), *also])
    names = unique_names(order.layers)
    return from_program(_program(order, names, inputs, outputs), kind, name)


def _program(order: Order, names: Mapping[int, str], inputs: Any, outputs: Any) -> Program:
    slots: dict[tuple[int, int], int] = {}
    specs: dict[int, jax.ShapeDtypeStruct] = {}

    def new_slot(call: Call, index: int, spec: jax.ShapeDtypeStruct) -> int:
        slot = slots[id(call), index] = len(slots)
        specs[slot] = spec
        return slot

    def slot_of(tensor: Any) -> Any:
        return slots[id(tensor.call), tensor.index] if is_symbolic(tensor) else Fixed(tensor)

    for tensor in flatten(inputs):
        new_slot(tensor.call, tensor.index, tensor.spec)
    steps, counts = [], {}
    for call in order.calls:
        name = names[id(call.layer)]
        tensors = {k: v for k, v in call.arguments.items() if has_symbolic(v)}
        constants = {k: v for k, v in call.arguments.items() if k not in tensors}
        made: list[int] = []
        for index, spec in enumerate(flatten(call.outputs)):
            known = slots.get((id(call), index))
            made.append(new_slot(call, index, spec) if known is None else known)
        steps.append(
            Step(
                name,
                counts.setdefault(name, 0),
                call.layer,
                map_nest(slot_of, call.inputs),
                nested(call.outputs, made),
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
        sources={slot_of(tensor): names[id(order.source_layer(tensor))] for tensor in flatten(inputs)},
    )


def _output_name(tensor: SymbolicTensor, names: Mapping[int, str], order: Order) -> str:
    layer = order.source_layer(tensor) if order.is_source(tensor) else tensor.call.layer
    inner = layer.definition.program
    several = flatten(inner.output_names) if inner else []
    if len(several) > 1:
        return several[tensor.index]
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
        steps.append(Step(label, counts.setdefault(label, 0), inner, i, i + 1, {}, {}))
        counts[label] += 1
    last = names[id(chain[-1])]
    program = Program(tuple(steps), {names[id(c)]: c for c in chain}, 0, len(chain), "input_layer", last, {}, {})
    return from_program(program, "Sequential", name)

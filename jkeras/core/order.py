"""In which order a graph's calls run, and what its layers are called: both as in Keras, whose weights lie in this order."""

from __future__ import annotations

from collections.abc import Iterable

from jkeras.core.constructors import Input
from jkeras.core.errors import GraphError
from jkeras.core.layer import Layer
from jkeras.core.nest import flatten
from jkeras.core.symbolic import Call, SymbolicTensor, inputs_of, parents_first


class Order:
    """The calls between some sources and some outputs, sorted.

    A call's depth is its greatest distance from an output, a layer's that of its deepest call. Calls and layers come deepest
    first, and among equals in the order in which a walk from the outputs finds them. The walk keeps its own stack, so the
    length of a chain is not limited.

    Attributes:
      calls: what has to run.
      layers: each layer once, input layers included.
    """

    def __init__(self, sources: list[SymbolicTensor], outputs: list[SymbolicTensor]):
        self._sources = {(id(t.call), t.index): t for t in sources}
        self._stand_ins: dict[tuple[int, int], Layer] = {}  # for intermediate tensors that serve as inputs
        found: dict[int, int] = {}
        finished = self._walk(outputs, found)
        depths, layer_depths, by_id = self._depths(finished)
        for tensor in sources:
            layer = self.source_layer(tensor)
            if id(layer) not in layer_depths:
                layer_depths[id(layer)], found[id(layer)], by_id[id(layer)] = 0, -1, layer
        running = [call for call in finished if not self._starts(call)]
        self.calls = sorted(running, key=lambda call: (-depths[id(call)], found[id(call.layer)]))
        ids = sorted(layer_depths, key=lambda i: (-layer_depths[i], found[i]))
        self.layers = [by_id[i] for i in ids]

    def is_source(self, tensor: SymbolicTensor) -> bool:
        """Whether a tensor is one of the sources."""
        return (id(tensor.call), tensor.index) in self._sources

    def source_layer(self, tensor: SymbolicTensor) -> Layer:
        """Return the input layer behind a source; an intermediate tensor gets one of its own."""
        if tensor.call.layer.kind == "InputLayer":
            return tensor.call.layer
        key = (id(tensor.call), tensor.index)
        if key not in self._stand_ins:
            self._stand_ins[key] = Input(batch_shape=tensor.shape, dtype=tensor.dtype).call.layer
        return self._stand_ins[key]

    def _starts(self, call: Call) -> bool:
        return call.layer.kind == "InputLayer" and not flatten(call.inputs)

    def _parents(self, call: Call) -> list[SymbolicTensor]:
        return [leaf for leaf in inputs_of(call) if not self.is_source(leaf) or self._starts(leaf.call)]

    def _walk(self, outputs: list[SymbolicTensor], found: dict[int, int]) -> list[Call]:
        """List the calls behind the outputs, parents first."""

        def meet(call: Call) -> None:
            found.setdefault(id(call.layer), len(found))
            self._check_source(call)

        begin = [output.call for output in outputs if not self.is_source(output) or self._starts(output.call)]
        return parents_first(begin, self._parents, meet)

    def _check_source(self, call: Call) -> None:
        if self._starts(call) and (id(call), 0) not in self._sources:
            known = ", ".join(repr(tensor.name) for tensor in self._sources.values())
            raise GraphError(
                f"An output depends on the Input {call.layer.name!r} of shape {call.layer.config['batch_shape']}, which is not "
                f"among the model's inputs ({known}). Add it to inputs, or build the output from those."
            )

    def _depths(self, finished: list[Call]) -> tuple[dict[int, int], dict[int, int], dict[int, Layer]]:
        depths: dict[int, int] = {}
        layer_depths: dict[int, int] = {}
        by_id: dict[int, Layer] = {}
        for call in reversed(finished):
            layer = call.layer
            depth = max(depths.get(id(call), 0), layer_depths.get(id(layer), 0))
            depths[id(call)] = layer_depths[id(layer)] = depth
            by_id[id(layer)] = layer
            for parent in self._parents(call):
                depths[id(parent.call)] = max(depth + 1, depths.get(id(parent.call), 0))
        return depths, layer_depths, by_id


def unique_names(layers: Iterable[Layer]) -> dict[int, str]:
    """Give every distinct layer a name, in order of creation: ``dense``, ``dense_1``, ...

    A layer keeps the name that the user chose, else the one that an earlier model gave it, unless two layers bear that one.
    The count of new names starts afresh in each model, so it never depends on what else the process has built.

    Raises:
      GraphError: when two different layers were given the same name.
    """
    distinct = sorted({id(layer): layer for layer in layers}.values(), key=lambda layer: layer.serial)
    names: dict[int, str] = {}
    taken: dict[str, Layer] = {}
    for layer in distinct:
        if layer.given_name is not None:
            if layer.given_name in taken:
                raise GraphError(
                    f"Two layers of this model are both named {layer.given_name!r}: {taken[layer.given_name]!r} and {layer!r}. "
                    "Give one another name, or use one layer object twice to share its weights."
                )
            taken[layer.given_name] = layer
            names[id(layer)] = layer.given_name
    for layer in distinct:
        known = layer.store.name
        if layer.given_name is None and known is not None and known not in taken:
            taken[known] = layer
            names[id(layer)] = known
    counts: dict[str, int] = {}
    for layer in distinct:
        while id(layer) not in names:
            count = counts[layer.stem] = counts.get(layer.stem, -1) + 1
            name = f"{layer.stem}_{count}" if count else layer.stem
            if name not in taken:
                taken[name] = layer
                names[id(layer)] = name
    return names

"""The table that ``model.summary()`` prints: layers, output shapes, parameters, connections."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from jkeras.core import store
from jkeras.core.graph import Program, Step
from jkeras.core.layer import Layer
from jkeras.core.nest import flatten
from jkeras.core.shapes import shape_of


def render(model: Any, line_length: int | None, expand_nested: bool, show_trainable: bool) -> str:
    """Write the summary of a model as text."""
    from rich.box import HEAVY_HEAD  # imported when first used, so that importing jkeras stays fast
    from rich.console import Console
    from rich.table import Table

    program, is_sequential = model.layer.definition.program, model.layer.kind == "Sequential"
    connected = not _is_chain(program)
    table = Table(box=HEAVY_HEAD, show_lines=True)
    table.add_column("Layer (type)", overflow="fold")
    table.add_column("Output Shape", overflow="fold")
    table.add_column("Param #", justify="right")
    if connected:
        table.add_column("Connected to", overflow="fold")
    if show_trainable:
        table.add_column("Trainable", justify="center")
    for cells, layer in _rows(program, is_sequential, expand_nested, ""):
        table.add_row(*cells[: 4 if connected else 3], *(["Y" if layer.trainable else "N"] if show_trainable else []))
    console = Console(width=line_length or (120 if connected else 88), force_terminal=False, color_system=None, markup=False)
    with console.capture() as captured:
        console.print(table)
    return "\n".join([f'Model: "{model.name}"', captured.get().rstrip("\n"), *_totals(model)])


def _is_chain(program: Program) -> bool:
    slots = [step.inputs for step in program.steps]
    before = [flatten(step.outputs)[0] for step in program.steps[:-1]]
    return all(isinstance(slot, int) for slot in slots) and slots[1:] == before and len(flatten(program.inputs)) == 1


def _rows(program: Program, is_sequential: bool, expand: bool, indent: str) -> list[tuple[list[str], Layer]]:
    rows = []
    makers = {slot: (step.name, step.call, i) for step in program.steps for i, slot in enumerate(flatten(step.outputs))}
    inputs = dict(zip(flatten(program.inputs), flatten(program.input_names), strict=True)) if program.specs else {}
    makers |= {slot: (name, 0, 0) for slot, name in inputs.items()}
    for name, layer in program.layers.items():
        steps = [step for step in program.steps if step.name == name]
        if layer.kind == "InputLayer" and not steps:
            if not is_sequential:
                rows.append(([f"{indent}{name} (InputLayer)", str(layer.config["batch_shape"]), "0", "-"], layer))
            continue
        wired = ", ".join(_wire(makers, slot) for step in steps for slot in _slots(step))
        rows.append(([f"{indent}{name} ({layer.kind})", _shapes(program, steps[0]), _count(layer), wired], layer))
        inner = layer.definition.program
        if expand and inner is not None:
            rows += _rows(inner, layer.kind == "Sequential", expand, indent + "└ ")
    return rows


def _slots(step: Step) -> list[int]:
    slots = [*flatten(step.inputs), *(slot for nest in step.tensors.values() for slot in flatten(nest))]
    return [slot for slot in slots if isinstance(slot, int)]


def _wire(makers: dict[int, tuple[str, int, int]], slot: int) -> str:
    name, call, index = makers.get(slot, ("input", 0, 0))
    return f"{name}[{call}][{index}]"


def _shapes(program: Program, step: Step) -> str:
    if not program.specs:
        return "?"
    shapes = [str(shape_of(program.specs[slot])) for slot in flatten(step.outputs)]
    return shapes[0] if len(shapes) == 1 else f"[{', '.join(shapes)}]"


def _count(layer: Layer) -> str:
    try:
        return f"{store.count(layer):,}"
    except ValueError:
        return "0 (unbuilt)"


def _totals(model: Any) -> list[str]:
    try:
        weights = store.slots(model.layer)
    except ValueError:
        return [" Total params: 0 (unbuilt)"]
    frozen = store.frozen_paths(model.layer)
    still = {id(node) for path, node in model.layer.nodes if path in frozen}
    learned = [spec for node, part, _, spec in weights if part == 0 and id(node) not in still]
    fixed = [spec for node, part, _, spec in weights if part == 1 or id(node) in still]
    optimizer = [leaf for leaf in jax.tree.leaves(model.opt_state) if hasattr(leaf, "dtype")]
    lines = [("Total", learned + fixed + optimizer), ("Trainable", learned), ("Non-trainable", fixed)]
    if optimizer:
        lines.append(("Optimizer", optimizer))
    return [f" {kind} params: {sum(int(np.prod(a.shape)) for a in arrays):,} ({_bytes(arrays)})" for kind, arrays in lines]


def _bytes(arrays: list[Any]) -> str:
    size = float(sum(int(np.prod(a.shape)) * np.dtype(a.dtype).itemsize for a in arrays))
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1024 or unit == "GB":
            return f"{size:.2f} {unit}"
        size /= 1024
    return ""

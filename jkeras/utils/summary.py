"""The table that ``model.summary()`` prints: layers, output shapes, parameters, connections."""

from __future__ import annotations

import itertools
import re
import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import jax
import numpy as np

from jkeras.core import store
from jkeras.core.errors import UnknownNameError, nearest
from jkeras.core.graph import Program, Step
from jkeras.core.layer import Layer
from jkeras.core.nest import flatten
from jkeras.core.shapes import shape_of

Row = tuple[list[str], Layer]  # the cells, and the layer that they tell of


def render(
    model: Any,
    line_length: int | None = None,
    positions: Sequence[float] | None = None,
    expand_nested: bool = False,
    show_trainable: bool = False,
    layer_range: Sequence[str] | None = None,
) -> str:
    """Write the summary of a model as text; the arguments are those of ``model.summary``.

    Example:
      >>> model = Sequential([Input((2,)), Dense(3, name="first"), Dense(1, name="last")], name="small")
      >>> print(render(model, layer_range=("last", "last")))
      Model: "small"
      ┏━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━┳━━━━━━━━━┓
      ┃ Layer (type) ┃ Output Shape ┃ Param # ┃
      ┡━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━╇━━━━━━━━━┩
      │ last (Dense) │ (None, 1)    │       4 │
      └──────────────┴──────────────┴─────────┘
       Total params: 13 (52.00 B)
       Trainable params: 13 (52.00 B)
       Non-trainable params: 0 (0.00 B)
    """
    from rich.box import HEAVY_HEAD  # imported when first used, so that importing jkeras stays fast
    from rich.console import Console
    from rich.table import Table

    program, is_sequential = model.layer.definition.program, model.layer.kind == "Sequential"
    connected = not _is_chain(program)
    heads = ["Layer (type)", "Output Shape", "Param #", *["Connected to"] * connected, *["Trainable"] * show_trainable]
    ends = None if positions is None else [float(position) for position in positions]
    width = line_length or _room(ends, (108 if connected else 88) + 12 * show_trainable)
    widths = [None] * len(heads) if ends is None else _widths(ends, width, heads, show_trainable)
    table = Table(box=HEAVY_HEAD, show_lines=True, width=None if ends is None else width)
    for head, column in zip(heads, widths, strict=True):
        justify = "right" if head == "Param #" else "center" if head == "Trainable" else "left"
        table.add_column(head, justify=justify, width=column, overflow="fold")
    for cells, layer in _rows(program, is_sequential, expand_nested, "", _between(program, is_sequential, layer_range)):
        learns = "-" if cells[2].startswith("0") else "Y" if layer.trainable else "N"
        table.add_row(*cells[: 4 if connected else 3], *[learns] * show_trainable)
    console = Console(width=width, force_terminal=False, color_system=None, markup=False)
    with console.capture() as captured:
        console.print(table)
    return "\n".join([f'Model: "{model.name}"', captured.get().rstrip("\n"), *_totals(model)])


def _room(ends: list[float] | None, wanted: int) -> int:
    """Return how wide a table is: as its positions say where they are numbers of signs, else at most as wide as the screen."""
    if ends and ends[-1] > 1:
        return int(ends[-1])
    on_screen = bool(getattr(sys.stdout, "isatty", bool)())
    return min(wanted, shutil.get_terminal_size().columns - 4) if on_screen else wanted


def _widths(ends: list[float], width: int, heads: list[str], show_trainable: bool) -> list[int]:
    """Return how wide columns are that end at positions, fractions of the table's width or numbers of signs."""
    needed = len(heads) - show_trainable
    if len(ends) < needed:
        raise ValueError(f"positions must say where {needed} columns end ({', '.join(heads[:needed])}), but got {ends}.")
    whole = 1.0 if ends[-1] <= 1 else float(width)
    if show_trainable:  # which takes the last tenth
        ends = [*(end * 0.9 for end in ends), whole]
    stops = [0, *(int(end / whole * width) for end in ends)]
    widths = [stop - start for start, stop in itertools.pairwise(stops)][: len(heads)]
    for head, column in zip(heads, widths, strict=True):
        if column < 4:
            raise ValueError(f"The positions leave {column} of {width} signs for the column {head!r}; it needs 4.")
    return widths


def _between(program: Program, is_sequential: bool, layer_range: Sequence[str] | None) -> list[str]:
    """Return the names of the layers from the first that matches one pattern to the last that matches another."""
    silent = {name for name, layer in program.layers.items() if is_sequential and layer.kind == "InputLayer"}
    names = [name for name in program.layers if name not in silent]
    if layer_range is None:
        return names
    bounds: Sequence[Any] = layer_range if isinstance(layer_range, (list, tuple)) else [layer_range]
    if len(bounds) != 2 or not all(isinstance(bound, str) for bound in bounds):
        raise ValueError(f"layer_range must be two names of layers, or regular expressions for them, but got {layer_range!r}.")
    found = [[i for i, name in enumerate(names) if re.match(bound, name)] for bound in bounds]
    for bound, places in zip(bounds, found, strict=True):
        if not places:
            raise UnknownNameError(f"layer_range: no layer of the model is called {bound!r}.{nearest(bound, names)}")
    starts, stops = found if min(found[0]) <= max(found[1]) else (found[1], found[0])  # given the other way round
    return names[min(starts) : max(stops) + 1]


def _is_chain(program: Program) -> bool:
    slots = [step.inputs for step in program.steps]
    before = [flatten(step.outputs)[0] for step in program.steps[:-1]]
    return all(isinstance(slot, int) for slot in slots) and slots[1:] == before and len(flatten(program.inputs)) == 1


def _rows(program: Program, is_sequential: bool, expand: bool, indent: str, names: Iterable[str]) -> list[Row]:
    """Return the cells of layers, followed by those of the layers inside where they are wanted."""
    rows = []
    makers = {slot: (step.name, step.call, i) for step in program.steps for i, slot in enumerate(flatten(step.outputs))}
    inputs = dict(zip(flatten(program.inputs), flatten(program.input_names), strict=True)) if program.specs else {}
    makers |= {slot: (name, 0, 0) for slot, name in inputs.items()}
    for name in names:
        layer = program.layers[name]
        steps = [step for step in program.steps if step.name == name]
        if layer.kind == "InputLayer" and not steps:
            if not is_sequential:
                rows.append(([f"{indent}{name} (InputLayer)", str(layer.config["batch_shape"]), "0", "-"], layer))
            continue
        wired = ", ".join(_wire(makers, slot) for step in steps for slot in _slots(step))
        rows.append(([f"{indent}{name} ({layer.kind})", _shapes(program, steps[0]), _count(layer), wired], layer))
        inner = layer.definition.program
        if expand and inner is not None:
            rows += _rows(inner, layer.kind == "Sequential", expand, indent + "└ ", inner.layers)
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

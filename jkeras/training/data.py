"""The door for data: whatever ``fit``, ``evaluate`` and ``predict`` are given becomes checked arrays by name.

Every check runs on the host, before the first step, and its message names the array, what came and what was expected.
"""

from __future__ import annotations

import contextlib
import numbers
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import jax
import numpy as np

from jkeras.core.errors import DataError, ShapeError, kind_of
from jkeras.core.graph import Program
from jkeras.core.nest import flatten, is_numbers, resolve
from jkeras.core.shapes import accepts, as_column, shape_of
from jkeras.training.step import Batch, Trainer


@contextlib.contextmanager
def blaming(what: str) -> Iterator[None]:
    """Begin the message of an error about data with the argument that it is about."""
    try:
        yield
    except ValueError as error:
        if not str(error).startswith(what):
            error.args = (f"{what}: {error}",)
        raise


def is_array(value: Any) -> bool:
    """Whether a value is an array or turns into one: NumPy, JAX, pandas."""
    return isinstance(value, (np.ndarray, jax.Array)) or (
        hasattr(value, "__array__") and not isinstance(value, (dict, list, tuple))
    )


def is_stream(x: Any) -> bool:
    """Whether data comes as an iterable of batches: a generator, a data loader, a dataset."""
    return not is_array(x) and not isinstance(x, (dict, list, tuple, str, bytes)) and isinstance(x, Iterable)


def to_array(value: Any, what: str) -> Any:
    """Return a numeric array with at least one axis, or say why there is none."""
    if isinstance(value, np.ma.MaskedArray):
        raise DataError(f"{what} is a masked NumPy array, whose mask would be lost. Fill it, and use Masking or sample_weight.")
    if not is_array(value) and not is_numbers(value):
        raise DataError(f"{what} must be an array or a list of numbers, but got {kind_of(value)}.")
    array = value if isinstance(value, jax.Array) else _gathered(value, what)
    if array.dtype.kind not in "fiub" and not jax.numpy.issubdtype(array.dtype, jax.numpy.floating):
        raise DataError(f"{what} must hold numbers, but has dtype {array.dtype}.")
    if array.ndim == 0:
        raise DataError(f"{what} must have a first axis, of examples, but is the single number {array}.")
    if isinstance(array, np.ndarray) and not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    return array


def _gathered(value: Any, what: str) -> np.ndarray:
    """Make an array of a list or table; say which row or column cannot be in one."""
    try:
        array = np.asarray(value)
    except ValueError:
        lengths = sorted({len(row) for row in value if hasattr(row, "__len__")})
        raise DataError(
            f"{what} is a list whose rows have different lengths, {', '.join(map(str, lengths[:6]))}: pad them to one length, as "
            "utils.pad_sequences does."
        ) from None
    if array.dtype.kind == "O" and hasattr(value, "dtypes") and hasattr(value, "columns"):
        for name, dtype in zip(value.columns, value.dtypes, strict=True):
            if getattr(dtype, "kind", "O") not in "fiub":
                raise DataError(f"{what} must hold numbers, but column {name!r} has dtype {dtype}: turn it into numbers first.")
        array = array.astype(np.float32)
    return array


def cast_to(array: Any, dtype: Any, what: str) -> Any:
    """Convert an array to the dtype of an Input, refusing what would change its numbers."""
    dtype = np.dtype(dtype)
    if array.dtype == dtype:
        return array
    if dtype.kind in "iu" and array.size:
        host = np.asarray(array)
        if host.dtype.kind not in "iub" and not (np.isfinite(host).all() and (host == np.trunc(host)).all()):
            raise DataError(f"{what} must hold whole numbers, being of dtype {dtype}, but holds {_odd_one(host)}.")
        limits = np.iinfo(dtype)
        if host.min() < limits.min or host.max() > limits.max:
            raise DataError(f"{what} must hold what dtype {dtype} can hold, but holds numbers from {host.min()} to {host.max()}.")
    return array.astype(dtype)


def _odd_one(array: np.ndarray) -> Any:
    return array[~(np.isfinite(array) & (array == np.trunc(array)))].flat[0]


def narrow(array: Any) -> Any:
    """Convert targets to what JAX computes in: float32, bool, and int32 as far as it reaches."""
    if not isinstance(array, np.ndarray) or jax.config.read("jax_enable_x64"):
        return array
    if array.dtype == np.float64:
        return array.astype(np.float32)
    if array.dtype.kind in "iu" and array.dtype.itemsize >= 4:
        limits = np.iinfo(np.int32)
        fits = not array.size or (array.min() >= limits.min and array.max() <= limits.max)
        return array.astype(np.int32 if fits else np.float32)
    return array


def check_inputs(program: Program, x: Any) -> dict[str, Any]:
    """Resolve a model's inputs by name and make each one an array of the declared dtype and shape."""
    names = program.input_names
    if isinstance(names, str) and is_numbers(x):
        x = to_array(x, f"input {names!r}")
    found = resolve(x, names, "inputs")
    bounds = index_bounds(program)
    arrays = {}
    for name, value in found.items():
        what, spec = f"input {name!r}", program.examples[name]
        array = as_column(cast_to(to_array(value, what), spec.dtype, what), spec)
        if not accepts(spec, array):
            wanted = ", ".join(("batch", *map(str, shape_of(spec)[1:])))
            raise ShapeError(f"{what} must have shape ({wanted}{',' * (len(spec.shape) == 1)}), but got {array.shape}.")
        if name in bounds:
            check_range(array, bounds[name][0], what, f"the input_dim of {bounds[name][1]} is {bounds[name][0]}")
        arrays[name] = array
    return arrays


def index_bounds(program: Program) -> dict[str, tuple[int, str]]:
    """Return, for each input that goes straight into an Embedding, in a model inside too, how many rows that has."""
    slots = dict(zip(flatten(program.inputs), flatten(program.input_names), strict=True))
    bounds: dict[str, tuple[int, str]] = {}
    for step in program.steps:
        inner = step.layer.definition.program
        if inner is not None:
            taken = resolve(step.inputs, inner.input_names, "inputs")
            found = {taken[name]: bound for name, bound in index_bounds(inner).items()}
        elif step.layer.kind == "Embedding" and isinstance(step.inputs, int):
            found = {step.inputs: (step.layer.config["input_dim"], step.layer.label)}
        else:
            continue
        for slot, bound in found.items():
            if slot in slots:
                bounds[slots[slot]] = min(bound, bounds.get(slots[slot], bound))
    return bounds


def check_range(array: Any, count: int, what: str, why: str) -> None:
    """Refuse indices outside 0 ... count - 1, naming the first."""
    if not array.size:
        return
    host = np.asarray(array)
    if host.min() < 0 or host.max() >= count:
        place = tuple(int(i) for i in np.argwhere((host < 0) | (host >= count))[0])
        raise DataError(f"{what} must hold numbers from 0 to {count - 1}, because {why}, but at {place} it holds {host[place]}.")


def check_targets(trainer: Trainer, y: Any) -> dict[str, Any]:
    """Resolve targets by output name; those of outputs without loss or metric may be left out."""
    objective = trainer.objective
    if y is None and not objective.wanted:
        return {}  # what is minimised is in the model
    if y is None:
        raise DataError(f"targets are missing: give y for {', '.join(map(repr, objective.wanted))}.")
    if isinstance(objective.outputs, str) and is_numbers(y):
        y = to_array(y, "targets")
    found = objective.targets(y)
    specs = trainer.output_specs
    arrays = {}
    for name in objective.wanted:
        what = f"targets of output {name!r}"
        if found[name] is None:
            raise DataError(f"{what} are missing: the output has a loss or a metric.")
        arrays[name] = narrow(to_array(found[name], what))
        loss = objective.losses[name]
        if loss is not None and loss.class_axis is not None:
            classes = int(specs[name].shape[loss.class_axis])
            numbers = arrays[name][arrays[name] != loss.config.get("ignore_class")]
            check_range(numbers, classes, what, f"the output has {classes} classes")
            if arrays[name].dtype.kind == "f":
                arrays[name] = cast_to(arrays[name], np.int32, what)
    return arrays


def check_weights(trainer: Trainer, weight: Any) -> dict[str, Any]:
    """Resolve sample weights by output name; a single array counts for every output."""
    objective = trainer.objective
    if is_numbers(weight):
        weight = to_array(weight, "sample_weight")
    found = resolve(weight, objective.outputs, "sample_weight", partial=True, broadcast=True)
    arrays = {}
    for name, value in found.items():
        arrays[name] = None if value is None else np.asarray(to_array(value, f"sample_weight of output {name!r}"), np.float32)
        if value is not None and not np.isfinite(arrays[name]).all():
            raise DataError(f"sample_weight of output {name!r} holds numbers that are not finite.")
    return arrays


def check(trainer: Trainer, x: Any, y: Any, weight: Any, what: str = "") -> Batch:
    """Make checked arrays by name of everything that a step needs, with as many examples in each."""
    batch = Batch(check_inputs(trainer.layer.definition.program, x), check_targets(trainer, y), check_weights(trainer, weight))
    count(batch, what)
    return batch


def count(batch: Any, what: str = "") -> int:
    """Return the number of examples, the same in every array."""
    sizes = {f"{part} {name!r}": a.shape[0] for part, named in _parts(batch) for name, a in named.items() if a is not None}
    if len(set(sizes.values())) > 1:
        raise DataError(
            f"{what}all arrays must have as many examples, but got {', '.join(f'{s} of {n}' for n, s in sizes.items())}."
        )
    n = next(iter(sizes.values()))
    if n == 0:
        raise DataError(f"{what}there are no examples: the arrays have 0 rows.")
    return n


def _parts(batch: Any) -> list[tuple[str, Mapping]]:
    if isinstance(batch, Batch):
        return [("input", batch.x), ("target", batch.y), ("sample_weight", batch.weight)]
    return [("input", batch)]


def unpack(item: Any, what: str) -> tuple[Any, Any, Any]:
    """Take apart what a stream yields: ``(x, y)``, ``(x, y, sample_weight)``, ``(x,)`` or x alone."""
    if not isinstance(item, tuple):
        return item, None, None
    if not 1 <= len(item) <= 3:
        raise DataError(f"{what} must yield (x, y) or (x, y, sample_weight), but yielded a tuple of {len(item)}.")
    x, y, weight = (*item, None, None)[:3]
    return x, y, weight


def with_class_weight(trainer: Trainer, batch: Batch, class_weight: Any) -> Batch:
    """Turn weights by class number into one weight per example."""
    if class_weight is None:
        return batch
    names = trainer.objective.names
    if len(names) != 1:
        raise DataError(f"class_weight is for models with one output, but this one has {len(names)}; use sample_weight by name.")
    if batch.weight[names[0]] is not None:
        raise DataError("class_weight and sample_weight cannot be used together; multiply the class weights into sample_weight.")
    if not isinstance(class_weight, Mapping) or not all(isinstance(c, (int, np.integer)) for c in class_weight):
        raise DataError(f"class_weight must be a dictionary from class number to weight, but got {class_weight!r}.")
    targets = np.asarray(batch.y[names[0]])
    one_hot = targets.ndim > 1 and targets.shape[-1] > 1
    labels = targets.argmax(-1) if one_hot else np.round(targets).astype(int).reshape(len(targets), -1)[:, 0]
    weights = np.asarray([class_weight.get(int(c), 1.0) for c in labels.reshape(-1)], np.float32).reshape(labels.shape)
    return batch._replace(weight={names[0]: weights})


def kept(rows: Any) -> Any:
    """Return a batch that shares its memory with nobody, since a reader may fill its buffer anew: NumPy arrays are copied."""
    return jax.tree.map(lambda array: array if isinstance(array, jax.Array) else np.array(array), rows)


def slice_rows(batch: Any, start: int, stop: int | None) -> Any:
    """Take a range of examples."""
    return jax.tree.map(lambda a: a[start:stop], batch)


def split_validation(batch: Batch, fraction: Any) -> tuple[Batch, Batch | None]:
    """Set the last examples aside, as Keras does, before anything is shuffled."""
    if isinstance(fraction, bool) or not isinstance(fraction, numbers.Real) or not 0 <= float(fraction) < 1:
        raise DataError(f"validation_split must be a number from 0 up to, not including, 1, but got {fraction!r}.")
    if fraction == 0:
        return batch, None
    n = count(batch)
    first = int(np.floor(n * (1 - float(fraction))))
    if first in (0, n):
        raise DataError(
            f"validation_split={fraction} leaves {first} of {n} examples for training and {n - first} for validation."
        )
    return slice_rows(batch, 0, first), slice_rows(batch, first, None)

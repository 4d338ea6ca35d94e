"""The only mutable place: which arrays a layer holds at present, and the source of seeds.

The pure functions never look here. The shell (``core/shell.py`` and ``jkeras.models``) reads and writes it so that, as in Keras,
weights belong to layer objects: an encoder cut out of an autoencoder, before or after training, holds the autoencoder's weights.
"""

from __future__ import annotations

import contextlib
import random
import weakref
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from jkeras.core.context import is_traced
from jkeras.core.describe import variables
from jkeras.core.errors import ShapeError
from jkeras.core.nest import get_in
from jkeras.core.shapes import PENALTY, is_key, shapes_of

if TYPE_CHECKING:
    from jkeras.core.layer import Layer, Path


class Store:
    """What one layer object holds now; shared by every model that contains the layer.

    Attributes:
      params, state: its own arrays, not those of layers inside, or None before they are first needed.
      specs: the specs of its own params and state from its first call, to which every later call is held.
      origin: the layer to be initialised for these arrays, itself or one around it, and the specs of its input.
      call: the first symbolic call, for ``layer.output``.
      name: what the first model that contains it calls it.
      around: the composite layer that it is inside of, the first there was, weakly; a model is none.
      trainable: whether it learns.
      shell: the Model around it, where there is one.
    """

    __slots__ = ("around", "call", "name", "origin", "params", "shell", "specs", "state", "trainable")

    def __init__(self, trainable: bool = True):
        self.params: Any = None
        self.state: Any = None
        self.specs: Any = None
        self.origin: Any = None
        self.call: Any = None
        self.name: str | None = None
        self.around: Any = None
        self.trainable = trainable
        self.shell: Any = None

    def forget_call(self) -> None:
        """Forget the shapes of the first call, while there are no arrays of these shapes."""
        self.specs = self.origin = self.call = None


def put_around(layer: Layer) -> None:
    """Let the layers inside a composite know that it is around them, where none is yet, or the one that it is a copy of."""
    for child in layer.definition.children.values() if layer.definition.program is None else ():
        known = child.store.around and child.store.around()
        if known is None or child not in known.definition.children.values():
            child.store.around = weakref.ref(layer)


def record(layer: Layer, x_spec: Any) -> None:
    """Remember the shapes of a first call, and hold every later one to them: all calls share one set of arrays.

    Raises:
      ShapeError: when a layer was called before on inputs that need arrays of other shapes.
    """
    program = layer.definition.program
    if program is not None and program.knows(x_spec):
        return  # its layers were recorded when they were called
    trees = variables(layer, x_spec)
    found = []
    for path, node in layer.nodes:
        specs = tuple(node.own(get_in(tree, path)) for tree in trees)
        had = node.store.specs
        if had is None:
            found.append((node, specs))
        elif _shapes(had) != _shapes(specs):
            raise ShapeError(
                f"{node.label} was first called on {shapes_of(node.store.origin[1])}, so its arrays are "
                f"{shapes_of({**had[0], **had[1]})}; an input of shape {shapes_of(x_spec)} would need "
                f"{shapes_of({**specs[0], **specs[1]})}. Make a second layer for it."
            )
    for node, specs in found:
        node.store.specs, node.store.origin = specs, (layer, x_spec)


def _shapes(trees: Any) -> Any:
    return [{path: leaf.shape for path, leaf in _paths(tree)} for tree in trees]


def is_known(layer: Layer) -> bool:
    """Whether the input shapes of a layer and of all inside it are known, and so which arrays they have."""
    return not _unbuilt(layer)


def _unbuilt(layer: Layer) -> list[Layer]:
    return [node for _, node in layer.nodes if node.store.specs is None and node.definition.program is None]


# -- arrays -----------------------------------------------------------------------------------------------------------


def is_filled(layer: Layer) -> bool:
    """Whether every layer inside holds its arrays."""
    return all(node.store.params is not None for _, node in layer.nodes)


def _nested(layer: Layer, part: str) -> dict:
    tree: dict = {}
    for path, node in layer.nodes:
        own = getattr(node.store, part)
        if not own:
            continue
        place = tree
        for name in path:
            place = place.setdefault(name, {})
        place.update(own)
    return tree


def read(layer: Layer) -> tuple[dict, dict]:
    """Return the arrays that a layer holds, as its ``(params, state)`` trees."""
    return _nested(layer, "params"), _nested(layer, "state")


def write(layer: Layer, params: dict, state: dict) -> None:
    """Make a layer hold these trees; nothing is copied."""
    for path, node in layer.nodes:
        node.store.params, node.store.state = node.own(get_in(params, path)), node.own(get_in(state, path))


def marks(layer: Layer) -> list[Any]:
    """List what a layer and those inside hold; whoever sets anything puts another object there, never changes one."""
    stores = [node.store for _, node in layer.nodes]
    return [tree for store in stores for tree in (store.params, store.state)]


def _same(a: Any, b: Any) -> bool:
    """Whether two trees of one structure hold the very same arrays."""
    return a is b or all(x is y for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))


def write_state(layer: Layer, given: dict, state: dict) -> None:
    """Make a layer remember what a pass without training left, wherever it still holds what the pass was given."""
    for path, node in layer.nodes:
        before, after = node.own(get_in(given, path)), node.own(get_in(state, path))
        if before and _same(node.store.state or {}, before):
            node.store.state = after


def fill(layer: Layer, seed: int, x_spec: Any) -> None:
    """Give arrays drawn from a seed to the layers inside that hold none yet; those that hold some keep them.

    Inside a transformation of JAX's too: the arrays are made while it is traced, outside of it.
    """
    if is_filled(layer):
        return
    inside = is_traced(jnp.zeros(()))  # elsewhere eager evaluation would only compile the constants of each draw one by one
    with jax.ensure_compile_time_eval() if inside else contextlib.nullcontext():
        params, state = layer.init(jax.random.key(seed), x_spec)
    for path, node in layer.nodes:
        if node.store.params is None:
            node.store.params, node.store.state = node.own(get_in(params, path)), node.own(get_in(state, path))


def reset(layer: Layer) -> None:
    """Set what layers carry from batch to batch, which is no weight, back to zeros."""
    for _, node in layer.nodes:
        carried = {name: array for name, array in (node.store.state or {}).items() if name in node.definition.transient}
        if carried:
            node.store.state = {**node.store.state, **jax.tree.map(jax.numpy.zeros_like, carried)}


def frozen_paths(layer: Layer) -> frozenset[Path]:
    """Return every path to a layer that does not learn: one that was told so, or that stands inside one that was.

    A layer reached by several paths is frozen at all of them if it is at one.
    """
    paths: dict[int, list[Path]] = {}
    frozen: set[int] = set()
    stack: list[tuple[Path, Layer, bool]] = [((), layer, False)]
    while stack:
        path, node, inherited = stack.pop()
        inherited = inherited or not node.store.trainable
        paths.setdefault(id(node), []).append(path)
        if inherited:
            frozen.add(id(node))
        stack += [((*path, name), child, inherited) for name, child in node.definition.children.items()]
    return frozenset(path for node in frozen for path in paths[node])


# -- weights in Keras's order -----------------------------------------------------------------------------------------


def slots(layer: Layer) -> list[tuple[Layer, int, tuple[str, ...], Any]]:
    """List (layer, 0 for params or 1 for state, path of an array in it, its spec) in Keras's order.

    Raises:
      ValueError: when the input shape of a layer inside is not known yet.
    """
    unbuilt = _unbuilt(layer)
    if unbuilt:
        raise ValueError(f"{unbuilt[0].label} has no weights yet, because it was never called: its input shape is unknown.")
    found = []
    for _, node in layer.nodes:
        for part, tree in enumerate(node.store.specs or ({}, {})):
            carried = {*node.definition.transient, PENALTY} if part else ()
            kept = {name: branch for name, branch in tree.items() if name not in carried}
            found += [(node, part, path, spec) for path, spec in _paths(kept) if not is_key(spec)]
    return found


def _paths(tree: Any) -> list[tuple[tuple[str, ...], Any]]:
    """List (path, leaf) in the order of creation; pytrees other than dicts are numbered inside as JAX flattens them."""
    if not isinstance(tree, dict):
        leaves = jax.tree.leaves(tree)
        return [((), leaves[0])] if len(leaves) == 1 and leaves[0] is tree else [((str(i),), v) for i, v in enumerate(leaves)]
    return [((name, *path), leaf) for name, branch in tree.items() for path, leaf in _paths(branch)]


def count(layer: Layer) -> int:
    """Count the numbers in a layer's arrays."""
    return sum(int(np.prod(spec.shape)) for _, _, _, spec in slots(layer))


def filled(layer: Layer) -> Layer:
    """Return a layer after giving arrays to the layers inside that hold none yet."""
    for _, node in layer.nodes:
        if node.store.params is None and node.store.origin is not None:
            around, x_spec = node.store.origin
            fill(around, next_seed(), x_spec)
    return layer


def array_at(layer: Layer, part: int, place: Path) -> jax.Array:
    """Return one of a layer's own arrays, by its path in params (0) or state (1), making it first where there is none yet."""
    own = filled(layer).store
    return dict(_paths((own.params, own.state)[part] or {}))[place]


def set_array_at(layer: Layer, part: int, place: Path, array: jax.Array) -> None:
    """Replace one of a layer's own arrays."""
    name = ("params", "state")[part]
    own = filled(layer).store
    setattr(own, name, _replaced(getattr(own, name), {place: array}, ()))


def set_weights(layer: Layer, weights: Any) -> None:
    """Replace a layer's arrays, in Keras's order; every shape is checked before anything changes."""
    places, weights = slots(filled(layer)), list(weights)
    known = [tuple(spec.shape) for *_, spec in places]
    if len(weights) != len(places):
        raise ValueError(f"{layer.label} has {len(places)} weights of shapes {known}, but got {len(weights)} arrays.")
    for (node, _, path, _), shape, array in zip(places, known, weights, strict=True):
        if tuple(np.shape(array)) != shape:
            where = "/".join((node.name, *path))
            raise ValueError(f"Weight {where!r} of {layer.label} has shape {shape}, but got an array of shape {np.shape(array)}.")
    new: dict[tuple[int, int], dict] = {}
    for (node, part, path, spec), array in zip(places, weights, strict=True):
        new.setdefault((id(node), part), {})[path] = owned(array, spec.dtype)
    for _, node in layer.nodes:
        for part, name in enumerate(("params", "state")):
            held = getattr(node.store, name) or {}
            setattr(node.store, name, _replaced(held, new.get((id(node), part), {}), ()))


def _replaced(tree: Any, new: dict[tuple[str, ...], Any], prefix: tuple[str, ...]) -> Any:
    if isinstance(tree, dict):
        return {name: _replaced(branch, new, (*prefix, name)) for name, branch in tree.items()}
    leaves, structure = jax.tree.flatten(tree)
    inside = [(*prefix, *path) for path, _ in _paths(tree)]
    return structure.unflatten([new.get(path, leaf) for path, leaf in zip(inside, leaves, strict=True)])


def owned(array: Any, dtype: Any = None) -> jax.Array:
    """Return a JAX array that shares its memory with nobody, which ``jnp.asarray`` of a NumPy array may do."""
    if isinstance(array, jax.Array):
        return array if dtype is None else array.astype(dtype)
    return jax.numpy.asarray(np.array(array, dtype=dtype))


# -- seeds ------------------------------------------------------------------------------------------------------------


class _Seeds:
    """Where models that were given no seed get one: from the operating system, or from ``set_random_seed``."""

    def __init__(self) -> None:
        self.generator = np.random.default_rng()


_SEEDS = _Seeds()


def next_seed() -> int:
    """Draw a seed below 2**31."""
    return int(_SEEDS.generator.integers(2**31))


def set_random_seed(seed: int) -> None:
    """Seed Python's ``random``, NumPy and every jkeras model that takes its seed from now on.

    Args:
      seed: an integer from 0 to 2**32 - 1.

    Example:
      >>> set_random_seed(7)
      >>> first = next_seed()
      >>> set_random_seed(7)
      >>> first == next_seed()
      True
    """
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**32:
        raise ValueError(f"set_random_seed takes an integer from 0 to 2**32 - 1, but got {seed!r}.")
    random.seed(int(seed))
    np.random.seed(int(seed))
    _SEEDS.generator = np.random.default_rng(int(seed))

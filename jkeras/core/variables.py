"""The only mutable place: which arrays a layer holds at present, and the source of seeds.

The pure functions never look here. The shell (``jkeras.models``) reads and writes it so that, as in Keras, weights belong
to layer objects: an encoder cut out of an autoencoder, before or after training, holds the autoencoder's weights.
"""

import random
from typing import Any

import jax
import numpy as np


class Held:
    """What one layer object holds now; shared by every model that contains the layer.

    Attributes:
      params, state: its own arrays, or None before they are first needed.
      spec: the input that its first call, or its first ``init``, was for.
      specs: the shapes of its params and state from its first call, to which every later call is held.
      order: the paths of its arrays in order of creation, (params, state), for Keras's ``get_weights``.
      call: the first symbolic call, for ``layer.output``.
      name: what the first model that contains it calls it.
      trainable: whether it learns.
      shell: the Model around it, where there is one.
    """

    __slots__ = ("call", "name", "order", "params", "shell", "spec", "specs", "state", "trainable")

    def __init__(self, trainable: bool = True):
        self.params: Any = None
        self.state: Any = None
        self.spec: Any = None
        self.specs: Any = None
        self.order: tuple[list, list] = ([], [])
        self.call: Any = None
        self.name: str | None = None
        self.trainable = trainable
        self.shell: Any = None

    def forget_call(self) -> None:
        """Forget the shapes of the first call, while there are no arrays of these shapes."""
        self.spec = self.specs = self.call = None

    def record(self, x_spec: Any, params: Any, state: Any, transient: tuple[str, ...]) -> None:
        """Remember what ``init`` was asked for and in which order it made its arrays."""
        if self.spec is None:
            self.spec = x_spec
        self.order = (paths(params), [path for path in paths(state) if path[0] not in transient])


def get_in(tree: Any, path: tuple[str, ...]) -> Any:
    """Return the subtree at ``path``, ``{}`` where there is none."""
    for name in path:
        tree = tree.get(name, {})
    return tree


def set_in(tree: dict, path: tuple[str, ...], value: Any) -> dict:
    """Return a copy of nested dicts with ``value`` at ``path``; an empty value leaves no entry."""
    if not path:
        return value
    inner = set_in(tree.get(path[0], {}), path[1:], value)
    rest = {name: branch for name, branch in tree.items() if name != path[0]}
    return {**rest, path[0]: inner} if isinstance(inner, jax.Array) or inner else rest


def nest(entries: Any) -> dict:
    """Build nested dicts from (path, subtree) pairs, leaving empty subtrees out."""
    tree: dict = {}
    for path, value in entries:
        if not path:
            return value
        if len(jax.tree.leaves(value)):
            node = tree
            for name in path[:-1]:
                node = node.setdefault(name, {})
            node[path[-1]] = value
    return tree


def is_held(layer: Any) -> bool:
    """Whether every layer inside has its arrays."""
    return all(leaf.held.params is not None for _, leaf in layer.owned)


def read(layer: Any) -> tuple[dict, dict]:
    """Return the arrays that a layer holds, as its ``(params, state)`` trees."""
    params = nest((path, leaf.held.params or {}) for path, leaf in layer.owned)
    state = nest((path, leaf.held.state or {}) for path, leaf in layer.owned)
    return params, state


def write(layer: Any, params: dict, state: dict) -> None:
    """Make a layer hold these trees; nothing is copied."""
    for path, leaf in layer.owned:
        leaf.held.params, leaf.held.state = get_in(params, path), get_in(state, path)


def fill(layer: Any, key: jax.Array, spec: Any) -> None:
    """Give arrays to the layers inside that hold none yet; those that hold some keep them."""
    if is_held(layer):
        return
    params, state = layer.init(key, spec)
    for path, leaf in layer.owned:
        if leaf.held.params is None:
            leaf.held.params, leaf.held.state = get_in(params, path), get_in(state, path)


def reset(layer: Any) -> None:
    """Set what layers carry from batch to batch, which is no weight, back to zeros."""
    for _, leaf in layer.owned:
        carried = {name: array for name, array in (leaf.held.state or {}).items() if name in leaf.definition.transient}
        if carried:
            leaf.held.state = {**leaf.held.state, **jax.tree.map(jax.numpy.zeros_like, carried)}


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


def paths(tree: Any, prefix: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """List the paths of the arrays in nested dicts, in order of creation (``jax.tree`` would sort them)."""
    if not isinstance(tree, dict):
        return [prefix]
    return [path for name, branch in tree.items() for path in paths(branch, (*prefix, name))]


def slots(layer: Any) -> list[tuple[Any, int, tuple[str, ...]]]:
    """List (leaf layer, 0 for params or 1 for state, path) for every array of a layer, in Keras's order."""
    return [(leaf, part, path) for _, leaf in layer.owned for part in (0, 1) for path in leaf.held.order[part]]


def specs(layer: Any) -> list[tuple[Any, int, jax.ShapeDtypeStruct]]:
    """List (leaf layer, 0 for params or 1 for state, spec) of a layer's arrays in Keras's order."""
    return [(leaf, part, get_in(leaf.held.specs[part], path)) for leaf, part, path in slots(_built(layer))]


def _built(layer: Any) -> Any:
    unbuilt = [leaf for _, leaf in layer.owned if leaf.held.specs is None]
    if unbuilt:
        raise ValueError(f"{unbuilt[0].label} has no weights yet, because it was never called: its input shape is unknown.")
    return layer


def count(layer: Any) -> int:
    """Count the numbers in a layer's arrays."""
    return sum(int(np.prod(spec.shape)) for _, _, spec in specs(layer))


def _filled(layer: Any) -> Any:
    """Return a layer after giving arrays to the leaf layers that hold none yet."""
    for _, leaf in _built(layer).owned:
        if leaf.held.params is None:
            fill(leaf, jax.random.key(next_seed()), leaf.held.spec)
    return layer


def get_weights(layer: Any) -> list[np.ndarray]:
    """Copy a layer's arrays into NumPy arrays, in Keras's order, making them first where it holds none yet."""
    layer = _filled(layer)
    return [np.array(get_in((leaf.held.params, leaf.held.state)[part], path)) for leaf, part, path in slots(layer)]


def set_weights(layer: Any, weights: Any) -> None:
    """Replace a layer's arrays; every shape is checked before anything changes."""
    places, known = slots(_filled(layer)), [spec.shape for _, _, spec in specs(layer)]
    weights = list(weights)
    if len(weights) != len(places):
        raise ValueError(f"{layer.label} has {len(places)} weights of shapes {known}, but got {len(weights)} arrays.")
    arrays = []
    for (leaf, part, path), shape, array in zip(places, known, weights, strict=True):
        if tuple(np.shape(array)) != tuple(shape):
            where = "/".join((leaf.name, *path))
            raise ValueError(
                f"Weight {where!r} of {layer.label} has shape {tuple(shape)}, but got an array of shape {np.shape(array)}."
            )
        arrays.append(jax.numpy.array(array, dtype=get_in(leaf.held.specs[part], path).dtype))
    for (leaf, part, path), array in zip(places, arrays, strict=True):
        if part == 0:
            leaf.held.params = set_in(leaf.held.params, path, array)
        else:
            leaf.held.state = set_in(leaf.held.state, path, array)

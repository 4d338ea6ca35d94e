"""Functions of nests by Keras's names, on ``jax.tree``.

As in Keras, leaves are listed, and functions called, in the order of dictionaries' keys; what comes out has the keys in the order
in which they were written.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax


def _is_none(value: Any) -> bool:
    return value is None


def is_nested(structure: Any) -> bool:
    """Whether something is a list, tuple, dictionary or other pytree rather than a leaf.

    Example:
      >>> is_nested([1]), is_nested(1)
      (True, False)
    """
    return structure is not None and not jax.tree_util.all_leaves([structure])


def flatten(structure: Any) -> list[Any]:
    """List the leaves of a nest; None is a leaf.

    Example:
      >>> flatten({"b": 1, "a": [2, None]})
      [2, None, 1]
    """
    return jax.tree.leaves(structure, is_leaf=_is_none)


def flatten_with_path(structure: Any) -> list[tuple[tuple[Any, ...], Any]]:
    """List the leaves of a nest, each behind its path: a tuple of keys, positions and names of fields.

    Example:
      >>> flatten_with_path({"b": 1, "a": [2, None]})
      [(('a', 0), 2), (('a', 1), None), (('b',), 1)]
    """
    if not is_nested(structure):
        return [((), structure)]
    branches = jax.tree.leaves_with_path(structure, is_leaf=lambda branch: branch is not structure)
    steps = [(getattr(path[0], "key", i), branch) for i, (path, branch) in enumerate(branches)]
    return [((step, *path), leaf) for step, branch in steps for path, leaf in flatten_with_path(branch)]


def _map(func: Callable[..., Any], is_leaf: Callable[[Any], bool], structure: Any, *others: Any) -> Any:
    if is_leaf(structure) or jax.tree_util.all_leaves([structure]):
        return func(structure, *others)
    below = functools.partial(_map, func, is_leaf)
    mapped = jax.tree.map(below, structure, *others, is_leaf=lambda branch: branch is not structure)
    return {name: mapped[name] for name in structure} if type(structure) is dict else mapped  # which JAX has sorted


def map_structure(func: Callable[..., Any], *structures: Any, none_is_leaf: bool = True) -> Any:
    """Apply a function to the leaves of nests of one structure.

    Args:
      func: takes one leaf of each nest.
      structures: one nest or several.
      none_is_leaf: whether the function is called on None; otherwise None stays.

    Raises:
      ValueError: when the structures differ.

    Example:
      >>> map_structure(lambda a, b: a + b, {"x": 1}, {"x": 2})
      {'x': 3}
    """
    if not structures:
        raise ValueError("map_structure takes a function, and one nest or several.")
    for other in structures[1:]:
        assert_same_structure(structures[0], other)
    return _map(func, lambda branch: none_is_leaf and branch is None, *structures)


def map_structure_up_to(shallow_structure: Any, func: Callable[..., Any], *structures: Any) -> Any:
    """Apply a function to what nests have at the places of a shallower one's leaves.

    Raises:
      ValueError: when a nest has no such place.

    Example:
      >>> map_structure_up_to([0, 0], len, [{"x": 1}, [2, 3]])
      [1, 2]
    """
    if not structures:
        raise ValueError("map_structure_up_to takes a shallow nest, a function, and one nest or several.")
    return _map(lambda _, *branches: func(*branches), _is_none, shallow_structure, *structures)


def map_shape_structure(func: Callable[[Any], Any], structure: Any) -> Any:
    """Apply a function to the shapes in a nest: tuples and lists of integers and None.

    Example:
      >>> map_shape_structure(len, {"x": (None, 3), "y": [(2,), ()]})
      {'x': 2, 'y': [1, 0]}
    """
    return _map(func, _is_shape, structure)


def _is_shape(value: Any) -> bool:
    return value is None or (isinstance(value, (list, tuple)) and all(isinstance(size, (int, type(None))) for size in value))


class MAP_TO_NONE:  # noqa: N801, Keras's name
    """What the function of :func:`traverse` returns to put None in a place."""


def traverse(func: Callable[[Any], Any], structure: Any, top_down: bool = True) -> Any:
    """Apply a function to a nest and to every nest and leaf in it.

    Args:
      func: takes a nest or a leaf, and returns what to put there, None to leave it, ``MAP_TO_NONE`` to put None there.
      structure: the nest.
      top_down: whether it is asked about the outer nest first, and about what is inside only where it has returned None;
        otherwise about the outer nest last, as it is by then.

    Example:
      >>> traverse(lambda part: sum(part) if type(part) is tuple else None, {"x": (1, 2), "y": [(3, 4), 5]})
      {'x': 3, 'y': [7, 5]}
    """
    found = func(structure) if top_down else None
    if found is None:
        below = functools.partial(traverse, func, top_down=top_down)
        inside = _map(below, lambda branch: branch is not structure, structure) if is_nested(structure) else structure
        found = None if top_down else func(inside)
        found = inside if found is None else found
    return None if found is MAP_TO_NONE else found


def pack_sequence_as(structure: Any, flat_sequence: Any) -> Any:
    """Put leaves into a nest like another; the opposite of :func:`flatten`.

    Raises:
      ValueError: when there are more or fewer leaves than places.

    Example:
      >>> pack_sequence_as({"b": 0, "a": [0]}, [1, 2])
      {'b': 2, 'a': [1]}
    """
    packed = jax.tree.unflatten(jax.tree.structure(structure, is_leaf=_is_none), list(flat_sequence))
    return _map(lambda _, leaf: leaf, _is_none, structure, packed)


def assert_same_structure(a: Any, b: Any) -> None:
    """Raise ValueError unless two nests have one structure.

    Example:
      >>> assert_same_structure([1, {"x": 2}], [3, {"x": 4}])
    """
    one, other = (jax.tree.structure(tree, is_leaf=_is_none) for tree in (a, b))
    if one != other:
        raise ValueError(f"the structures differ: {one} and {other}.")


def assert_same_paths(a: Any, b: Any) -> None:
    """Raise ValueError unless two nests have leaves at the same paths, whatever the kinds of their nests.

    Example:
      >>> assert_same_paths([1, {"x": 2}], (3, {"x": 4}))
    """
    one, other = ({path for path, _ in flatten_with_path(tree)} for tree in (a, b))
    if one != other:
        missing, more = (sorted(paths, key=str) for paths in (one - other, other - one))
        raise ValueError(f"the paths differ: only the first has {missing}, only the second has {more}.")


def lists_to_tuples(structure: Any) -> Any:
    """Turn the lists of a nest into tuples.

    Example:
      >>> lists_to_tuples([1, [2, 3]])
      (1, (2, 3))
    """
    return traverse(lambda part: tuple(part) if type(part) is list else None, structure, top_down=False)


__all__ = [
    "MAP_TO_NONE",
    "assert_same_paths",
    "assert_same_structure",
    "flatten",
    "flatten_with_path",
    "is_nested",
    "lists_to_tuples",
    "map_shape_structure",
    "map_structure",
    "map_structure_up_to",
    "pack_sequence_as",
    "traverse",
]

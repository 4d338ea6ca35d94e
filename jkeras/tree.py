"""Functions of nests by Keras's names, on ``jax.tree``: dictionaries are taken in the order of their keys, as in Keras."""

from __future__ import annotations

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


def map_structure(function: Callable[..., Any], *structures: Any) -> Any:
    """Apply a function to the leaves of nests of one structure.

    Raises:
      ValueError: when the structures differ.

    Example:
      >>> map_structure(lambda a, b: a + b, {"x": 1}, {"x": 2})
      {'x': 3}
    """
    return jax.tree.map(function, *structures, is_leaf=_is_none)


def pack_sequence_as(structure: Any, flat_sequence: Any) -> Any:
    """Put leaves into a nest like another; the opposite of :func:`flatten`.

    Raises:
      ValueError: when there are more or fewer leaves than places.

    Example:
      >>> pack_sequence_as({"b": 0, "a": [0]}, [1, 2])
      {'a': [1], 'b': 2}
    """
    return jax.tree.unflatten(jax.tree.structure(structure, is_leaf=_is_none), list(flat_sequence))


def assert_same_structure(a: Any, b: Any) -> None:
    """Raise ValueError unless two nests have one structure.

    Example:
      >>> assert_same_structure([1, {"x": 2}], [3, {"x": 4}])
    """
    one, other = (jax.tree.structure(tree, is_leaf=_is_none) for tree in (a, b))
    if one != other:
        raise ValueError(f"the structures differ: {one} and {other}.")


def lists_to_tuples(structure: Any) -> Any:
    """Turn the lists of a nest into tuples.

    Example:
      >>> lists_to_tuples([1, [2, 3]])
      (1, (2, 3))
    """
    if isinstance(structure, dict):
        return {name: lists_to_tuples(branch) for name, branch in structure.items()}
    return tuple(map(lists_to_tuples, structure)) if type(structure) in (list, tuple) else structure


__all__ = ["assert_same_structure", "flatten", "is_nested", "lists_to_tuples", "map_structure", "pack_sequence_as"]

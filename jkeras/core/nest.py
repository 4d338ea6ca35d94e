"""Nests: dicts, lists, tuples and other pytrees, always in the order in which they were written.

``jax.tree`` sorts dictionaries by key; nothing here does, so a name and its value never part. :func:`resolve` is the one door
through which lists, dictionaries, single values and nests become values by name: inputs, targets, losses, loss weights, metrics
and sample weights all come through it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import numpy as np

from jkeras.core.errors import UnknownNameError, nearest

Structure = Any  # a nest whose leaves are names
_LEAVES = frozenset({str, int, float, bool, type(None), np.ndarray, jax.ShapeDtypeStruct})


def _open(tree: Any) -> tuple[list[Any], Callable[[list[Any]], Any]] | None:
    """Return the branches of a nest and how to put others in their place; None for a leaf.

    A class whose instances are leaves although they are pytrees says so by ``is_leaf_of_nests = True``.
    """
    if type(tree) in _LEAVES:  # the common ones, before JAX is asked
        return None
    if type(tree) is dict:
        return list(tree.values()), lambda branches: dict(zip(tree, branches, strict=True))
    if getattr(tree, "is_leaf_of_nests", False):
        return None
    branches, structure = jax.tree.flatten(tree, is_leaf=lambda branch: branch is not tree)
    if len(branches) == 1 and branches[0] is tree:
        return None
    return branches, structure.unflatten


def flatten(tree: Any) -> list[Any]:
    """List the leaves of a nest in the order in which they were written; None is a leaf.

    Example:
      >>> flatten({"b": 1, "a": [2, None]})
      [1, 2, None]
    """
    opened = _open(tree)
    return [tree] if opened is None else [leaf for branch in opened[0] for leaf in flatten(branch)]


def map_nest(function: Callable[..., Any], tree: Any, *others: Any) -> Any:
    """Apply a function to the leaves of a nest, and of others that are nested as it is, keeping the first one's order.

    Example:
      >>> map_nest(lambda a, b: a + b, {"b": 1, "a": 2}, {"a": 20, "b": 10})
      {'b': 11, 'a': 22}
    """
    opened = _open(tree)
    if opened is None:
        return function(tree, *others)
    branches, rebuild = opened
    if type(tree) is dict:
        beside = [[other[name] for name in tree] for other in others]
    else:
        beside = [(_open(other) or ([],))[0] for other in others]
    return rebuild([map_nest(function, *group) for group in zip(branches, *beside, strict=True)])


def nested(like: Any, leaves: Iterable[Any]) -> Any:
    """Put leaves, in the order in which they were written, into a nest like another; the opposite of :func:`flatten`."""
    given = iter(leaves)
    return map_nest(lambda _: next(given), like)


def is_numbers(value: Any) -> bool:
    """Whether a value is a list of numbers, or of lists of them, rather than a list of arrays."""
    return isinstance(value, (list, tuple)) and len(value) > 0 and all(_is_number(v) or is_numbers(v) for v in value[:3])


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.number)) or (isinstance(value, np.ndarray) and value.ndim == 0)


def path_of(keys: Any) -> str:
    """Return JAX's keys of a leaf as a path: ``"encoder/dense/kernel"``."""
    return jax.tree_util.keystr(keys, simple=True, separator="/")


def get_in(tree: Any, path: tuple[str, ...]) -> Any:
    """Return the subtree of nested dicts at ``path``, ``{}`` where there is none."""
    for name in path:
        tree = tree.get(name, {})
    return tree


def set_in(tree: dict, path: tuple[str, ...], value: Any) -> dict:
    """Return a copy of nested dicts with ``value`` at ``path``; an empty value leaves no entry."""
    if not path:
        return value
    inner = set_in(tree.get(path[0], {}), path[1:], value)
    rest = {name: branch for name, branch in tree.items() if name != path[0]}
    return rest if isinstance(inner, dict) and not inner else {**rest, path[0]: inner}


def resolve(
    given: Any,
    structure: Structure,
    what: str,
    *,
    partial: bool = False,
    broadcast: bool = False,
    lists_are_values: bool = False,
) -> dict[str, Any]:
    """Return what was given for each name of a structure.

    Args:
      given: a single value, a list in the model's order, a dict by name, or a nest shaped like the structure.
      structure: names in the shape of a model's inputs or outputs.
      what: what is being resolved, for messages: ``"targets"``.
      partial: whether names may be left out of a dict; they then get None.
      broadcast: whether a single value stands for every name.
      lists_are_values: whether a list is itself a value where one is expected (a list of metrics).

    Raises:
      UnknownNameError: for a key that is no name, with the nearest one.
      ValueError: for a missing name, or a list of the wrong length.

    Example:
      >>> resolve([0.25, 1.0], ["age", "income"], "loss_weights")
      {'age': 0.25, 'income': 1.0}
      >>> resolve({"income": 1.0, "age": 0.25}, ["age", "income"], "loss_weights")
      {'age': 0.25, 'income': 1.0}
    """
    names = flatten(structure)
    found: dict[str, Any] = {}
    _pair(given, structure, what, found, names, (partial, broadcast, lists_are_values))
    return {name: found.get(name) for name in names}


def _pair(given: Any, structure: Structure, what: str, found: dict, names: list[str], rules: tuple[bool, bool, bool]) -> None:
    partial, broadcast, lists_are_values = rules
    if isinstance(given, Mapping):
        _pair_mapping(given, structure, what, found, names, rules)
        return
    if isinstance(structure, str):
        alone = isinstance(given, (list, tuple)) and len(given) == 1 and not lists_are_values
        found[structure] = given[0] if alone else given
        return
    inside = flatten(structure)
    if isinstance(given, (list, tuple)):
        branches = list(structure.values()) if isinstance(structure, Mapping) else structure
        if len(given) != len(branches):
            raise ValueError(
                f"{what}: got a list of {len(given)} for {len(branches)} names, {', '.join(map(repr, inside))}. Give one of "
                "each, in this order, or a dictionary by name."
            )
        for value, branch in zip(given, branches, strict=True):
            _pair(value, branch, what, found, names, rules)
    elif broadcast or (given is None and partial) or len(inside) == 1:
        found.update(dict.fromkeys(inside, given))
    else:
        raise ValueError(
            f"{what}: got one {type(given).__name__} for {len(inside)} names. Give a list in the order "
            f"{', '.join(map(repr, inside))}, or a dictionary by name."
        )


def _pair_mapping(given: Mapping, structure: Structure, what: str, found: dict, names: list[str], rules: tuple) -> None:
    by_key = isinstance(structure, Mapping) and all(key in structure for key in given)
    branches = dict(structure) if by_key else {name: name for name in flatten(structure)}
    for key in given:
        if key not in branches:
            raise UnknownNameError(
                f"{what}: {key!r} is not one of the names {', '.join(map(repr, branches))}.{nearest(key, branches)}"
            )
    missing = [name for name in branches if name not in given]
    if missing and not rules[0]:
        raise ValueError(f"{what}: nothing was given for {', '.join(map(repr, missing))}; got {', '.join(map(repr, given))}.")
    for key, value in given.items():
        _pair(value, branches[key], what, found, names, rules)

"""The one door through which lists, dictionaries, single values and nests become values by name.

Inputs, targets, losses, loss weights, metrics and sample weights all come through :func:`resolve`, in the order in which the
model was written. JAX flattens a dictionary in alphabetical order; nothing here does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from jkeras.core.errors import UnknownNameError, nearest

Structure = Any  # a nest of dicts, lists and tuples whose leaves are names


def flatten(tree: Any) -> list[Any]:
    """List the leaves of nested dicts, lists and tuples in the order in which they were written."""
    if isinstance(tree, Mapping):
        return [leaf for branch in tree.values() for leaf in flatten(branch)]
    if isinstance(tree, (list, tuple)):
        return [leaf for branch in tree for leaf in flatten(branch)]
    return [tree]


def map_nest(function: Callable[[Any], Any], tree: Any) -> Any:
    """Apply a function to the leaves of a nest, keeping the order of dictionaries."""
    if isinstance(tree, Mapping):
        return {name: map_nest(function, branch) for name, branch in tree.items()}
    if isinstance(tree, (list, tuple)):
        return type(tree)(map_nest(function, branch) for branch in tree)
    return function(tree)


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
    inside = flatten(structure)
    if isinstance(given, Mapping):
        _pair_mapping(given, structure, what, found, names, rules)
    elif isinstance(structure, str):
        alone = isinstance(given, (list, tuple)) and len(given) == 1 and not lists_are_values
        found[structure] = given[0] if alone else given
    elif isinstance(given, (list, tuple)):
        branches = list(structure.values()) if isinstance(structure, Mapping) else structure
        if len(given) != len(branches):
            raise ValueError(
                f"{what}: got a list of {len(given)} for {len(branches)} names, {', '.join(map(repr, inside))}. Give one of "
                "each, in this order, or a dictionary by name."
            )
        for value, branch in zip(given, branches, strict=True):
            _pair(value, branch, what, found, names, rules)
    elif broadcast or (given is None and partial):
        found.update(dict.fromkeys(inside, given))
    else:
        raise ValueError(
            f"{what}: got one {type(given).__name__} for {len(inside)} names. Give a list in the order "
            f"{', '.join(map(repr, inside))}, or a dictionary by name."
        )


def _pair_mapping(given: Mapping, structure: Structure, what: str, found: dict, names: list[str], rules: tuple) -> None:
    nested = isinstance(structure, Mapping) and not all(isinstance(branch, str) for branch in structure.values())
    branches = dict(structure) if nested else {name: name for name in flatten(structure)}
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

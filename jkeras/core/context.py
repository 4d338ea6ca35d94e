"""What a layer may know about a call besides its input: phase, key, masks, path, precision."""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Mapping
from typing import Any

import jax
from jax.core import Tracer

from jkeras.core.errors import ShapeError
from jkeras.core.masks import all_of
from jkeras.core.nest import flatten, map_nest
from jkeras.core.shapes import is_float, shapes_of


def fold_in_name(key: jax.Array, name: str) -> jax.Array:
    """Derive the key that belongs to ``name``; other names do not disturb it.

    Layers never split keys by position, so inserting one leaves the initial weights of all others as they were.
    CRC-32 is used because Python's ``hash`` of a string differs from process to process.
    """
    return jax.random.fold_in(key, zlib.crc32(name.encode()))


def is_traced(tree: Any) -> bool:
    """Whether a tree holds values of a function that JAX is tracing, which must not outlive it."""
    return any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(tree))


@dataclasses.dataclass(frozen=True)
class Context:
    """Everything that one call of a layer may know besides parameters, state and input.

    Attributes:
      training: True while fitting. A Python bool: the two phases are two compiled programs.
      key: this call's own random key, or None.
      masks: one mask or None for each leaf of the input, nested as the input is; None for no masks at all.
      arguments: the keyword arguments of the call, such as ``initial_state``, with arrays for symbolic tensors.
      path: the names from the model down to this layer.
      compute_dtype: the dtype in which layers compute; None leaves arrays as they are.
      frozen: the paths of layers that do not learn; a frozen BatchNormalization also uses its moving statistics.
    """

    training: bool = False
    key: jax.Array | None = None
    masks: Any = None
    arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    path: tuple[str, ...] = ()
    compute_dtype: Any = None
    frozen: frozenset[tuple[str, ...]] = frozenset()

    @property
    def mask(self) -> jax.Array | None:
        """The entries that are valid in every input that has a mask, or None."""
        known = [mask for mask in flatten(self.masks) if mask is not None]
        if known and any(mask.shape != known[0].shape for mask in known):
            raise ShapeError(f"the inputs have masks of different shapes, {shapes_of(known)}; ctx.masks has each by itself.")
        return all_of(self.masks)

    @property
    def is_frozen(self) -> bool:
        """Whether this layer, or a model around it, was told not to learn."""
        return any(self.path[:i] in self.frozen for i in range(len(self.path) + 1))

    def child(self, name: str, call: int = 0, **changes: Any) -> Context:
        """Return the context of an inner layer: its own path and key, no masks and arguments unless given."""
        key = None if self.key is None else fold_in_name(self.key, f"{name}:{call}")
        fresh: dict[str, Any] = {"masks": None, "arguments": {}, **changes}
        return dataclasses.replace(self, key=key, path=(*self.path, name), **fresh)

    def need_key(self) -> jax.Array:
        """Return the key, or say how to give one."""
        if self.key is None:
            where = "/".join(self.path) or "this layer"
            raise ValueError(
                f"{where!r} draws random numbers when training=True, but no key was given. "
                "Write apply(params, state, x, training=True, key=jax.random.key(0))."
            )
        return self.key

    def cast(self, tree: Any) -> Any:
        """Return the tree with its real-valued leaves in the compute dtype."""
        return tree if self.compute_dtype is None else cast_floats(tree, self.compute_dtype)


def cast_floats(tree: Any, dtype: Any) -> Any:
    """Return the tree with its real-valued leaves in ``dtype``; integers, booleans and keys stay."""
    return map_nest(lambda x: x.astype(dtype) if hasattr(x, "dtype") and is_float(x) else x, tree)

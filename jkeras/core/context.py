"""What a layer may know about a call besides its input: phase, key, masks, path, precision."""

import dataclasses
import functools
import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.core import Tracer

from jkeras.core.shapes import is_float


def fold_in_name(key: jax.Array, name: str) -> jax.Array:
    """Derive the key that belongs to ``name``; other names do not disturb it.

    Layers never split keys by position, so inserting one leaves the initial weights of all others as they were.
    CRC-32 is used because Python's ``hash`` of a string differs from process to process.
    """
    return jax.random.fold_in(key, zlib.crc32(name.encode()))


class Masked(NamedTuple):
    """A value together with the mask of its valid entries, ``(batch, time)``, True where valid.

    A layer takes plain arrays and reads ``ctx.mask``. It returns ``Masked(y, mask)`` to make a mask, ``Masked(y, None)``
    to end one, and a plain array to keep the mask for as long as the rank and the leading axes stay what they were.
    """

    value: Any
    mask: Any


def is_masked(x: Any) -> bool:
    """Whether a tree node is a :class:`Masked` value (for ``is_leaf=``)."""
    return isinstance(x, Masked)


def is_traced(tree: Any) -> bool:
    """Whether a tree holds values of a function that JAX is tracing, which must not outlive it."""
    return any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(tree))


def unmask(tree: Any) -> Any:
    """Drop the masks of a tree and keep its values."""
    return jax.tree.map(lambda x: x.value if is_masked(x) else x, tree, is_leaf=is_masked)


@dataclasses.dataclass(frozen=True)
class Context:
    """Everything that one call of a layer may know besides parameters, state and input.

    Attributes:
      training: True while fitting. A Python bool: the two phases are two compiled programs.
      key: this call's own random key, or None.
      masks: one mask or None per leaf of the input, in the order of ``jax.tree.leaves``.
      arguments: the keyword arguments of the call, such as ``initial_state``, with arrays for symbolic tensors.
      path: the names from the model down to this layer.
      compute_dtype: the dtype in which layers compute; None leaves arrays as they are.
      frozen: the paths of layers that do not learn; a frozen BatchNormalization also uses its moving statistics.
    """

    training: bool = False
    key: jax.Array | None = None
    masks: tuple[jax.Array | None, ...] = ()
    arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    path: tuple[str, ...] = ()
    compute_dtype: Any = None
    frozen: frozenset[tuple[str, ...]] = frozenset()

    @property
    def mask(self) -> jax.Array | None:
        """The entries that are valid in every input that has a mask, or None."""
        known = [mask for mask in self.masks if mask is not None]
        return functools.reduce(jnp.logical_and, known) if known else None

    @property
    def is_frozen(self) -> bool:
        """Whether this layer, or a model around it, was told not to learn."""
        return any(self.path[: len(path)] == path for path in self.frozen)

    def child(self, name: str, call: int = 0, **changes: Any) -> "Context":
        """Return the context of an inner layer: its own path and key, no masks unless given."""
        key = None if self.key is None else fold_in_name(self.key, f"{name}:{call}")
        fresh: dict[str, Any] = {"masks": (), "arguments": {}, **changes}
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
        if self.compute_dtype is None:
            return tree
        return cast_floats(tree, self.compute_dtype)


def cast_floats(tree: Any, dtype: Any) -> Any:
    """Return the tree with its real-valued leaves in ``dtype``; integers, booleans and keys stay."""
    return jax.tree.map(lambda x: x.astype(dtype) if hasattr(x, "dtype") and is_float(x) else x, tree)

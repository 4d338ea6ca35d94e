"""The one room for masks: where they are taken apart from values, joined, inherited, ended and checked.

A mask has the leading axes of its value, ``(batch, time)`` for a sequence, and is True where an entry is valid. Between layers a
value and its mask travel together as :class:`Masked`; inside a layer the value is a plain array and the mask stands in
``ctx.masks``, in a nest of the same shape. These are all the rules:

- a layer that returns ``Masked(y, mask)`` makes a mask, one that returns ``Masked(y, None)`` ends it;
- a plain result keeps the mask of the inputs (:func:`all_of`) while *the rank and* the leading axes stay what they were: the
  rank, because ``(batch, features)`` after pooling may by chance have as many features as there were time steps;
- what works element by element on several values, operators and merging layers alike, is valid where any of them is, and
  unmasked where one of them is (:func:`any_of`, Keras's rule);
- joined along time, masks are joined too (:func:`concatenated`); indexed, a mask is indexed likewise while its axes are only
  sliced (:func:`indexed`); any other operation ends it, since it may have moved time.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from jkeras.core.errors import ShapeError
from jkeras.core.nest import flatten, map_nest
from jkeras.core.shapes import shape_of

MIXINGS = ("never", "training", "always")


def strongest(*mixings: str) -> str:
    """Return the strongest of some mixings: a chain of layers mixes examples as its worst link does.

    Example:
      >>> strongest("never", "training")
      'training'
    """
    return MIXINGS[max(map(MIXINGS.index, mixings), default=0)]


def checked_mixing(word: Any) -> str:
    """Return a word that says when examples are mixed; refuse any other."""
    if word not in MIXINGS:
        raise ValueError(f"mixes_examples must be one of {', '.join(map(repr, MIXINGS))}, but got {word!r}.")
    return word


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=("value", "mask", "logits"),
    meta_fields=("activation", "mixes_examples"),
)
@dataclasses.dataclass(frozen=True, eq=False)
class Masked:
    """A value on its way from layer to layer, with its mask and with what is known of where it came from.

    Operators, indexing and ``jkeras.ops`` work on it and keep its mask by the rules of this module; ``jax.numpy`` works on it too
    and returns a plain array, without a mask.

    Attributes:
      value: an array.
      mask: ``(batch, time)`` or as many leading axes as it has, True where valid; None: no mask.
      logits: what went into ``activation``, where the value came out of one.
      activation: the activation that made the value of ``logits``: a loss may then start from the logits.
      mixes_examples: whether an example of it may depend on the rest of the batch: ``"never"``, ``"training"`` (there only) or
        ``"always"``, also where nobody knows.
    """

    value: Any
    mask: Any = None
    logits: Any = None
    activation: Callable[[Any], Any] | None = None
    mixes_examples: str = "always"

    is_leaf_of_nests: ClassVar[bool] = True

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the value."""
        return self.value.shape

    @property
    def dtype(self) -> Any:
        """The dtype of the value."""
        return self.value.dtype

    @property
    def ndim(self) -> int:
        """The number of axes of the value."""
        return self.value.ndim

    def __jax_array__(self) -> Any:
        return self.value


def is_masked(x: Any) -> bool:
    """Whether a tree node is a :class:`Masked` value (for ``is_leaf=``)."""
    return isinstance(x, Masked)


# -- taking apart and joining -----------------------------------------------------------------------------------------


def unmask(tree: Any) -> Any:
    """Drop the masks of a nest and keep its values."""
    return map_nest(lambda leaf: leaf.value if is_masked(leaf) else leaf, tree)


def part(tree: Any, masks: Any = None) -> tuple[Any, Any]:
    """Take a nest apart into values and masks; ``masks`` are those of leaves that bring none."""
    if masks is None:
        masks = map_nest(lambda _: None, tree)
    values = unmask(tree)
    given = map_nest(lambda leaf, mask: leaf.mask if is_masked(leaf) else mask, tree, masks)
    return values, map_nest(lambda value, mask: checked(mask, value), values, given)


def join(y: Any, inputs: Any, masks: Any) -> Any:
    """Give every leaf that a layer returned its mask: its own, or the inputs' while rank and leading axes stay."""
    inherited = all_of(masks)
    ranks = {leaf.ndim for leaf in flatten(inputs) if hasattr(leaf, "ndim")}

    def joined(leaf: Any) -> Masked:
        if is_masked(leaf):
            return dataclasses.replace(leaf, mask=checked(leaf.mask, leaf.value))
        if inherited is None or inherited.ndim >= leaf.ndim or leaf.ndim not in ranks:
            return Masked(leaf)
        return Masked(leaf, inherited if leaf.shape[: inherited.ndim] == inherited.shape else None)

    return map_nest(joined, y)


def with_mask(x: Any, mask: Any) -> Any:
    """Put a mask on the leaves of a nest, in place of any that they had: one on all, or a nest of masks, None for none."""
    alone = flatten(mask)[0] is mask if flatten(mask) else True

    def put(leaf: Any, mask: Any) -> Masked:
        mixing = leaf.mixes_examples if is_masked(leaf) else "never"
        return Masked(leaf.value if is_masked(leaf) else leaf, unmask(mask), mixes_examples=mixing)

    return map_nest(put, x, map_nest(lambda _: mask, x) if alone else mask)


def checked(mask: Any, value: Any) -> Any:
    """Return a mask as booleans if it has the leading axes of its value.

    Raises:
      ShapeError: when it has other sizes, no axes, or more than the value.
    """
    if mask is None:
        return None
    wanted, got = shape_of(value)[: mask.ndim], shape_of(mask)
    fits = 0 < mask.ndim <= len(value.shape) and all(g in (w, None) or w is None for w, g in zip(wanted, got, strict=True))
    if not fits:
        raise ShapeError(f"a mask must have the leading axes of its value {shape_of(value)}, but has shape {got}.")
    return mask if mask.dtype == bool or not hasattr(mask, "astype") else mask.astype(bool)


# -- how masks go together --------------------------------------------------------------------------------------------


def all_of(masks: Any) -> Any:
    """Return what is valid in every input that has a mask; None where none has one, or where their shapes differ."""
    known = [mask for mask in flatten(masks) if mask is not None]
    if not known or any(mask.shape != known[0].shape for mask in known):
        return None
    return functools.reduce(jnp.logical_and, known)


def any_of(masks: Any) -> Any:
    """Return what is valid in any input; None where an input has no mask, or one of other axes. Keras's rule for merging."""
    known: list[Any] = flatten(masks)
    if not known or any(mask is None or mask.ndim != known[0].ndim for mask in known):
        return None
    return functools.reduce(jnp.logical_or, known)


def lengthened(mask: Any, ndim: int) -> Any:
    """Give a mask further axes of size 1 at its end."""
    return mask.reshape(*mask.shape, *(1,) * (ndim - mask.ndim))


def concatenated(values: list[Any], masks: Any, axis: int) -> Any:
    """Return the mask of values joined along an axis; a value without a mask is valid throughout, as in Keras."""
    masks = flatten(masks)
    known = [mask for mask in masks if mask is not None]
    if not known:
        return None
    ndim = max(mask.ndim for mask in known)
    if axis >= ndim:
        return any_of(masks)
    whole = [
        jnp.broadcast_to(True if mask is None else lengthened(mask, ndim), value.shape[:ndim])
        for value, mask in zip(values, masks, strict=True)
    ]
    return jnp.concatenate(whole, axis)


def leading_slices(index: Any, ndim: int) -> tuple[slice, ...]:
    """Return the slices that an index takes of the leading axes of an array, up to the first axis that is not sliced.

    Example:
      >>> leading_slices((slice(None), slice(1, 3), 0), 3)
      (slice(None, None, None), slice(1, 3, None))
    """
    index = index if isinstance(index, tuple) else (index,)
    advanced = [i for i in index if not (i is None or i is Ellipsis or isinstance(i, (slice, int)))]
    if len(advanced) > 1 or (advanced and any(isinstance(i, int) for i in index)):
        return ()  # NumPy may move such axes to the front
    slices: list[slice] = []
    for part_of_index in index:
        if part_of_index is Ellipsis:
            slices += [slice(None)] * (ndim - len(index) + 1 + sum(i is None for i in index))
        elif isinstance(part_of_index, slice):
            slices.append(part_of_index)
        else:
            return tuple(slices)
    return (*slices, *(slice(None),) * (ndim - len(slices)))


def indexed(mask: Any, index: Any, ndim: int) -> Any:
    """Return the mask of ``value[index]``: sliced, flipped or cut as the value is; None where an axis of it is not sliced."""
    if mask is None:
        return None
    slices = leading_slices(index, ndim)
    return mask[slices[: mask.ndim]] if len(slices) >= mask.ndim else None


def folded(mask: Any) -> Any:
    """Turn the mask ``(batch, time, ...)`` into that of ``(batch * time, ...)``; None where it says nothing within a step."""
    return None if mask is None or mask.ndim < 3 else mask.reshape(-1, *mask.shape[2:])


def unfolded(mask: Any, outer: Any, value: Any) -> Any:
    """Return the mask of ``value`` ``(batch, time, ...)`` from one of ``(batch * time, ...)`` and one of ``(batch, time)``.

    A step is valid where the outer mask says so, if any part of it does; inside it, what the inner mask says is valid.
    """
    if outer is not None:
        outer = outer.any(axis=tuple(range(2, outer.ndim)))  # (batch, time)
    if mask is None:
        return outer
    inner = mask.reshape(*value.shape[:2], *mask.shape[1:])
    return inner if outer is None else inner & lengthened(outer, inner.ndim)


def restricted(mask: Any, valid: Any) -> Any:
    """Let a mask also leave out the examples ``(batch,)`` that only fill up a batch."""
    if mask is None or valid is None:
        return valid if mask is None else mask
    return mask & lengthened(valid, mask.ndim)

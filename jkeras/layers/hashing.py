"""Hashing and HashedCrossing: categories without a vocabulary."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jkeras.core import Definition, layer
from jkeras.core.arguments import choice, whole_number
from jkeras.core.errors import ShapeError
from jkeras.core.shapes import shape_of
from jkeras.layers.common import no_weights
from jkeras.layers.encoding import ONES, dense_only, encoded
from jkeras.layers.fingerprints import Word, chained, farmhash, siphash, word

_ARE_STRINGS = "USO"  # the kinds of NumPy's dtypes that hold strings


def salted(salt: Any) -> Callable[[list[Any]], Word]:
    """Return the hash function of bytes: FarmHash without a salt, SipHash under the key of one or two numbers with it."""
    if salt is None:
        return farmhash
    pair = (salt, salt) if isinstance(salt, int) else tuple(salt) if isinstance(salt, (list, tuple)) else ()
    if len(pair) != 2 or not all(isinstance(n, int) for n in pair):
        raise ValueError(f"salt must be an integer or two, but got {salt!r}.")
    return lambda s: siphash(s, pair)


def of_strings(texts: np.ndarray, function: Callable[[list[Any]], Word]) -> Word:
    """Return the fingerprints of an array of strings, on the host: all strings of one length at once."""
    flat = [text.encode() if isinstance(text, str) else bytes(text) for text in texts.ravel().tolist()]
    high, low = np.zeros((2, len(flat)), np.uint32)
    lengths = np.array([len(text) for text in flat], int)
    for length in np.unique(lengths).tolist():
        where = np.flatnonzero(lengths == length)
        together = np.frombuffer(b"".join(flat[i] for i in where), np.uint8).reshape(len(where), length)
        high[where], low[where] = function(list(together.T.astype(np.uint32)))
    return Word(high.reshape(texts.shape), low.reshape(texts.shape))


def of_integers(x: Any, function: Callable[[list[Any]], Word]) -> Word:
    """Return the fingerprints of 32-bit integers written in decimal digits, inside ``jit`` too."""
    negative = x < 0
    rest = jnp.where(negative, 0 - x.astype(jnp.uint32), x.astype(jnp.uint32))
    digits = []
    for _ in range(10):
        digits.append(rest % 10)
        rest = rest // 10
    count = 1 + sum((jnp.stack(digits[n:]) > 0).any(0).astype(jnp.int32) for n in range(1, 10))
    length = count + negative
    result = Word(jnp.zeros(x.shape, jnp.uint32), jnp.zeros(x.shape, jnp.uint32))
    for n in range(1, 12):
        text = [jnp.uint32(48) + digits[min(n - 1 - i, 9)] for i in range(n)]
        found = function([jnp.where(negative, jnp.uint32(45), text[0]), *text[1:]])
        result = Word(*(jnp.where(length == n, new, old) for new, old in zip(found, result, strict=True)))
    return result


def _fits(x: np.ndarray) -> bool:
    """Whether numbers are 32-bit integers, which JAX has."""
    limits = np.iinfo(np.int32)
    return not x.size or (limits.min <= x.min() and x.max() <= limits.max)


def _whole(x: Any) -> Any:
    """Return numbers as int32, floating ones without their fractions."""
    return x.astype(jnp.int32)


@layer
def Hashing(
    num_bins: int, mask_value: Any = None, salt: Any = None, output_mode: str = "int", sparse: bool = False
) -> Definition:
    """Put categories into bins by a hash of how they are written: the same bins as Keras's.

    Whole numbers are hashed inside ``jit``, as part of a model; strings on the host, where NumPy's come in and go out.

    Shapes: any to the same, from 0 up to, not including, ``num_bins``; or ones among zeros as for ``CategoryEncoding``.
    Params: none.

    Args:
      num_bins: how many bins there are, less than 2**31.
      mask_value: what is put into bin 0, which then holds nothing else.
      salt: an integer or two, the key of SipHash; without one it is FarmHash.
      output_mode: ``"int"``, ``"one_hot"``, ``"multi_hot"`` or ``"count"``.
      sparse: for Keras's sake.

    Raises:
      ValueError: when ``num_bins`` is not positive, or for another salt or mode.

    Example:
      >>> Hashing(3)(np.array([["A"], ["B"], ["C"], ["D"], ["E"]])).tolist()
      [[1], [0], [1], [1], [2]]
      >>> Hashing(1000)(Input((1,), dtype="int32")).shape
      (None, 1)

    Reference: ``keras.layers.Hashing``.
    """
    dense_only(sparse)
    depth, function = whole_number("num_bins", num_bins), salted(salt)
    choice("output_mode", output_mode, ("int", *ONES))
    reserved = mask_value is not None and depth > 1

    def binned(found: Word, x: Any, space: Any) -> Any:
        bins = found.modulo(depth - reserved).astype(space.int32).reshape(x.shape)
        bins = space.where(x == mask_value, 0, bins + 1) if reserved else bins
        return encoded(bins, output_mode, depth, space=space)

    @jax.jit
    def hashed(x: Any) -> Any:
        x = _whole(x)
        return binned(of_integers(x, function), x, jnp)

    def host(x: Any) -> Any:
        x = np.asarray(x)
        are_strings = x.dtype.kind in _ARE_STRINGS
        if not are_strings and _fits(x):
            return hashed(jnp.asarray(x))
        texts = x if are_strings else x.astype(np.int64).astype(str)  # a number is hashed as it is written
        return binned(of_strings(texts, function), x, np)

    def apply(params: Any, state: Any, x: Any, ctx: Any) -> Any:
        return hashed(x), state

    return Definition(no_weights, apply, mixes_examples="never", indices=True, host=host)


@layer
def HashedCrossing(num_bins: int, output_mode: str = "int", sparse: bool = False) -> Definition:
    """Put combinations of two or more categories into bins by a hash: the same bins as Keras's.

    Whole numbers are hashed inside ``jit``, as part of a model; strings on the host, where NumPy's come in and go out.

    Shapes: a list of ``(batch,)`` or ``(batch, 1)`` to the same, or to ``(batch, num_bins)``. Params: none.

    Args:
      num_bins: how many bins there are, less than 2**31.
      output_mode: ``"int"`` or ``"one_hot"``.
      sparse: for Keras's sake.

    Raises:
      ValueError: when ``num_bins`` is not positive, or for another mode.
      ShapeError: for a single input, or inputs of other shapes.

    Example:
      >>> kinds, ages = np.array(["A", "B", "A", "B", "A"]), np.array([101, 101, 101, 102, 102])
      >>> HashedCrossing(5)([kinds, ages]).tolist()
      [1, 4, 1, 1, 3]

    Reference: ``keras.layers.HashedCrossing``.
    """
    dense_only(sparse)
    depth = whole_number("num_bins", num_bins)
    choice("output_mode", output_mode, ("int", "one_hot"))

    def crossed(xs: Any, words: list[Word], space: Any) -> Any:
        total = word(0xDECAFCAFFE)  # TensorFlow's key for crosses
        for one in words:
            total = chained(total, one)
        bins = total.modulo(depth).astype(space.int32)
        return encoded(space.broadcast_to(bins, xs[0].shape), output_mode, depth, space=space)

    @jax.jit
    def of_numbers(xs: Any) -> Any:
        return crossed(xs, [_as_word(x) for x in xs], jnp)

    def host(xs: Any) -> Any:
        xs = [np.asarray(x) for x in _several(xs)]
        words = [of_strings(x, farmhash) if x.dtype.kind in _ARE_STRINGS else _as_word(x) for x in xs]
        return crossed(xs, words, np)

    def apply(params: Any, state: Any, xs: Any, ctx: Any) -> Any:
        return of_numbers(list(_several(xs))), state

    return Definition(no_weights, apply, mixes_examples="never", indices=True, host=host)


def _as_word(x: Any) -> Word:
    """Return whole numbers as the 64-bit words that they are."""
    if x.dtype in (np.int64, np.uint64):  # NumPy's; JAX has none by default
        return Word((x >> 32).astype(np.uint32), x.astype(np.uint32))
    x = x.astype(np.int32)
    return Word((x >> np.int32(31)).astype(np.uint32), x.astype(np.uint32))


def _several(xs: Any) -> Any:
    if not isinstance(xs, (list, tuple)) or len(xs) < 2:
        raise ShapeError("crosses at least two inputs: give it a list of them.")
    shapes = {shape_of(np.asarray(x) if isinstance(x, list) else x) for x in xs}
    if len(shapes) > 1 or any(len(shape) > 2 or shape[1:] not in ((), (1,)) for shape in shapes):
        raise ShapeError(
            f"inputs must all be (batch,) or all (batch, 1), but are {', '.join(map(str, sorted(shapes, key=str)))}."
        )
    return xs

"""Vocabularies, on the host: how tokens are counted, looked up, and written as numbers. StringLookup and the others share it."""

from __future__ import annotations

import collections
import dataclasses
import functools
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from jkeras.core import Definition, Layer
from jkeras.core.arguments import choice, whole_number
from jkeras.core.context import is_traced
from jkeras.core.errors import GraphError
from jkeras.layers.encoding import encoded
from jkeras.layers.hashing import of_strings, salted

MODES = ("int", "one_hot", "multi_hot", "count", "tf_idf")


@dataclasses.dataclass(frozen=True)
class Vocabulary:
    """The tokens that are known, in order, and how what is unknown or masked is written.

    Attributes:
      tokens: those found or given, special ones excepted; None before there are any.
      max_tokens: how many there may be, special ones included; None for any number.
      oov: how many indices are for what is unknown.
      mask_token, oov_token: the special ones; ``mask_token`` None where there is none.
      mode: one of :data:`MODES`.
      pad: whether ones are written among ``max_tokens`` zeros rather than among as many as there are tokens.
      weights: for "tf_idf", one per token.
      bin_of: the bin of an unknown token among several: of an array of them.
    """

    tokens: tuple[Any, ...] | None
    max_tokens: int | None
    oov: int
    mask_token: Any
    oov_token: Any
    mode: str
    pad: bool
    weights: Any
    bin_of: Callable[[np.ndarray], np.ndarray]

    def special(self) -> list[Any]:
        """List the tokens before the others: the mask's, where indices are written, and those for what is unknown."""
        masked = [self.mask_token] if self.mask_token is not None and self.mode == "int" else []
        return masked + [self.oov_token] * self.oov

    def all(self, special: bool = True) -> list[Any]:
        """List all tokens in the order of their indices."""
        return [*(self.special() if special else ()), *(self.tokens or ())]

    @functools.cached_property
    def _index(self) -> dict[Any, int]:
        if self.tokens is None:
            raise ValueError("no vocabulary is known yet: give vocabulary=, or call adapt(data) first.")
        start = len(self.special())
        known = {token: start + i for i, token in enumerate(self.tokens)}
        return known if self.mask_token is None else {**known, self.mask_token: 0 if self.mode == "int" else -1}

    def indices(self, tokens: np.ndarray) -> np.ndarray:
        """Return the index of each token, as int64; -1 for a masked one where ones are written."""
        index, start = self._index, len(self.special()) - self.oov
        found = np.array([index.get(token, -2) for token in tokens.ravel().tolist()], np.int64).reshape(tokens.shape)
        unknown = found == -2
        if unknown.any():
            if self.oov == 0:
                few = sorted(set(tokens[unknown].tolist()), key=str)[:5]
                raise ValueError(f"num_oov_indices=0, but the vocabulary has no {', '.join(map(repr, few))}.")
            found[unknown] = start + (self.bin_of(tokens[unknown]) if self.oov > 1 else 0)
        return found

    def written(self, indices: np.ndarray) -> np.ndarray:
        """Write indices as the mode says."""
        if self.mode == "int":
            return indices
        depth = self.max_tokens if self.pad and self.max_tokens else len(self.all())
        if self.mode != "tf_idf":
            return encoded(indices, self.mode, depth, dtype="int64", space=np)
        weights = np.zeros(depth, "float32")
        given = np.asarray(self.weights, "float32")
        weights[: self.oov + len(given)] = [*[given.mean()] * self.oov, *given]
        return encoded(indices, "count", depth, dtype="float32", space=np) * weights

    def tokens_at(self, indices: np.ndarray) -> np.ndarray:
        """Return the token of each index; the one for what is unknown where there is none."""
        if self.tokens is None:
            raise ValueError("no vocabulary is known yet: give vocabulary=, or call adapt(data) first.")
        tokens = self.all()
        table = np.array([*tokens, self.oov_token])
        return table[np.where((indices >= 0) & (indices < len(tokens)), indices, len(tokens))]

    def found_in(self, documents: Iterable[Sequence[Any]]) -> dict[str, Any]:
        """Count the tokens of documents; return those to be known, the most frequent first, and their weights for "tf_idf"."""
        counts: collections.Counter = collections.Counter()
        within: collections.Counter = collections.Counter()
        many = 0
        for tokens in documents:
            many += 1
            counts.update(tokens)
            within.update(set(tokens))
        for token in (self.mask_token, self.oov_token):
            counts.pop(token, None)
        order = sorted(counts, key=lambda token: (counts[token], token), reverse=True)
        order = order if self.max_tokens is None else order[: max(self.max_tokens - len(self.special()), 0)]
        if not order:
            raise ValueError("adapt found no tokens in the data.")
        idf = [math.log(1 + many / (1 + within[token])) for token in order] if self.mode == "tf_idf" else None
        return {"vocabulary": order, "idf_weights": idf}


def batches(data: Any, steps: int | None) -> Iterator[Any]:
    """Give data that are one string, list or array, or as many of the batches of any other iterable."""
    whole = isinstance(data, (list, tuple, str)) or hasattr(data, "__array__") or hasattr(data, "dtype")
    return iter([data]) if whole else itertools.islice(data, steps)


def documents_of(data: Any, as_array: Callable[[Any], np.ndarray], steps: int | None) -> Iterator[list[Any]]:
    """Give the rows of data, of which each entry is a token."""
    for batch in batches(data, steps):
        rows = as_array(batch)
        yield from (rows.reshape(-1, 1) if rows.ndim < 2 else rows.reshape(len(rows), -1)).tolist()


def vocabulary_of(
    as_array: Callable[[Any], np.ndarray],
    max_tokens: int | None,
    num_oov_indices: int,
    mask_token: Any,
    oov_token: Any,
    vocabulary: Any,
    idf_weights: Any,
    invert: bool,
    output_mode: str,
    pad_to_max_tokens: bool,
    salt: Any,
    hashed: bool,
) -> Vocabulary:
    """Check the arguments of a lookup, and return its vocabulary."""
    choice("output_mode", output_mode, MODES)
    if max_tokens is not None and whole_number("max_tokens", max_tokens) < 2:
        raise ValueError("max_tokens must be at least 2.")
    if pad_to_max_tokens and max_tokens is None:
        raise ValueError("pad_to_max_tokens needs max_tokens.")
    if invert and output_mode != "int":
        raise ValueError("invert gives tokens: output_mode must be 'int'.")
    if (idf_weights is not None) != (output_mode == "tf_idf" and vocabulary is not None):
        raise ValueError("idf_weights and vocabulary go together with output_mode='tf_idf', and only there.")
    if salt is not None and not hashed:
        raise ValueError("salt needs oov_method='farmhash'.")
    count, hash_of = whole_number("num_oov_indices", num_oov_indices, 0), salted(salt)

    def bin_of(tokens: np.ndarray) -> np.ndarray:
        if not hashed:
            return tokens % count
        return of_strings(tokens.astype(str), hash_of).modulo(count).astype(np.int64)

    made = Vocabulary(None, max_tokens, count, mask_token, oov_token, output_mode, pad_to_max_tokens, idf_weights, bin_of)
    return made if vocabulary is None else dataclasses.replace(made, tokens=_checked(made, vocabulary, as_array))


def _checked(made: Vocabulary, vocabulary: Any, as_array: Callable[[Any], np.ndarray]) -> tuple[Any, ...]:
    """Return the tokens of a vocabulary, without special ones at its start."""
    if isinstance(vocabulary, str):
        raise TypeError(f"vocabulary must be a list of tokens: read the file, open({vocabulary!r}).read().splitlines().")
    tokens, special = as_array(vocabulary).ravel().tolist(), made.special()
    tokens = tokens[len(special) :] if special and tokens[: len(special)] == special else tokens
    twice = sorted({token for token, n in collections.Counter(tokens).items() if n > 1}, key=str)
    if not tokens or twice or made.oov_token in tokens or (made.mask_token is not None and made.mask_token in tokens):
        said = f"has {', '.join(map(repr, twice[:5]))} twice" if twice else "is empty" if not tokens else "holds a special token"
        raise ValueError(f"the vocabulary {said}.")
    if made.max_tokens is not None and len(tokens) + len(special) > made.max_tokens:
        raise ValueError(f"the vocabulary has {len(tokens) + len(special)} tokens, special ones included: more than max_tokens.")
    if made.weights is not None and np.shape(made.weights) != (len(tokens),):
        raise ValueError(f"idf_weights must be one per token, {len(tokens)}, but have shape {np.shape(made.weights)}.")
    return tuple(tokens)


def on_host(kind: str, function: Callable[[Any], Any], methods: dict[str, Callable[..., Any]]) -> Definition:
    """Define a layer that works on values only, outside of any model: NumPy's arrays in and out."""

    def refuse(*args: Any) -> Any:
        raise GraphError(
            f"{kind} works on the host and cannot be part of a model: map the data first, x = layer(data), and give the model "
            "what comes out."
        )

    def host(x: Any) -> Any:
        return refuse() if is_traced(x) else function(x)

    return Definition(refuse, refuse, mixes_examples="never", indices=True, host=host, methods=methods, outputs=refuse)


def methods_of(known: Vocabulary, documents: Callable[[Any, int | None], Iterable[Sequence[Any]]]) -> dict[str, Any]:
    """Return the methods of a lookup: ``adapt``, ``get_vocabulary``, ``set_vocabulary``, ``vocabulary_size``."""

    def adapt(this: Layer, data: Any, batch_size: int | None = None, steps: int | None = None) -> None:
        """Take the tokens of data as the vocabulary, the most frequent first; ``steps`` is how many batches are read."""
        this.become(**known.found_in(documents(data, steps)))

    def get_vocabulary(this: Layer, include_special_tokens: bool = True) -> list[Any]:
        """List the tokens in the order of their indices."""
        return known.all(include_special_tokens)

    def set_vocabulary(this: Layer, vocabulary: Any, idf_weights: Any = None) -> None:
        """Take these tokens as the vocabulary."""
        this.become(vocabulary=list(vocabulary), idf_weights=idf_weights)

    def vocabulary_size(this: Layer) -> int:
        """Count the tokens, special ones included."""
        return len(known.all())

    return {function.__name__: function for function in (adapt, get_vocabulary, set_vocabulary, vocabulary_size)}

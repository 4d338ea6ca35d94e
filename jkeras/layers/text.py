"""TextVectorization: texts to numbers, on the host."""

from __future__ import annotations

import string
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from jkeras.core import Definition, layer
from jkeras.core.arguments import choice, whole_number
from jkeras.core.errors import ShapeError
from jkeras.core.shapes import shape_of
from jkeras.layers.encoding import dense_only
from jkeras.layers.lookup import strings
from jkeras.layers.vocabulary import batches, methods_of, on_host, vocabulary_of

_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
_STANDARDS: dict[Any, Callable[[str], str]] = {
    None: lambda text: text,
    "lower": str.lower,
    "strip_punctuation": lambda text: text.translate(_NO_PUNCTUATION),
    "lower_and_strip_punctuation": lambda text: text.lower().translate(_NO_PUNCTUATION),
}
_SPLITS: dict[Any, Callable[[str], list[str]]] = {None: lambda text: [text], "whitespace": str.split, "character": list}


def _for_each(name: str, given: Any, known: dict[Any, Callable[[str], Any]]) -> Callable[[Any], Any]:
    """Return a function of many texts: the user's own, or one of those known, applied to each."""
    if callable(given):
        return given
    one = known[choice(name, given, tuple(known))]
    return lambda texts: [one(text) for text in texts]


def _widths(ngrams: Any) -> tuple[int, ...]:
    if ngrams is None:
        return (1,)
    if isinstance(ngrams, (list, tuple)):
        return tuple(whole_number("ngrams", n) for n in ngrams)
    return tuple(range(1, whole_number("ngrams", ngrams) + 1))


def _joined(words: list[str], widths: tuple[int, ...]) -> list[str]:
    """Return all runs of so many words, the shorter widths first."""
    return [" ".join(words[i : i + n]) for n in widths for i in range(len(words) - n + 1)]


@layer
def TextVectorization(
    max_tokens: int | None = None,
    standardize: Any = "lower_and_strip_punctuation",
    split: Any = "whitespace",
    ngrams: Any = None,
    output_mode: str = "int",
    output_sequence_length: int | None = None,
    pad_to_max_tokens: bool = False,
    vocabulary: Any = None,
    idf_weights: Any = None,
    sparse: bool = False,
    ragged: bool = False,
    encoding: str = "utf-8",
) -> Definition:
    """Write texts as the indices of their words, on the host: NumPy's arrays or lists of strings in, NumPy's arrays out.

    It cannot be part of a model: map the data first. ``adapt(texts)`` takes the vocabulary from texts; ``get_vocabulary()``,
    ``vocabulary_size()`` and ``set_vocabulary(words)`` show and set it. What was found is part of the layer, and saved with it.

    Shapes: ``(batch,)`` or ``(batch, 1)`` texts to ``(batch, words)`` int64, 0 behind the last word and 1 for an unknown one; or
    to ones among zeros, ``(batch, tokens)``.

    Args:
      max_tokens: how many tokens are known at most, special ones included; None (default) for all.
      standardize: ``"lower_and_strip_punctuation"``, ``"lower"``, ``"strip_punctuation"``, None, or a function of an array of
        texts. All letters are lowered, where Keras's TensorFlow lowers those of ASCII.
      split: ``"whitespace"``, ``"character"``, None for whole texts, or a function of an array of texts to lists of words.
      ngrams: up to how many neighbouring words are tokens too, or a tuple of such numbers.
      output_mode: ``"int"``, ``"one_hot"``, ``"multi_hot"``, ``"count"`` or ``"tf_idf"``, as for :func:`StringLookup`.
      output_sequence_length: with "int", how many tokens each text is cut to or filled up to; the longest by default.
      pad_to_max_tokens: whether ones are written among ``max_tokens`` zeros.
      vocabulary: the tokens, if they are known.
      idf_weights: their weights, for "tf_idf".
      sparse, ragged: for Keras's sake.
      encoding: that of bytes.

    Raises:
      ValueError: for arguments that do not go together, or use before ``adapt``.
      GraphError: when it is called on a symbolic tensor.

    Example:
      >>> words = TextVectorization(output_sequence_length=4)
      >>> words.adapt(["The cat sat.", "A cat!"])
      >>> words.get_vocabulary()
      ['', '[UNK]', 'cat', 'the', 'sat', 'a']
      >>> words(["the cow sat"]).tolist()
      [[3, 1, 4, 0]]

    Reference: ``keras.layers.TextVectorization``.
    """
    dense_only(sparse or ragged)
    if output_sequence_length is not None:
        whole_number("output_sequence_length", output_sequence_length)
        if output_mode != "int":
            raise ValueError("output_sequence_length goes with output_mode='int'.")
    as_array = lambda x: strings(x, encoding)  # noqa: E731
    known = vocabulary_of(
        as_array, max_tokens, 1, "", "[UNK]", vocabulary, idf_weights, False, output_mode, pad_to_max_tokens, None, hashed=True
    )  # fmt: skip
    standard, parts = _for_each("standardize", standardize, _STANDARDS), _for_each("split", split, _SPLITS)
    widths = _widths(ngrams)

    def tokens_of(texts: np.ndarray) -> list[list[str]]:
        return [_joined(list(words), widths) for words in parts(strings(standard(texts)))]

    def documents(data: Any, steps: int | None) -> Iterator[list[str]]:
        for batch in batches(data, steps):
            yield from tokens_of(_texts(as_array(batch)))

    def host(x: Any) -> np.ndarray:
        x = as_array(x)
        rows = tokens_of(_texts(x))
        longest = max(map(len, rows), default=1) if output_sequence_length is None else output_sequence_length
        longest = longest if output_mode == "int" else max(longest, 1)
        filled = np.array([(row + [""] * longest)[:longest] for row in rows], str).reshape(len(rows), longest)
        y = known.written(known.indices(filled))
        if output_mode == "int" and split is None and output_sequence_length is None and longest == 1:
            y = y[:, 0]
        return y[0] if x.ndim == 0 else y

    return on_host("TextVectorization", host, methods_of(known, documents))


def _texts(x: np.ndarray) -> np.ndarray:
    """Return texts as one row of them."""
    if x.ndim > 2 or (x.ndim == 2 and x.shape[1] != 1):
        raise ShapeError(f"needs texts, (batch,) or (batch, 1), but got {shape_of(x)}.")
    return x.reshape(-1)

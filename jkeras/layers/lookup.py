"""StringLookup and IntegerLookup: tokens to indices and back, on the host."""

from __future__ import annotations

from typing import Any

import numpy as np

from jkeras.core import Definition, layer
from jkeras.core.arguments import choice
from jkeras.layers.encoding import dense_only
from jkeras.layers.vocabulary import Vocabulary, documents_of, methods_of, on_host, vocabulary_of


def strings(x: Any, encoding: str = "utf-8") -> np.ndarray:
    """Return strings, bytes or lists of them as an array of Python's strings."""
    x = np.asarray(x)
    if x.dtype.kind == "U":
        return x
    if x.dtype.kind not in "SO" and x.size:
        raise TypeError(f"needs strings, but got {x.dtype}.")
    texts = [one.decode(encoding) if isinstance(one, bytes) else one for one in x.ravel().tolist()]
    if not all(isinstance(one, str) for one in texts):
        raise TypeError(f"needs strings, in lists of one length, but got {next(t for t in texts if not isinstance(t, str))!r}.")
    return np.array(texts, str).reshape(x.shape)


def _integers(x: Any) -> np.ndarray:
    x = np.asarray(x)
    if x.dtype.kind not in "iu":
        raise TypeError(f"needs whole numbers, but got {x.dtype}.")
    return x.astype(np.int64)


def _looking_up(kind: str, known: Vocabulary, as_array: Any, invert: bool) -> Definition:
    def host(x: Any) -> np.ndarray:
        return known.tokens_at(_integers(x)) if invert else known.written(known.indices(as_array(x)))

    return on_host(kind, host, methods_of(known, lambda data, steps: documents_of(data, as_array, steps)))


@layer
def StringLookup(
    max_tokens: int | None = None,
    num_oov_indices: int = 1,
    mask_token: str | None = None,
    oov_token: str = "[UNK]",
    vocabulary: Any = None,
    idf_weights: Any = None,
    invert: bool = False,
    output_mode: str = "int",
    pad_to_max_tokens: bool = False,
    sparse: bool = False,
    encoding: str = "utf-8",
    salt: Any = None,
) -> Definition:
    """Write strings as their indices in a vocabulary, on the host: NumPy's arrays or lists in, NumPy's arrays out.

    It cannot be part of a model: map the data first. ``adapt(data)`` takes the vocabulary from data; ``get_vocabulary()``,
    ``vocabulary_size()`` and ``set_vocabulary(tokens)`` show and set it. What was found is part of the layer, and saved with it.

    Shapes: any to the same, as int64; or ones among zeros, ``(batch, n)`` to ``(batch, tokens)``.

    Args:
      max_tokens: how many tokens are known at most, special ones included; None (default) for all.
      num_oov_indices: how many indices are for unknown tokens, into which a hash puts them; with 0 they are errors.
      mask_token: the token of index 0, if there is to be one; where ones are written it counts nowhere.
      oov_token: what unknown tokens are called in ``get_vocabulary`` and with ``invert``.
      vocabulary: the tokens, if they are known.
      idf_weights: their weights, for "tf_idf".
      invert: whether indices are given and tokens returned.
      output_mode: ``"int"``; ``"one_hot"``, ``"multi_hot"``, ``"count"``; ``"tf_idf"`` counts times the weight of each token,
        :math:`\\log(1 + N / (1 + n))` for a token in n of N rows.
      pad_to_max_tokens: whether ones are written among ``max_tokens`` zeros.
      sparse: for Keras's sake.
      encoding: that of bytes.
      salt: one or two integers, the key of the hash of unknown tokens.

    Raises:
      ValueError: for arguments that do not go together, a token that is twice in the vocabulary, or use before ``adapt``.
      GraphError: when it is called on a symbolic tensor.

    Example:
      >>> words = StringLookup()
      >>> words.adapt(["cat", "dog", "cat"])
      >>> words.get_vocabulary()
      ['[UNK]', 'cat', 'dog']
      >>> words([["dog", "cow"]]).tolist()
      [[2, 0]]

    Reference: ``keras.layers.StringLookup``.
    """
    dense_only(sparse)
    as_array = lambda x: strings(x, encoding)  # noqa: E731
    known = vocabulary_of(
        as_array, max_tokens, num_oov_indices, mask_token, oov_token, vocabulary, idf_weights, invert, output_mode,
        pad_to_max_tokens, salt, hashed=True,
    )  # fmt: skip
    return _looking_up("StringLookup", known, as_array, invert)


@layer
def IntegerLookup(
    max_tokens: int | None = None,
    num_oov_indices: int = 1,
    mask_token: int | None = None,
    oov_token: int = -1,
    vocabulary: Any = None,
    vocabulary_dtype: str = "int64",
    idf_weights: Any = None,
    invert: bool = False,
    output_mode: str = "int",
    sparse: bool = False,
    pad_to_max_tokens: bool = False,
    oov_method: str = "floormod",
    salt: Any = None,
) -> Definition:
    """Write whole numbers, such as ids with gaps, as their indices in a vocabulary, on the host.

    It cannot be part of a model: map the data first. All else is as for :func:`StringLookup`.

    Shapes: any to the same, as int64; or ones among zeros, ``(batch, n)`` to ``(batch, tokens)``.

    Args:
      max_tokens, num_oov_indices, mask_token, oov_token, vocabulary, idf_weights, invert, output_mode, sparse,
        pad_to_max_tokens, salt: as for :func:`StringLookup`, with numbers for tokens.
      vocabulary_dtype: ``"int64"`` or ``"int32"``, for Keras's sake.
      oov_method: into which of several indices an unknown number goes: ``"floormod"``, its remainder, or ``"farmhash"``.

    Raises:
      ValueError: for arguments that do not go together, a number that is twice in the vocabulary, or use before ``adapt``.
      GraphError: when it is called on a symbolic tensor.

    Example:
      >>> ids = IntegerLookup(vocabulary=[12, 36, 1138])
      >>> ids(np.array([[36, 7]])).tolist()
      [[2, 0]]

    Reference: ``keras.layers.IntegerLookup``.
    """
    dense_only(sparse)
    choice("vocabulary_dtype", vocabulary_dtype, ("int64", "int32"))
    choice("oov_method", oov_method, ("floormod", "farmhash"))
    known = vocabulary_of(
        _integers, max_tokens, num_oov_indices, mask_token, oov_token, vocabulary, idf_weights, invert, output_mode,
        pad_to_max_tokens, salt, hashed=oov_method == "farmhash",
    )  # fmt: skip
    return _looking_up("IntegerLookup", known, _integers, invert)

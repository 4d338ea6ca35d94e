"""Helpers for data with Keras's names: padding, normalising, datasets that are read by batch number."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jkeras.core.arguments import whole_number
from jkeras.core.errors import DataError, kind_of


def normalize(x: Any, axis: int = -1, order: int = 2) -> Any:
    """Divide vectors along an axis by their norm; vectors of zeros stay.

    Args:
      x: an array or nested list.
      axis: the axis along which a vector lies.
      order: of the norm, 2 for the Euclidean one.

    Returns:
      A JAX array for a JAX array, else NumPy's.

    Example:
      >>> normalize(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist()
      [[0.6, 0.8], [0.0, 0.0]]
    """
    library: Any = jnp if isinstance(x, jax.Array) else np
    norm = library.linalg.norm(library.asarray(x), order, axis, keepdims=True)
    return library.asarray(x) / library.where(norm == 0, 1, norm)


def pad_sequences(
    sequences: Any,
    maxlen: int | None = None,
    dtype: Any = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: Any = 0.0,
) -> np.ndarray:
    """Bring sequences to one length.

    Args:
      sequences: a list of sequences, each of shape ``(length, ...)``.
      maxlen: the length, None for that of the longest.
      dtype: of the result; ``object`` for strings.
      padding: whether shorter ones are filled up at the beginning, ``"pre"``, or at the end, ``"post"``.
      truncating: the same for what is cut off longer ones.
      value: what they are filled up with.

    Returns:
      A NumPy array ``(len(sequences), maxlen, ...)``.

    Raises:
      DataError: when something is not a sequence, or their elements have different shapes.

    Example:
      >>> pad_sequences([[1], [2, 3], [4, 5, 6]], maxlen=2).tolist()
      [[0, 1], [2, 3], [5, 6]]
    """
    for name, side in (("padding", padding), ("truncating", truncating)):
        if side not in ("pre", "post"):
            raise ValueError(f"{name} must be 'pre' or 'post', but got {side!r}.")
    if not hasattr(sequences, "__len__"):
        raise DataError(f"pad_sequences takes a list of sequences, but got {kind_of(sequences)}.")
    for i, sequence in enumerate(sequences):
        if not hasattr(sequence, "__len__"):
            raise DataError(f"pad_sequences takes a list of sequences, but number {i} is {sequence!r}.")
    length = max(map(len, sequences), default=0) if maxlen is None else whole_number("maxlen", maxlen)
    shape = next((np.shape(sequence)[1:] for sequence in sequences if len(sequence)), ())
    padded = np.full((len(sequences), length, *shape), value, dtype)
    for i, sequence in enumerate(sequences):
        cut = np.asarray(sequence[-length:] if truncating == "pre" else sequence[:length], dtype)
        if not len(cut):
            continue
        if cut.shape[1:] != shape:
            raise DataError(f"pad_sequences: elements of sequence {i} have shape {cut.shape[1:]}, but others {shape}.")
        padded[i, slice(-len(cut), None) if padding == "pre" else slice(len(cut))] = cut
    return padded


def pack_x_y_sample_weight(x: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """Put inputs, targets and weights into what a stream of batches yields; without targets, inputs alone are left as they are.

    Example:
      >>> pack_x_y_sample_weight("x", "y")
      ('x', 'y')
    """
    if y is None:
        return (x,) if isinstance(x, (list, tuple)) else x
    return (x, y) if sample_weight is None else (x, y, sample_weight)


def unpack_x_y_sample_weight(data: Any) -> tuple[Any, Any, Any]:
    """Take apart what :func:`pack_x_y_sample_weight` put together; what is missing is None.

    Raises:
      ValueError: for a list or tuple of none or more than three.

    Example:
      >>> unpack_x_y_sample_weight(("x", "y"))
      ('x', 'y', None)
    """
    parts = tuple(data) if isinstance(data, (list, tuple)) else (data,)
    if not 1 <= len(parts) <= 3:
        raise ValueError(f"unpack_x_y_sample_weight takes (x,), (x, y) or (x, y, sample_weight), but got {len(parts)} parts.")
    x, y, sample_weight = (*parts, None, None)[:3]
    return x, y, sample_weight


class PyDataset:
    """Batches by number: write ``__getitem__(index)``, which returns ``(inputs, targets)``, and ``__len__``.

    ``fit``, ``evaluate`` and ``predict`` read it from the beginning at every epoch, and call ``on_epoch_begin`` and
    ``on_epoch_end`` around each.

    Args:
      workers, use_multiprocessing, max_queue_size: accepted for Keras's sake; batches are read one after another.

    Example:
      >>> class Squares(PyDataset):
      ...     def __len__(self):
      ...         return 3
      ...     def __getitem__(self, index):
      ...         return np.full((2, 1), index), np.full((2, 1), index**2)
      >>> [int(y[0, 0]) for _, y in Squares()]
      [0, 1, 4]
    """

    def __init__(self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10):
        self.workers, self.use_multiprocessing, self.max_queue_size = workers, use_multiprocessing, max_queue_size

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError(f"{type(self).__name__} needs __getitem__(index), which returns batch number index.")

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} needs __len__(), the number of batches.")

    @property
    def num_batches(self) -> int:
        """The number of batches."""
        return len(self)

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def on_epoch_begin(self) -> None:
        """Run before each epoch."""

    def on_epoch_end(self) -> None:
        """Run after each epoch."""


__all__ = ["PyDataset", "normalize", "pack_x_y_sample_weight", "pad_sequences", "unpack_x_y_sample_weight"]

"""Small helpers with Keras's names."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jkeras.backend import clear_session, is_keras_tensor
from jkeras.config import disable_interactive_logging, enable_interactive_logging, is_interactive_logging_enabled
from jkeras.core.store import set_random_seed
from jkeras.utils.data import PyDataset, normalize, pack_x_y_sample_weight, pad_sequences, unpack_x_y_sample_weight

Sequence = PyDataset


def to_categorical(x: Any, num_classes: int | None = None) -> Any:
    """Turn class numbers into one-hot vectors.

    Args:
      x: integers from 0 up, ``(...)`` or ``(..., 1)``; a last axis of size 1 is dropped.
      num_classes: length of a vector; None means the largest number + 1.

    Returns:
      An array ``(..., num_classes)``: NumPy float64 for NumPy arrays and lists, JAX float32 for JAX arrays, as in Keras.

    Raises:
      ValueError: for a number below 0, or not below ``num_classes``, or not whole.

    Example:
      >>> to_categorical([0, 2], 3).tolist()
      [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """
    labels = np.asarray(x)
    if labels.dtype.kind not in "iufb" or (labels.dtype.kind == "f" and not (labels == np.trunc(labels)).all()):
        raise ValueError(f"to_categorical takes whole numbers, but got an array of {labels.dtype}: {labels.reshape(-1)[:5]} ...")
    labels = labels.astype(np.int64)
    if labels.ndim > 1 and labels.shape[-1] == 1:
        labels = labels[..., 0]
    if num_classes is None:
        if not labels.size:
            raise ValueError("to_categorical cannot tell the number of classes from no labels; give num_classes.")
        num_classes = int(labels.max()) + 1
    if labels.size and (labels.min() < 0 or labels.max() >= num_classes):
        wrong = labels[(labels < 0) | (labels >= num_classes)].flat[0]
        raise ValueError(f"to_categorical takes numbers from 0 to {num_classes - 1}, but got {wrong}.")
    if isinstance(x, jax.Array):
        return jax.nn.one_hot(jnp.asarray(labels), num_classes, dtype=jnp.float32)
    return np.eye(num_classes)[labels]


__all__ = [
    "PyDataset",
    "Sequence",
    "clear_session",
    "disable_interactive_logging",
    "enable_interactive_logging",
    "is_interactive_logging_enabled",
    "is_keras_tensor",
    "normalize",
    "pack_x_y_sample_weight",
    "pad_sequences",
    "set_random_seed",
    "to_categorical",
    "unpack_x_y_sample_weight",
]

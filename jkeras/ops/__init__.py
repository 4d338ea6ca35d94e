"""Keras's functions for arrays and symbolic tensors alike, and every function of ``jax.numpy``, ``jax.nn`` and ``jax.lax``.

``jkeras.ops.tanh(x)`` is ``jax.numpy.tanh(x)`` on an array, and a step of the model on a symbolic tensor. A name that Keras has
means what it means there, with Keras's arguments; any other is looked up in ``jax.numpy``, then ``jax.nn``, then ``jax.lax``.

Example:
  >>> from jkeras import Input
  >>> x = Input((4, 3))
  >>> jkeras.ops.mean(jkeras.ops.square(x), axis=1).shape
  (None, 3)
"""

from jkeras.core.functions import OFFERED, names
from jkeras.core.operation import lifting
from jkeras.ops import blocks, control, ctc, image, linalg, nn, numpy, signal, signatures, warping  # noqa: F401, they fill the table
from jkeras.ops.control import convert_to_numpy, custom_gradient, dtype, is_tensor, jvp, shape  # noqa: F401, as they are

__getattr__ = lifting("{}")


def __dir__() -> list[str]:
    return sorted({*__all__, *names()})


__all__ = [*(name for name in OFFERED if "." not in name), "image", "linalg", "nn", "numpy"]  # pyright: ignore[reportUnsupportedDunderAll]

"""Weights of a layer's own: each drawn from the key that belongs to its name."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from jkeras.core.compilation import jit_quickly
from jkeras.core.context import fold_in_name, is_traced
from jkeras.core.named import Named, tables
from jkeras.core.shapes import need_known


def weight(key: jax.Array, name: str, initializer: Any, shape: tuple[int, ...]) -> jax.Array:
    """Draw a float32 weight for ``init``; other weights of the layer do not disturb it.

    Args:
      key: the key that ``init`` was given.
      name: the weight's name.
      initializer: a name, an object of ``jkeras.initializers``, or a function ``(key, shape, dtype)``.
      shape: its shape; a size that is unknown is refused.

    Example:
      >>> weight(jax.random.key(0), "scale", "ones", (3,)).tolist()
      [1.0, 1.0, 1.0]
    """
    need_known(name, shape)
    function, own = tables["initializer"](initializer), fold_in_name(key, name)
    if is_traced(own) or not (isinstance(function, Named) and function.is_plain):
        return jnp.asarray(function(own, tuple(shape), jnp.float32), jnp.float32)
    return _draw(function, own, tuple(shape))


# Compiled once per initializer and shape. Only initializers made of plain arguments come here: a static argument of a compiled
# function is kept for as long as the process runs, and an array or a function of the user's must not be.
_draw = jit_quickly(lambda function, key, shape: function(key, shape, jnp.float32), static_argnums=(0, 2))

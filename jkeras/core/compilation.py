"""Compilation of random draws that run once, or once an epoch: of weights, and of the bits that shuffle."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax


def jit_quickly(function: Callable[..., Any], static_argnums: tuple[int, ...] = ()) -> Callable[..., Any]:
    """Compile a function fast rather than well.

    On a CPU, XLA takes up to a second over one small random draw; without its optimisations a tenth of that, and the result is
    the same to the last bit (measured on JAX 0.10 and 0.12). Not for use inside other transformations.
    """

    @functools.cache
    def compiled() -> Callable[..., Any]:
        quickly = {"xla_backend_optimization_level": 0} if jax.default_backend() == "cpu" else None
        return jax.jit(function, static_argnums=static_argnums, compiler_options=quickly)

    return lambda *args: compiled()(*args)

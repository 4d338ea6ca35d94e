"""Linear algebra by Keras's names."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import jax.scipy.linalg

from jkeras.core.context import is_traced
from jkeras.core.errors import ShapeError
from jkeras.core.operation import lifting, op
from jkeras.core.shapes import shape_of


def _matrices(x: Any) -> Any:
    x = jnp.asarray(x)
    if x.ndim < 2:
        raise ShapeError(f"needs matrices, (..., rows, columns), but the input is {shape_of(x)}.")
    return x


@op
def cholesky(x: Any, upper: bool = False) -> Any:
    """Return the triangular factor of symmetric positive definite matrices ``(..., n, n)``.

    Raises:
      ValueError: for a matrix that is not positive definite; inside ``jit`` its factor is NaN instead.
    """
    factor = jnp.linalg.cholesky(_matrices(x), upper=upper)
    if not is_traced(factor) and bool(jnp.isnan(factor).any()):
        raise ValueError("cholesky needs positive definite matrices, and an input is not.")
    return factor


@op
def cholesky_inverse(x: Any, upper: bool = False) -> Any:
    """Return the inverses of the matrices ``(..., n, n)`` whose triangular factors are given."""
    x = _matrices(x)
    identity = jnp.broadcast_to(jnp.eye(x.shape[-1], dtype=x.dtype), x.shape)
    inverse = jax.scipy.linalg.solve_triangular(x, identity, lower=not upper)
    return inverse @ inverse.mT if upper else inverse.mT @ inverse


@op
def logdet(x: Any) -> Any:
    """Return the logarithms of the determinants' absolute values: ``(..., n, n)`` to ``(...)``."""
    return jnp.linalg.slogdet(_matrices(x))[1]


@op
def lstsq(a: Any, b: Any, rcond: float | None = None) -> Any:
    """Return the x of least ``|a x - b|``; only that, as Keras does."""
    return jnp.linalg.lstsq(_matrices(a), jnp.asarray(b), rcond=rcond)[0]


@op
def lu_factor(x: Any) -> Any:
    """Return the two factors of matrices ``(..., n, n)`` in one, and the rows that were exchanged."""
    return jax.scipy.linalg.lu_factor(_matrices(x))


@op
def matrix_rank(x: Any, tol: float | None = None) -> Any:
    """Return how many singular values of matrices exceed ``tol``, as int32: ``(..., m, n)`` to ``(...)``."""
    x = _matrices(x)
    if tol is None:
        return jnp.linalg.matrix_rank(x).astype(jnp.int32)
    return jnp.sum(jnp.linalg.svd(x, compute_uv=False) > tol, -1, dtype=jnp.int32)


@op
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """Return the norm of vectors or matrices; of whole numbers as float32."""
    x = jnp.asarray(x)
    x = x if jnp.issubdtype(x.dtype, jnp.inexact) else x.astype(jnp.float32)
    return jnp.linalg.norm(x, ord, tuple(axis) if isinstance(axis, list) else axis, keepdims)


@op
def pinv(x: Any, rcond: float | None = None) -> Any:
    """Return the pseudo-inverse of matrices ``(..., m, n)``; singular values up to ``rcond`` of the largest count as 0."""
    return jnp.linalg.pinv(_matrices(x), rcond)


@op
def solve_triangular(a: Any, b: Any, lower: bool = False) -> Any:
    """Return the x of ``a x = b`` for triangular matrices ``(..., n, n)``; ``b`` is ``(..., n)`` or ``(..., n, k)``."""
    return jax.scipy.linalg.solve_triangular(jnp.asarray(a), jnp.asarray(b), lower=lower)


__getattr__ = lifting("{}", "linalg.{}")  # the second for JAX's functions that Keras lacks, such as linalg.matrix_power

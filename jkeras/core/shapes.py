"""Shapes with unknown sizes, inferred by running layers abstractly.

The unknown size of axis *i* is the symbol ``d{i}``, at least 2, in one scope for the whole process; users see ``None``.
Two unknown lengths on the same axis are therefore taken to be equal while a model is built, as in Keras, and JAX checks
them when it runs. After each layer the computed sizes are forgotten (:func:`forget`): left to nest, an expression such as
``max(floordiv(max(d1 - 4, 0) - 2, 2), 0)`` makes JAX's decision procedure slower with every layer, until a dozen "valid"
convolutions take minutes.
"""

import copy
import copyreg
import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import export

from jkeras.core.errors import ShapeError
from jkeras.core.nest import flatten, map_nest

_MAX_NDIM = 12
_SCOPE = export.SymbolicScope([f"d{i} >= 2" for i in range(_MAX_NDIM)])
_SYMBOLS = export.symbolic_shape(", ".join(f"d{i}" for i in range(_MAX_NDIM)), scope=_SCOPE)

Shape = tuple[int | None, ...]


def symbol(axis: int) -> Any:
    """Return the unknown size of an axis."""
    return _SYMBOLS[axis]


def _reduced(size: Any) -> Any:
    """Write a symbol of this scope as its axis; symbols of others as they would be without us."""
    axis = next((axis for axis, known in enumerate(_SYMBOLS) if known is size), None)
    return size.__reduce_ex__(4) if axis is None else (symbol, (axis,))


copyreg.pickle(type(_SYMBOLS[0]), _reduced)  # a copy by structure would be a symbol of another scope, equal to none here


def spec(shape: Any, dtype: Any = "float32") -> jax.ShapeDtypeStruct:
    """Describe an array of the given shape, in which ``None`` is a size not known yet.

    Example:
      >>> spec((None, 8)).shape
      (d0, 8)
    """
    if len(shape) > _MAX_NDIM:
        raise ShapeError(f"jkeras describes arrays of at most {_MAX_NDIM} axes, but the shape {shape} has {len(shape)}.")
    sizes = tuple(_SYMBOLS[i] if size is None else size for i, size in enumerate(shape))
    return jax.ShapeDtypeStruct(sizes, jnp.dtype(dtype))


def traceable(described: Any) -> Any:
    """Return a spec with the dtype that JAX will compute in: 64 bits are 32 to it by default, and newer versions warn of them."""
    if not isinstance(described, jax.ShapeDtypeStruct):
        return described
    return jax.ShapeDtypeStruct(described.shape, jax.dtypes.canonicalize_dtype(described.dtype, allow_extended_dtype=True))


def shape_of(described: Any) -> Shape:
    """Return the shape of an array or spec as users see it, with ``None`` for an unknown size."""
    return tuple(size if isinstance(size, int) else None for size in described.shape)


def shapes_of(tree: Any) -> str:
    """Write the shapes in a pytree of arrays or specs for a message: ``(None, 8)`` or ``[(2, 3), (2, 4)]``.

    Example:
      >>> shapes_of([spec((None, 8)), spec((3,))])
      '[(None, 8), (3,)]'
    """
    if isinstance(tree, dict):
        return "{" + ", ".join(f"{k!r}: {shapes_of(v)}" for k, v in tree.items()) + "}"
    if isinstance(tree, (list, tuple)):
        return "[" + ", ".join(shapes_of(v) for v in tree) + "]"
    return str(shape_of(tree)) if hasattr(tree, "shape") else repr(tree)


def forget(described: Any) -> jax.ShapeDtypeStruct:
    """Replace each computed size by the plain symbol of its axis."""
    return spec(shape_of(described), described.dtype)


def agreed(tree: Any) -> Iterator[Any]:
    """Yield specs in which an unknown size is the fixed one that another has on the same axis, on as few axes as possible first.

    Axes are counted from the end, as NumPy lines them up.
    """
    leaves = flatten(tree)
    fixed: dict[int, set[int]] = {}
    for leaf in leaves:
        for axis, size in enumerate(reversed(shape_of(leaf))):
            if size is not None and size != 1:
                fixed.setdefault(axis, set()).add(size)
    unknown = {axis for leaf in leaves for axis, size in enumerate(reversed(shape_of(leaf))) if size is None}
    axes = sorted(axis for axis, sizes in fixed.items() if len(sizes) == 1 and axis in unknown)

    def sized(leaf: Any, chosen: tuple[int, ...]) -> jax.ShapeDtypeStruct:
        found = enumerate(reversed(shape_of(leaf)))
        shape = [next(iter(fixed[axis])) if size is None and axis in chosen else size for axis, size in found]
        return spec(tuple(reversed(shape)), leaf.dtype)

    for count in range(1, len(axes) + 1):
        for chosen in itertools.combinations(axes, count):
            yield map_nest(lambda leaf, chosen=chosen: sized(leaf, chosen), tree)


def spec_of(array: Any) -> jax.ShapeDtypeStruct:
    """Describe one array, spec or symbolic tensor; NumPy's 64 bits are the 32 that JAX makes of them."""
    if isinstance(array, jax.ShapeDtypeStruct):
        return array
    dtype = jax.dtypes.canonicalize_dtype(array.dtype) if isinstance(array, np.ndarray) else array.dtype
    return jax.ShapeDtypeStruct(array.shape, dtype)


def accepts(expected: Any, given: Any) -> bool:
    """Whether an array of shape ``given`` fits a spec in which unknown sizes fit anything."""
    want, got = shape_of(expected), shape_of(given)
    return len(want) == len(got) and all(w is None or g is None or w == g for w, g in zip(want, got, strict=True))


def as_column(array: Any, wanted: Any) -> Any:
    """Give ``(n,)`` the axis of size 1 that a spec ``(n, 1)`` has more, and take from ``(n, 3, 1)`` what ``(n, 3)`` has less."""
    if array.ndim + 1 == len(wanted.shape) and shape_of(wanted)[-1] == 1:
        return array[..., None]
    return array[..., 0] if array.ndim == len(wanted.shape) + 1 and array.shape[-1] == 1 else array


def deep_copy(thing: Any, memo: dict[int, Any], instead: Mapping[str, Any]) -> Any:
    """Copy an object for ``copy.deepcopy``, some of its attributes replaced.

    The symbols of unknown sizes and their scope, of which there is one for the whole process, are shared.
    """
    memo |= {id(shared): shared for shared in (_SCOPE, *_SYMBOLS)}
    other = object.__new__(type(thing))
    memo[id(thing)] = other
    for name, value in thing.__dict__.items():
        other.__dict__[name] = instead[name] if name in instead else copy.deepcopy(value, memo)
    return other


def need_known(name: str, shape: Any) -> None:
    """Refuse a parameter whose size would depend on a size that is not known yet."""
    if not all(isinstance(size, int) for size in shape):
        seen = tuple(size if isinstance(size, int) else None for size in shape)
        raise ShapeError(f"its {name!r} would have the unknown size {seen}. Give that axis of the Input a size.")


PENALTY = "penalty"  # the state entry in which a layer leaves what one call of it adds to the loss


def is_key(array: Any) -> bool:
    """Whether an array or spec holds random keys, which are no weights."""
    return jnp.issubdtype(array.dtype, jax.dtypes.prng_key)


def is_float(array: Any) -> bool:
    """Whether an array or spec holds real numbers, as opposed to integers, booleans or keys."""
    return jnp.issubdtype(array.dtype, jnp.floating)

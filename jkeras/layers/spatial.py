"""What layers over time, images and volumes share: one size per axis, and where the channels stand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from jkeras.core.arguments import choice, whole_number
from jkeras.core.errors import ShapeError
from jkeras.core.masks import Masked
from jkeras.core.shapes import shape_of
from jkeras.layers.common import need_ndim

SPACE = {1: ("time",), 2: ("height", "width"), 3: ("depth", "height", "width")}
_WORDS = {1: "one", 2: "two", 3: "three"}


def per_axis(name: str, value: Any, rank: int, least: int = 1) -> tuple[int, ...]:
    """Return an argument that may be written ``3`` or ``(3, 3)`` as integers, one per axis of space."""
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,) * rank
    if len(values) != rank:
        raise ValueError(f"{name} must be an integer or a tuple of {_WORDS[rank]}, but got {value!r}.")
    return tuple(whole_number(name, size, least) for size in values)


def covered_by(size: tuple[int, ...], dilation: tuple[int, ...]) -> tuple[int, ...]:
    """Return how many entries a window covers along each axis, from its first to its last."""
    return tuple(d * (k - 1) + 1 for d, k in zip(dilation, size, strict=True))


def padding_of(padding: Any, causal: bool = False) -> str:
    """Return the word for padding in lower case: "valid", "same", or "causal" where there is such a thing."""
    word = padding.lower() if isinstance(padding, str) else padding
    return choice("padding", word, ("valid", "same", "causal") if causal else ("valid", "same"))


def is_channels_first(data_format: Any) -> bool:
    """Whether channels come before space; None means that they come last."""
    return choice("data_format", data_format, (None, "channels_last", "channels_first")) == "channels_first"


def need_space(x: Any, rank: int, first: bool = False) -> None:
    """Refuse an input that is not ``(batch, *space, channels)``, or ``(batch, channels, *space)``."""
    need_ndim(x, ("batch", "channels", *SPACE[rank]) if first else ("batch", *SPACE[rank], "channels"))


def space_of(x: Any, first: bool) -> tuple[Any, ...]:
    """Return the sizes of the axes of space, unknown ones as symbols."""
    return x.shape[2:] if first else x.shape[1:-1]


def last(x: Any, first: bool) -> Any:
    """Return an input with its channels last."""
    return jnp.moveaxis(x, 1, -1) if first else x


def back(y: Any, first: bool) -> Masked:
    """Put channels that :func:`last` moved where they were; masks end here."""
    return Masked(jnp.moveaxis(y, -1, 1) if first else y, None)


def need_length(x: Any, rank: int, first: bool, covered: tuple[int, ...]) -> None:
    """Refuse an input that is shorter along an axis of space than what one window has ``covered`` there."""
    for name, size, least in zip(SPACE[rank], space_of(x, first), covered, strict=True):
        if isinstance(size, int) and size < least:
            what = f"{size} time steps are" if name == "time" else f"a {name} of {size} is"
            less = "fewer" if name == "time" else "less"
            raise ShapeError(f"{what} {less} than the {least} that one window covers, in an input {shape_of(x)}.")


def in_format(
    function: Callable[[Any], Any], rank: int, first: bool, covered: tuple[int, ...] | None = None
) -> Callable[[Any], Masked]:
    """Let a function of ``(batch, *space, channels)`` take either format, of inputs no shorter than a window ``covered``."""

    def either(x: Any) -> Masked:
        need_space(x, rank, first)
        if covered is not None:
            need_length(x, rank, first, covered)
        return back(function(last(x, first)), first)

    return either

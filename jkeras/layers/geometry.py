"""Images seen otherwise: resized, cropped and padded, and warped by a projective map."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import jax.scipy.ndimage

from jkeras.core.arguments import choice

INTERPOLATIONS = ("bilinear", "nearest", "bicubic", "lanczos3", "lanczos5")
FILL_MODES = ("reflect", "wrap", "constant", "nearest", "mirror")
_ORDERS = {"nearest": 0, "bilinear": 1}


def resized(
    x: Any,
    size: tuple[int, ...],
    interpolation: str = "bilinear",
    antialias: bool = False,
    crop: bool = False,
    pad: bool = False,
    fill_value: float = 0.0,
) -> Any:
    """Resize ``(batch, height, width, channels)``; ``crop`` or ``pad`` it to the wanted ratio first."""
    choice("interpolation", interpolation, INTERPOLATIONS)
    if crop and pad:
        raise ValueError("crop_to_aspect_ratio and pad_to_aspect_ratio cannot both be True.")
    if crop:
        x = middle(x, _of_ratio(x, size, larger=False))
    if pad:
        x = padded(x, _of_ratio(x, size, larger=True), fill_value)
    return jax.image.resize(x, (x.shape[0], *size, x.shape[3]), interpolation, antialias=antialias)


def _of_ratio(x: Any, size: tuple[int, ...], larger: bool) -> tuple[int, int]:
    """Return the height and width of a ratio that hold an image, or that it holds."""
    _, height, width, _ = x.shape
    fitting = int(width * size[0] / size[1]), int(height * size[1] / size[0])
    if larger:
        return max(height, fitting[0]), max(width, fitting[1])
    return max(min(height, fitting[0]), 1), max(min(width, fitting[1]), 1)


def middle(x: Any, size: tuple[int, ...]) -> Any:
    """Cut the middle of ``(batch, height, width, channels)`` out; where it is not even, a row more is left below."""
    top, left = ((whole - part) // 2 for whole, part in zip(x.shape[1:3], size, strict=True))
    return x[:, top : top + size[0], left : left + size[1]]


def padded(x: Any, size: tuple[int, ...], fill_value: float) -> Any:
    """Put as much of a value before as behind along each axis that is too short."""
    both = [(whole - part) // 2 for part, whole in zip(x.shape[1:3], size, strict=True)]
    return jnp.pad(x, ((0, 0), *((n, n) for n in both), (0, 0)), constant_values=fill_value)


def warped(x: Any, transform: Any, interpolation: str = "bilinear", fill_mode: str = "constant", fill_value: float = 0.0) -> Any:
    r"""Let each pixel of the result be that of the image at a place which a projective map says.

    .. math:: (x', y') = \Big(\frac{a_0 x + a_1 y + a_2}{k}, \frac{b_0 x + b_1 y + b_2}{k}\Big), \quad k = c_0 x + c_1 y + 1

    Args:
      x: ``(batch, height, width, channels)``.
      transform: ``(batch, 8)``, :math:`a_0, a_1, a_2, b_0, b_1, b_2, c_0, c_1` of each image.
      interpolation: ``"bilinear"`` or ``"nearest"``.
      fill_mode: what is outside: ``"constant"``, ``"nearest"``, ``"wrap"``, ``"mirror"`` or ``"reflect"``.
      fill_value: the constant.
    """
    columns, rows = jnp.meshgrid(jnp.arange(x.shape[2]), jnp.arange(x.shape[1]))  # (height, width)

    def places(t: Any) -> Any:
        k = t[6] * columns + t[7] * rows + 1
        return (t[3] * columns + t[4] * rows + t[5]) / k, (t[0] * columns + t[1] * rows + t[2]) / k

    return looked_up(x, jax.vmap(places)(transform), interpolation, fill_mode, fill_value)


def looked_up(x: Any, places: Any, interpolation: str, fill_mode: str, fill_value: float) -> Any:
    """Return each image at places of its own: ``(batch, height, width, channels)`` at rows and columns ``(batch, h, w)``."""
    order = _ORDERS[choice("interpolation", interpolation, tuple(_ORDERS))]
    choice("fill_mode", fill_mode, FILL_MODES)

    def look(image: Any, at: Any) -> Any:  # (height, width, channels)
        see = lambda plane: jax.scipy.ndimage.map_coordinates(plane, at, order, fill_mode, fill_value)  # noqa: E731
        return jax.vmap(see, 2, 2)(image)

    return jax.vmap(look)(x, places).astype(x.dtype)

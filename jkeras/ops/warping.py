"""Functions that look images up at other places: affine, perspective and elastic maps."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import jax.scipy.ndimage

from jkeras import random
from jkeras.core.arguments import choice
from jkeras.core.errors import ShapeError
from jkeras.core.shapes import shape_of
from jkeras.layers.geometry import FILL_MODES, looked_up, warped
from jkeras.ops.image import bell, filtered, offered, on_batches


@offered
def affine_transform(
    images: Any,
    transform: Any,
    interpolation: str = "bilinear",
    fill_mode: str = "constant",
    fill_value: float = 0,
    data_format: str | None = None,
) -> Any:
    r"""Let each pixel (x, y) of the result be that of the image at :math:`(a_0 x + a_1 y + a_2, b_0 x + b_1 y + b_2)`.

    Args:
      images: one, or a batch.
      transform: :math:`a_0, a_1, a_2, b_0, b_1, b_2, c_0, c_1`, ``(8,)`` for all or ``(batch, 8)``; what is said above is divided
        by :math:`c_0 x + c_1 y + 1`. (Keras 3.15.1 on JAX takes the last two for 0.)
      interpolation: ``"bilinear"`` or ``"nearest"``.
      fill_mode: what is outside: ``"constant"``, ``"nearest"``, ``"wrap"``, ``"mirror"`` or ``"reflect"``.
      fill_value: the constant.
      data_format: ``"channels_last"`` (default) or ``"channels_first"``.
    """
    transform = jnp.asarray(transform, jnp.float32)
    if transform.ndim not in (1, 2) or transform.shape[-1] != 8:
        raise ShapeError(f"transform must be eight numbers, or eight per image, but is {shape_of(transform)}.")
    return _warped(images, transform, data_format, interpolation, fill_mode, fill_value)


def _warped(images: Any, transform: Any, data_format: Any, *how: Any) -> Any:
    """Warp images by eight numbers of each, or by eight of all."""
    return on_batches(lambda x: warped(x, jnp.broadcast_to(transform, (x.shape[0], 8)), *how), images, data_format)


@offered
def perspective_transform(
    images: Any,
    start_points: Any,
    end_points: Any,
    interpolation: str = "bilinear",
    fill_value: float = 0,
    data_format: str | None = None,
) -> Any:
    """Warp images so that four points ``(x, y)`` come to four others: ``(4, 2)`` for all, or ``(batch, 4, 2)``."""
    start, end = jnp.asarray(start_points, jnp.float32), jnp.asarray(end_points, jnp.float32)
    if start.shape != end.shape or start.shape[-2:] != (4, 2) or start.ndim not in (2, 3):
        raise ShapeError(f"points must be (4, 2) or (batch, 4, 2), but are {shape_of(start)} and {shape_of(end)}.")
    return _warped(images, _homography(start, end), data_format, interpolation, "constant", fill_value)


def _homography(start: Any, end: Any) -> Any:
    """Return the projective map ``(..., 8)`` from the result's points to the image's: two linear equations per point."""
    (x, y), (u, v) = jnp.moveaxis(end, -1, 0), jnp.moveaxis(start, -1, 0)  # (..., 4) each
    one, none = jnp.ones_like(x), jnp.zeros_like(x)
    rows_u = jnp.stack([x, y, one, none, none, none, -u * x, -u * y], -1)
    rows_v = jnp.stack([none, none, none, x, y, one, -v * x, -v * y], -1)
    matrix = jnp.concatenate([rows_u, rows_v], -2)  # (..., 8, 8)
    return jnp.linalg.solve(matrix, jnp.concatenate([u, v], -1)[..., None])[..., 0]


@offered
def map_coordinates(inputs: Any, coordinates: Any, order: int, fill_mode: str = "constant", fill_value: float = 0) -> Any:
    """Look an array up at places between its entries: ``coordinates`` has a row per axis; ``order`` 0 is nearest, 1 linear."""
    x, places = jnp.asarray(inputs), jnp.asarray(coordinates)
    if places.ndim < 2 or places.shape[0] != x.ndim:
        raise ShapeError(f"coordinates must be ({x.ndim}, ...), a row per axis of {shape_of(x)}, but are {shape_of(places)}.")
    choice("fill_mode", fill_mode, FILL_MODES)
    choice("order", order, (0, 1))
    return jax.scipy.ndimage.map_coordinates(x, list(places), order, fill_mode, fill_value)


@offered
def scale_and_translate(
    images: Any, output_shape: Any, scale: Any, translation: Any, spatial_dims: Any, method: str, antialias: bool = True
) -> Any:
    """Scale and move images along some axes; ``jax.image.scale_and_translate``."""
    scale, translation = jnp.asarray(scale), jnp.asarray(translation)
    shape = tuple(output_shape)
    return jax.image.scale_and_translate(jnp.asarray(images), shape, spatial_dims, scale, translation, method, antialias)


@offered
def elastic_transform(
    images: Any,
    alpha: float = 20.0,
    sigma: float = 5.0,
    interpolation: str = "bilinear",
    fill_mode: str = "reflect",
    fill_value: float = 0.0,
    seed: Any = None,
    data_format: str | None = None,
) -> Any:
    """Move every pixel a little, neighbours together (Simard et al., 2003).

    Args:
      images: one, or a batch, each moved otherwise.
      alpha: how far.
      sigma: how widely together, in pixels.
      interpolation, fill_mode, fill_value, data_format: as for :func:`affine_transform`.
      seed: as for ``jkeras.random``. (Keras 3.15.1 draws the same numbers for both directions; here they are two.)
    """
    size = (int(6 * sigma) | 1,) * 2

    def move(x: Any) -> Any:
        noise = random.normal((*x.shape[:3], 2), seed=seed) * sigma
        noise = alpha * filtered(noise, bell(size, (sigma, sigma), noise.dtype))  # (batch, height, width, 2)
        rows, columns = jnp.meshgrid(jnp.arange(x.shape[1]), jnp.arange(x.shape[2]), indexing="ij")
        return looked_up(x, (rows + noise[..., 0], columns + noise[..., 1]), interpolation, fill_mode, fill_value)

    return on_batches(move, images, data_format)

"""Images of another size: Resizing, CenterCrop, RandomCrop."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jkeras.core import Context, Definition, layer
from jkeras.core.arguments import choice, whole_number
from jkeras.core.shapes import is_float
from jkeras.layers.common import no_weights, real, seeded, stateless
from jkeras.layers.geometry import INTERPOLATIONS, middle, resized
from jkeras.layers.spatial import back, in_format, is_channels_first, last, need_space


def _size(height: Any, width: Any) -> tuple[int, int]:
    return whole_number("height", height), whole_number("width", width)


def _of_size(size: tuple[int, int], first: bool) -> Any:
    """Return what tells the output's spec, which unknown sizes of the input do not change."""

    def outputs(x: Any, arguments: Any, dtype: Any) -> Any:
        need_space(x, 2, first)
        shape = (*x.shape[:2], *size) if first else (x.shape[0], *size, x.shape[3])
        return jax.ShapeDtypeStruct(shape, dtype or (x.dtype if is_float(x) else jnp.float32))

    return outputs


def _fitted(x: Any, size: tuple[int, int]) -> Any:
    """Resize the largest part in the middle of images that has the wanted ratio."""
    return resized(real(x), size, crop=True).astype(real(x).dtype)


@layer
def Resizing(
    height: int,
    width: int,
    interpolation: str = "bilinear",
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    fill_mode: str = "constant",
    fill_value: float = 0.0,
    antialias: bool = False,
    data_format: str | None = None,
) -> Definition:
    """Resize images.

    Shapes: ``(batch, h, w, channels)`` to ``(batch, height, width, channels)``, as floating numbers. Params: none.

    Args:
      height, width: the size wanted.
      interpolation: ``"bilinear"``, ``"nearest"``, ``"bicubic"``, ``"lanczos3"`` or ``"lanczos5"``.
      crop_to_aspect_ratio, pad_to_aspect_ratio: whether the middle of the image is cut out, or ``fill_value`` put around it, so
        that nothing is distorted.
      fill_mode: ``"constant"``, for Keras's sake.
      fill_value: as said.
      antialias: whether an image is smoothed before it is made smaller.
      data_format: ``"channels_last"`` (None, default) or ``"channels_first"``: ``(batch, channels, h, w)``.

    Raises:
      ValueError: for sizes that are not positive, another interpolation, or both ways to keep the ratio.
      ShapeError: when the input has not 4 axes.

    Example:
      >>> Resizing(32, 32)(Input((28, 28, 3))).shape
      (None, 32, 32, 3)

    Reference: ``keras.layers.Resizing``.
    """
    size = _size(height, width)
    choice("interpolation", interpolation, INTERPOLATIONS)
    choice("fill_mode", fill_mode, ("constant",))
    if crop_to_aspect_ratio and pad_to_aspect_ratio:
        raise ValueError("crop_to_aspect_ratio and pad_to_aspect_ratio cannot both be True.")
    how = interpolation, antialias, crop_to_aspect_ratio, pad_to_aspect_ratio, fill_value
    first = is_channels_first(data_format)
    return stateless(in_format(lambda x: resized(real(x), size, *how), 2, first), outputs=_of_size(size, first))


@layer
def CenterCrop(height: int, width: int, data_format: str | None = None) -> Definition:
    """Cut the middle out of images; images that are too small are resized so that it fills the size wanted.

    Shapes: ``(batch, h, w, channels)`` to ``(batch, height, width, channels)``, as floating numbers. Params: none.

    Args:
      height, width: the size wanted.
      data_format: ``"channels_last"`` (None, default) or ``"channels_first"``: ``(batch, channels, h, w)``.

    Raises:
      ValueError: for sizes that are not positive.
      ShapeError: when the input has not 4 axes.

    Example:
      >>> CenterCrop(24, 24)(Input((28, 28, 3))).shape
      (None, 24, 24, 3)

    Reference: ``keras.layers.CenterCrop``.
    """
    size, first = _size(height, width), is_channels_first(data_format)

    def crop(x: Any) -> Any:
        return middle(real(x), size) if x.shape[1] >= size[0] and x.shape[2] >= size[1] else _fitted(x, size)

    return stateless(in_format(crop, 2, first), outputs=_of_size(size, first))


@layer
def RandomCrop(height: int, width: int, seed: int | None = None, data_format: str | None = None) -> Definition:
    """Cut each image at a place of its own while training.

    Elsewhere, and where images are not larger than the size wanted, the largest part in their middle that has the wanted ratio is
    resized, as Keras's page says; Keras 3.15.1 leaves images as they are outside training, and cuts a batch at one place.

    Shapes: ``(batch, h, w, channels)`` to ``(batch, height, width, channels)``, as floating numbers. Params: none.

    Args:
      height, width: the size wanted.
      seed: sets this layer's stream apart.
      data_format: ``"channels_last"`` (None, default) or ``"channels_first"``: ``(batch, channels, h, w)``.

    Raises:
      ValueError: for sizes that are not positive, or when no key was given in training.
      ShapeError: when the input has not 4 axes.

    Example:
      >>> RandomCrop(24, 24)(Input((28, 28, 3))).shape
      (None, 24, 24, 3)

    Reference: ``keras.layers.RandomCrop``.
    """
    size, first = _size(height, width), is_channels_first(data_format)

    def apply(params: Any, state: Any, x: Any, ctx: Context) -> Any:
        need_space(x, 2, first)
        x = ctx.cast(real(last(x, first)))
        if not ctx.training or x.shape[1] < size[0] or x.shape[2] < size[1]:
            return back(_fitted(x, size), first), state
        keys = jax.random.split(seeded(ctx, seed), 2)
        room = [x.shape[axis + 1] - size[axis] + 1 for axis in (0, 1)]
        top, left = (jax.random.randint(key, (x.shape[0],), 0, n) for key, n in zip(keys, room, strict=True))
        cut = lambda image, t, l: lax.dynamic_slice(image, (t, l, jnp.zeros_like(t)), (*size, image.shape[2]))  # noqa: E731, E741
        return back(jax.vmap(cut)(x, top, left), first), state

    return Definition(no_weights, apply, mixes_examples="never", outputs=_of_size(size, first))

"""Functions of images, by Keras's names: one ``(height, width, channels)``, or several with a batch axis in front."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jkeras.core.errors import ShapeError
from jkeras.core.operation import lifting, op
from jkeras.core.shapes import is_float, shape_of
from jkeras.layers.common import real
from jkeras.layers.geometry import resized
from jkeras.layers.spatial import is_channels_first, padding_of, per_axis


def offered(function: Callable[..., Any]) -> Callable[..., Any]:
    """Offer a function as one of ``ops.image``."""
    return op(function, f"image.{function.__name__}")


def on_batches(function: Callable[[Any], Any], images: Any, data_format: Any, rank: int = 2) -> Any:
    """Apply a function of ``(batch, *space, channels)`` to such images, with channels first, or to a single one."""
    x, first = jnp.asarray(images), is_channels_first(data_format)
    if x.ndim not in (rank + 1, rank + 2):
        raise ShapeError(f"needs an image, or a batch of them, of {rank} axes and channels, but got {shape_of(x)}.")
    single = x.ndim == rank + 1
    x = x[None] if single else x
    y = function(jnp.moveaxis(x, 1, -1) if first else x)
    y = jnp.moveaxis(y, -1, 1) if first and y.ndim == rank + 2 else y
    return y[0] if single else y


@offered
def resize(
    images: Any,
    size: Any,
    interpolation: str = "bilinear",
    antialias: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    fill_mode: str = "constant",
    fill_value: float = 0.0,
    data_format: str | None = None,
) -> Any:
    """Resize images to ``(height, width)``.

    Args:
      images: one, or a batch.
      size: height and width.
      interpolation: ``"bilinear"``, ``"nearest"``, ``"bicubic"``, ``"lanczos3"`` or ``"lanczos5"``.
      antialias: whether an image is smoothed before it is made smaller.
      crop_to_aspect_ratio, pad_to_aspect_ratio: whether its middle is cut out, or ``fill_value`` put around it, so that
        nothing is distorted.
      fill_mode: ``"constant"``, for Keras's sake.
      fill_value: as said.
      data_format: ``"channels_last"`` (default) or ``"channels_first"``.
    """
    if fill_mode != "constant":
        raise ValueError(f"fill_mode must be 'constant', but got {fill_mode!r}.")
    how = interpolation, antialias, crop_to_aspect_ratio, pad_to_aspect_ratio, fill_value
    return on_batches(lambda x: resized(x, per_axis("size", size, 2), *how), images, data_format)


def _missing(names: tuple[str, ...], given: tuple[Any, ...], size: Any, sign: int) -> tuple[int, int, int]:
    """Work out the one of three numbers that was not given: the target is the size and, by the sign, the others more or less."""
    if given.count(None) != 1:
        raise ValueError(f"give exactly two of {', '.join(names)}.")
    before, after, target = given
    change = None if target is None else sign * (target - size)
    before = change - after if before is None else before
    after = change - before if after is None else after
    target = size + sign * (before + after) if target is None else target
    if min(before, after, target) < 0:
        raise ValueError(f"{', '.join(names)} are {before}, {after}, {target} for an image of {size}: none may be negative.")
    return before, after, target


@offered
def pad_images(
    images: Any,
    top_padding: int | None = None,
    left_padding: int | None = None,
    bottom_padding: int | None = None,
    right_padding: int | None = None,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: str | None = None,
) -> Any:
    """Put zeros around images: two of top, bottom and the height wanted, and two of left, right and the width."""
    vertical, horizontal = (top_padding, bottom_padding, target_height), (left_padding, right_padding, target_width)

    def pad(x: Any) -> Any:
        rows = _missing(("top_padding", "bottom_padding", "target_height"), vertical, x.shape[1], 1)
        columns = _missing(("left_padding", "right_padding", "target_width"), horizontal, x.shape[2], 1)
        return jnp.pad(x, ((0, 0), rows[:2], columns[:2], (0, 0)))

    return on_batches(pad, images, data_format)


@offered
def crop_images(
    images: Any,
    top_cropping: int | None = None,
    left_cropping: int | None = None,
    bottom_cropping: int | None = None,
    right_cropping: int | None = None,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: str | None = None,
) -> Any:
    """Cut pixels off images: two of top, bottom and the height wanted, and two of left, right and the width."""
    vertical, horizontal = (top_cropping, bottom_cropping, target_height), (left_cropping, right_cropping, target_width)

    def crop(x: Any) -> Any:
        top, _, height = _missing(("top_cropping", "bottom_cropping", "target_height"), vertical, x.shape[1], -1)
        left, _, width = _missing(("left_cropping", "right_cropping", "target_width"), horizontal, x.shape[2], -1)
        return x[:, top : top + height, left : left + width]

    return on_batches(crop, images, data_format)


def _patches(x: Any, size: tuple[int, ...], strides: Any, dilation_rate: Any, padding: str) -> Any:
    rank = len(size)
    stride = size if strides is None else per_axis("strides", strides, rank)
    space = "HWD"[:rank]
    y = jax.lax.conv_general_dilated_patches(
        x,
        size,
        stride,
        padding_of(padding).upper(),
        rhs_dilation=per_axis("dilation_rate", dilation_rate, rank),
        dimension_numbers=(f"N{space}C", f"OI{space}", f"N{space}C"),
    )  # (batch, *space', channels * *size)
    parts = y.reshape(*y.shape[:-1], x.shape[-1], -1)
    return jnp.moveaxis(parts, -2, -1).reshape(y.shape)  # channels vary first, as in Keras


@offered
def extract_patches(
    images: Any,
    size: Any,
    strides: Any = None,
    dilation_rate: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
) -> Any:
    """Return what windows of images show: ``(batch, height', width', size * size * channels)``; of volumes with three sizes."""
    size = (size, size) if isinstance(size, int) else tuple(size)
    if len(size) not in (2, 3):
        raise ValueError(f"size must be an integer or a tuple of two or three, but got {size}.")
    return on_batches(lambda x: _patches(x, size, strides, dilation_rate, padding), images, data_format, len(size))


@offered
def extract_patches_3d(
    volumes: Any, size: Any, strides: Any = None, dilation_rate: Any = 1, padding: str = "valid", data_format: str | None = None
) -> Any:
    """Return what windows of volumes show, as :func:`extract_patches` does."""
    size = per_axis("size", size, 3)
    return on_batches(lambda x: _patches(x, size, strides, dilation_rate, padding), volumes, data_format, 3)


# -- colours ----------------------------------------------------------------------------------------------------------


def _planes(x: Any, what: str) -> list[Any]:
    if x.shape[-1] != 3:
        raise ShapeError(f"{what} needs three channels, but got {x.shape[-1]}.")
    if not is_float(x):
        raise ValueError(f"{what} needs floating numbers from 0 to 1, but got {x.dtype}.")
    return [x[..., i] for i in range(3)]


@offered
def rgb_to_grayscale(images: Any, data_format: str | None = None) -> Any:
    """Return 0.2989 red, 0.587 green and 0.114 blue together as one channel; images of one channel as they are."""

    def grey(x: Any) -> Any:
        if x.shape[-1] not in (1, 3):
            raise ShapeError(f"rgb_to_grayscale needs one or three channels, but got {x.shape[-1]}.")
        if x.shape[-1] == 1:
            return x
        wide = real(x)
        return (wide @ jnp.asarray([0.2989, 0.5870, 0.1140], wide.dtype))[..., None].astype(x.dtype)

    return on_batches(grey, images, data_format)


@offered
def rgb_to_hsv(images: Any, data_format: str | None = None) -> Any:
    """Return hue, saturation and value, each from 0 to 1, of red, green and blue."""

    def convert(x: Any) -> Any:
        planes = _planes(x, "rgb_to_hsv")
        value, least = functools.reduce(jnp.maximum, planes), functools.reduce(jnp.minimum, planes)
        span = value - least
        safe = jnp.where(span > 0, span, 1)
        r, g, b = planes
        sixths = jnp.where(value == r, (g - b) / safe, jnp.where(value == g, (b - r) / safe + 2, (r - g) / safe + 4))
        hue = jnp.where(span > 0, sixths / 6 % 1, 0)
        return jnp.stack([hue, span / jnp.where(value > 0, value, 1), value], -1)

    return on_batches(convert, images, data_format)


@offered
def hsv_to_rgb(images: Any, data_format: str | None = None) -> Any:
    """Return red, green and blue of hue, saturation and value."""

    def convert(x: Any) -> Any:
        hue, saturation, value = _planes(x, "hsv_to_rgb")
        # How much of each colour a hue has: all within a sixth of the circle, none beyond a third.
        shares = [jnp.clip(2 - jnp.abs((hue * 6 - place + 3) % 6 - 3), 0, 1) for place in (0, 2, 4)]
        return jnp.stack([value * (1 - saturation * (1 - share)) for share in shares], -1)

    return on_batches(convert, images, data_format)


# -- filters ----------------------------------------------------------------------------------------------------------


def filtered(x: Any, kernel: Any, padding: str = "SAME") -> Any:
    """Convolve each channel of ``(batch, height, width, channels)`` with one kernel ``(height, width)``."""
    channels = x.shape[-1]
    kernels = jnp.broadcast_to(jnp.asarray(kernel, x.dtype)[..., None, None], (*kernel.shape, 1, channels))
    words = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(x, kernels, (1, 1), padding, dimension_numbers=words, feature_group_count=channels)


def bell(size: Any, sigma: Any, dtype: Any) -> Any:
    """Return a Gaussian bell ``(size[1], size[0])`` whose sum is 1: sizes and widths are across and down, as in Keras."""
    across, down = (
        jax.nn.softmax(-0.5 * ((jnp.arange(n, dtype=dtype) - (n - 1) / 2) / jnp.asarray(s, dtype)) ** 2)
        for n, s in zip(size, sigma, strict=True)
    )
    return jnp.outer(down, across)


@offered
def gaussian_blur(images: Any, kernel_size: Any = (3, 3), sigma: Any = (1.0, 1.0), data_format: str | None = None) -> Any:
    """Smooth images by a Gaussian bell of some size and standard deviation; zeros are outside.

    ``data_format=None`` is "channels_last" here, as elsewhere. (Keras 3.15.1 takes it for "channels_first" in this function.)
    """
    size = per_axis("kernel_size", kernel_size, 2)
    blur = lambda x: filtered(x, bell(size, sigma, x.dtype))  # noqa: E731
    return on_batches(blur, images, data_format)


@offered
def sobel_edges(images: Any, data_format: str | None = None) -> Any:
    """Return how images change downwards and to the right, on a new last axis: ``(batch, height, width, channels, 2)``."""
    across = jnp.asarray([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    turned = [on_batches(lambda x, k=kernel: filtered(x, k), images, data_format) for kernel in (across.T, across)]
    return jnp.stack(turned, -1)


@offered
def ssim(
    image1: Any,
    image2: Any,
    max_val: float = 1.0,
    filter_size: int = 11,
    filter_sigma: float = 1.5,
    k1: float = 0.01,
    k2: float = 0.03,
    data_format: str | None = None,
) -> Any:
    r"""Return the structural similarity of images (Wang et al., 2004), at most 1: one number per image.

    .. math:: \frac{(2 \mu_1 \mu_2 + c_1)(2 \sigma_{12} + c_2)}{(\mu_1^2 + \mu_2^2 + c_1)(\sigma_1^2 + \sigma_2^2 + c_2)}

    with means, variances and covariance under a Gaussian bell, :math:`c_i = (k_i m)^2`, and the mean taken over all places.
    """
    x1, x2 = jnp.asarray(image1), jnp.asarray(image2)
    if x1.shape != x2.shape:
        raise ShapeError(f"ssim needs images of one shape, but got {shape_of(x1)} and {shape_of(x2)}.")
    wide = jnp.promote_types(x1.dtype, jnp.float32) if not is_float(x1) else x1.dtype

    def compare(x: Any) -> Any:  # (batch, height, width, 2 * channels), the channels of one image before those of the other
        window = bell((filter_size,) * 2, (filter_sigma,) * 2, wide)
        mean = lambda v: filtered(v, window, "VALID")  # noqa: E731
        a, b = jnp.split(x, 2, -1)
        mean_a, mean_b = mean(a), mean(b)
        c1, c2 = (k1 * max_val) ** 2, (k2 * max_val) ** 2
        over = (2 * mean_a * mean_b + c1) * (2 * (mean(a * b) - mean_a * mean_b) + c2)
        under = (mean_a**2 + mean_b**2 + c1) * (mean(a * a) - mean_a**2 + mean(b * b) - mean_b**2 + c2)
        return jnp.mean(over / under, (1, 2, 3))

    both = jnp.concatenate([x1, x2], -3 if is_channels_first(data_format) else -1).astype(wide)
    return on_batches(compare, both, data_format).astype(x1.dtype)


__getattr__ = lifting("image.{}")

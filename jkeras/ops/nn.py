"""What layers compute, with their weights as arguments: convolution, pooling, normalisation, attention, losses."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jkeras import layers, losses
from jkeras.config import epsilon as _epsilon
from jkeras.core.errors import ShapeError
from jkeras.core.operation import lifting, op
from jkeras.core.shapes import is_float, shape_of
from jkeras.layers.common import real
from jkeras.layers.encoding import dense_only
from jkeras.layers.normalization import along, narrowed, widened
from jkeras.ops.control import saturate_cast


def _applied(kind: str, rank: int, x: Any, params: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
    """Compute what a layer of jkeras computes with given weights; ``kind`` has a 0 in the place of the rank."""
    if not 1 <= rank <= 3:
        raise ShapeError(f"needs (batch, *space, channels) with one to three axes of space, but the input is {shape_of(x)}.")
    made = getattr(layers, kind.replace("0", str(rank)))(*args, **kwargs)
    return made.apply(params, {}, x)[0]


@op
def conv(
    inputs: Any, kernel: Any, strides: Any = 1, padding: str = "valid", data_format: str | None = None, dilation_rate: Any = 1
) -> Any:
    """Convolve ``(batch, *space, channels)`` with ``(*size, channels / groups, filters)``, as ``layers.Conv2D`` does.

    Args:
      inputs: one to three axes of space.
      kernel: the weights; with fewer channels than the inputs have, channels are divided into groups.
      strides, dilation_rate: a number, or one per axis of space.
      padding: ``"valid"``, ``"same"``, and in one dimension ``"causal"``.
      data_format: ``"channels_last"`` (default) or ``"channels_first"``.
    """
    x, kernel = jnp.asarray(inputs), jnp.asarray(kernel)
    channels = x.shape[1 if data_format == "channels_first" else -1]
    rank, groups = x.ndim - 2, channels // kernel.shape[-2]
    if kernel.ndim != x.ndim or groups * kernel.shape[-2] != channels:
        raise ShapeError(f"a kernel {shape_of(kernel)}, (*size, channels, filters), does not fit an input {shape_of(x)}.")
    how = {"padding": padding, "data_format": data_format, "groups": groups, "use_bias": False}
    size = kernel.shape[:-2]
    return _applied(
        "Conv0D", rank, x, {"kernel": kernel}, kernel.shape[-1], size, strides=strides, dilation_rate=dilation_rate, **how
    )


@op
def conv_transpose(
    inputs: Any,
    kernel: Any,
    strides: Any = 1,
    padding: str = "valid",
    output_padding: Any = None,
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Any:
    """Spread ``(batch, *space, channels)`` through ``(*size, filters, channels)``, as ``layers.Conv2DTranspose`` does."""
    x, kernel = jnp.asarray(inputs), jnp.asarray(kernel)
    how = {"strides": strides, "padding": padding, "output_padding": output_padding, "data_format": data_format}
    how |= {"dilation_rate": dilation_rate, "use_bias": False}
    return _applied("Conv0DTranspose", x.ndim - 2, x, {"kernel": kernel}, kernel.shape[-2], kernel.shape[:-2], **how)


@op
def depthwise_conv(
    inputs: Any, kernel: Any, strides: Any = 1, padding: str = "valid", data_format: str | None = None, dilation_rate: Any = 1
) -> Any:
    """Convolve each channel by itself with ``(*size, channels, multiplier)``, as ``layers.DepthwiseConv2D`` does."""
    x, kernel = jnp.asarray(inputs), jnp.asarray(kernel)
    how = {"strides": strides, "padding": padding, "data_format": data_format, "dilation_rate": dilation_rate}
    how |= {"depth_multiplier": kernel.shape[-1], "use_bias": False}
    return _applied("DepthwiseConv0D", x.ndim - 2, x, {"kernel": kernel}, kernel.shape[:-2], **how)


@op
def separable_conv(
    inputs: Any,
    depthwise_kernel: Any,
    pointwise_kernel: Any,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Any:
    """Convolve each channel by itself, then multiply by ``(1, ..., channels * multiplier, filters)``; see ``SeparableConv2D``."""
    x, first, second = jnp.asarray(inputs), jnp.asarray(depthwise_kernel), jnp.asarray(pointwise_kernel)
    how = {"strides": strides, "padding": padding, "data_format": data_format, "dilation_rate": dilation_rate}
    how |= {"depth_multiplier": first.shape[-1], "use_bias": False}
    params = {"depthwise_kernel": first, "pointwise_kernel": second}
    return _applied("SeparableConv0D", x.ndim - 2, x, params, second.shape[-1], first.shape[:-2], **how)


@op
def max_pool(inputs: Any, pool_size: Any, strides: Any = None, padding: str = "valid", data_format: str | None = None) -> Any:
    """Keep the largest entry of each window, as ``layers.MaxPooling2D`` does; ``strides`` are the windows' size by default."""
    x = jnp.asarray(inputs)
    return _applied("MaxPooling0D", x.ndim - 2, x, {}, pool_size, strides, padding, data_format)


@op
def average_pool(inputs: Any, pool_size: Any, strides: Any = None, padding: str = "valid", data_format: str | None = None) -> Any:
    """Take the mean of each window, as ``layers.AveragePooling2D`` does; ``strides`` are the windows' size by default."""
    x = jnp.asarray(inputs)
    return _applied("AveragePooling0D", x.ndim - 2, x, {}, pool_size, strides, padding, data_format)


@op
def adaptive_max_pool(inputs: Any, output_size: Any, data_format: str | None = None) -> Any:
    """Keep the largest entry of each of ``output_size`` windows, as ``layers.AdaptiveMaxPooling2D`` does."""
    x = jnp.asarray(inputs)
    return _applied("AdaptiveMaxPooling0D", x.ndim - 2, x, {}, output_size, data_format)


@op
def adaptive_average_pool(inputs: Any, output_size: Any, data_format: str | None = None) -> Any:
    """Take the mean of each of ``output_size`` windows, as ``layers.AdaptiveAveragePooling2D`` does."""
    x = jnp.asarray(inputs)
    return _applied("AdaptiveAveragePooling0D", x.ndim - 2, x, {}, output_size, data_format)


# -- normalisation ----------------------------------------------------------------------------------------------------


def _axes(axis: Any) -> tuple[int, ...]:
    return tuple(axis) if isinstance(axis, (list, tuple)) else (axis,)


def _along(v: Any, x: Any, axis: Any) -> Any:
    """Give a weight of the sizes on some axes of ``x`` as many axes as that has."""
    return along(jnp.asarray(v, x.dtype), x, tuple(a % x.ndim for a in _axes(axis)))


@op
def moments(x: Any, axes: Any, keepdims: bool = False, synchronized: bool = False) -> tuple[Any, Any]:
    """Return the mean and the variance, divided by n, over some axes; ``synchronized`` is for Keras's sake."""
    x = jnp.asarray(x)
    wide, axes = widened(x), None if axes is None else _axes(axes)
    found = jnp.mean(wide, axes, keepdims=keepdims), jnp.var(wide, axes, keepdims=keepdims)
    return tuple(saturate_cast(y, x.dtype) for y in found) if is_float(x) else found  # type: ignore[return-value]


@op
def batch_normalization(
    x: Any, mean: Any, variance: Any, axis: int, offset: Any = None, scale: Any = None, epsilon: float = 1e-3
) -> Any:
    r"""Return :math:`\gamma (x - \mu) / \sqrt{\sigma^2 + \epsilon} + \beta`, with statistics, scale and offset of one axis."""
    x = jnp.asarray(x)
    inverse = jax.lax.rsqrt(_along(variance, x, axis) + epsilon)
    inverse = inverse if scale is None else inverse * _along(scale, x, axis)
    y = (x - _along(mean, x, axis)) * inverse
    return y if offset is None else y + _along(offset, x, axis)


@op
def layer_normalization(x: Any, gamma: Any = None, beta: Any = None, axis: Any = -1, epsilon: float | None = None) -> Any:
    """Normalise to mean 0 and variance 1 over some axes, then scale by ``gamma`` and shift by ``beta``, if given.

    ``epsilon`` is ``config.epsilon()`` by default; it is computed in float32 at least.
    """
    x = jnp.asarray(x)
    y = jax.nn.standardize(widened(x), _axes(axis), epsilon=_epsilon() if epsilon is None else epsilon)
    y = y if gamma is None else y * _along(gamma, y, axis)
    y = y if beta is None else y + _along(beta, y, axis)
    return narrowed(y, x)


@op
def rms_normalization(x: Any, scale: Any = None, axis: Any = -1, epsilon: float | None = None) -> Any:
    """Divide by the root of the mean square over some axes, then multiply by ``scale``; in float32 at least."""
    x = jnp.asarray(x)
    wide = widened(x)
    square = jnp.mean(jnp.square(wide), _axes(axis), keepdims=True)
    y = wide * jax.lax.rsqrt(square + (_epsilon() if epsilon is None else epsilon))
    y = y if scale is None else y * _along(scale, y, axis)
    return narrowed(y, x)


@op
def normalize(x: Any, axis: Any = -1, order: int = 2, epsilon: float | None = None) -> Any:
    """Divide by the norm of an order along an axis, or by ``epsilon`` where that is more."""
    if isinstance(order, bool) or not isinstance(order, int) or order < 1:
        raise ValueError(f"order must be a positive integer, but got {order!r}.")
    x = real(jnp.atleast_1d(x))
    size = jnp.linalg.norm(x, order, tuple(axis) if isinstance(axis, list) else axis, keepdims=True)
    return x / jnp.maximum(size, _epsilon() if epsilon is None else epsilon)


# -- classes, losses, attention ---------------------------------------------------------------------------------------


@op
def one_hot(x: Any, num_classes: int, axis: int = -1, dtype: Any = None, sparse: bool = False) -> Any:
    """Return a 1 for each class number among zeros, on a new axis of ``num_classes``; numbers out of range give zeros."""
    dense_only(sparse)
    return jax.nn.one_hot(jnp.asarray(x), num_classes, axis=axis, dtype=dtype or jnp.float32)


@op
def multi_hot(inputs: Any, num_classes: int | None = None, axis: int = -1, dtype: Any = None, sparse: bool = False) -> Any:
    """Return a 1 for each class that occurs in an example: ``(batch, n)`` to ``(batch, num_classes)``."""
    dense_only(sparse)
    if num_classes is None:
        raise ValueError("multi_hot needs num_classes: how many classes there are.")
    x = jnp.asarray(inputs).astype(jnp.int32)
    return jax.nn.one_hot(x, num_classes, axis=axis, dtype=dtype or jnp.float32).max(1 if x.ndim > 1 else 0)


def _of_one_shape(target: Any, output: Any) -> tuple[Any, Any]:
    target, output = jnp.asarray(target), jnp.asarray(output)
    if target.shape != output.shape:
        raise ShapeError(f"target and output must have one shape, but have {shape_of(target)} and {shape_of(output)}.")
    return target.astype(output.dtype), output


@op
def binary_crossentropy(target: Any, output: Any, from_logits: bool = False) -> Any:
    r"""Return :math:`-y \log p - (1 - y) \log(1 - p)` of each element, from probabilities or from logits."""
    target, output = _of_one_shape(target, output)
    return losses.binary_crossentropy(target[..., None], output[..., None], from_logits)


@op
def categorical_crossentropy(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Any:
    r"""Return :math:`-\sum_c y_c \log p_c` along an axis, from probabilities, which are made to sum to 1, or from logits."""
    target, output = _of_one_shape(target, output)
    return losses.categorical_crossentropy(target, output, from_logits, axis=axis)


@op
def sparse_categorical_crossentropy(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Any:
    """Return the cross-entropy of class numbers ``(...)``, or ``(..., 1)``, and probabilities or logits ``(..., classes)``."""
    target, output = jnp.asarray(target), jnp.moveaxis(jnp.asarray(output), axis, -1)
    target = target[..., 0] if target.ndim == output.ndim and target.shape[-1] == 1 else target
    if target.shape != output.shape[:-1]:
        raise ShapeError(f"targets {shape_of(target)} are not class numbers of outputs {shape_of(output)}.")
    return losses.sparse_categorical_crossentropy(target.astype(jnp.int32), output, from_logits)


@op
def dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    bias: Any = None,
    mask: Any = None,
    scale: float | None = None,
    is_causal: bool = False,
    flash_attention: bool | None = None,
    attn_logits_soft_cap: float | None = None,
) -> Any:
    r"""Return means of values, weighted by how much each query and key agree.

    .. math:: \operatorname{softmax}\big(s\, q k^\top + b\big)\, v

    Args:
      query: ``(batch, time, heads, size)``.
      key, value: ``(batch, length, key heads, size)``; heads must be a multiple of key heads.
      bias: added to the logits, of a shape that broadcasts to ``(batch, heads, time, length)``.
      mask: True where a query may see a key, of such a shape.
      scale: s; one over the root of ``size`` by default.
      is_causal: whether a query sees no key behind its own place.
      flash_attention: True asks for cuDNN's kernel; None (default) and False take XLA's.
      attn_logits_soft_cap: c, where logits shall stay below it: :math:`l / (1 + |l| / c)`. (Keras 3.15.1 on JAX
        leaves it out on CPUs and GPUs.)
    """
    query, key, value = (jnp.asarray(x) for x in (query, key, value))
    if not query.ndim == key.ndim == value.ndim == 4:
        raise ShapeError(f"needs (batch, time, heads, size), but got {', '.join(str(shape_of(x)) for x in (query, key, value))}.")
    dtype = jnp.result_type(query, key, value)
    query, key, value = (x.astype(dtype) for x in (query, key, value))
    if attn_logits_soft_cap is not None:
        return _capped(query, key, value, bias, mask, scale, is_causal, attn_logits_soft_cap)
    return jax.nn.dot_product_attention(
        query,
        key,
        value,
        bias=None if bias is None else jnp.asarray(bias, dtype),
        mask=None if mask is None else jnp.asarray(mask, bool),
        scale=scale,
        is_causal=is_causal,
        implementation="cudnn" if flash_attention else "xla",
    )


def _capped(query: Any, key: Any, value: Any, bias: Any, mask: Any, scale: Any, is_causal: bool, cap: float) -> Any:
    groups = query.shape[2] // key.shape[2]
    key, value = (jnp.repeat(x, groups, 2) for x in (key, value))
    scale = 1 / np.sqrt(query.shape[-1]) if scale is None else scale
    logits = jnp.einsum("bthd,bshd->bhts", query, key, preferred_element_type=jnp.float32) * scale
    logits = logits / (1 + jnp.abs(logits) / cap)
    logits = logits if bias is None else logits + bias
    seen = True if mask is None else jnp.asarray(mask, bool)
    if is_causal:
        seen &= jnp.tril(jnp.ones(logits.shape[-2:], bool))
    weights = jax.nn.softmax(jnp.where(seen, logits, jnp.finfo(jnp.float32).min / 2), -1)
    return jnp.einsum("bhts,bshd->bthd", weights.astype(value.dtype), value)


@op
def psnr(x1: Any, x2: Any, max_val: float) -> Any:
    r"""Return the peak signal-to-noise ratio, :math:`20 \log_{10} m - 10 \log_{10} \overline{(x - y)^2}`, of all pixels."""
    x1, x2 = _of_one_shape(x1, x2)
    return 20 * jnp.log10(jnp.asarray(max_val, x2.dtype)) - 10 * jnp.log10(jnp.mean(jnp.square(x1 - x2)))


__getattr__ = lifting("{}")

"""Transposed convolutions: Conv1DTranspose, Conv2DTranspose, Conv3DTranspose."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jax import lax

from jkeras.core import Context, Definition, layer, weight
from jkeras.core.arguments import whole_number
from jkeras.layers.common import activated, penalised
from jkeras.layers.convolution import numbers, steps
from jkeras.layers.spatial import back, is_channels_first, last, need_space, padding_of, per_axis


def _pads(padding: str, size: int, stride: int, dilation: int, extra: int | None) -> tuple[int, int]:
    """Return how many zeros stand before and behind inputs that lie ``stride`` apart, as Keras counts them.

    Without padding an input reaches ``reach`` outputs further on each side. "valid" keeps them all; "same" keeps ``stride`` per
    input, or, where ``extra`` is given, that many beyond the last input's own.
    """
    reach = dilation * (size - 1)
    if padding == "valid":
        return reach, reach + (max(stride - reach - 1, 0) if extra is None else extra)
    total = stride + reach - 1 if extra is None else reach + (reach + 1) % 2 - 1 + extra
    before = min(-(-total // 2), reach)
    return before, total - before


def _transposed(
    rank: int,
    filters: int,
    kernel_size: Any,
    strides: Any,
    padding: str,
    output_padding: Any,
    data_format: str | None,
    dilation_rate: Any,
    activation: Any,
    use_bias: bool,
    kernel_initializer: Any,
    bias_initializer: Any,
    activity_regularizer: Any,
    **others: Any,  # regularizers and constraints, which the trainer reads in the layer's config
) -> Definition:
    filters = whole_number("filters", filters)
    size, (stride, dilation) = per_axis("kernel_size", kernel_size, rank), steps(rank, strides, dilation_rate)
    padding = padding_of(padding)
    extra = (None,) * rank if output_padding is None else per_axis("output_padding", output_padding, rank, 0)
    if any(e is not None and e >= s for e, s in zip(extra, stride, strict=True)):
        raise ValueError(f"output_padding must be less than strides, but got {output_padding} and {strides}.")
    first = is_channels_first(data_format)
    pads = [_pads(padding, *along) for along in zip(size, stride, dilation, extra, strict=True)]

    def init(key: Any, x: Any) -> Any:
        need_space(x, rank, first)
        params = {"kernel": weight(key, "kernel", kernel_initializer, (*size, filters, x.shape[1 if first else -1]))}
        if use_bias:
            params["bias"] = weight(key, "bias", bias_initializer, (filters,))
        return params, {}

    def linear(params: Any, state: Any, x: Any, ctx: Context) -> Any:
        kernel = params["kernel"]
        x = last(x, first).astype(jnp.promote_types(x.dtype, kernel.dtype))
        y = lax.conv_transpose(
            x, kernel, stride, pads, rhs_dilation=dilation, dimension_numbers=numbers(x.ndim), transpose_kernel=True
        )  # (batch, *space', filters)  # fmt: skip
        return back(y + params["bias"] if use_bias else y, first), state

    return penalised(activated(init, linear, activation), activity_regularizer)


@layer
def Conv1DTranspose(
    filters: int,
    kernel_size: Any,
    strides: Any = 1,
    padding: str = "valid",
    output_padding: Any = None,
    data_format: str | None = None,
    dilation_rate: Any = 1,
    activation: Any = None,
    use_bias: bool = True,
    kernel_initializer: Any = "glorot_uniform",
    bias_initializer: Any = "zeros",
    kernel_regularizer: Any = None,
    bias_regularizer: Any = None,
    activity_regularizer: Any = None,
    kernel_constraint: Any = None,
    bias_constraint: Any = None,
) -> Definition:
    r"""Let every position of a sequence add a window to the output: the transpose of ``Conv1D`` as a linear map.

    .. math:: y = f\big(C^T x + b\big)

    with :math:`C` the matrix of the convolution by the same kernel, strides and padding, and :math:`f` the ``activation``.

    Shapes: ``(batch, time, channels)`` to ``(batch, time', filters)``, where
    ``time' = (time - 1) s + max(r, s)`` for "valid" and ``time s`` for "same", with strides ``s`` and a window that covers
    ``r = d (k - 1) + 1``; with ``output_padding`` ``p``, ``(time - 1) s + r + p`` and ``(time - 1) s + r % 2 + p``.
    Params: ``kernel`` (kernel_size, filters, channels), ``bias`` (filters,). Ends a mask.

    Args:
      filters: size of the output's last axis.
      kernel_size: length of the window.
      strides: how far the windows of neighbours lie apart.
      padding: ``"valid"`` keeps the whole of every window, ``"same"`` cuts at the borders.
      output_padding: how much is added at the end, less than ``strides``; None (default): what the size above asks for.
      data_format: ``"channels_last"`` (None, default) or ``"channels_first"``: ``(batch, channels, time)``.
      dilation_rate: distance of the outputs that a window adds to.
      activation, use_bias, and the rest: as for ``Dense``.

    Raises:
      ShapeError: when the input has not 3 axes, or an unknown number of channels.
      ValueError: for sizes that are not positive, strides and dilation both above 1, or too large an ``output_padding``.

    Example:
      >>> Conv1DTranspose(16, 3, strides=2, padding="same")(Input((100, 8))).shape
      (None, 200, 16)

    Reference: ``keras.layers.Conv1DTranspose``.
    """
    return _transposed(1, **locals())


@layer
def Conv2DTranspose(
    filters: int,
    kernel_size: Any,
    strides: Any = (1, 1),
    padding: str = "valid",
    output_padding: Any = None,
    data_format: str | None = None,
    dilation_rate: Any = (1, 1),
    activation: Any = None,
    use_bias: bool = True,
    kernel_initializer: Any = "glorot_uniform",
    bias_initializer: Any = "zeros",
    kernel_regularizer: Any = None,
    bias_regularizer: Any = None,
    activity_regularizer: Any = None,
    kernel_constraint: Any = None,
    bias_constraint: Any = None,
) -> Definition:
    r"""Let every position of an image add a window to the output: the transpose of ``Conv2D`` as a linear map.

    .. math:: y = f\big(C^T x + b\big)

    with :math:`C` the matrix of the convolution by the same kernel, strides and padding, and :math:`f` the ``activation``.

    Shapes: ``(batch, height, width, channels)`` to ``(batch, height', width', filters)``, where along each axis
    ``size' = (size - 1) s + max(r, s)`` for "valid" and ``size s`` for "same", with strides ``s`` and a window that covers
    ``r = d (k - 1) + 1``; with ``output_padding`` ``p``, ``(size - 1) s + r + p`` and ``(size - 1) s + r % 2 + p``.
    Params: ``kernel`` (*kernel_size, filters, channels), ``bias`` (filters,). Ends a mask.

    Args:
      filters: size of the output's last axis.
      kernel_size: extent of the window, an integer or two.
      strides: how far the windows of neighbours lie apart, an integer or two.
      padding: ``"valid"`` keeps the whole of every window, ``"same"`` cuts at the borders.
      output_padding: how much is added at the end, less than ``strides``; None (default): what the size above asks for.
      data_format: ``"channels_last"`` (None, default) or ``"channels_first"``: ``(batch, channels, height, width)``.
      dilation_rate: distance of the outputs that a window adds to, an integer or two.
      activation, use_bias, and the rest: as for ``Dense``.

    Raises:
      ShapeError: when the input has not 4 axes, or an unknown number of channels.
      ValueError: for sizes that are not positive, strides and dilation both above 1, or too large an ``output_padding``.

    Example:
      >>> Conv2DTranspose(16, 3, strides=2, padding="same")(Input((28, 28, 8))).shape
      (None, 56, 56, 16)

    Reference: ``keras.layers.Conv2DTranspose``.
    """
    return _transposed(2, **locals())


@layer
def Conv3DTranspose(
    filters: int,
    kernel_size: Any,
    strides: Any = (1, 1, 1),
    padding: str = "valid",
    data_format: str | None = None,
    output_padding: Any = None,
    dilation_rate: Any = (1, 1, 1),
    activation: Any = None,
    use_bias: bool = True,
    kernel_initializer: Any = "glorot_uniform",
    bias_initializer: Any = "zeros",
    kernel_regularizer: Any = None,
    bias_regularizer: Any = None,
    activity_regularizer: Any = None,
    kernel_constraint: Any = None,
    bias_constraint: Any = None,
) -> Definition:
    r"""Let every position of a volume add a window to the output: the transpose of ``Conv3D`` as a linear map.

    .. math:: y = f\big(C^T x + b\big)

    with :math:`C` the matrix of the convolution by the same kernel, strides and padding, and :math:`f` the ``activation``.

    Shapes: ``(batch, depth, height, width, channels)`` to ``(batch, depth', height', width', filters)``, where along each axis
    ``size' = (size - 1) s + max(r, s)`` for "valid" and ``size s`` for "same", with strides ``s`` and a window that covers
    ``r = d (k - 1) + 1``; with ``output_padding`` ``p``, ``(size - 1) s + r + p`` and ``(size - 1) s + r % 2 + p``.
    Params: ``kernel`` (*kernel_size, filters, channels), ``bias`` (filters,). Ends a mask.

    Args:
      filters: size of the output's last axis.
      kernel_size: extent of the window, an integer or three.
      strides: how far the windows of neighbours lie apart, an integer or three.
      padding: ``"valid"`` keeps the whole of every window, ``"same"`` cuts at the borders.
      output_padding: how much is added at the end, less than ``strides``; None (default): what the size above asks for.
      data_format: ``"channels_last"`` (None, default) or ``"channels_first"``: ``(batch, channels, depth, height, width)``.
      dilation_rate: distance of the outputs that a window adds to, an integer or three.
      activation, use_bias, and the rest: as for ``Dense``.

    Raises:
      ShapeError: when the input has not 5 axes, or an unknown number of channels.
      ValueError: for sizes that are not positive, strides and dilation both above 1, or too large an ``output_padding``.

    Example:
      >>> Conv3DTranspose(16, 3, strides=2, padding="same")(Input((8, 28, 28, 8))).shape
      (None, 16, 56, 56, 16)

    Reference: ``keras.layers.Conv3DTranspose``.
    """
    return _transposed(3, **locals())

"""Convolutions channel by channel: DepthwiseConv1D/2D, and SeparableConv1D/2D, which mix the channels afterwards."""

from __future__ import annotations

from typing import Any

from jkeras.core import Context, Definition, layer, weight
from jkeras.core.arguments import whole_number
from jkeras.layers.common import activated, penalised
from jkeras.layers.convolution import convolve
from jkeras.layers.spatial import back, covered_by, is_channels_first, last, need_length, need_space, padding_of, per_axis


def _depthwise(
    rank: int,
    kernel_size: Any,
    strides: Any,
    padding: str,
    depth_multiplier: int,
    data_format: str | None,
    dilation_rate: Any,
    activation: Any,
    use_bias: bool,
    depthwise_initializer: Any,
    bias_initializer: Any,
    activity_regularizer: Any,
    filters: int | None = None,
    pointwise_initializer: Any = None,
    **others: Any,  # regularizers and constraints, which the trainer reads in the layer's config
) -> Definition:
    """Define a depthwise convolution, and with ``filters`` a separable one, which ends in a product with a matrix."""
    size, many = per_axis("kernel_size", kernel_size, rank), whole_number("depth_multiplier", depth_multiplier)
    stride, dilation = per_axis("strides", strides, rank), per_axis("dilation_rate", dilation_rate, rank)
    padding = padding_of(padding)
    first, separable = is_channels_first(data_format), filters is not None
    wanted = whole_number("filters", filters) if separable else 0
    covered, pads = covered_by(size, dilation), padding.upper()
    own = "depthwise_kernel" if separable else "kernel"

    def init(key: Any, x: Any) -> Any:
        need_space(x, rank, first)
        channels = x.shape[1 if first else -1]
        params = {own: weight(key, own, depthwise_initializer, (*size, channels, many))}
        if separable:
            shape = (*(1,) * rank, channels * many, wanted)
            params["pointwise_kernel"] = weight(key, "pointwise_kernel", pointwise_initializer, shape)
        if use_bias:
            params["bias"] = weight(key, "bias", bias_initializer, (wanted or channels * many,))
        return params, {}

    def linear(params: Any, state: Any, x: Any, ctx: Context) -> Any:
        if padding == "valid":
            need_length(x, rank, first, covered)
        kernel, x = params[own], last(x, first)
        flat = kernel.reshape(*size, 1, -1)  # (*size, 1, channels * many): one group per channel
        y = convolve(x, flat, stride, pads, dilation, x.shape[-1])  # (batch, *space', channels * many)
        if separable:
            pointwise = params["pointwise_kernel"]
            y = y @ pointwise.reshape(pointwise.shape[-2:])  # (batch, *space', filters)
        return back(y + params["bias"] if use_bias else y, first), state

    return penalised(activated(init, linear, activation), activity_regularizer)


@layer
def DepthwiseConv1D(
    kernel_size: Any,
    strides: Any = 1,
    padding: str = "valid",
    depth_multiplier: int = 1,
    data_format: str | None = None,
    dilation_rate: Any = 1,
    activation: Any = None,
    use_bias: bool = True,
    depthwise_initializer: Any = "glorot_uniform",
    bias_initializer: Any = "zeros",
    depthwise_regularizer: Any = None,
    bias_regularizer: Any = None,
    activity_regularizer: Any = None,
    depthwise_constraint: Any = None,
    bias_constraint: Any = None,
) -> Definition:
    r"""Convolve every channel by itself with ``depth_multiplier`` windows of its own.

    .. math:: y_{t,\, c M + m} = f\Big(\sum_{i<k} x_{t s + i d,\, c} W_{i c m} + b_{c M + m}\Big)

    with :math:`M` the ``depth_multiplier``, :math:`s` the ``strides``, :math:`d` the ``dilation_rate``.

    Shapes: ``(batch, time, channels)`` to ``(batch, time', channels * M)``, sizes as for ``Conv1D``.
    Params: ``kernel`` (kernel_size, channels, M), ``bias`` (channels * M,). Ends a mask.

    Args:
      kernel_size: length of the window.
      strides: step of the window.
      padding: ``"valid"`` no padding, ``"same"`` zeros on both sides.
      depth_multiplier: how many outputs every channel has.
      data_format: ``"channels_last"`` (None, default) or ``"channels_first"``: ``(batch, channels, time)``.
      dilation_rate: distance of the inputs that a window takes.
      depthwise_initializer, depthwise_regularizer, depthwise_constraint: of the ``kernel``.
      activation, use_bias, and the rest: as for ``Dense``.

    Raises:
      ShapeError: when the input has not 3 axes, an unknown number of channels, or is shorter than the window.
      ValueError: for sizes that are not positive.

    Example:
      >>> DepthwiseConv1D(3, depth_multiplier=2)(Input((100, 8))).shape
      (None, 98, 16)

    Reference: ``keras.layers.DepthwiseConv1D``.
    """
    return _depthwise(1, **locals())


@layer
def DepthwiseConv2D(
    kernel_size: Any,
    strides: Any = (1, 1),
    padding: str = "valid",
    depth_multiplier: int = 1,
    data_format: str | None = None,
    dilation_rate: Any = (1, 1),
    activation: Any = None,
    use_bias: bool = True,
    depthwise_initializer: Any = "glorot_uniform",
    bias_initializer: Any = "zeros",
    depthwise_regularizer: Any = None,
    bias_regularizer: Any = None,
    activity_regularizer: Any = None,
    depthwise_constraint: Any = None,
    bias_constraint: Any = None,
) -> Definition:
    r"""Convolve every channel by itself with ``depth_multiplier`` windows of its own.

    .. math:: y_{uv,\, c M + m} = f\Big(\sum_{i<k_1, j<k_2} x_{u s_1 + i d_1,\, v s_2 + j d_2,\, c} W_{i j c m} + b_{c M + m}\Big)

    with :math:`M` the ``depth_multiplier``, :math:`s` the ``strides``, :math:`d` the ``dilation_rate``.

    Shapes: ``(batch, height, width, channels)`` to ``(batch, height', width', channels * M)``, sizes as for ``Conv2D``.
    Params: ``kernel`` (*kernel_size, channels, M), ``bias`` (channels * M,). Ends a mask.

    Args:
      kernel_size: extent of the window, an integer or two.
      strides: step of the window, an integer or two.
      padding: ``"valid"`` no padding, ``"same"`` zeros on both sides.
      depth_multiplier: how many outputs every channel has.
      data_format: ``"channels_last"`` (None, default) or ``"channels_first"``: ``(batch, channels, height, width)``.
      dilation_rate: distance of the inputs that a window takes, an integer or two.
      depthwise_initializer, depthwise_regularizer, depthwise_constraint: of the ``kernel``.
      activation, use_bias, and the rest: as for ``Dense``.

    Raises:
      ShapeError: when the input has not 4 axes, an unknown number of channels, or is shorter than the window.
      ValueError: for sizes that are not positive.

    Example:
      >>> DepthwiseConv2D(3, depth_multiplier=2)(Input((28, 28, 8))).shape
      (None, 26, 26, 16)

    Reference: ``keras.layers.DepthwiseConv2D``.
    """
    return _depthwise(2, **locals())


@layer
def SeparableConv1D(
    filters: int,
    kernel_size: Any,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
    depth_multiplier: int = 1,
    activation: Any = None,
    use_bias: bool = True,
    depthwise_initializer: Any = "glorot_uniform",
    pointwise_initializer: Any = "glorot_uniform",
    bias_initializer: Any = "zeros",
    depthwise_regularizer: Any = None,
    pointwise_regularizer: Any = None,
    bias_regularizer: Any = None,
    activity_regularizer: Any = None,
    depthwise_constraint: Any = None,
    pointwise_constraint: Any = None,
    bias_constraint: Any = None,
) -> Definition:
    r"""Convolve every channel by itself, then mix the channels at each position.

    .. math:: y = f\big(D(x) P + b\big)

    with :math:`D` the convolution of ``DepthwiseConv1D`` and the ``pointwise_kernel`` :math:`P`.

    Shapes: ``(batch, time, channels)`` to ``(batch, time', filters)``, sizes as for ``Conv1D``.
    Params: ``depthwise_kernel`` (kernel_size, channels, M), ``pointwise_kernel`` (1, channels * M, filters), ``bias``
    (filters,). Ends a mask.

    Args:
      filters: size of the output's last axis.
      kernel_size: length of the window.
      strides: step of the window.
      padding: ``"valid"`` no padding, ``"same"`` zeros on both sides.
      data_format: ``"channels_last"`` (None, default) or ``"channels_first"``: ``(batch, channels, time)``.
      dilation_rate: distance of the inputs that a window takes.
      depth_multiplier: :math:`M`, how many outputs every channel has before they are mixed.
      depthwise_initializer, pointwise_initializer, and the rest: of the two kernels and the bias, as for ``Dense``.

    Raises:
      ShapeError: when the input has not 3 axes, an unknown number of channels, or is shorter than the window.
      ValueError: for sizes that are not positive.

    Example:
      >>> SeparableConv1D(32, 3)(Input((100, 8))).shape
      (None, 98, 32)

    Reference: Chollet, arXiv:1610.02357; ``keras.layers.SeparableConv1D``.
    """
    return _depthwise(1, **locals())


@layer
def SeparableConv2D(
    filters: int,
    kernel_size: Any,
    strides: Any = (1, 1),
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = (1, 1),
    depth_multiplier: int = 1,
    activation: Any = None,
    use_bias: bool = True,
    depthwise_initializer: Any = "glorot_uniform",
    pointwise_initializer: Any = "glorot_uniform",
    bias_initializer: Any = "zeros",
    depthwise_regularizer: Any = None,
    pointwise_regularizer: Any = None,
    bias_regularizer: Any = None,
    activity_regularizer: Any = None,
    depthwise_constraint: Any = None,
    pointwise_constraint: Any = None,
    bias_constraint: Any = None,
) -> Definition:
    r"""Convolve every channel by itself, then mix the channels at each position.

    .. math:: y = f\big(D(x) P + b\big)

    with :math:`D` the convolution of ``DepthwiseConv2D`` and the ``pointwise_kernel`` :math:`P`.

    Shapes: ``(batch, height, width, channels)`` to ``(batch, height', width', filters)``, sizes as for ``Conv2D``.
    Params: ``depthwise_kernel`` (*kernel_size, channels, M), ``pointwise_kernel`` (1, 1, channels * M, filters), ``bias``
    (filters,). Ends a mask.

    Args:
      filters: size of the output's last axis.
      kernel_size: extent of the window, an integer or two.
      strides: step of the window, an integer or two.
      padding: ``"valid"`` no padding, ``"same"`` zeros on both sides.
      data_format: ``"channels_last"`` (None, default) or ``"channels_first"``: ``(batch, channels, height, width)``.
      dilation_rate: distance of the inputs that a window takes, an integer or two.
      depth_multiplier: :math:`M`, how many outputs every channel has before they are mixed.
      depthwise_initializer, pointwise_initializer, and the rest: of the two kernels and the bias, as for ``Dense``.

    Raises:
      ShapeError: when the input has not 4 axes, an unknown number of channels, or is shorter than the window.
      ValueError: for sizes that are not positive.

    Example:
      >>> SeparableConv2D(32, 3)(Input((28, 28, 8))).shape
      (None, 26, 26, 32)

    Reference: Chollet, arXiv:1610.02357; ``keras.layers.SeparableConv2D``.
    """
    return _depthwise(2, **locals())

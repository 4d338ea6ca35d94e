"""Conv1D, Conv2D, Conv3D."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jax import lax

from jkeras.core import Context, Definition, layer, weight
from jkeras.core.arguments import whole_number
from jkeras.core.errors import ShapeError
from jkeras.layers.common import activated, penalised
from jkeras.layers.spatial import back, covered_by, is_channels_first, last, need_length, need_space, padding_of, per_axis


def convolve(x: Any, kernel: Any, stride: Any, pads: Any, dilation: Any, groups: int = 1) -> Any:
    """Convolve ``(batch, *space, channels)`` with ``(*size, channels / groups, filters)``."""
    x = x.astype(jnp.promote_types(x.dtype, kernel.dtype))
    return lax.conv_general_dilated(
        x, kernel, stride, pads, rhs_dilation=dilation, dimension_numbers=numbers(x.ndim), feature_group_count=groups
    )


def numbers(ndim: int) -> tuple[str, str, str]:
    """Return JAX's words for inputs and outputs with channels last, and for kernels with outputs last."""
    space = "HWD"[: ndim - 2]
    return f"N{space}C", f"{space}IO", f"N{space}C"


def steps(rank: int, strides: Any, dilation_rate: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return strides and dilations, one per axis of space; not both may exceed 1."""
    stride, dilation = per_axis("strides", strides, rank), per_axis("dilation_rate", dilation_rate, rank)
    if max(stride) > 1 and max(dilation) > 1:
        raise ValueError(f"strides and dilation_rate cannot both exceed 1, but got {strides} and {dilation_rate}.")
    return stride, dilation


def _convolution(
    rank: int,
    filters: int,
    kernel_size: Any,
    strides: Any,
    padding: str,
    data_format: str | None,
    dilation_rate: Any,
    groups: int,
    activation: Any,
    use_bias: bool,
    kernel_initializer: Any,
    bias_initializer: Any,
    activity_regularizer: Any,
    **others: Any,  # regularizers and constraints, which the trainer reads in the layer's config
) -> Definition:
    filters, groups = whole_number("filters", filters), whole_number("groups", groups)
    size, (stride, dilation) = per_axis("kernel_size", kernel_size, rank), steps(rank, strides, dilation_rate)
    padding = padding_of(padding, causal=rank == 1)
    first = is_channels_first(data_format)
    if filters % groups:
        raise ValueError(f"filters must be divisible by groups, but got {filters} and {groups}.")
    covered = covered_by(size, dilation)
    pads: Any = {"valid": "VALID", "same": "SAME", "causal": [(covered[0] - 1, 0)]}[padding]

    def init(key: Any, x: Any) -> Any:
        need_space(x, rank, first)
        channels = x.shape[1 if first else -1]
        if isinstance(channels, int) and channels % groups:
            raise ShapeError(f"{channels} channels cannot be divided into {groups} groups.")
        params = {"kernel": weight(key, "kernel", kernel_initializer, (*size, channels // groups, filters))}
        if use_bias:
            params["bias"] = weight(key, "bias", bias_initializer, (filters,))
        return params, {}

    def linear(params: Any, state: Any, x: Any, ctx: Context) -> Any:
        if padding == "valid":
            need_length(x, rank, first, covered)
        y = convolve(last(x, first), params["kernel"], stride, pads, dilation, groups)  # (batch, *space', filters)
        return back(y + params["bias"] if use_bias else y, first), state

    return penalised(activated(init, linear, activation), activity_regularizer)


@layer
def Conv1D(
    filters: int,
    kernel_size: Any,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
    groups: int = 1,
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
    r"""Slide a window over time and multiply what it shows by a matrix.

    .. math:: y_t = f\Big(\sum_{i<k} x_{t s + i d} W_i + b\Big)

    with ``kernel_size`` :math:`k`, ``strides`` :math:`s`, ``dilation_rate`` :math:`d` and the ``activation`` :math:`f`.

    Shapes: ``(batch, time, channels)`` to ``(batch, time', filters)`` with
    ``time' = floor((time - d (k - 1) - 1) / s) + 1`` for "valid" and ``ceil(time / s)`` for "same" and "causal".
    Params: ``kernel`` (kernel_size, channels / groups, filters), ``bias`` (filters,). Ends a mask.

    Args:
      filters: size of the output's last axis.
      kernel_size: length of the window.
      strides: step of the window.
      padding: ``"valid"`` no padding, ``"same"`` zeros on both sides, ``"causal"`` zeros before the first step, so that no
        output sees a later input.
      data_format: ``"channels_last"`` (None, default) or ``"channels_first"``: ``(batch, channels, time)``.
      dilation_rate: distance of the inputs that a window takes.
      groups: into how many parts channels and filters are divided, each convolved by itself.
      activation, use_bias, and the rest: as for ``Dense``.

    Raises:
      ShapeError: when the input has not 3 axes, its channels are not divisible by ``groups``, or it is shorter than the window.
      ValueError: for sizes that are not positive, or strides and dilation both above 1.

    Example:
      >>> Conv1D(128, 5, activation="relu")(Input((None, 256))).shape
      (None, None, 128)

    Reference: ``keras.layers.Conv1D``.
    """
    return _convolution(1, **locals())


@layer
def Conv2D(
    filters: int,
    kernel_size: Any,
    strides: Any = (1, 1),
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = (1, 1),
    groups: int = 1,
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
    r"""Slide a window over an image and multiply what it shows by a matrix.

    .. math:: y_{uv} = f\Big(\sum_{i<k_1, j<k_2} x_{u s_1 + i d_1, v s_2 + j d_2} W_{ij} + b\Big)

    with ``kernel_size`` :math:`k_1, k_2`, ``strides`` :math:`s_1, s_2`, ``dilation_rate`` :math:`d_1, d_2` and the
    ``activation`` :math:`f`.

    Shapes: ``(batch, height, width, channels)`` to ``(batch, height', width', filters)`` with
    ``size' = floor((size - d (k - 1) - 1) / s) + 1`` for "valid" and ``ceil(size / s)`` for "same", along each axis.
    Params: ``kernel`` (*kernel_size, channels / groups, filters), ``bias`` (filters,). Ends a mask.

    Args:
      filters: size of the output's last axis.
      kernel_size: extent of the window, an integer or two.
      strides: step of the window, an integer or two.
      padding: ``"valid"`` no padding, ``"same"`` zeros on both sides.
      data_format: ``"channels_last"`` (None, default) or ``"channels_first"``: ``(batch, channels, height, width)``.
      dilation_rate: distance of the inputs that a window takes, an integer or two.
      groups: into how many parts channels and filters are divided, each convolved by itself.
      activation, use_bias, and the rest: as for ``Dense``.

    Raises:
      ShapeError: when the input has not 4 axes, its channels are not divisible by ``groups``, or it is shorter than the window.
      ValueError: for sizes that are not positive, or strides and dilation both above 1.

    Example:
      >>> Conv2D(32, 3, activation="relu")(Input((28, 28, 3))).shape
      (None, 26, 26, 32)

    Reference: ``keras.layers.Conv2D``.
    """
    return _convolution(2, **locals())


@layer
def Conv3D(
    filters: int,
    kernel_size: Any,
    strides: Any = (1, 1, 1),
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = (1, 1, 1),
    groups: int = 1,
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
    r"""Slide a window over a volume and multiply what it shows by a matrix.

    .. math:: y_{tuv} = f\Big(\sum_{h<k_1, i<k_2, j<k_3} x_{t s_1 + h d_1, u s_2 + i d_2, v s_3 + j d_3} W_{hij} + b\Big)

    with ``kernel_size`` :math:`k_1, k_2, k_3`, ``strides`` :math:`s_1, s_2, s_3`, ``dilation_rate`` :math:`d_1, d_2, d_3` and
    the ``activation`` :math:`f`.

    Shapes: ``(batch, depth, height, width, channels)`` to ``(batch, depth', height', width', filters)`` with
    ``size' = floor((size - d (k - 1) - 1) / s) + 1`` for "valid" and ``ceil(size / s)`` for "same", along each axis.
    Params: ``kernel`` (*kernel_size, channels / groups, filters), ``bias`` (filters,). Ends a mask.

    Args:
      filters: size of the output's last axis.
      kernel_size: extent of the window, an integer or three.
      strides: step of the window, an integer or three.
      padding: ``"valid"`` no padding, ``"same"`` zeros on both sides.
      data_format: ``"channels_last"`` (None, default) or ``"channels_first"``: ``(batch, channels, depth, height, width)``.
      dilation_rate: distance of the inputs that a window takes, an integer or three.
      groups: into how many parts channels and filters are divided, each convolved by itself.
      activation, use_bias, and the rest: as for ``Dense``.

    Raises:
      ShapeError: when the input has not 5 axes, its channels are not divisible by ``groups``, or it is shorter than the window.
      ValueError: for sizes that are not positive, or strides and dilation both above 1.

    Example:
      >>> Conv3D(32, 3, activation="relu")(Input((8, 28, 28, 3))).shape
      (None, 6, 26, 26, 32)

    Reference: ``keras.layers.Conv3D``.
    """
    return _convolution(3, **locals())

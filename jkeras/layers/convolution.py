"""Conv1D."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jax import lax

from jkeras.core import Context, Definition, Masked, layer, weight
from jkeras.core.arguments import whole_number
from jkeras.core.errors import ShapeError
from jkeras.layers.common import activated, check_names, choice, need_ndim, one, penalised


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

    with ``kernel_size`` :math:`k`, ``strides`` :math:`s`, ``dilation_rate`` :math:`d`.

    Shapes: ``(batch, time, channels)`` to ``(batch, time', filters)`` with ``time' = floor((time - d (k - 1) - 1) / s) + 1``
    for "valid" and ``ceil(time / s)`` for "same" and "causal". Params: ``kernel`` (kernel_size, channels / groups, filters),
    ``bias`` (filters,). Ends a mask.

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
    filters, groups = whole_number("filters", filters), whole_number("groups", groups)
    size, stride, dilation = one("kernel_size", kernel_size), one("strides", strides), one("dilation_rate", dilation_rate)
    choice("padding", padding, ("valid", "same", "causal"))
    channels_first = choice("data_format", data_format, (None, "channels_last", "channels_first")) == "channels_first"
    if stride > 1 and dilation > 1:
        raise ValueError(f"strides and dilation_rate cannot both exceed 1, but got {stride} and {dilation}.")
    if filters % groups:
        raise ValueError(f"filters must be divisible by groups, but got {filters} and {groups}.")
    check_names(
        (kernel_initializer, bias_initializer), (kernel_regularizer, bias_regularizer), (kernel_constraint, bias_constraint)
    )
    reach = dilation * (size - 1)  # how many further inputs a window takes
    pads: Any = {"valid": "VALID", "same": "SAME", "causal": [(reach, 0)]}[padding]

    def init(key: Any, x: Any) -> Any:
        need_ndim(x, ("batch", "channels", "time") if channels_first else ("batch", "time", "channels"))
        channels = x.shape[1 if channels_first else -1]
        if isinstance(channels, int) and channels % groups:
            raise ShapeError(f"{channels} channels cannot be divided into {groups} groups.")
        params = {"kernel": weight(key, "kernel", kernel_initializer, (size, channels // groups, filters))}
        if use_bias:
            params["bias"] = weight(key, "bias", bias_initializer, (filters,))
        return params, {}

    def linear(params: Any, state: Any, x: Any, ctx: Context) -> Any:
        x = jnp.swapaxes(x, 1, 2) if channels_first else x  # (batch, time, channels)
        x = x.astype(jnp.promote_types(x.dtype, params["kernel"].dtype))
        if padding == "valid" and isinstance(x.shape[1], int) and x.shape[1] <= reach:
            raise ShapeError(f"{x.shape[1]} time steps are fewer than the {reach + 1} that one window covers.")
        y = lax.conv_general_dilated(
            x, params["kernel"], (stride,), pads, rhs_dilation=(dilation,),
            dimension_numbers=("NWC", "WIO", "NWC"), feature_group_count=groups,
        )  # (batch, time', filters)  # fmt: skip
        y = y + params["bias"] if use_bias else y
        return Masked(jnp.swapaxes(y, 1, 2) if channels_first else y, None), state

    return penalised(activated(init, linear, activation), activity_regularizer)

"""Rows of the table: convolution and pooling over time, images and volumes."""

from layer_case import IMAGE, IMAGE_FIRST, PADDED, SERIES, TURNED, VOLUME, VOLUME_FIRST, family, masked

FIRST = {"data_format": "channels_first"}
_conv1 = family("Conv1D", 4, 3, params=True)
_conv2 = family("Conv2D", 3, 3, data=(IMAGE,), params=True)
_conv3 = family("Conv3D", 2, (2, 3, 2), data=(VOLUME,), params=True)
_up1 = family("Conv1DTranspose", 4, 3, params=True)
_up2 = family("Conv2DTranspose", 3, 3, data=(IMAGE,), params=True)
_up3 = family("Conv3DTranspose", 2, 2, data=(VOLUME,), params=True)
_depth1 = family("DepthwiseConv1D", 3, params=True)
_depth2 = family("DepthwiseConv2D", 3, data=(IMAGE,), params=True)
_apart1 = family("SeparableConv1D", 5, 3, params=True)
_apart2 = family("SeparableConv2D", 5, 3, data=(IMAGE,), params=True)

CONVOLUTION = [
    _conv1("valid"),
    _conv1("same", padding="same", activation="relu"),
    _conv1("causal", padding="causal"),
    _conv1("strides", strides=2),
    _conv1("strides same", first=(4, (3,)), strides=2, padding="same"),
    _conv1("strides causal", strides=2, padding="causal"),
    _conv1("dilation", dilation_rate=2),
    _conv1("dilation same", dilation_rate=2, padding="same"),
    _conv1("dilation causal", dilation_rate=2, padding="causal", use_bias=False),
    _conv1("groups", groups=2, activation="tanh"),
    _conv1("channels_first", TURNED, free=2, **FIRST),
    _conv1("channels_first causal", TURNED, free=2, padding="causal", **FIRST),
    _conv2("valid"),
    _conv2("same strides", strides=(2, 1), padding="same", activation="relu"),
    _conv2("dilation", dilation_rate=(2, 1), use_bias=False),
    _conv2("groups", first=(4, (2, 3)), groups=2),
    _conv2("channels_first", IMAGE_FIRST, free=2, strides=2, **FIRST),
    _conv3("valid"),
    _conv3("same strides channels_first", VOLUME_FIRST, free=2, strides=2, padding="same", **FIRST),
    _up1("valid"),
    _up1("same strides", strides=2, padding="same", activation="tanh"),
    _up1("valid strides longer than the window", first=(4, 2), strides=3),
    _up1("output_padding", strides=2, padding="same", output_padding=1),
    _up1("output_padding valid", strides=3, output_padding=2, use_bias=False),
    _up1("dilation", dilation_rate=2),
    _up1("dilation same channels_first", TURNED, free=2, dilation_rate=2, padding="same", **FIRST),
    _up2("valid"),
    _up2("same strides", first=(3, (4, 2)), strides=2, padding="same"),
    _up2("output_padding channels_first", IMAGE_FIRST, free=2, strides=(2, 3), output_padding=(0, 1), padding="same", **FIRST),
    _up3("same strides", strides=2, padding="same"),
    _up3("channels_first", VOLUME_FIRST, free=2, strides=(1, 2, 1), **FIRST),
    _depth1("valid"),
    _depth1("same multiplied", depth_multiplier=2, padding="same", strides=2, activation="relu"),
    _depth1("channels_first", TURNED, free=2, dilation_rate=2, use_bias=False, **FIRST),
    _depth2("valid"),
    _depth2("same multiplied", depth_multiplier=2, padding="same", strides=2),
    _depth2("channels_first", IMAGE_FIRST, free=2, dilation_rate=2, **FIRST),
    _apart1("valid"),
    _apart1("multiplied", depth_multiplier=2, activation="tanh", padding="SAME"),
    _apart1("same strides channels_first", TURNED, free=2, strides=2, padding="same", **FIRST),
    _apart2("valid"),
    _apart2("same multiplied", depth_multiplier=2, padding="same", strides=2, use_bias=False),
    _apart2("channels_first", IMAGE_FIRST, free=2, **FIRST),
]

_max1, _mean1 = family("MaxPooling1D"), family("AveragePooling1D")
_max2, _mean2 = family("MaxPooling2D", data=(IMAGE,)), family("AveragePooling2D", data=(IMAGE,))
_max3, _mean3 = family("MaxPooling3D", data=(VOLUME,)), family("AveragePooling3D", data=(VOLUME,))

POOLING = [
    _max1(),
    _max1("that leaves a rest", pool_size=4),
    _max1("overlapping", pool_size=3, strides=2),
    _max1("with gaps", pool_size=2, strides=3),
    _max1("same", pool_size=4, padding="same"),
    _max1("same overlapping", pool_size=3, strides=2, padding="same"),
    _max1("channels_first", TURNED, free=2, **FIRST),
    _max2(),
    _max2("overlapping", pool_size=3, strides=(1, 2)),
    _max2("same channels_first", IMAGE_FIRST, free=2, pool_size=(3, 2), padding="same", **FIRST),
    _max3(),
    _max3("same", pool_size=2, strides=1, padding="same"),
    _max3("channels_first", VOLUME_FIRST, free=2, pool_size=(1, 2, 3), **FIRST),
    _mean1("valid", pool_size=2),
    _mean1("overlapping", pool_size=3, strides=2),
    _mean1("same overlapping", pool_size=3, strides=2, padding="same"),
    _mean1("channels_first", TURNED, free=2, pool_size=2, **FIRST),
    _mean2("valid", pool_size=2),
    _mean2("same", pool_size=(3, 2), strides=2, padding="same"),
    _mean2("channels_first", IMAGE_FIRST, free=2, pool_size=2, strides=1, **FIRST),
    _mean3("valid", pool_size=2),
    _mean3("same channels_first", VOLUME_FIRST, free=2, pool_size=2, strides=(1, 2, 2), padding="same", **FIRST),
    *(
        family(f"Global{kind}Pooling{rank}D", data=(data,), free=axis)(name, **given)
        for kind in ("Max", "Average")
        for rank, last, first in ((1, SERIES, TURNED), (2, IMAGE, IMAGE_FIRST), (3, VOLUME, VOLUME_FIRST))
        for name, data, axis, given in (("", last, 1, {}), ("channels_first keepdims", first, 2, {**FIRST, "keepdims": True}))
    ),
    family("GlobalMaxPooling1D")("keepdims", keepdims=True),
    family("GlobalAveragePooling1D")("masked", PADDED, call=masked),
    family("GlobalAveragePooling1D")("masked keepdims", PADDED, call=masked, keepdims=True),
    *(
        family(f"Adaptive{kind}Pooling{rank}D", size, data=(data,), free=None)(name, **given)
        for kind in ("Max", "Average")
        for rank, last, first, size in (
            (1, SERIES, TURNED, 4),
            (2, IMAGE, IMAGE_FIRST, (3, 6)),
            (3, VOLUME, VOLUME_FIRST, (2, 3, 2)),
        )
        for name, data, given in (("", last, {}), ("channels_first", first, FIRST))
    ),
]

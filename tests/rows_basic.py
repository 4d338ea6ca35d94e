"""Rows of the table: core, activations, regularisation, reshaping."""

import jax.numpy as jnp
from layer_case import (
    FEATURES,
    FLAT,
    IDS,
    IMAGE,
    IMAGE_FIRST,
    NESTED,
    PADDED,
    SERIES,
    TURNED,
    VOLUME,
    VOLUME_FIRST,
    Recipe,
    family,
    masked,
    row,
    there_and_back,
    weighted,
    with_given_mask,
)

_dense = family("EinsumDense", params=True)

BASIC = [
    weighted("Dense", Recipe("Dense", 2), FLAT, free=None),
    weighted("Dense relu without bias", Recipe("Dense", 2, activation="relu", use_bias=False), FLAT, free=None),
    weighted("Dense softmax", Recipe("Dense", 2, activation="softmax"), FLAT, free=None),
    weighted("Dense tanh on each step", Recipe("Dense", 2, "tanh", kernel_initializer=Recipe("initializers.HeNormal"))),
    weighted("Dense penalised", Recipe("Dense", 2, activity_regularizer="l2"), FLAT, free=None, state=True),
    row("Activation relu", Recipe("Activation", "relu")),
    row("Activation softmax", Recipe("Activation", "softmax"), FLAT, free=None),
    weighted("Embedding", Recipe("Embedding", 7, FEATURES), IDS),
    weighted("Embedding of one index", Recipe("Embedding", 7, FEATURES), IDS[:, 0], free=None),
    weighted("Embedding that masks 0", Recipe("Embedding", 7, FEATURES, mask_zero=True), IDS, read_mask=True),
    row("Flatten", Recipe("Flatten")),
    row("Flatten channels_first", Recipe("Flatten", data_format="channels_first")),
    row("Flatten numbers", Recipe("Flatten"), FLAT[:, 0], free=None),
    row("Masking", Recipe("Masking"), PADDED, read_mask=True),
    row("Masking another value", Recipe("Masking", mask_value=-1.0), PADDED - 1, read_mask=True),
    row("Dropout", Recipe("Dropout", 0.4), random=True),
    row("Dropout of whole features", Recipe("Dropout", 0.4, noise_shape=(None, 1, None), seed=3), random=True),
    row("Lambda of a function", Recipe("Lambda", jnp.square)),
    row(
        "Lambda with arguments",
        Recipe("Lambda", jnp.roll, arguments={"shift": 1, "axis": 1}),
        PADDED,
        call=masked,
        read_mask=True,
    ),
    row("SpatialDropout1D", Recipe("SpatialDropout1D", 0.4), random=True),
    row("SpatialDropout2D", Recipe("SpatialDropout2D", 0.4), IMAGE, random=True),
    row("SpatialDropout2D channels_first", Recipe("SpatialDropout2D", 0.4, "channels_first"), IMAGE_FIRST, free=2, random=True),
    row("SpatialDropout3D", Recipe("SpatialDropout3D", 0.2, seed=1), VOLUME, random=True),
    row("GaussianNoise", Recipe("GaussianNoise", 0.1), random=True),
    row("GaussianDropout", Recipe("GaussianDropout", 0.2), random=True),
    row("AlphaDropout", Recipe("AlphaDropout", 0.2), random=True),
    row("AlphaDropout of whole features", Recipe("AlphaDropout", 0.2, noise_shape=(None, 1, None), seed=2), random=True),
    row("ActivityRegularization", Recipe("ActivityRegularization", 0.1, 0.2), FLAT, free=None, state=True),
    row(
        "ActivityRegularization of steps",
        Recipe("ActivityRegularization", l1=0.1),
        PADDED,
        call=masked,
        read_mask=True,
        state=True,
    ),
    row("Identity", Recipe("Identity"), PADDED, call=masked, read_mask=True),
    _dense("of two axes", FLAT, first=("ab,bc->ac", 3), bias_axes="c", activation="tanh", free=None),
    _dense("of steps", first=("abc,cd->abd", (None, 3)), bias_axes="d"),
    _dense("with an ellipsis before", first=("...x,xy->...y", 3), bias_axes="y"),
    _dense("with an ellipsis behind", first=("ab...,bc->ac...", 3), bias_axes="c", free=None),
    _dense("into heads", first=("abc,cde->abde", (None, 2, 3)), bias_axes="de", kernel_initializer="he_normal"),
    _dense("of heads", NESTED, first=("abcd,cde->abe", (None, 3)), bias_axes=None, free=None),
    _dense("along time", first=("abc,bd->adc", (3, FEATURES)), bias_axes="dc", free=None),
    weighted("ReversibleEmbedding", Recipe("ReversibleEmbedding", 7, FEATURES), IDS),
    weighted("ReversibleEmbedding that masks 0", Recipe("ReversibleEmbedding", 7, FEATURES, mask_zero=True), IDS, read_mask=True),
    weighted("ReversibleEmbedding there and back", Recipe("ReversibleEmbedding", 7, FEATURES), IDS, call=there_and_back),
    weighted(
        "ReversibleEmbedding untied and capped",
        Recipe("ReversibleEmbedding", 7, FEATURES, tie_weights=False, logit_soft_cap=2.0),
        IDS,
        call=there_and_back,
    ),
]

ACTIVATIONS = [
    row("ReLU", Recipe("ReLU")),
    row("ReLU with slope, threshold and maximum", Recipe("ReLU", 1.0, 0.2, 0.3)),
    row("ReLU with a maximum", Recipe("ReLU", max_value=1.0), PADDED, call=masked, read_mask=True),
    row("LeakyReLU", Recipe("LeakyReLU")),
    row("ELU", Recipe("ELU", alpha=0.7), PADDED, call=masked, read_mask=True),
    weighted("PReLU", Recipe("PReLU", alpha_initializer="ones"), free=None),
    weighted("PReLU of shared axes", Recipe("PReLU", shared_axes=[1]), PADDED, call=masked, read_mask=True),
    row("Softmax", Recipe("Softmax"), FLAT, free=None),
    row("Softmax along time", Recipe("Softmax", axis=1)),
    row("Softmax along two axes", Recipe("Softmax", axis=(1, 2))),
    row("Softmax of some", Recipe("Softmax"), SERIES, SERIES > -0.3, call=with_given_mask, free=None),
]

RESHAPING = [
    row("Reshape", Recipe("Reshape", (FEATURES, 3, 2)), free=None),
    row("Reshape with one size open", Recipe("Reshape", (-1, 2))),
    row("Permute", Recipe("Permute", (2, 1))),
    row("Permute of images", Recipe("Permute", (3, 1, 2)), IMAGE),
    row("RepeatVector", Recipe("RepeatVector", 3), FLAT, free=None),
    *(
        family(f"{kind}{rank}D", data=(data,))(f"by {size}", first=(size,))
        for kind in ("ZeroPadding", "Cropping")
        for rank, data, sizes in (
            (1, SERIES, (1, (2, 1))),
            (2, IMAGE, (1, (1, 2), ((1, 0), (2, 1)))),
            (3, VOLUME, (1, ((1, 0), (2, 1), (0, 1)))),
        )
        for size in sizes
    ),
    row("ZeroPadding1D channels_first", Recipe("ZeroPadding1D", 2, "channels_first"), TURNED, free=2),
    row("ZeroPadding2D channels_first", Recipe("ZeroPadding2D", 1, "channels_first"), IMAGE_FIRST, free=2),
    row("ZeroPadding3D channels_first", Recipe("ZeroPadding3D", 1, "channels_first"), VOLUME_FIRST, free=2),
    row("Cropping2D channels_first", Recipe("Cropping2D", 1, "channels_first"), IMAGE_FIRST, free=2),
    row("Cropping3D channels_first", Recipe("Cropping3D", 1, "channels_first"), VOLUME_FIRST, free=2),
    row("UpSampling1D", Recipe("UpSampling1D", 3)),
    row("UpSampling2D", Recipe("UpSampling2D", (2, 3)), IMAGE),
    *(
        row(f"UpSampling2D {method}", Recipe("UpSampling2D", 2, interpolation=method), IMAGE, free=None)
        for method in ("bilinear", "bicubic", "lanczos3", "lanczos5")
    ),
    row("UpSampling2D channels_first", Recipe("UpSampling2D", 2, "channels_first"), IMAGE_FIRST, free=2),
    row("UpSampling3D", Recipe("UpSampling3D", (1, 2, 2)), VOLUME),
    row("UpSampling3D channels_first", Recipe("UpSampling3D", 2, "channels_first"), VOLUME_FIRST, free=2),
    row("Rescaling", Recipe("Rescaling", 0.5, offset=-1.0), PADDED, call=masked, read_mask=True),
    row("Rescaling of each feature", Recipe("Rescaling", [0.5, 1.0, 2.0, -1.0])),
    row("RandomFlip", Recipe("RandomFlip"), IMAGE, random=True),
    row(
        "RandomFlip channels_first",
        Recipe("RandomFlip", "vertical", data_format="channels_first"),
        IMAGE_FIRST,
        free=2,
        random=True,
    ),
    row("RandomBrightness", Recipe("RandomBrightness", 0.1, value_range=(-9, 9)), IMAGE, random=True),
    row("RandomContrast", Recipe("RandomContrast", 0.1, value_range=[-9, 9]), IMAGE, random=True),
]

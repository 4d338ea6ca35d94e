"""Rows of the table: preprocessing of features and images inside models."""

from layer_case import FLAT, IDS, IMAGE, IMAGE_FIRST, PADDED, SERIES, Recipe, family, masked, row

FIRST = {"data_format": "channels_first"}
_codes = family("CategoryEncoding", 7, data=(IDS,), whole=True)
_bins = family("Discretization", [-1.0, 0.0, 0.5], whole=True)
_hash = family("Hashing", 50, data=(IDS,), differs=True, whole=True)  # Keras's needs TensorFlow, as does its HashedCrossing
_norm = family("Normalization")  # Keras reads weights that were set only once it is told that they are final
_resize = family("Resizing", 5, 8, data=(IMAGE,))
_turn = family("RandomRotation", 0.2, data=(IMAGE,), random=True)
_shift = family("RandomTranslation", 0.2, (-0.1, 0.3), data=(IMAGE,), random=True)
_zoom = family("RandomZoom", 0.2, data=(IMAGE,), random=True)
_crop = family("RandomCrop", 5, 4, data=(IMAGE,), random=True, differs=True)  # Keras's leaves images whole outside training

FEATURES_AND_IMAGES = [
    _codes("multi_hot"),
    _codes("count", output_mode="count"),
    _codes("one_hot", output_mode="one_hot"),
    _codes("one_hot of one", IDS[:, :1], free=None, output_mode="one_hot"),
    _bins("int"),
    _bins("one_hot", output_mode="one_hot"),
    _bins("count", FLAT, free=None, output_mode="count"),
    _norm("of nothing", PADDED, call=masked, read_mask=True, state=True, differs=True),
    _norm("of several axes", free=None, axis=(1, 2), state=True, differs=True),
    _norm("of all", axis=None, state=True, differs=True),
    _norm("given", mean=[1.0, 2.0, 0.5, -1.0], variance=[0.5, 2.0, 1.0, 4.0]),
    _norm("given one", axis=None, mean=1.5, variance=4.0, invert=True),
    _hash(),
    row(
        "Hashing salted and masked",
        Recipe("Hashing", 50, mask_value=0, salt=3, output_mode="count"),
        IDS,
        differs=True,
        whole=True,
    ),
    row("HashedCrossing", Recipe("HashedCrossing", 50), IDS[:, 0], IDS[:, 1], free=None, differs=True, whole=True),
    _resize(),
    _resize("nearest", interpolation="nearest"),
    _resize("bicubic antialias", interpolation="bicubic", antialias=True),
    _resize("crop", crop_to_aspect_ratio=True),
    _resize("pad", pad_to_aspect_ratio=True, fill_value=0.5),
    _resize("channels_first", IMAGE_FIRST, free=2, **FIRST),
    family("CenterCrop", 4, 5, data=(IMAGE,))(),
    family("CenterCrop", 9, 4, data=(IMAGE,))("of less"),
    family("CenterCrop", 4, 5, data=(IMAGE_FIRST,), free=2)("channels_first", **FIRST),
    _crop(),
    _crop("channels_first", IMAGE_FIRST, free=2, **FIRST),
    _turn(),
    _turn("nearest channels_first", IMAGE_FIRST, free=2, fill_mode="constant", interpolation="nearest", **FIRST),
    _shift("wrap", fill_mode="wrap"),
    _zoom(),
    _zoom("nearest", first=(0.2, 0.1), fill_mode="nearest"),
    family("Pipeline", [Recipe("Rescaling", 0.5), Recipe("Dense", 2)], data=(SERIES,), params=True)(),
]

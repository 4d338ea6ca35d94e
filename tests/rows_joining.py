"""Rows of the table: merging, normalisation, attention."""

from typing import Any

import numpy as np
from layer_case import CUT, FLAT, IMAGE, IMAGE_FIRST, OTHER, PADDED, SERIES, C, Case, H, Recipe, family, masked, row


def _batch_norm(name: str, *inputs: np.ndarray, **given: Any) -> Case:
    has_params = given.get("center", True) or given.get("scale", True)
    return family("BatchNormalization", state=True, params=has_params)(name, *inputs, **given)


JOINING = [
    row("Concatenate", Recipe("Concatenate"), FLAT, H, C, free=None),
    row("Concatenate along time", Recipe("Concatenate", axis=1), SERIES, OTHER),
    row("Concatenate masked", Recipe("Concatenate"), PADDED, CUT, call=masked, read_mask=True),
    row("Concatenate masked along time", Recipe("Concatenate", axis=1), PADDED, CUT, call=masked, read_mask=True),
    row("Add", Recipe("Add"), SERIES, OTHER, PADDED),
    row("Add with broadcasting", Recipe("Add"), SERIES, OTHER[:, :1], free=None),
    row("Add of unequal ranks", Recipe("Add"), SERIES, FLAT, free=None),
    row("Add masked", Recipe("Add"), PADDED, CUT, call=masked, read_mask=True),
    *(
        row(f"{kind}{name}", Recipe(kind), *inputs, **about)
        for kind in ("Multiply", "Average", "Maximum", "Minimum", "Subtract")
        for name, inputs, about in (
            ("", (SERIES, OTHER) if kind == "Subtract" else (SERIES, OTHER, OTHER[:, ::-1] + 0.1), {}),
            (" with broadcasting", (SERIES, OTHER[:, :1]), {"free": None}),
            (" of unequal ranks", (SERIES, FLAT), {"free": None}),
            (" masked", (PADDED, CUT), {"call": masked, "read_mask": True}),
        )
    ),
    row("Dot", Recipe("Dot", axes=1), FLAT, H, free=None),
    row("Dot of steps", Recipe("Dot", axes=2), SERIES, OTHER),
    row("Dot along time", Recipe("Dot", axes=1), SERIES, OTHER),
    row("Dot of unequal axes", Recipe("Dot", axes=(2, 1)), SERIES, FLAT),
    row("Dot normalized", Recipe("Dot", axes=-1, normalize=True), FLAT, H, free=None),
    row("Dot of images", Recipe("Dot", axes=(3, 2)), IMAGE, SERIES, free=None),
]


_layer_norm = family("LayerNormalization", params=True)
_groups = family("GroupNormalization", params=True)
_rms = family("RMSNormalization", params=True)

NORMALIZATION = [
    _batch_norm("of vectors", FLAT, free=None),
    _batch_norm("of series", momentum=0.8, epsilon=0.1),
    _batch_norm("along axis 1", axis=1, free=None),
    _batch_norm("without center", center=False),
    _batch_norm("without scale", scale=False),
    _batch_norm("masked", PADDED, call=masked),
    _batch_norm("renormalized", renorm=True, stopped=True, momentum=0.9, renorm_momentum=0.8),
    _batch_norm("renormalized within limits", renorm=True, stopped=True, renorm_clipping={"rmax": 1.5, "rmin": 0.7, "dmax": 0.3}),
    _batch_norm("renormalized without scale", scale=False, center=False, renorm=True, stopped=True),
    _layer_norm(),
    _layer_norm("of vectors", FLAT, free=None, epsilon=0.1),
    _layer_norm("of two axes", axis=(1, 2), free=None),
    _layer_norm("along time", axis=1, free=None, center=False),
    _layer_norm("of images", IMAGE, axis=[2, 3], scale=False),
    _layer_norm("without either", center=False, scale=False, params=False),
    _layer_norm("masked", PADDED, call=masked, read_mask=True),
    _groups("of series", groups=2),
    _groups("of images", IMAGE, groups=2, epsilon=0.1),
    _groups("of each channel", IMAGE, groups=-1, scale=False),
    _groups("along axis 1", IMAGE_FIRST, groups=2, axis=1, free=2),
    _groups("of all", PADDED, groups=1, center=False, call=masked, read_mask=True),
    _rms(),
    _rms("of two axes", axis=(1, 2), epsilon=0.1, free=None),
    family("UnitNormalization")(),
    family("UnitNormalization")("of two axes", axis=(1, 2)),
]

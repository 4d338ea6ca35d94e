"""Rows of the table: recurrent layers and wrappers."""

from collections.abc import Callable
from typing import Any

import numpy as np
from layer_case import (
    FEATURES,
    NESTED,
    PADDED,
    SERIES,
    TIME,
    UNITS,
    C,
    Case,
    Chain,
    H,
    Recipe,
    masked,
    pad,
    plain,
    row,
    starting_from,
    weighted,
)


def _lstm(name: str, *inputs: np.ndarray, call: Callable = plain, read_mask: bool = False, **kwargs: Any) -> Case:
    has_dropout = any("dropout" in argument for argument in kwargs)
    make = Recipe("LSTM", UNITS, **kwargs)
    return weighted(f"LSTM {name}", make, *inputs, call=call, read_mask=read_mask, random=has_dropout)


RECURRENT = [
    _lstm("plain"),
    _lstm("return_sequences", return_sequences=True),
    _lstm("return_state", return_state=True),
    _lstm("go_backwards, return_sequences", go_backwards=True, return_sequences=True, return_state=True),
    _lstm("without bias", use_bias=False),
    _lstm("unit_forget_bias False", unit_forget_bias=False),
    _lstm("other activations", activation="relu", recurrent_activation="hard_sigmoid", return_sequences=True),
    _lstm("dropout", dropout=0.3),
    _lstm("recurrent_dropout", dropout=0.2, recurrent_dropout=0.3, seed=5, return_sequences=True),
    _lstm("initial_state", SERIES, H, C, call=starting_from, return_state=True),
    _lstm("masked", PADDED, call=masked, return_state=True),
    _lstm("masked, unroll", PADDED, call=masked, unroll=True),
    _lstm("masked, return_sequences", PADDED, call=masked, read_mask=True, return_sequences=True),
    _lstm("masked, backwards", PADDED, call=masked, return_sequences=True, return_state=True, go_backwards=True),
]


WRAPPING = [
    weighted("TimeDistributed Dense", Recipe("TimeDistributed", Recipe("Dense", 2, activation="tanh"))),
    weighted("TimeDistributed Conv1D", Recipe("TimeDistributed", Recipe("Conv1D", 4, 3)), NESTED),
    weighted("TimeDistributed LSTM", Recipe("TimeDistributed", Recipe("LSTM", UNITS)), NESTED),
    row("TimeDistributed Flatten", Recipe("TimeDistributed", Recipe("Flatten")), NESTED),
    row("TimeDistributed Dropout", Recipe("TimeDistributed", Recipe("Dropout", 0.5)), random=True),
    weighted(
        "TimeDistributed Sequential",
        Recipe("TimeDistributed", Chain(Recipe("Dense", 4, activation="relu"), Recipe("Dense", 2))),
    ),
    weighted(
        "TimeDistributed Model",
        Recipe(
            "TimeDistributed", Chain(Recipe("Masking"), Recipe("LSTM", UNITS), Recipe("Dense", 2), functional=(TIME, FEATURES))
        ),
        pad(NESTED.reshape(-1, TIME, FEATURES)).reshape(NESTED.shape),
    ),
]

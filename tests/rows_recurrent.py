"""Rows of the table: recurrent layers and wrappers."""

from collections.abc import Callable
from typing import Any

import numpy as np
from layer_case import (
    FEATURES,
    FILMS,
    FLAT,
    IDS,
    NESTED,
    PADDED,
    ROW_STATE,
    ROWS,
    SERIES,
    TIME,
    UNITS,
    VOLUMES,
    C,
    Case,
    Chain,
    H,
    Recipe,
    family,
    masked,
    pad,
    plain,
    row,
    starting_from,
    stepping,
    weighted,
)


def _lstm(name: str, *inputs: np.ndarray, call: Callable = plain, read_mask: bool = False, **kwargs: Any) -> Case:
    has_dropout = any("dropout" in argument for argument in kwargs)
    make = Recipe("LSTM", UNITS, **kwargs)
    return weighted(f"LSTM {name}", make, *inputs, call=call, read_mask=read_mask, random=has_dropout)


_gru = family("GRU", UNITS, params=True)
_simple = family("SimpleRNN", UNITS, params=True)
_rnn = family("RNN", params=True)
_both = family("Bidirectional", params=True)
_films = family("ConvLSTM2D", 2, 2, data=(FILMS,), params=True)
CELL = Recipe("LSTMCell", UNITS)

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
    _lstm("zero output", PADDED, call=masked, zero_output_for_mask=True, return_sequences=True),
    _lstm("softmax inside", activation="softmax", return_sequences=True),
    _gru("plain"),
    _gru("return_sequences, return_state", return_sequences=True, return_state=True),
    _gru("backwards", go_backwards=True, return_sequences=True),
    _gru("without bias", use_bias=False),
    _gru("other activations", activation="softsign", recurrent_activation="hard_sigmoid"),
    _gru("masked", PADDED, call=masked, return_state=True),
    _gru("masked, return_sequences", PADDED, call=masked, read_mask=True, return_sequences=True),
    _gru("dropout", dropout=0.3, random=True),
    _gru("recurrent_dropout", dropout=0.2, recurrent_dropout=0.3, random=True, return_sequences=True),
    _gru("initial_state", SERIES, H, call=starting_from, return_state=True),
    _gru("that resets before", reset_after=False, return_sequences=True),
    _gru("that resets before, masked", PADDED, call=masked, reset_after=False),
    _gru("that resets before, recurrent_dropout", reset_after=False, recurrent_dropout=0.3, random=True),
    _gru("that resets before, without bias", reset_after=False, use_bias=False, go_backwards=True),
    _simple("plain"),
    _simple("return_sequences, return_state", return_sequences=True, return_state=True),
    _simple("relu without bias", activation="relu", use_bias=False),
    _simple("masked, backwards", PADDED, call=masked, go_backwards=True, return_state=True),
    _simple("zero output", PADDED, call=masked, zero_output_for_mask=True),
    _simple("dropout", dropout=0.2, recurrent_dropout=0.3, random=True),
    _simple("initial_state", SERIES, H, call=starting_from),
    _simple("unroll", unroll=True, return_sequences=True),
    _rnn("LSTMCell", first=(CELL,), return_sequences=True, return_state=True),
    _rnn("GRUCell masked", PADDED, first=(Recipe("GRUCell", UNITS),), call=masked, return_sequences=True, read_mask=True),
    _rnn("SimpleRNNCell dropout", first=(Recipe("SimpleRNNCell", UNITS, recurrent_dropout=0.2),), random=True),
    _rnn("two cells", first=([CELL, Recipe("GRUCell", UNITS)],), return_state=True),
    _rnn("two cells, masked", PADDED, first=([Recipe("GRUCell", 3), CELL],), call=masked, return_sequences=True),
    _rnn(
        "StackedRNNCells backwards, zero output",
        PADDED,
        first=(Recipe("StackedRNNCells", [CELL, Recipe("SimpleRNNCell", 3)]),),
        call=masked,
        go_backwards=True,
        return_sequences=True,
        zero_output_for_mask=True,
    ),
    _rnn("unrolled", first=(CELL,), unroll=True),
    family("LSTMCell", UNITS, params=True, free=None, call=stepping)("", FLAT, H, C),
    family("GRUCell", UNITS, params=True, free=None, call=stepping)("", FLAT, H),
    family("GRUCell", UNITS, params=True, free=None, call=stepping)("that resets before", FLAT, H, reset_after=False),
    family("SimpleRNNCell", UNITS, params=True, free=None, call=stepping)("dropout", FLAT, H, recurrent_dropout=0.2, random=True),
    family("StackedRNNCells", params=True, free=None, call=stepping)(
        "", FLAT, H, C, first=([Recipe("SimpleRNNCell", UNITS)] * 2,)
    ),
    *(
        _both(f"LSTM {mode}", first=(Recipe("LSTM", UNITS, return_sequences=mode != "ave"),), merge_mode=mode)
        for mode in ("concat", "sum", "mul", "ave", None)
    ),
    _both("GRU of states", first=(Recipe("GRU", UNITS, return_state=True),)),
    _both(
        "LSTM of states and sequences", first=(Recipe("LSTM", UNITS, return_state=True, return_sequences=True),), merge_mode=None
    ),
    _both("LSTM masked", PADDED, first=(Recipe("LSTM", UNITS, return_sequences=True),), call=masked, read_mask=True),
    _both("LSTM masked, last", PADDED, first=(Recipe("LSTM", UNITS),), call=masked),
    _both("LSTM initial_state", SERIES, H, C, H, C, first=(Recipe("LSTM", UNITS),), call=starting_from),
    _both(
        "with a backward layer of its own",
        PADDED,
        call=masked,
        first=(Recipe("GRU", 3, return_sequences=True),),
        backward_layer=Recipe("LSTM", UNITS, go_backwards=True, return_sequences=True),
    ),
    _both("RNN", first=(Recipe("RNN", CELL),)),
    *(
        family(f"ConvLSTM{rank}D", 2, 2, data=(data,), params=True)(name, **given)
        for rank, data in ((1, ROWS), (2, FILMS), (3, VOLUMES))
        for name, given in (("", {"free": 1}), ("strides, states", {"strides": 2, "padding": "same", "return_state": True}))
    ),
    _films("return_sequences, backwards", return_sequences=True, go_backwards=True, activation="relu"),
    _films("dilation, without bias", dilation_rate=2, use_bias=False, unit_forget_bias=False, return_sequences=True),
    _films(
        "channels_first", np.moveaxis(FILMS, -1, 2).copy(), data_format="channels_first", return_sequences=True, return_state=True
    ),
    _films("dropout", dropout=0.2, recurrent_dropout=0.2, random=True),
    family("ConvLSTM1D", 3, 3, params=True)(
        "initial_state", ROWS, ROW_STATE, ROW_STATE[::-1], call=starting_from, padding="same"
    ),
]

_spectral = family("SpectralNormalization", params=True, state=True, stopped=True, differs=True)

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
    _spectral("Dense", FLAT, first=(Recipe("Dense", 3),), free=None),
    _spectral("Conv1D", first=(Recipe("Conv1D", 3, 2),), power_iterations=3),
    _spectral("Embedding", IDS, first=(Recipe("Embedding", 7, FEATURES),)),
]

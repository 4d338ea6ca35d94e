"""Rows of the table: attention."""

import functools
from typing import Any

import numpy as np
from layer_case import BATCH, CUT, NESTED, OTHER, PADDED, SERIES, TIME, family


def calling(layer: Any, k: Any, xs: list, positional: int = 2, masking: bool = False, names: tuple = (), **static: Any) -> Any:
    """Call attention on its inputs, the first of ``positional`` masked where asked for, and the others by ``names``."""
    given = [k.layers.Masking()(x) if masking else x for x in xs[:positional]]
    return layer(*given, **dict(zip(names, xs[positional:], strict=True)), **static)


def listed(layer: Any, k: Any, xs: list, masking: bool = False, **static: Any) -> Any:
    """Call attention on a list of its inputs."""
    return layer([k.layers.Masking()(x) if masking else x for x in xs], **static)


_call = functools.partial(functools.partial, calling)
_list = functools.partial(functools.partial, listed)
SHORT = OTHER[:, :4, :3].copy()  # (batch, S, m): shorter, and of fewer features
SEEN = np.random.default_rng(5).random((BATCH, TIME, TIME)) < 0.7
SEEN[:, :, 0] = True  # a step that sees nothing is not compared
VALID = np.any(PADDED != 0, axis=-1)
SOME = {"params": True, "free": None}
_many = family("MultiHeadAttention", 2, 3, data=(SERIES, OTHER), call=_call(), **SOME)
_group = family("GroupQueryAttention", 3, 4, 2, data=(SERIES, OTHER), call=_call(), **SOME)
_one = family("Attention", data=(SERIES, OTHER), call=listed, free=None)
_added = family("AdditiveAttention", data=(SERIES, OTHER), call=listed, **SOME)

ATTENTION = [
    _many("of itself", SERIES, SERIES),
    _many("across", SERIES, SHORT, value_dim=5, dropout=0.1, random=True),
    _many("with keys", SERIES, SHORT, SHORT[..., :2] * 2, call=_call(positional=3), use_bias=False),
    _many("causal", call=_call(use_causal_mask=True)),
    _many("of masked inputs", PADDED, CUT, call=_call(masking=True)),
    _many("of masked inputs, causal", PADDED, CUT, call=_call(masking=True, use_causal_mask=True)),
    _many("with an attention mask", SERIES, OTHER, SEEN, call=_call(names=("attention_mask",))),
    _many("with a mask of values", SERIES, OTHER, VALID, call=_call(names=("value_mask",))),
    _many("with scores", call=_call(return_attention_scores=True)),
    _many(
        "with scores of masked inputs, causal",
        PADDED,
        CUT,
        call=_call(masking=True, return_attention_scores=True, use_causal_mask=True),
    ),
    _many("with dropout", dropout=0.3, random=True),
    _many("within a window", sliding_window=2),
    _many("gated", use_gate=True, output_shape=5),
    _many("of another output", output_shape=(2, 3)),
    _many("over two axes", NESTED, NESTED[:, ::-1].copy()),
    _many("over the second axis", NESTED, NESTED[:, ::-1].copy(), attention_axes=2),
    _many(
        "over the first axis, with scores",
        NESTED,
        NESTED[:, ::-1].copy(),
        attention_axes=(1,),
        call=_call(return_attention_scores=True),
    ),
    _group("across", SERIES, OTHER[:, :4].copy()),
    _group("causal", call=_call(use_causal_mask=True)),
    _group("of masked inputs", PADDED, CUT, call=_call(masking=True)),
    _group("gated, with scores", use_gate=True, use_bias=False, call=_call(return_attention_scores=True)),
    _group("within a window, with dropout", sliding_window=2, dropout=0.2, random=True),
    _one(),
    _one("scaled", use_scale=True, params=True),
    _one("of concatenations", score_mode="concat", use_scale=True, params=True),
    _one("with keys", SERIES, OTHER, SERIES[:, ::-1].copy()),
    _one("causal, with scores", call=_list(use_causal_mask=True, return_attention_scores=True)),
    _one("of masked inputs", PADDED, CUT, call=_list(masking=True)),
    _one("of masked inputs, causal", PADDED, CUT, call=_list(masking=True, use_causal_mask=True), dropout=0.2, random=True),
    _added(),
    _added("without scale", use_scale=False, params=False),
    _added("of masked inputs", PADDED, CUT, call=_list(masking=True)),
]

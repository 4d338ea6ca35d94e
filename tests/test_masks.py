"""Where a mask goes: through every layer, wrapped, nested, composite, reversed, sliced, merged: as in Keras, or as documented."""

import warnings

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
from keras.src.backend import get_keras_mask
from layer_table import CASES
from test_masks_of_all_layers import takes_masks

import jkeras
from jkeras import Input, Model, Sequential, functional
from jkeras.core import Context, Masked, ShapeError, composite, layer, unmask
from jkeras.core.constructors import CONSTRUCTORS
from jkeras.layers import LSTM, Add, Concatenate, Dense, Embedding, Masking, TimeDistributed

KEY = jax.random.key(0)
RNG = np.random.default_rng(2)
VALID = np.array([[1, 1, 1, 1, 1], [0, 1, 1, 0, 1], [1, 1, 0, 0, 0]], bool)
OTHER = np.array([[1, 1, 1, 1, 0], [0, 0, 1, 1, 1], [1, 1, 1, 0, 0]], bool)
SERIES = RNG.normal(size=(3, 5, 4)).astype("float32")
A, B = SERIES * VALID[..., None], SERIES * OTHER[..., None]
IDS = np.where(VALID, 3, 0).astype("int32")
WORDS = np.stack([IDS, np.where(OTHER, 2, 0)], 2).astype("int32")  # (batch, sentences, words)


def cut(k, *layers):
    """A nested model of some layers."""
    x = y = k.Input((5, 4))
    for made in layers:
        y = made(y)
    return k.Model(x, y)


def masked(k, x):
    return k.layers.Masking()(x)


# name: (what is written, inputs, what the mask must be: "as Keras", or this, where jkeras differs on purpose)
AS_KERAS = "as Keras"
ROWS = {
    "Masking": (lambda k, a: masked(k, a), [A], AS_KERAS),
    "Embedding": (lambda k, i: k.layers.Embedding(7, 4, mask_zero=True)(i), [IDS], AS_KERAS),
    "Embedding without mask_zero": (lambda k, i: k.layers.Embedding(7, 4)(i), [IDS], AS_KERAS),
    "Dense": (lambda k, a: k.layers.Dense(3, activation="relu")(masked(k, a)), [A], AS_KERAS),
    "Dense of as many units as steps": (lambda k, a: k.layers.Dense(5)(masked(k, a)), [A], AS_KERAS),
    "Activation": (lambda k, a: k.layers.Activation("tanh")(masked(k, a)), [A], AS_KERAS),
    "Dropout": (lambda k, a: k.layers.Dropout(0.5)(masked(k, a)), [A], AS_KERAS),
    "BatchNormalization": (lambda k, a: k.layers.BatchNormalization()(masked(k, a)), [A], AS_KERAS),
    "LSTM": (lambda k, a: k.layers.LSTM(3)(masked(k, a)), [A], AS_KERAS),
    "LSTM of sequences": (lambda k, a: k.layers.LSTM(3, return_sequences=True)(masked(k, a)), [A], AS_KERAS),
    "LSTM backwards": (  # Keras leaves the mask as it was, although the outputs are in the order of processing
        lambda k, a: k.layers.LSTM(3, return_sequences=True, go_backwards=True)(masked(k, a)),
        [A],
        VALID[:, ::-1],
    ),
    "LSTM of states": (lambda k, a: k.layers.LSTM(3, return_state=True)(masked(k, a))[1], [A], AS_KERAS),
    "Conv1D": (lambda k, a: k.layers.Conv1D(4, 1)(masked(k, a)), [A], AS_KERAS),
    "MaxPooling1D": (lambda k, a: k.layers.MaxPooling1D(1)(masked(k, a)), [A], AS_KERAS),
    "GlobalMaxPooling1D": (lambda k, a: k.layers.GlobalMaxPooling1D()(masked(k, a)), [A], AS_KERAS),
    "Flatten": (lambda k, a: k.layers.Flatten()(masked(k, a)), [A], AS_KERAS),
    "MultiHeadAttention": (lambda k, a, b: k.layers.MultiHeadAttention(2, 3)(masked(k, a), masked(k, b)), [A, B], AS_KERAS),
    "GroupQueryAttention": (lambda k, a, b: k.layers.GroupQueryAttention(2, 2, 1)(masked(k, a), masked(k, b)), [A, B], AS_KERAS),
    "Attention": (lambda k, a, b: k.layers.Attention()([masked(k, a), masked(k, b)]), [A, B], AS_KERAS),
    "AdditiveAttention": (lambda k, a, b: k.layers.AdditiveAttention()([masked(k, a), b]), [A, B], AS_KERAS),
    "Add": (lambda k, a, b: k.layers.Add()([masked(k, a), masked(k, b)]), [A, B], AS_KERAS),
    "Add to what has none": (lambda k, a, b: k.layers.Add()([masked(k, a), b]), [A, B], AS_KERAS),
    "Concatenate": (lambda k, a, b: k.layers.Concatenate()([masked(k, a), masked(k, b)]), [A, B], AS_KERAS),
    "Concatenate in time": (lambda k, a, b: k.layers.Concatenate(1)([masked(k, a), masked(k, b)]), [A, B], AS_KERAS),
    "Concatenate in time, other lengths": (
        lambda k, a, b: k.layers.Concatenate(1)([masked(k, a), masked(k, b)]), [A, B[:, :3]], AS_KERAS,
    ),
    "Concatenate in time with what has none": (lambda k, a, b: k.layers.Concatenate(1)([masked(k, a), b]), [A, B], AS_KERAS),
    "TimeDistributed": (lambda k, a: k.layers.TimeDistributed(k.layers.Dense(2))(masked(k, a)), [A], AS_KERAS),
    "TimeDistributed of one that masks": (  # Keras loses the mask that is made inside
        lambda k, w: k.layers.TimeDistributed(k.layers.Embedding(7, 4, mask_zero=True))(w),
        [WORDS],
        WORDS != 0,
    ),
    "TimeDistributed of a model": (
        lambda k, a: k.layers.TimeDistributed(k.Sequential([k.layers.Dense(3), k.layers.Dense(2)]))(masked(k, a)), [A], AS_KERAS,
    ),
    "a nested model": (lambda k, a: cut(k, k.layers.Dense(3))(masked(k, a)), [A], AS_KERAS),
    "a nested model that masks": (lambda k, a: cut(k, k.layers.Masking(), k.layers.Dense(3))(a), [A], AS_KERAS),
    "a nested model that ends it": (lambda k, a: cut(k, k.layers.Masking(), k.layers.Conv1D(4, 1))(a), [A], AS_KERAS),
    "a model in a model": (
        lambda k, a: cut(k, cut(k, k.layers.Dense(4)), k.layers.Activation("relu"))(masked(k, a)), [A], AS_KERAS,
    ),
    # Operators and ops drop masks in Keras, silently; here they follow the rule of the merging layers.
    "an operator with a number": (lambda k, a: masked(k, a) * 2 + 1, [A], VALID),
    "an operator of two": (lambda k, a, b: masked(k, a) + masked(k, b), [A, B], VALID | OTHER),
    "an operator with what has none": (lambda k, a, b: masked(k, a) + b, [A, B], None),
    "an op by element": (lambda k, a: k.ops.tanh(masked(k, a)), [A], VALID),
    "reversed": (lambda k, a: masked(k, a)[:, ::-1], [A], VALID[:, ::-1]),
    "sliced": (lambda k, a: masked(k, a)[:, 1:4:2], [A], VALID[:, 1:4:2]),
    "sliced in features": (lambda k, a: masked(k, a)[..., :2], [A], VALID),
    "one feature": (lambda k, a: masked(k, a)[:, :, 0], [A], VALID),
    "one step": (lambda k, a: masked(k, a)[:, 2], [A], None),
    "a new axis": (lambda k, a: masked(k, a)[:, None], [A], None),
    # What may move time ends a mask, in Keras as here.
    "flipped by an op": (lambda k, a: k.ops.flip(masked(k, a), 1), [A], AS_KERAS),
    "rolled": (lambda k, a: k.ops.roll(masked(k, a), 1, 1), [A], AS_KERAS),
    "sorted": (lambda k, a: k.ops.sort(masked(k, a), 1), [A], AS_KERAS),
    "averaged over time": (lambda k, a: k.ops.mean(masked(k, a), 1), [A], AS_KERAS),
    "joined by an op": (lambda k, a, b: k.ops.concatenate([masked(k, a), masked(k, b)], 1), [A, B], AS_KERAS),
}  # fmt: skip


def of_keras(write, inputs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a layer destroys a mask
        y = write(keras, *inputs)
        return get_keras_mask(y if not isinstance(y, (list, tuple)) else y[0])


def of_jkeras(write, inputs, lengths_known=True):
    xs = [Input([n if lengths_known else None for n in x.shape[1:2]] + [*x.shape[2:]], dtype=x.dtype.name) for x in inputs]
    around = functional(xs, write(jkeras, *xs))
    data = inputs if len(inputs) > 1 else inputs[0]
    params, state = around.init(KEY, jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), data))
    y, _ = around.apply(params, state, data, Context())
    return y.mask if isinstance(y, Masked) else None, unmask(y)


@pytest.mark.parametrize("lengths_known", [True, False])
@pytest.mark.parametrize("name", ROWS)
def test_a_mask_is_keras_mask_or_the_documented_difference(name, lengths_known):
    write, inputs, expected = ROWS[name]
    if name == "Flatten" and not lengths_known:
        pytest.skip("the size would be unknown")
    mask, value = of_jkeras(write, inputs, lengths_known)
    wanted = of_keras(write, inputs) if expected is AS_KERAS else expected
    everything = np.ones(value.shape[:2], bool)
    np.testing.assert_array_equal(everything if mask is None else mask, everything if wanted is None else wanted)


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row[2] is not AS_KERAS and "masks" not in name])
def test_where_jkeras_differs_keras_has_another_mask(name):
    write, inputs, expected = ROWS[name]
    theirs = of_keras(write, inputs)
    if expected is None:
        assert theirs is None
    else:
        assert theirs is None or (np.asarray(theirs) != expected).any()


def test_every_layer_that_exists_is_in_the_table():
    written = {name.split(" ")[0] for name in ROWS} | {case.make.what for case in CASES if takes_masks(case)}
    layers = {getattr(jkeras.layers, name) for name in jkeras.layers.__all__} & set(CONSTRUCTORS.values())
    of_vectors = {
        "InputLayer",
        "RepeatVector",
        "ReversibleEmbedding",
        "ConvLSTM1D",
        "ConvLSTM2D",
        "ConvLSTM3D",
        *("CategoryEncoding", "Hashing", "HashedCrossing", "IntegerLookup", "StringLookup", "TextVectorization"),
    }  # their inputs have no steps, nor have those of cells
    names = {constructor.__name__ for constructor in layers} - of_vectors
    assert {name for name in names if not name.removesuffix("s").endswith("Cell")} <= written


# -- a masked sequence equals the sequence without padding ------------------------------------------------------------

LSTM_OF = LSTM(3)


def last_of(write, *inputs):
    """What an LSTM after it returns, with one set of weights throughout."""
    xs = [Input((None, 4)) for _ in inputs]
    return Model(xs, LSTM_OF(write(*xs))).predict(list(inputs), verbose=0)


@pytest.mark.parametrize(
    ("write", "plain"),
    [
        (lambda x: Masking()(x) * 2 - 1, lambda x: x * 2 - 1),
        (lambda x: Masking()(x)[:, ::-1], lambda x: x[:, ::-1]),
        (lambda x: Sequential([Masking(), Dense(4, kernel_initializer="ones")])(x), lambda x: x.sum(-1, keepdims=True) + 0 * x),
        (
            lambda x: TimeDistributed(Dense(4, kernel_initializer="ones"))(Masking()(x)),
            lambda x: x.sum(-1, keepdims=True) + 0 * x,
        ),
        (lambda x: Add()([Masking()(x), Masking()(3 * x)]), lambda x: 4 * x),
        (lambda x: Concatenate(1)([Masking()(x), Masking()(x[:, :3])]), lambda x: np.concatenate([x, x], 1)[:, :-1]),
    ],
)
def test_padding_does_not_count(write, plain):
    row = SERIES[:1, :4].copy()
    padded = np.concatenate([row, np.zeros((1, 3, 4), "float32")], 1)
    if "Concatenate" in str(write.__code__.co_names):  # x without padding, then its first three steps
        whole = np.concatenate([row, row[:, :3]], 1)
        np.testing.assert_allclose(last_of(write, padded), last_of(lambda x: x, whole), rtol=1e-5, atol=1e-6)
        return
    np.testing.assert_allclose(last_of(write, padded), last_of(lambda x: x, plain(row)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("names", [("text", "extra"), ("a", "b"), ("z", "y")])
def test_each_input_of_a_nested_dict_model_keeps_its_own_mask(names):
    t, e = Input((None, 4)), Input((None, 4))
    read = LSTM(2)
    inner = Model({names[0]: t, names[1]: e}, read(t))
    x, v = Input((None, 4)), Input((None, 4))
    outer = Model([x, v], inner({names[1]: v, names[0]: Masking()(x)}))
    row = A[2:]
    short = Model(y := Input((None, 4)), read(y)).predict(row[:, :2], verbose=0)
    np.testing.assert_allclose(outer.predict([row, row + 1], verbose=0), short, rtol=1e-5, atol=1e-6)


def test_masks_of_several_outputs_come_out_of_a_nested_model_each_at_its_own():
    x = Input((5, 4))
    m = Masking()(x)
    inner = Model(x, {"z": m, "a": Dense(2)(x), "m": LSTM(2)(m)})
    y = Input((5, 4))
    outer = Model(y, inner(y))
    out, _ = outer.apply(*outer.init(KEY), A, Context())
    assert list(out) == ["z", "a", "m"]
    np.testing.assert_array_equal(out["z"].mask, VALID)
    assert not isinstance(out["a"], Masked)
    assert not isinstance(out["m"], Masked)


def test_a_mask_made_inside_time_distributed_is_read_by_the_next_one():
    words = Input((2, None), dtype="int32")
    read, embed = LSTM(3), Embedding(7, 4, mask_zero=True)
    model = Model(words, TimeDistributed(read)(TimeDistributed(embed)(words)))
    padded = np.array([[[1, 2, 0, 0], [3, 4, 5, 0]]])
    alone = Model(i := Input((None,), dtype="int32"), read(embed(i)))
    got = model.predict(padded, verbose=0)[0]
    np.testing.assert_allclose(got[0], alone.predict(padded[0, :1, :2], verbose=0)[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(got[1], alone.predict(padded[0, 1:, :3], verbose=0)[0], rtol=1e-5, atol=1e-6)


def test_masks_of_different_lengths_meet_in_a_layer_of_ones_own():
    @layer
    def Lengths():
        def apply(params, state, xs, ctx):
            masks = [jnp.ones(x.shape[:2], bool) if m is None else m for x, m in zip(xs, ctx.masks, strict=True)]
            return jnp.stack([mask.sum(1) for mask in masks], 1), state

        return (lambda key, x: ({}, {})), apply

    a, b = Input((5, 4)), Input((3, 4))
    model = Model([a, b], Lengths()([Masking()(a), Masking()(b)]))
    np.testing.assert_array_equal(model.predict([A, B[:, :3]], verbose=0), np.stack([VALID.sum(1), OTHER[:, :3].sum(1)], 1))


def test_one_mask_of_inputs_whose_masks_differ_in_length_says_where_they_are():
    @layer
    def Careless():
        return (lambda key, x: ({}, {})), (lambda params, state, xs, ctx: (xs[0] * (1 if ctx.mask is None else 2), state))

    a, b = Input((5, 4)), Input((3, 4))
    model = Model([a, b], Careless()([Masking()(a), Masking()(b)]))
    with pytest.raises(ShapeError, match=r"ctx\.masks has each by itself"):
        model.predict([A, B[:, :3]], verbose=0)


def test_a_mask_comes_to_the_loss_through_a_composite():
    @layer
    def Twice():
        return composite(lambda call, x: 2 * call("inner", x), inner=Dense(1, kernel_initializer="ones"))

    x = Input((5, 4))
    model = Model(x, Twice()(Masking()(x)))
    model.compile("sgd", "mse")
    got = model.evaluate(A, np.zeros((3, 5, 1)), verbose=0)
    np.testing.assert_allclose(got, ((2 * SERIES.sum(-1)) ** 2)[VALID].mean(), rtol=1e-5)


# -- a mask that does not fit -----------------------------------------------------------------------------------------

WRONG = np.ones((3, 4), bool)


def made_by_a_layer():
    @layer
    def Wrong():
        return (lambda key, x: ({}, {})), (lambda params, state, x, ctx: (Masked(x, jnp.ones((x.shape[0], 4), bool)), state))

    return Wrong(name="lstm")(A)


@pytest.mark.parametrize(
    "enter",
    [
        lambda: LSTM(3, name="lstm")(A, mask=WRONG),
        lambda: LSTM(3, name="lstm")(Masked(jnp.asarray(A), jnp.asarray(WRONG))),
        lambda: LSTM(3, name="lstm")(Input((5, 4)), mask=Input((4,), dtype="bool")),
        lambda: (m := LSTM(3, name="lstm")).apply(*m.init(KEY, A), A, Context(masks=WRONG)),
        lambda: TimeDistributed(Dense(3), name="lstm")(A, mask=WRONG),
        lambda: Model(x := Input((5, 4)), Dense(3)(x), name="lstm").layer(A, mask=WRONG),
        made_by_a_layer,
    ],
)
def test_a_mask_of_the_wrong_length_is_refused_by_name_wherever_it_enters(enter):
    with pytest.raises(ShapeError) as caught:
        enter()
    said = "\n".join(
        [str(caught.value), *getattr(caught.value, "__notes__", ()), *getattr(caught.value.__cause__, "__notes__", ())]
    )
    assert "(3, 4)" in said or "(None, 4)" in said
    assert "lstm" in said or "Wrong" in said


def test_a_mask_given_by_hand_counts_as_one_that_travels():
    lstm = LSTM(3)
    got = lstm(A, mask=VALID)
    np.testing.assert_allclose(got[2:], lstm(A[2:, :2]), rtol=1e-5, atol=1e-6)
    x, m = Input((5, 4)), Input((5,), dtype="bool")
    np.testing.assert_allclose(Model([x, m], lstm(x, mask=m)).predict([A, VALID], verbose=0), got, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["int32", "float32"])
def test_a_mask_of_numbers_counts_as_true_and_false(kind):
    lstm = LSTM(3)
    np.testing.assert_array_equal(lstm(A, mask=2 * VALID.astype(kind)), lstm(A, mask=VALID))


def test_masks_of_a_dictionary_belong_to_its_keys():
    x = {"a": Input((5, 4)), "b": Input((5, 4))}
    model = Model(x, {"b": Dense(2)(x["b"]), "a": Dense(2)(x["a"])})
    params, state = model.init(KEY)
    out, _ = model.apply(params, state, {"a": A, "b": B}, Context(masks={"b": OTHER, "a": VALID}))
    np.testing.assert_array_equal(out["a"].mask, VALID)
    np.testing.assert_array_equal(out["b"].mask, OTHER)


def test_a_nested_model_takes_a_mask_for_one_of_its_inputs():
    i, j = Input((5, 4)), Input((5, 4))
    first, second = LSTM(2), LSTM(2)
    inner = Model([i, j], [first(i), second(j)])
    p, q, m = Input((5, 4)), Input((5, 4)), Input((5,), dtype="bool")
    got = Model([p, q, m], inner([p, q], mask=[m, None])).predict([A, B, VALID], verbose=0)
    np.testing.assert_allclose(got[0], first(A, mask=VALID), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(got[1], second(B), rtol=1e-5, atol=1e-6)


def test_masked_inputs_of_other_ranks_are_added_without_a_mask():
    a, c = Input((5, 4)), Input((4,), dtype="int32")
    flat = Embedding(5, 1, mask_zero=True)(c)[..., 0]
    mask, _ = of_jkeras(lambda k, a, c: k.layers.Add()([k.layers.Masking()(a), c]), [A, np.ones((3, 4), "float32")])
    assert mask is None
    assert Add()([Masking()(a), flat]).shape == (None, 5, 4)


def test_time_distributed_over_inputs_of_other_lengths_and_a_state_of_another_batch_are_refused():
    i, j = Input((4,)), Input((4,))
    inner = Model([i, j], Add()([i, j]))
    with pytest.raises(ShapeError, match="as many time steps"):
        TimeDistributed(inner)([Input((5, 4)), Input((3, 4))])
    with pytest.raises(ShapeError, match=r"initial_state must be .h, c., each of shape \(3, 3\)"):
        LSTM(3)(A, initial_state=[np.zeros((1, 3)), np.zeros((1, 3))])

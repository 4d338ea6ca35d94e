"""Every layer of the table gives what Keras gives: outputs, gradients, state, masks."""

import contextlib
import re
import warnings
from typing import Any, NamedTuple

import jax
import numpy as np
import pytest
from layer_case import CUT, FEATURES, IDS, PADDED, SERIES, TIME, UNITS, quick_jit, square_sum
from layer_table import CASES

import jkeras

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import keras


@contextlib.contextmanager
def quiet():
    """Ignore the warnings of Keras, which pytest would make errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def is_float(x):
    return np.issubdtype(x.dtype, np.floating)


def random_weights(model):
    """Draw weights of the shapes of a Keras model's, in its order; variances come out positive."""
    rng = np.random.default_rng(0)
    drawn = [rng.normal(size=v.shape).astype("float32") * 0.5 for v in model.weights]
    return [np.abs(w) + 0.1 if v.name.endswith(("variance", "stddev")) else w for v, w in zip(model.weights, drawn, strict=True)]


def uncounted(path):
    """Return a path without the numbers that tell layers of one kind apart, which Keras counts per process."""
    return re.sub(r"_\d+(?=/|$)", "", path)


def twins(build):
    """Build a model in jkeras and in Keras and give both the same weights."""
    with quiet():
        theirs = build(keras)
        weights = random_weights(theirs)
        theirs.set_weights(weights)
    ours = build(jkeras)
    assert [w.shape for w in ours.get_weights()] == [w.shape for w in weights]
    for mine, other in zip(ours.weights, theirs.weights, strict=True):  # in Keras, with what is around a model inside
        assert uncounted(other.path).endswith(uncounted(mine.path))
    ours.set_weights(weights)
    return ours, theirs


class Results(NamedTuple):
    """What a model gives, as lists: arrays by weight are in the order of ``get_weights``."""

    outputs: Any
    state: Any
    weight_gradients: Any
    input_gradients: Any


def differentiated(outputs, params, x):
    """Return ``outputs(params, x)`` and the gradients of its sum of squares by params and by the inputs that are floats."""
    floats = [i for i, leaf in enumerate(x) if is_float(leaf)]

    def loss(params, given):
        replaced = [given[floats.index(i)] if i in floats else leaf for i, leaf in enumerate(x)]
        y, state = outputs(params, replaced[0] if len(x) == 1 else replaced)
        return square_sum(y), (jax.tree.leaves(y), state)

    (_, (y, state)), gradients = jax.value_and_grad(loss, (0, 1), has_aux=True)(params, [x[i] for i in floats])
    return Results(y, state, *gradients)


def run_both(ours, theirs, x, training=False, free=None):
    """Run a jkeras model, its twin in Keras, and the outputs of ``free``, the first built for unknown lengths."""
    held, variables = (ours.params, ours.state), (theirs.trainable_variables, theirs.non_trainable_variables)

    def run(our_params, our_state, their_params, their_state, x):
        def apply(params, x):
            return ours.apply(params, our_state, x, training=training)

        def stateless_call(params, x):
            return theirs.stateless_call(params, their_state, x, training=training)

        loose = free.apply(our_params, our_state, x[0] if len(x) == 1 else x)[0] if free else ()
        mine, their = differentiated(apply, our_params, x), differentiated(stateless_call, their_params, x)
        return mine, their, jax.tree.leaves(loose)

    with quiet():
        mine, their, loose = quick_jit(run)(*held, *([v.value for v in part] for part in variables), x)
    ours.params, ours.state = mine.weight_gradients, mine.state  # to have them in order
    weights = list(zip(ours.get_weights(), [v.trainable for v in theirs.weights], strict=True))
    ours.params, ours.state = held
    saved = {id(v) for v in theirs.weights}
    their_state = [value for v, value in zip(variables[1], their.state, strict=True) if id(v) in saved]
    mine = mine._replace(weight_gradients=[w for w, t in weights if t], state=[w for w, t in weights if not t])
    return mine, their._replace(state=their_state), loose


def assert_same(ours, theirs, tolerance=2e-5):
    """Compare lists of arrays, with a tolerance relative to the largest entry of each."""
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        assert a.shape == b.shape
        scale = max(1.0, float(np.max(np.abs(b), initial=0)))
        np.testing.assert_allclose(a, b, atol=tolerance * scale, rtol=0)


# -- the table --------------------------------------------------------------------------------------------------------


@pytest.fixture(params=[case for case in CASES if not case.differs], ids=str, scope="module")
def both(request):
    """What a row of the table gives in jkeras, in Keras, and in jkeras when it was built for unknown lengths."""
    case = request.param
    free = case.model(jkeras, lengths_known=False) if case.free is not None else None
    return run_both(*twins(case.model), list(case.inputs), free=free)


def test_outputs_agree_with_keras(both):
    ours, theirs, _ = both
    assert_same(ours.outputs, theirs.outputs)


def test_gradients_by_every_weight_and_input_agree_with_keras(both):
    ours, theirs, _ = both
    assert_same(ours.weight_gradients, theirs.weight_gradients)
    assert_same(ours.input_gradients, theirs.input_gradients)


def test_a_model_built_for_unknown_lengths_gives_what_keras_gives(both):
    _, theirs, free = both
    if not free:
        pytest.skip("the row has no axis of unknown length")
    assert_same(free, theirs.outputs)


@pytest.mark.parametrize("length", [3, 7])
@pytest.mark.parametrize("name", ["LSTM return_sequences", "Conv1D strides same", "MaxPooling1D same", "TimeDistributed Dense"])
def test_a_model_built_for_unknown_lengths_takes_any_length_as_keras_does(name, length):
    case = next(case for case in CASES if case.name == name)
    ours, theirs = twins(lambda k: case.model(k, lengths_known=False))
    x = np.concatenate([SERIES, PADDED], axis=1)[:, :length]
    with quiet():
        expected = theirs.predict(x, verbose=0)
    assert_same([ours.predict(x, verbose=0)], [expected])


BATCH_NORMALIZATIONS = [case for case in CASES if case.name.startswith("BatchNormalization")]


@pytest.mark.parametrize("case", BATCH_NORMALIZATIONS, ids=str)
def test_batch_statistics_moving_statistics_and_gradients_in_training_agree_with_keras(case):
    ours, theirs, _ = run_both(*twins(case.model), list(case.inputs), training=True)
    for mine, their in zip(ours, theirs, strict=True):
        assert_same(mine, their)


# -- masks ------------------------------------------------------------------------------------------------------------


def sequence(*layers):
    """Make a builder of a chain from layers given as functions of ``k.layers``, behind a Masking of (TIME, FEATURES)."""

    def build(k):
        x = k.Input((TIME, FEATURES))
        y = k.layers.Masking()(x)
        for layer in layers:
            y = layer(k.layers)(y)
        return k.Model(x, y)

    return build


def joined(join, mask_second=True):
    """Make a builder of two branches, of which one may be masked, joined and read by an LSTM."""

    def build(k):
        a, b = k.Input((TIME, FEATURES)), k.Input((TIME, FEATURES))
        second = k.layers.Masking()(b) if mask_second else b
        return k.Model([a, b], last(k.layers)(join(k.layers)([k.layers.Masking()(a), second])))

    return build


def encoder_decoder(k):
    a, b = k.Input((TIME, FEATURES)), k.Input((TIME, FEATURES))
    _, h, c = k.layers.LSTM(UNITS, return_state=True)(k.layers.Masking()(a))
    masking = k.layers.Masking()
    # Keras forgets the mask of an LSTM that is given an initial state, unless it is given too.
    more = {} if k is jkeras else {"mask": masking.compute_mask(b)}
    decoder = k.layers.LSTM(UNITS, return_sequences=True)
    return k.Model([a, b], decoder(masking(b), initial_state=[h, c], **more))


def explicit(k):
    x, valid = k.Input((TIME, FEATURES)), k.Input((TIME,), dtype="bool")
    return k.Model([x, valid], k.layers.LSTM(UNITS)(x, mask=valid))


def sentences(k):
    x = k.Input((2, TIME), dtype="int32")
    y = k.layers.Embedding(7, FEATURES, mask_zero=True)(x)
    return k.Model(x, k.layers.TimeDistributed(k.layers.LSTM(UNITS))(y))


def documents(k):
    x = k.Input((2, TIME), dtype="int32")
    y = k.layers.TimeDistributed(k.layers.LSTM(UNITS))(k.layers.Embedding(7, FEATURES, mask_zero=True)(x))
    return k.Model(x, k.layers.LSTM(UNITS)(y))


last = lambda layers: layers.LSTM(UNITS)
steps = lambda layers: layers.LSTM(UNITS, return_sequences=True)
VALID = np.any(PADDED != 0, axis=-1)
ALL_MASKED = np.where(np.arange(len(PADDED))[:, None, None] == 1, 0, PADDED).astype("float32")  # the second example is
WORDS = np.stack([IDS, IDS[::-1]], axis=1)
WORDS[1, 1] = 0  # a sentence without words is masked as a whole

MASKED_MODELS = {
    "LSTM that returns sequences, then Dense": (sequence(steps, lambda y: y.Dense(4), last), PADDED),
    "LSTM that returns sequences, then TimeDistributed": (
        sequence(steps, lambda y: y.TimeDistributed(y.Dense(4)), last),
        PADDED,
    ),
    "Dropout and Activation keep a mask": (sequence(lambda y: y.Dropout(0.5), lambda y: y.Activation("tanh"), last), PADDED),
    "BatchNormalization keeps a mask": (sequence(lambda y: y.BatchNormalization(), last), PADDED),
    "Conv1D drops a mask": (sequence(lambda y: y.Conv1D(4, 3, padding="same"), last), PADDED),
    "MaxPooling1D drops a mask": (sequence(lambda y: y.MaxPooling1D(1), last), PADDED),
    "GlobalMaxPooling1D does not look at a mask": (sequence(lambda y: y.GlobalMaxPooling1D()), PADDED),
    "Flatten drops a mask": (sequence(lambda y: y.Flatten(), lambda y: y.Dense(2)), PADDED),
    "an LSTM that returns no sequences drops a mask": (sequence(last, lambda y: y.Dense(2)), PADDED),
    "an example that is masked throughout": (sequence(steps, last), ALL_MASKED),
    "Add of a masked and an unmasked branch": (joined(lambda y: y.Add(), mask_second=False), PADDED, CUT),
    "Concatenate of a masked and an unmasked branch": (joined(lambda y: y.Concatenate(), mask_second=False), PADDED, CUT),
    "Concatenate of them along time": (joined(lambda y: y.Concatenate(axis=1), mask_second=False), PADDED, CUT),
    "a masked encoder and decoder": (encoder_decoder, PADDED, CUT),
    "a mask given in the call": (explicit, SERIES, VALID),
    "TimeDistributed LSTM of masked words": (sentences, WORDS),
    "an LSTM over sentences of masked words": (documents, WORDS),
}


@pytest.mark.parametrize("name", MASKED_MODELS)
def test_masks_go_where_they_go_in_keras(name):
    build, *x = MASKED_MODELS[name]
    ours, theirs, _ = run_both(*twins(build), x)
    assert_same(ours.outputs, theirs.outputs)
    assert_same(ours.input_gradients, theirs.input_gradients)  # the gradient by the input is 0 exactly where nothing reads it


def test_a_masked_lstm_gives_what_it_gives_on_the_valid_steps_alone():
    model = sequence(last)(jkeras)
    cut = SERIES.copy()
    cut[:, 4:] = 0
    short = jkeras.Sequential([jkeras.Input((4, FEATURES)), jkeras.layers.LSTM(UNITS)])
    short.set_weights(model.get_weights())
    assert_same([model.predict(cut, verbose=0)], [short.predict(SERIES[:, :4], verbose=0)], 1e-6)


def test_moving_statistics_of_a_batch_without_a_valid_step_agree_with_keras():
    models = twins(sequence(lambda y: y.BatchNormalization()))
    ours, theirs, _ = run_both(*models, [np.zeros_like(SERIES)], training=True)
    assert_same(ours.outputs, theirs.outputs)
    assert_same(ours.state, theirs.state)


def stateful(k):
    x = k.Input((TIME, FEATURES), batch_size=len(SERIES))
    return k.Model(x, k.layers.LSTM(UNITS, stateful=True)(x))


def test_a_stateful_lstm_has_the_weights_that_keras_lists():
    with quiet():
        expected = stateful(keras).get_weights()
    assert [w.shape for w in stateful(jkeras).get_weights()] == [w.shape for w in expected]


def test_a_stateful_lstm_carries_its_state_from_batch_to_batch_as_in_keras():
    with quiet():
        theirs = stateful(keras)
        weights = random_weights(theirs)
        theirs.set_weights(weights)
        expected = [theirs(x) for x in (SERIES, PADDED)]  # not predict, which on JAX forgets the state
    ours = stateful(jkeras)
    params = {"lstm": {"cell": dict(zip(("kernel", "recurrent_kernel", "bias"), weights, strict=True))}}
    first, state = ours.apply(params, ours.state, SERIES)
    second, _ = ours.apply(params, state, PADDED)
    assert_same([first, second], expected)
    assert np.abs(second - ours.apply(params, ours.state, PADDED)[0]).max() > 0.01


# -- dropout ----------------------------------------------------------------------------------------------------------


def train(model, params, x, seed=0):
    """Return the outputs of a model without state in training, as NumPy arrays."""
    run = quick_jit(lambda params, x, seed: model.apply(params, {}, x, training=True, key=jax.random.key(seed))[0])
    return jax.tree.map(np.asarray, run(params, x, seed))


def dropped(rate, x, key, **kwargs):
    return train(jkeras.Sequential([jkeras.Input(x.shape[1:]), jkeras.layers.Dropout(rate, **kwargs)]), {}, x, key)


ONES = np.ones((50, 400), "float32")


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
def test_dropout_drops_the_fraction_it_is_told_and_scales_up_the_rest(rate):
    y = dropped(rate, 3 * ONES, 0)
    kept = y != 0
    deviation = np.sqrt(rate * (1 - rate) / y.size)
    assert abs(1 - kept.mean() - rate) < 5 * deviation
    np.testing.assert_allclose(y[kept], 3 / (1 - rate), rtol=1e-6)
    for axis in (0, 1):  # no row and no column is favoured
        assert np.abs(kept.mean(axis) - (1 - rate)).max() < 6 * np.sqrt(rate * (1 - rate) / y.shape[axis])


def test_dropout_of_rate_0_keeps_and_of_rate_1_drops_everything():
    np.testing.assert_array_equal(dropped(0.0, ONES, 0), ONES)
    np.testing.assert_array_equal(dropped(1.0, ONES, 0), 0 * ONES)


def test_dropout_with_a_noise_shape_drops_whole_slices():
    y = dropped(0.5, np.ones((8, 5, 16), "float32"), 0, noise_shape=(None, 1, None))
    assert set(np.unique(y)) == {0, 2}
    assert (y == y[:, :1]).all()
    assert not (y == y[:1]).all()


def test_dropout_is_the_same_for_the_same_key_and_another_for_another():
    np.testing.assert_array_equal(dropped(0.5, ONES, 1), dropped(0.5, ONES, 1))
    assert (dropped(0.5, ONES, 1) != dropped(0.5, ONES, 2)).mean() > 0.4
    assert (dropped(0.5, ONES, 1, seed=7) != dropped(0.5, ONES, 1)).mean() > 0.4


def test_each_call_of_a_dropout_layer_and_each_layer_draws_its_own_entries():
    x = jkeras.Input((400,))
    twice = jkeras.layers.Dropout(0.5)
    model = jkeras.Model(x, [twice(x), twice(x), jkeras.layers.Dropout(0.5)(x)])
    a, b, c = train(model, {}, ONES)
    for one, other in ((a, b), (a, c), (b, c)):
        assert abs((one != other).mean() - 0.5) < 0.02  # independent: they differ in half of the entries


def transparent_lstm(**kwargs):
    """An LSTM whose gates are 1, 0 and 1 for i, f and o, so that h is x + h before it, each as dropout left it."""
    units = 64
    x = jkeras.Input((5, units))
    kwargs = {"kernel_initializer": "zeros", "recurrent_initializer": "zeros", "return_sequences": True, **kwargs}
    model = jkeras.Model(x, jkeras.layers.LSTM(units, activation="linear", **kwargs)(x))
    zero, eye = np.zeros((units, units)), np.eye(units)
    kernel = np.concatenate([zero, zero, eye, zero], axis=1)
    bias = np.concatenate([np.full(units, b) for b in (50, -50, 0, 50)])
    model.set_weights([kernel, kernel, bias])
    return model


@pytest.mark.parametrize("recurrent_dropout", [0.0, 1e-9])
def test_lstm_dropout_drops_the_same_features_at_all_time_steps(recurrent_dropout):
    model = transparent_lstm(dropout=0.5, recurrent_dropout=recurrent_dropout)
    x = np.zeros((20, 5, 64), "float32")
    x[:, ::2] = 1  # every other step, so that h before it does not come in
    y = train(model, model.params, x)
    first = y[:, 0]
    assert set(np.unique(first)) == {0, 2}
    assert abs((first == 0).mean() - 0.5) < 5 * 0.5 / np.sqrt(first.size)
    np.testing.assert_allclose(np.diff(y[:, [0, 2, 4]], axis=1), np.stack([first, first], axis=1), atol=1e-5)


def test_lstm_recurrent_dropout_drops_the_same_units_at_all_time_steps():
    model = transparent_lstm(recurrent_dropout=0.5)
    x = np.zeros((20, 5, 64), "float32")
    x[:, 0] = 1
    y = train(model, model.params, x)
    np.testing.assert_allclose(y[:, 0], 1, atol=1e-6)
    kept = y[:, 1] > 1
    np.testing.assert_allclose(y[:, 1], 2 * kept, atol=1e-6)
    assert abs(kept.mean() - 0.5) < 5 * 0.5 / np.sqrt(kept.size)
    np.testing.assert_allclose(y[:, 2:], y[:, 1:2] ** np.array([2, 3, 4])[None, :, None], atol=1e-5)


def test_lstm_dropout_does_nothing_outside_training():
    model = transparent_lstm(dropout=0.5, recurrent_dropout=0.5)
    y = model.predict(np.ones((2, 5, 64), "float32"), verbose=0)
    np.testing.assert_allclose(y, np.broadcast_to(np.arange(1, 6)[None, :, None], y.shape), rtol=1e-6)

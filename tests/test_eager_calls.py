"""What eager calls do is what models do; what a user gave, set or holds stays his; what comes in is checked at the door."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from smallest import aligned

from jkeras import Input, Model, Sequential
from jkeras.core import Masked
from jkeras.layers import LSTM, BatchNormalization, Dense, Embedding
from jkeras.metrics import Metric

RNG = np.random.default_rng(4)
X = RNG.normal(size=(24, 4)).astype("float32")
Y = (X.sum(1, keepdims=True) > 0).astype("float32")


# -- what eager calls do is what models do ----------------------------------------------------------------------------


def test_a_stateful_lstm_called_on_arrays_carries_its_state_on_as_in_predict():
    lstm = LSTM(3, stateful=True)
    series = RNG.normal(size=(2, 6, 4)).astype("float32")
    parts = [np.asarray(lstm(series[:, :3])), np.asarray(lstm(series[:, 3:]))]
    whole = LSTM(3)
    whole(series)
    whole.set_weights(lstm.get_weights())
    np.testing.assert_allclose(parts[1], whole(series), rtol=1e-5, atol=1e-6)
    lstm.reset_state()
    np.testing.assert_array_equal(lstm(series[:, :3]), parts[0])
    x = Input((3, 4), batch_size=2)
    model = Model(x, lstm(x))
    model.reset_state()
    np.testing.assert_allclose([model(series[:, :3]), model(series[:, 3:])], parts, rtol=1e-5, atol=1e-6)
    model.reset_state()
    np.testing.assert_allclose([model.predict(s, verbose=0) for s in (series[:, :3], series[:, 3:])], parts, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("where", ["constructor", "attribute", "model", "model around it"])
def test_a_frozen_batch_normalisation_called_in_training_uses_and_keeps_its_moving_statistics(where):
    norm = BatchNormalization(trainable=where != "constructor")
    call = norm
    if where.startswith("model"):
        call = Model(x := Input((4,)), norm(x))
        if where == "model around it":
            call = Model(x := Input((4,)), call(x))
    if where != "constructor":
        (norm if where == "attribute" else call).trainable = False
    y = call(X, training=True)
    np.testing.assert_allclose(y, X / np.sqrt(1 + 1e-3), rtol=1e-5)
    np.testing.assert_array_equal(norm.get_weights()[2], np.zeros(4))
    call.trainable = True
    assert np.abs(np.asarray(call(X, training=True)).mean(0)).max() < 1e-5
    assert np.abs(norm.get_weights()[2]).max() > 0


def test_weights_set_while_predict_runs_stay():
    model = Sequential([Input((3,)), BatchNormalization()])
    wanted = [w + 7 for w in model.get_weights()]

    def rows():
        yield (np.ones((2, 3), "float32"),)
        model.set_weights(wanted)
        yield (np.ones((2, 3), "float32"),)

    model.predict(rows(), verbose=0)
    for got, want in zip(model.get_weights(), wanted, strict=True):
        np.testing.assert_array_equal(got, want)


def test_what_a_user_gave_may_be_changed_afterwards():
    model = Sequential([Input((8,)), Dense(8, use_bias=False)])
    kernel = aligned((8, 8), 1)
    model.params = {"dense": {"kernel": kernel}}
    kernel[:] = 99
    assert (model.get_weights()[0] == 1).all()
    kernel[:] = 2
    model.set_weights([kernel])
    kernel[:] = 99
    assert (model.get_weights()[0] == 2).all()
    buffer = aligned((4, 8), 0)

    def rows():
        for i in range(20):
            buffer[:] = i
            yield (buffer,)

    got = model.predict(rows(), verbose=0)
    np.testing.assert_array_equal(got[:, 0], np.repeat(np.arange(20) * 16, 4))


def test_a_vector_metric_is_shown_in_the_history():
    two = Metric("two", lambda: jnp.zeros(2), lambda total, y, p, w=None: total, lambda total: total)
    model = Sequential([Input((4,)), Dense(1)])
    model.compile("sgd", "mse", metrics=[two])
    assert "two: [0. 0.]" in repr(model.fit(X, Y, verbose=0))


@pytest.mark.parametrize("make", [np.asarray, jnp.asarray])
@pytest.mark.parametrize("value", [0.7, float("nan"), 1e12])
def test_a_fraction_for_an_integer_input_is_refused_whatever_array_it_comes_in(make, value):
    x = Input((1,), dtype="int32")
    with pytest.raises(ValueError, match="input 'input_layer' must hold"):
        Model(x, Embedding(10, 1)(x)).predict(make(np.array([[value]], "float32")), verbose=0)


@pytest.mark.parametrize("kind", ["int64", "uint64", "uint32", list])
def test_whole_numbers_beyond_int32_are_real_targets(kind):
    model = Sequential([Input((1,)), Dense(1, kernel_initializer="zeros")])
    model.compile("sgd", "mae", metrics=["mse"])
    whole = [1_000_000, 2_787_965_087, 5, 2**32 - 1]
    y, x = whole if kind is list else np.array(whole, kind), np.ones((4, 1))
    expected = np.mean(whole), np.mean(np.square(whole, dtype=float))
    np.testing.assert_allclose(model.evaluate(x, y, verbose=0), expected, rtol=1e-6)
    np.testing.assert_allclose(model.test_on_batch(x, y), expected, rtol=1e-6)
    assert model.fit(x, y, verbose=0).history["loss"] == pytest.approx(expected[:1])


def test_a_target_that_is_neither_0_nor_1_is_never_accurate():
    y, p = np.array([[-1.0], [0.0], [1.0], [2.0], [0.5]]), np.array([[0.0], [0.0], [1.0], [1.0], [0.0]])
    model = Sequential([Input((1,)), Dense(1, use_bias=False, kernel_initializer="ones")])
    model.compile("sgd", "mse", metrics=["accuracy", "binary_accuracy"])
    assert model.evaluate(p, y, verbose=0)[1:] == pytest.approx([0.4, 0.4])


def test_a_masked_value_given_to_apply_is_masked():
    lstm = LSTM(3)
    series = RNG.normal(size=(2, 5, 4)).astype("float32")
    params, state = lstm.init(jax.random.key(0), series)
    mask = np.array([[1, 1, 1, 0, 0]] * 2, bool)
    got, _ = lstm.apply(params, state, Masked(jnp.asarray(series), jnp.asarray(mask)))
    np.testing.assert_allclose(got, lstm.apply(params, state, series[:, :3])[0], rtol=1e-5, atol=1e-6)

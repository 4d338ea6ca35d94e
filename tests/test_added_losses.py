"""Losses on tensors inside a model, and penalties of layers of one's own, are minimised, named and logged."""

import copy
import pickle

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

import jkeras
from jkeras import Input, Model, Sequential, ops
from jkeras.layers import Dense, LayerNormalization

X = np.random.default_rng(0).normal(size=(50, 4)).astype("float32")


def vae(kl_weight=1.0):
    """A variational autoencoder as Keras's guides draw it: the KL term hangs on two tensors in the middle."""
    x = Input((4,))
    hidden = Dense(8, activation="tanh")(x)
    mean, log_variance = Dense(2, name="mean")(hidden), Dense(2, name="log_variance")(hidden)
    z = mean + ops.exp(0.5 * log_variance) * 0.3
    model = Model(x, Dense(4, name="decoded")(z))
    divergence = -0.5 * ops.sum(1 + log_variance - mean**2 - ops.exp(log_variance), axis=-1)
    model.add_loss(kl_weight * divergence, name="kl")
    return model


def by_hand(params, x):
    """The same loss in NumPy's words: (total, KL)."""
    dense = lambda name, v: v @ params[name]["kernel"] + params[name]["bias"]
    hidden = jnp.tanh(dense("dense", x))
    mean, log_variance = dense("mean", hidden), dense("log_variance", hidden)
    decoded = dense("decoded", mean + jnp.exp(0.5 * log_variance) * 0.3)
    kl = jnp.mean(-0.5 * jnp.sum(1 + log_variance - mean**2 - jnp.exp(log_variance), -1))
    return jnp.mean((decoded - x) ** 2) + kl, kl


def test_a_loss_on_tensors_in_the_middle_is_minimised_by_its_gradient_and_logged_by_its_name():
    model = vae()
    model.compile(jkeras.optimizers.SGD(0.1), "mse", metrics=["mae"])
    assert model.metrics_names == ["loss", "kl", "mae"]
    before = model.params
    (total, kl), gradient = jax.value_and_grad(by_hand, has_aux=True)(before, X)
    logs = model.evaluate(X, X, verbose=0, return_dict=True)
    np.testing.assert_allclose([logs["loss"], logs["kl"]], [total, kl], rtol=1e-5)
    logs = model.train_on_batch(X, X, return_dict=True)
    np.testing.assert_allclose([logs["loss"], logs["kl"]], [total, kl], rtol=1e-5)
    for name in before:
        moved = (before[name]["kernel"] - model.params[name]["kernel"]) / 0.1
        np.testing.assert_allclose(moved, gradient[name]["kernel"], rtol=1e-3, atol=1e-5)
    history = model.fit(X, X, epochs=3, batch_size=16, validation_data=(X, X), verbose=0).history
    assert {"loss", "kl", "val_kl"} <= set(history)
    assert history["loss"][-1] < history["loss"][0]


def test_an_epoch_of_uneven_batches_logs_the_mean_over_examples():
    model = vae()
    model.compile(jkeras.optimizers.SGD(0.0), "mse")
    history = model.fit(X, X, batch_size=16, verbose=0).history
    total, kl = by_hand(model.params, X)
    np.testing.assert_allclose([history["loss"][0], history["kl"][0]], [total, kl], rtol=1e-5)


def test_a_model_may_be_trained_on_what_was_added_alone_without_targets():
    x = Input((4,))
    decoded = Dense(4)(Dense(2, activation="tanh")(x))
    model = Model(x, decoded)
    model.add_loss(ops.mean((decoded - x) ** 2), name="reconstruction")
    model.compile("adam")
    first = model.evaluate(X, verbose=0)
    model.fit(X, epochs=20, batch_size=10, verbose=0)
    assert model.evaluate(X, verbose=0, return_dict=True)["reconstruction"] < first[1]
    np.testing.assert_allclose(first[0], first[1])


def test_what_was_added_stays_in_copies_pickles_plain_data_and_models_around():
    model = vae(0.5)
    model.compile("sgd", "mse")
    wanted = model.evaluate(X, X, verbose=0, return_dict=True)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert other.evaluate(X, X, verbose=0, return_dict=True) == wanted
    again = Model.from_config(model.get_config())
    again.set_weights(model.get_weights())
    again.compile("sgd", "mse")
    assert again.evaluate(X, X, verbose=0, return_dict=True) == wanted
    x = Input((4,))
    around = Model(x, model(x))
    around.compile("sgd", "mse")
    logs = around.evaluate(X, X, verbose=0, return_dict=True)
    assert logs["functional_kl"] == wanted["kl"]
    assert logs["loss"] == pytest.approx(wanted["loss"])


def test_weights_and_predictions_are_what_they_were_before_a_loss_was_added():
    x = Input((4,))
    hidden = Dense(3)(x)
    model = Model(x, LayerNormalization()(hidden))
    outputs, weights = model.predict(X, verbose=0), model.get_weights()
    model.add_loss(ops.mean(hidden**2))
    np.testing.assert_allclose(model.predict(X, verbose=0), outputs, rtol=1e-5, atol=1e-6)
    for one, other in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(one, other)
    model.add_loss(ops.mean(hidden), name="second")
    model.compile("sgd", "mse")
    assert model.metrics_names == ["loss", "add_loss", "second"]


@jkeras.layer
def Sparse(weight=0.1):
    def init(key, x):
        return {}, {"penalty": jnp.zeros(())}

    def apply(params, state, x, ctx):
        return x, {"penalty": weight * jnp.mean(jnp.abs(x))}

    return init, apply


def test_the_penalty_of_a_layer_of_ones_own_is_logged_under_the_name_of_the_layer():
    model = Sequential([Input((4,)), Sparse(0.5, name="sparse"), Dense(1, activity_regularizer="l2")])
    model.compile("sgd", "mse")
    logs = model.evaluate(X, X[:, :1], verbose=0, return_dict=True)
    assert set(logs) == {"loss", "sparse_loss"}
    np.testing.assert_allclose(logs["sparse_loss"], 0.5 * np.abs(X).mean(), rtol=1e-5)


def test_a_layer_of_keras_that_adds_a_loss_of_its_own_gives_the_same_total():
    class Penalised(keras.layers.Layer):
        def call(self, x):
            self.add_loss(0.5 * keras.ops.mean(keras.ops.abs(x)))
            return x

    theirs = keras.Sequential([keras.Input((4,)), Penalised(), keras.layers.Dense(1)])
    ours = Sequential([Input((4,)), Sparse(0.5), Dense(1)])
    totals = []
    for model in (ours, theirs):
        model.compile("sgd", "mse")
        model.set_weights([np.ones((4, 1), "float32"), np.zeros(1, "float32")])
        totals.append(model.evaluate(X, X[:, :1], verbose=0, return_dict=True)["loss"])
    np.testing.assert_allclose(totals[0], totals[1], rtol=1e-5)


def test_what_cannot_be_added_is_refused_in_words():
    x = Input((4,))
    model = Model(x, Dense(1)(x))
    with pytest.raises(TypeError, match="symbolic tensor"):
        model.add_loss(3.0)
    with pytest.raises(ValueError, match="not among the model's inputs"):
        model.add_loss(Input((2,)))
    assert model.metrics_names if model.compiled else True
    with pytest.raises(TypeError, match="chain"):
        Sequential([Input((4,)), Dense(1)]).add_loss(x)
    model.add_loss(x, name="mae")
    with pytest.raises(ValueError, match="two numbers would be called 'mae'"):
        model.compile("sgd", "mse", metrics=["mae"])

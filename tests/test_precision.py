"""Policies of precision: which layers have them, what is computed in which dtype, and how losses are scaled in float16."""

import copy
import pickle

import jax
import jax.numpy as jnp
import keras
import numpy as np
import optax
import pytest

import jkeras
from jkeras import Input, Model, Sequential
from jkeras.layers import Activation, BatchNormalization, Dense, Embedding, GlobalAveragePooling1D

X = np.random.default_rng(0).normal(size=(32, 6)).astype("float32")
Y = np.eye(3, dtype="float32")[np.random.default_rng(1).integers(0, 3, 32)]


@pytest.fixture(autouse=True)
def _float32_afterwards():
    yield
    jkeras.config.set_dtype_policy("float32")
    keras.config.set_dtype_policy("float32")


def classifier(lib):
    layers = lib.layers
    hidden = [layers.Dense(8, activation="relu"), layers.BatchNormalization(), layers.Dense(3)]
    return lib.Sequential([lib.Input((6,)), *hidden, layers.Activation("softmax", dtype="float32")])


def test_layers_that_are_made_under_a_policy_have_it_and_others_do_not():
    before = Dense(2)
    jkeras.mixed_precision.set_global_policy("mixed_bfloat16")
    made, told = Dense(2), Dense(2, dtype="float32")
    assert jkeras.config.dtype_policy() == jkeras.mixed_precision.global_policy() == "mixed_bfloat16"
    assert [layer.compute_dtype for layer in (before, made, told)] == ["float32", "bfloat16", "float32"]
    assert made.dtype_policy.name == "mixed_bfloat16"
    assert made.variable_dtype == "float32"
    jkeras.config.set_dtype_policy("float32")
    assert made.compute_dtype == "bfloat16"
    again = Dense.from_config(made.get_config())
    assert again.compute_dtype == "bfloat16"
    x = Input((2,))
    assert made(x).dtype == "bfloat16"
    assert (x * 2).dtype == "float32"


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_outputs_and_one_step_are_those_of_keras_under_the_same_policy(policy):
    found = []
    start = None
    for lib in (jkeras, keras):
        lib.config.set_dtype_policy(policy)
        model = classifier(lib)
        model.compile(lib.optimizers.SGD(0.5), "categorical_crossentropy")
        start = [np.array(w) for w in model.get_weights()] if start is None else start
        model.set_weights(start)
        outputs = np.asarray(model.predict(X, verbose=0))
        loss = model.train_on_batch(X, Y)
        found.append((outputs, float(loss), [np.asarray(getattr(w, "value", w)) for w in model.weights]))
    (ours, loss, weights), (theirs, wanted, expected) = found
    assert ours.dtype == theirs.dtype == np.float32
    digits = 2e-2 if policy == "mixed_bfloat16" else 4e-3  # some units in the last place of half precision
    np.testing.assert_allclose(ours, theirs, rtol=digits, atol=digits)
    np.testing.assert_allclose(loss, wanted, rtol=digits)
    for one, other in zip(weights, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=digits, atol=digits)


def test_a_model_under_a_policy_is_the_same_model_written_by_hand_with_the_casts():
    jkeras.config.set_dtype_policy("mixed_bfloat16")
    model = Sequential([Input((6,)), Dense(8, activation="tanh"), Dense(3)])
    params, state = model.init(jax.random.key(0))
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype("float32")}

    def by_hand(params, x):
        low = jax.tree.map(lambda a: a.astype("bfloat16"), params)
        hidden = jnp.tanh(x.astype("bfloat16") @ low["dense"]["kernel"] + low["dense"]["bias"])
        return hidden @ low["dense_1"]["kernel"] + low["dense_1"]["bias"]

    def cost(outputs):
        return jnp.mean(optax.softmax_cross_entropy(outputs.astype("float32"), Y))

    ours = jax.value_and_grad(lambda p: cost(model.apply(p, state, X)[0]))(params)
    hand = jax.value_and_grad(lambda p: cost(by_hand(p, X)))(params)
    jax.tree.map(np.testing.assert_array_equal, ours, hand)
    assert {leaf.dtype for leaf in jax.tree.leaves(ours[1])} == {jnp.dtype("float32")}


def test_losses_metrics_and_statistics_are_computed_in_float32():
    jkeras.config.set_dtype_policy("mixed_bfloat16")
    tokens = Input((5,), dtype="int32")
    outputs = Dense(1, activation="sigmoid")(BatchNormalization()(GlobalAveragePooling1D()(Embedding(300, 4)(tokens))))
    model = Model(tokens, outputs)
    model.compile("adam", "bce", metrics=["mae", jkeras.metrics.AUC()])
    ids, y = np.random.default_rng(0).integers(0, 300, (64, 5)), np.random.default_rng(1).integers(0, 2, 64)
    model.fit(ids, y, verbose=0)
    state = model.train_state()
    leaves = jax.tree.leaves((state.params, state.state, state.opt_state))
    floats = [leaf for leaf in leaves if jnp.issubdtype(leaf.dtype, jnp.floating)]
    assert {leaf.dtype for leaf in floats} == {jnp.dtype("float32")}
    p = np.asarray(model.predict(ids, verbose=0), "float32")
    assert p.dtype == np.float32
    np.testing.assert_allclose(model.evaluate(ids, y, verbose=0)[1], np.abs(p[:, 0] - y).mean(), rtol=5e-3)


def test_compile_scales_losses_where_a_layer_computes_in_float16_and_only_there():
    optimizers = jkeras.optimizers
    plain = classifier(jkeras)
    plain.compile("sgd", "mse")
    assert plain.optimizer.kind == "SGD"
    jkeras.config.set_dtype_policy("mixed_float16")
    model = classifier(jkeras)
    model.compile("sgd", "mse")
    assert isinstance(model.optimizer, optimizers.LossScaleOptimizer)
    model.optimizer.learning_rate = 0.25
    assert model.optimizer.learning_rate == 0.25
    for optimizer, told in ((optimizers.SGD(loss_scale_factor=8.0), {}), ("sgd", {"auto_scale_loss": False})):
        model.compile(optimizer, "mse", **told)
        assert model.optimizer.kind == "SGD"
    own = optimizers.LossScaleOptimizer("adam", initial_scale=4.0)
    model.compile(own, "mse")
    assert model.optimizer is own


def test_gradients_too_small_for_float16_still_train():
    weights = {}
    for scaled in (True, False):
        jkeras.config.set_dtype_policy("mixed_float16")
        model = Sequential([Input((6,)), Dense(4), Dense(1)])
        jkeras.config.set_dtype_policy("float32")
        model.compile(jkeras.optimizers.SGD(1e6), lambda y, p: 1e-8 * jnp.mean(p - y), auto_scale_loss=scaled, seed=0)
        before = model.get_weights()
        model.train_on_batch(X, Y[:, :1])
        weights[scaled] = np.abs(model.get_weights()[0] - before[0]).max()
    assert weights[True] > 1e-4
    assert weights[False] < weights[True] / 2


def test_float64_is_float64_throughout():
    with jax.enable_x64(True):
        model = Sequential(
            [Input((6,), dtype="float64"), Dense(4, activation="tanh", dtype="float64"), Dense(1, dtype="float64")]
        )
        params, state = model.init(jax.random.key(0))
        assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype("float64")}
        x = X.astype("float64")
        y, _ = model.apply(params, state, x)
        first, second = params["dense"], params["dense_1"]
        wanted = np.tanh(x @ np.asarray(first["kernel"]) + first["bias"]) @ np.asarray(second["kernel"]) + second["bias"]
        assert y.dtype == jnp.float64
        np.testing.assert_allclose(y, wanted, rtol=1e-13, atol=1e-14)


def test_policies_are_objects_that_are_their_names():
    policy = jkeras.dtype_policies.DTypePolicy("mixed_float16")
    theirs = keras.dtype_policies.DTypePolicy("mixed_float16")
    for attribute in ("name", "compute_dtype", "variable_dtype"):
        assert getattr(policy, attribute) == getattr(theirs, attribute)
    assert policy.get_config() == theirs.get_config()
    assert copy.deepcopy(policy) == pickle.loads(pickle.dumps(policy)) == "mixed_float16"
    assert jkeras.dtype_policies.get(jkeras.dtype_policies.serialize(policy)) == policy
    assert Dense(2, dtype=policy).compute_dtype == "float16"
    assert Activation("relu", dtype=jnp.bfloat16).compute_dtype == "bfloat16"
    for wrong in ("mixed_bfloat", "mixed_half", "float33"):
        with pytest.raises(ValueError, match="mixed_bfloat16"):
            jkeras.config.set_dtype_policy(wrong)

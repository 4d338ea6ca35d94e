"""One layer at several paths is one layer: held, counted, updated, frozen, regularised and penalised as one, at any depth."""

import jax
import numpy as np
import pytest

import jkeras
from jkeras import Input, Model, Sequential
from jkeras.core import composite, layer
from jkeras.layers import LSTM, Add, BatchNormalization, Concatenate, Dense, Embedding, GlobalMaxPooling1D, TimeDistributed

X = np.ones((8, 4), "float32")
DATA = np.random.default_rng(3).normal(size=(8, 3)).astype("float32")


# -- one leaf at several paths ----------------------------------------------------------------------------------------


def shared_everywhere(**arguments):
    """A Dense and a BatchNormalization used directly, in a nested model, in one inside that, and in a wrapper."""
    dense = Dense(3, kernel_initializer="ones", use_bias=False, **arguments)
    norm = BatchNormalization(momentum=0.5)
    i = Input((3,))
    inner = Model(i, norm(dense(i)), name="inner")
    j = Input((3,))
    middle = Model(j, inner(j), name="middle")
    x = Input((3,))
    each = [inner(x), middle(x), dense(norm(x)), TimeDistributed(dense, name="wrap")(jkeras.ops.reshape(x, (-1, 1, 3)))[:, 0]]
    return dense, norm, Model(x, Add()(each))


def test_a_leaf_at_several_paths_is_held_counted_and_updated_as_one():
    dense, norm, model = shared_everywhere()
    assert model.count_params() == 9 + 12
    assert len(jax.tree.leaves(model.params)) == 3
    model.compile("sgd", "mse")
    data = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
    model.fit(data, np.zeros((8, 3)), verbose=0)
    assert model.count_params() == 21
    (held,) = [leaf for leaf in jax.tree.leaves(model.params) if leaf.ndim == 2]
    np.testing.assert_array_equal(dense.get_weights()[0], held)
    direct = model.predict(data, verbose=0)
    gamma, beta, mean, variance = norm.get_weights()
    kernel = dense.get_weights()[0]

    def normed(v):
        return (v - mean) / np.sqrt(variance + 1e-3) * gamma + beta

    expected = 2 * normed(data @ kernel) + normed(data) @ kernel + data @ kernel
    np.testing.assert_allclose(direct, expected, rtol=1e-4, atol=1e-5)


def test_a_frozen_leaf_is_frozen_at_all_its_paths_whichever_way_it_was_frozen():
    data = np.random.default_rng(0).normal(3, 2, size=(8, 3)).astype("float32")
    for freeze in (lambda d, n, m: [setattr(d, "trainable", False), setattr(n, "trainable", False)],
                   lambda d, n, m: setattr(m.get_layer("middle"), "trainable", False)):  # fmt: skip
        dense, norm, model = shared_everywhere()
        freeze(dense, norm, model)
        before = [*dense.get_weights(), *norm.get_weights()]
        model.compile("sgd", "mse")
        with pytest.warns(UserWarning, match="No layer of model"):
            model.fit(data, np.zeros((8, 3)), verbose=0)
        for a, b in zip(before, [*dense.get_weights(), *norm.get_weights()], strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_leaf_at_several_paths_is_regularised_once_and_constrained_as_one():
    _, _, model = shared_everywhere(kernel_regularizer="l2", kernel_constraint="non_neg")
    _, _, plain = shared_everywhere()
    data = np.zeros((8, 3), "float32")
    for m in (model, plain):
        m.compile("sgd", "mse")
    got, without = (m.evaluate(data, data, verbose=0) for m in (model, plain))
    np.testing.assert_allclose(got - without, 0.01 * 9, rtol=1e-5)


def test_activity_penalties_of_all_calls_and_paths_add_up():
    dense = Dense(1, use_bias=False, kernel_initializer="ones", activity_regularizer=lambda y: y.sum())
    i = Input((1,))
    inner = Model(i, dense(i))
    x, z = Input((1,)), Input((1,))
    model = Model([x, z], [dense(x), inner(z), inner(x), TimeDistributed(dense)(z[:, None])])
    model.compile("sgd", ["mse"] * 4)
    one = np.ones((2, 1), "float32")
    targets = [one, 5 * one, one, np.full((2, 1, 1), 5.0)]  # what comes out, so that the penalty alone is left
    loss = model.evaluate([one, 5 * one], targets, verbose=0, return_dict=True)["loss"]
    assert loss == pytest.approx(1 + 5 + 1 + 5)
    again = model.evaluate([one, 5 * one], targets, verbose=0, return_dict=True)["loss"]
    assert again == pytest.approx(loss)  # a pass starts anew
    history = model.fit([one, 5 * one], targets, batch_size=2, epochs=1, verbose=0).history
    assert history["loss"][0] == pytest.approx(loss)


def test_freezing_a_model_freezes_what_is_inside_whatever_that_is_told_afterwards():
    model = Sequential([Input((3,)), Dense(3), BatchNormalization(), Dense(2)])
    x = Input((3,))
    outer = Model(x, Dense(1)(model(x)))
    model.trainable = False
    for made in model.layers:
        made.trainable = True
    assert not model.trainable
    outer.compile("sgd", "mse")
    before = model.get_weights()
    outer.fit(np.ones((8, 3)), np.ones((8, 1)), verbose=0)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_sequential_may_be_frozen_before_it_has_layers_and_stays_frozen_when_it_grows():
    late = Sequential([Input((3,)), Dense(3)])
    late.trainable = False
    late.add(Dense(2))
    empty = Sequential(trainable=False)
    empty.add(Input((3,)))
    empty.add(Dense(2))
    for model in (late, empty):
        assert not model.trainable
        model.compile("sgd", "mse")
        before = model.get_weights()
        with pytest.warns(UserWarning, match="No layer of model"):
            model.fit(np.ones((8, 3)), np.ones((8, 2)), verbose=0)
        for a, b in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_refused_first_layer_leaves_a_sequential_as_it_was():
    model = Sequential()
    with pytest.raises(ValueError, match="expected 3 axes"):
        model.add(jkeras.layers.LSTM(3, input_shape=(4,)))
    with pytest.raises(ValueError, match="has no layers"):
        model.predict(X)
    model.add(jkeras.layers.LSTM(3, input_shape=(5, 4)))
    assert model.output_shape == (None, 3)
    with pytest.raises(ValueError, match="both named 'd'"):
        [model.add(Dense(2, name="d")) for _ in range(2)]
    assert model.output_shape == (None, 2)


# -- deeper -----------------------------------------------------------------------------------------------------------


def test_a_nested_model_shared_beside_one_of_its_own_layers_works():
    embed = Embedding(9, 4)
    i = Input((5,), dtype="int32")
    encode = Model(i, LSTM(3)(embed(i)))
    j = Input((5,), dtype="int32")
    classify = Model(j, Concatenate()([encode(j), GlobalMaxPooling1D()(embed(j))]))
    x = Input((5,), dtype="int32")
    both = Model(x, [classify(x), encode(x)])
    ids = np.arange(10).reshape(2, 5) % 9
    for got, part in zip(both.predict(ids, verbose=0), (classify, encode), strict=True):
        np.testing.assert_allclose(got, part.predict(ids, verbose=0), rtol=1e-6)


def chain_of_three(inner_layer):
    """A layer used directly, in a model, and in a model around that one."""
    i = Input(inner_layer[1])
    encode = Model(i, inner_layer[0](i))
    around = Model(j := Input(inner_layer[1]), encode(j))
    return encode, around


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (1, 0, 2)])
def test_penalties_of_calls_at_three_depths_add_up_in_any_order(order):
    dense = Dense(1, use_bias=False, kernel_initializer="ones", activity_regularizer=lambda y: y.sum())
    uses = [dense, *chain_of_three((dense, (1,)))]
    x = Input((1,))
    model = Model(x, [uses[i](x) for i in order])
    model.compile("sgd", ["mse"] * 3)
    one = np.ones((2, 1))
    assert model.evaluate(one, [one] * 3, verbose=0, return_dict=True)["loss"] == pytest.approx(3)


def test_moving_statistics_of_calls_at_three_depths_move_one_after_another():
    norm = BatchNormalization(momentum=0.5, center=False, scale=False)
    encode, around = chain_of_three((norm, (3,)))
    x = Input((3,))
    model = Model(x, norm(encode(around(x))))
    model(DATA, training=True)
    h, mean, variance = DATA, np.zeros(3), np.ones(3)
    for _ in range(3):
        mean, variance = 0.5 * mean + 0.5 * h.mean(0), 0.5 * variance + 0.5 * h.var(0)
        h = (h - h.mean(0)) / np.sqrt(h.var(0) + 1e-3)
    np.testing.assert_allclose(norm.get_weights(), [mean, variance], rtol=1e-4, atol=1e-6)


def test_composites_that_share_layers_at_several_depths_work_eagerly_and_in_models():
    dense = Dense(4, kernel_initializer="ones", use_bias=False)
    inner = layer(lambda: composite(lambda call, x: call("d", x), d=dense))()
    middle = layer(lambda: composite(lambda call, x: call("i", call("d", x)), d=dense, i=inner))()
    outer = layer(lambda: composite(lambda call, x: call("m", x) + call("i", x), m=middle, i=inner))()
    np.testing.assert_allclose(outer(X), np.full((8, 4), 16.0 + 4.0))
    x = Input((4,))
    assert Model(x, outer(x)).count_params() == 16


def test_trainable_of_an_inner_model_is_one_whoever_sets_it():
    inner = Sequential([Input((3,)), Dense(3)])
    outer = Model(x := Input((3,)), inner(x))
    outer.trainable = False
    assert not inner.trainable
    inner.add(Dense(2))
    assert not inner.trainable
    inner.trainable = False
    around = Sequential([inner, Dense(1)])
    around.trainable = True
    assert inner.trainable


def test_an_uncompiled_model_predicts_with_frozen_statistics_as_a_compiled_one():
    norm = BatchNormalization(trainable=False)
    x = Input((3,))
    model = Model(x, norm(x, training=True))
    want = DATA * 9 / np.sqrt(1 + 1e-3)
    np.testing.assert_allclose(model.predict(DATA * 9, verbose=0), want, rtol=1e-5)
    np.testing.assert_array_equal(norm.get_weights()[2], np.zeros(3))
    norm.trainable = True
    assert np.abs(model.predict(DATA * 9, verbose=0) - want).max() > 0.1

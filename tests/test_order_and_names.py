"""Order is the order written, everywhere; and a layer has one name, in every model that contains it."""

import collections

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

import jkeras
from jkeras import Input, Model, Sequential, functional
from jkeras.core import layer
from jkeras.core.nest import flatten, map_nest
from jkeras.layers import Add, BatchNormalization, Dense, TimeDistributed

KEY = jax.random.key(0)
X = np.ones((8, 4), "float32")


def zeros():
    return Dense(1, kernel_initializer="zeros")


@layer
def Parts():
    """Return a dictionary whose keys are not in alphabetical order."""
    return (lambda key, x: ({}, {})), (lambda params, state, x, ctx: ({"z": x + 1, "a": {"q": x + 2, "b": x + 3}}, state))


def nested_model():
    x = Input((4,))
    return Model(x, {"b": zeros()(x), "a": zeros()(x)})


def outer_model():
    z = Input((4,))
    return Model(z, nested_model()(z))


def twice_nested():
    z = Input((4,))
    return Model(z, outer_model()(z))


@pytest.mark.parametrize("make", [nested_model, outer_model, twice_nested])
def test_lists_of_targets_losses_and_weights_go_by_the_order_in_which_outputs_were_written(make):
    model = make()
    assert model.output_names == ["b", "a"]
    model.compile("sgd", ["mse", "mae"], loss_weights=[1.0, 10.0], metrics=[["mae"], ["mse"]])
    logs = model.evaluate(X, [np.full((8, 1), 9.0), np.full((8, 1), 2.0)], verbose=0, return_dict=True)
    assert logs["b_loss"] == 81
    assert logs["a_loss"] == 2
    assert logs["loss"] == 81 + 10 * 2
    assert logs["b_mae"] == 9
    assert logs["a_mse"] == 4
    assert list(model.predict(X, verbose=0)) == ["b", "a"]
    assert list(model(X)) == ["b", "a"]
    assert list(model.apply(model.params, model.state, X)[0]) == ["b", "a"]
    assert list(model.layer.apply(model.params, model.state, X)[0]) == ["b", "a"]


def test_sample_weights_in_a_list_go_by_that_order_too():
    model = outer_model()
    model.compile("sgd", ["mse", "mse"])
    targets = [np.full((8, 1), 3.0), np.full((8, 1), 1.0)]
    logs = model.evaluate(X, targets, sample_weight=[np.full(8, 2.0), np.zeros(8)], verbose=0, return_dict=True)
    assert logs["b_loss"] == 18
    assert logs["a_loss"] == 0


def test_a_layer_that_returns_a_dictionary_keeps_its_order_names_and_values_together():
    x = Input((4,))
    y = Parts()(x)
    assert list(y) == ["z", "a"]
    assert list(y["a"]) == ["q", "b"]
    model = Model(x, y)
    assert model.output_names == ["z", "a_q", "a_b"]
    out = model.predict(X, verbose=0)
    assert [leaf[0, 0] for leaf in flatten(out)] == [2, 3, 4]
    assert list(out) == ["z", "a"]
    eager = Parts()(X)
    assert list(eager) == ["z", "a"]
    inner = functional(x, y)
    assert [leaf[0, 0] for leaf in flatten(inner.apply({}, {}, X)[0])] == [2, 3, 4]


def test_a_step_after_a_layer_that_returns_a_dictionary_takes_the_value_that_was_written():
    x = Input((4,))
    y = Parts()(x)
    model = Model(x, [y["a"]["b"] * 10, y["z"] * 10, y["a"]["q"] * 10])
    assert [out[0, 0] for out in model.predict(X, verbose=0)] == [40, 20, 30]


def test_named_tuples_and_ordered_dicts_keep_their_kind_and_order():
    pair = collections.namedtuple("pair", ["second", "first"])

    @layer
    def Named():
        return (lambda key, x: ({}, {})), (lambda params, state, x, ctx: (pair(x + 1, x + 2), state))

    x = Input((4,))
    y = Named()(x)
    assert type(y) is pair
    assert [out[0, 0] for out in Model(x, list(y)).predict(X, verbose=0)] == [2, 3]
    nest = collections.OrderedDict([("z", 1), ("a", [2, pair(3, 4)])])
    assert flatten(nest) == [1, 2, 3, 4]
    assert map_nest(lambda n: 2 * n, nest) == collections.OrderedDict([("z", 2), ("a", [4, pair(6, 8)])])


def test_inputs_of_a_dictionary_are_told_apart_by_name_in_a_nested_model():
    b, a = Input((4,)), Input((2,))
    inner = Model({"b": b, "a": a}, Add()([Dense(1, kernel_initializer="ones")(b), 100 * Dense(1, kernel_initializer="ones")(a)]))
    v, w = Input((2,)), Input((4,))
    outer = Model({"y": v, "x": w}, inner({"a": v, "b": w}))
    assert outer.predict({"x": X, "y": np.ones((8, 2))}, verbose=0)[0, 0] == 204
    assert outer.input_names == ["y", "x"]
    assert outer.predict([np.ones((8, 2)), X], verbose=0)[0, 0] == 204


# -- names ------------------------------------------------------------------------------------------------------------


def agree(model):
    """Check that names, params, get_layer and paths of a model agree."""
    for made in model.layers:
        assert model.get_layer(made.name) is made
    with_weights = {made.name for made in model.layers if made.get_weights()}
    assert set(model.params) | set(model.state) == with_weights
    return [made.name for made in model.layers]


def test_a_cut_model_keeps_the_names_that_layers_have_in_the_whole():
    x = Input((3,))
    h = Dense(4)(x)
    y = Dense(6)(BatchNormalization()(Dense(5)(h)))
    whole, tail = Model(x, y), Model(h, y)
    assert [n for n in agree(whole) if "input" not in n] == ["dense", "dense_2", "batch_normalization", "dense_1"]
    assert [n for n in agree(tail) if "input" not in n] == ["dense_2", "batch_normalization", "dense_1"]
    for name in ("dense_1", "dense_2"):
        np.testing.assert_array_equal(whole.params[name]["kernel"], tail.params[name]["kernel"])


def test_an_outer_model_keeps_the_names_of_layers_that_it_takes_out_of_another():
    x = Input((3,))
    inner = Sequential([Input((3,)), Dense(4), Dense(5), Dense(6)])
    inner.get_weights()
    second, third = inner.layers[1:]
    y = Input((4,))
    outer = Model(y, Dense(2)(third(second(y))))
    assert [n for n in agree(outer) if "input" not in n] == ["dense_1", "dense_2", "dense"]
    features = Model(inner.input, inner.get_layer("dense_1").output)
    assert [n for n in agree(features) if "input" not in n] == ["dense", "dense_1"]
    assert x is not y


def test_a_name_that_two_layers_have_is_given_to_one_and_the_other_gets_a_number():
    first, second = (Sequential([Input((3,)), Dense(3)]) for _ in range(2))
    x = Input((3,))
    both = Model(x, second.layers[0](first.layers[0](x)))
    names = [n for n in both.program.layers if "input" not in n]
    assert names == ["dense", "dense_1"]
    assert both.get_layer("dense") is first.layers[0]
    assert both.get_layer("dense_1") is second.layers[0]


def test_names_and_weights_lie_as_in_keras_in_a_cut_model():
    def build(k):
        x = k.Input((3,))
        h = k.layers.Dense(4, name="h")(x)
        y = k.layers.Dense(6)(k.layers.Dense(5, name="m")(h))
        return k.Model(h, [y, k.layers.Dense(2, name="aux")(h)])

    ours, theirs = build(jkeras), build(keras)
    assert [w.shape for w in ours.get_weights()] == [tuple(w.shape) for w in theirs.weights]


def test_a_layers_key_in_a_model_is_its_name_so_weights_drawn_from_one_key_are_equal():
    x = Input((3,))
    h = Dense(4)(x)
    whole = functional(x, Dense(6)(h))
    tail = functional(h, whole.definition.children["dense_1"](h))
    np.testing.assert_array_equal(whole.init(KEY, x.spec)[0]["dense_1"]["kernel"], tail.init(KEY, h.spec)[0]["dense_1"]["kernel"])


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


# -- sizes that meet --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "join",
    [
        lambda k, a, b: k.layers.Add()([a, b]),
        lambda k, a, b: k.layers.Concatenate()([a, b]),
        lambda k, a, b: a * b,
        lambda k, a, b: b - a,
        lambda k, a, b: k.ops.maximum(a, b),
        lambda k, a, b: k.ops.where(a > b, a, b),
    ],
)
def test_an_unknown_size_meets_a_fixed_one_as_in_keras(join):
    rng = np.random.default_rng(0)
    given = [rng.normal(size=(2, 6, 4)).astype("float32") for _ in range(2)]
    ours, theirs = (k.Model(xs := [k.Input((None, 4)), k.Input((6, 4))], join(k, *xs)) for k in (jkeras, keras))
    assert ours.output_shape in (theirs.output_shape, (None, 6, *theirs.output_shape[2:]))
    np.testing.assert_allclose(ours.predict(given, verbose=0), theirs.predict(given, verbose=0), rtol=1e-6)


def test_sizes_that_cannot_meet_are_refused_where_they_meet():
    with pytest.raises(jkeras.core.ShapeError, match=r"\(None, None, 4\).*\(None, 6, 3\)"):
        Input((None, 4)) + Input((6, 3))


@pytest.mark.parametrize(
    ("write", "shapes"),
    [
        (lambda a, b: a + b, [(), (1,)]),
        (lambda a, b: a * b, [(1,), ()]),
        (lambda a, b: jkeras.ops.maximum(a, b), [(3, 1), (3,)]),
    ],
)
def test_examples_that_broadcast_against_each_other_are_not_filled_up(write, shapes):
    a, b = (Input(shape) for shape in shapes)
    given = [np.arange(1.0, 1 + np.prod((3, *shape))).reshape(3, *shape).astype("float32") for shape in shapes]
    got = Model([a, b], write(a, b)).predict(given, verbose=0)
    np.testing.assert_allclose(got, write(*map(jnp.asarray, given)))

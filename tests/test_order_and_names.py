"""Order is the order written, everywhere; and a layer has one name, in every model that contains it."""

import collections

import jax
import keras
import numpy as np
import pytest

import jkeras
from jkeras import Input, Model, Sequential, functional
from jkeras.core import layer
from jkeras.core.nest import flatten, map_nest
from jkeras.layers import Add, BatchNormalization, Dense

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


def test_predict_keeps_tuples_as_the_model_has_them():
    x = Input((4,))
    model = Model(x, (zeros()(x), zeros()(x)))
    assert type(model.predict(X, verbose=0)) is type(model(X)) is tuple


def test_an_op_whose_arguments_stand_in_another_order_in_jax_is_not_refused():
    x = Input((3,))
    y = jkeras.ops.logsumexp(x, 1, True)
    assert y.shape == (None, 1)
    rows = np.array([[0.0, 0.0, 0.0], [1.0, 2.0, 3.0]], "float32")
    expected = np.log(np.exp(rows).sum(1, keepdims=True))
    np.testing.assert_allclose(Model(x, y).predict(rows, verbose=0), expected, rtol=1e-6)
    np.testing.assert_array_equal(jkeras.ops.nan_to_num(np.array([np.nan, 1.0]), 0.5), [0.5, 1.0])
    assert [part.tolist() for part in jkeras.ops.unique(np.array([3, 1, 3]), True, True)] == [[1, 3], [1, 0]]
    assert jkeras.ops.take_along_axis(np.arange(6).reshape(2, 3), np.array([4, 1])).tolist() == [4, 1]

"""Models and layers as plain data: what get_config says, and what from_config makes of it."""

import collections
import json

import jax
import keras
import numpy as np
import pytest
from layer_table import CASES, ONE_OF_A_KIND
from wirings import DATA, FLAT, WIRINGS, X, assert_same, cut, inside, program, shared, twin, with_functions

import jkeras
from jkeras import Input, Model, Sequential
from jkeras.layers import Dense, Embedding, Masking, TimeDistributed
from jkeras.saving import from_json, to_json


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_layer_of_the_table_is_made_again_inside_a_model(case):
    model = case.model(jkeras, lengths_known=False)
    other = twin(model)
    assert program(other, case.data()) == program(model, case.data())
    if any(case is row for row in ONE_OF_A_KIND):  # once for each layer, since it compiles twice
        assert_same(other.predict(case.data(), verbose=0), model.predict(case.data(), verbose=0))


# -- wirings ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", WIRINGS)
def test_a_model_is_wired_again_as_it_was(make):
    model, x = make(), DATA.get(make.__name__, FLAT)
    other = twin(model, starts_inside=make is cut)
    y, again = model.predict(x, verbose=0), other.predict(x, verbose=0)
    assert type(y) is type(again)
    flat = jkeras.tree.flatten
    assert_same(flat(y), flat(again))
    assert (other.name, other.input_names, other.output_names) == (model.name, model.input_names, model.output_names)
    assert {layer.name: type(layer) for layer in other.layers} == {layer.name: type(layer) for layer in model.layers}
    assert other.frozen == model.frozen
    other.set_weights([w + 1 for w in other.get_weights()])  # which are its own
    assert_same(flat(model.predict(x, verbose=0)), flat(y))
    assert to_json(from_json(to_json(other))) == to_json(other)


def test_a_layer_that_two_models_inside_share_is_one_layer_again():
    trunk, x = Dense(3, name="trunk"), Input((4,))
    one, two = Sequential([trunk, Dense(2)], name="one"), Sequential([trunk, Dense(1)], name="two")
    other = twin(Model(x, [one(x), two(x), trunk(x)]))
    assert other.get_layer("one").layers[0] is other.get_layer("two").layers[0] is other.get_layer("trunk")


@pytest.mark.parametrize("frozen", [True, False])
def test_a_frozen_model_is_frozen_again(frozen):
    for make in (shared, inside, with_functions):
        model = make()
        model.trainable = not frozen
        other = twin(model)
        assert other.trainable is model.trainable
        assert len(other.trainable_weights) == len(model.trainable_weights)


def test_a_sequential_that_does_not_know_its_shape_grows_and_learns_it_after_it_was_made_again():
    for layers in ([], [Input((4,))], [Dense(3)], [Embedding(5, 2), Dense(3)]):
        model = Sequential(layers, name="growing")
        other = Sequential.from_config(model.get_config())
        assert other.get_config() == model.get_config()
        assert other.built is model.built
    other = Sequential.from_config(Sequential([Dense(3)]).get_config())
    other.add(Dense(2))
    assert other.predict(FLAT, verbose=0).shape == (6, 2)


# -- beside Keras -----------------------------------------------------------------------------------------------------


def test_names_classes_and_arguments_stand_where_keras_has_them():
    def chain(k):
        layers = k.layers
        return k.Sequential(
            [k.Input((4,)), layers.Dense(3, activation="relu", name="head"), layers.Dropout(0.25), layers.Dense(1)], name="chain"
        )

    theirs, ours = chain(keras).get_config(), chain(jkeras).get_config()
    for config in (theirs, ours):
        assert [entry["class_name"] for entry in config["layers"]] == ["InputLayer", "Dense", "Dropout", "Dense"]
        assert config["layers"][1]["config"]["units"] == 3
        assert config["layers"][1]["config"]["activation"] == "relu"
        assert config["layers"][1]["config"]["name"] == "head"
        assert config["layers"][2]["config"]["rate"] == 0.25
        assert list(config["layers"][0]["config"]["batch_shape"]) == [None, 4]
        assert (config["name"], config["trainable"]) == ("chain", True)


def test_each_layer_is_called_as_often_as_in_keras_and_the_layers_stand_in_its_order():
    def made(k):
        x, dense = k.Input((4,)), k.layers.Dense(4, name="twice")
        y = k.layers.Concatenate(name="both")([dense(dense(x)), k.layers.Dense(2, name="once")(x)])
        return k.Model(x, [y, k.layers.Dense(1, name="last")(y)])

    theirs, ours = made(keras).get_config(), made(jkeras).get_config()
    names = [entry["config"]["name"] for entry in ours["layers"]]
    assert names[1:] == [entry["config"]["name"] for entry in theirs["layers"]][1:]  # but for the input's
    counts = collections.Counter(call["layer"] for call in ours["calls"] if "inputs" in call)
    assert [counts[number] for number in range(len(names))] == [len(entry["inbound_nodes"]) for entry in theirs["layers"]]


# -- functions, numbers and single layers -----------------------------------------------------------------------------


def test_functions_are_written_by_the_names_that_tables_have_for_them():
    for function, written in (
        (jkeras.activations.relu, "relu"),
        (jax.nn.relu, {"function": "jax.nn.relu"}),
        (jkeras.ops.relu, {"function": "relu"}),
    ):
        model = Sequential([Input((4,)), Dense(3, activation=function), Dense(2, activation=jkeras.activations.softmax)])
        assert [entry["config"]["activation"] for entry in model.get_config()["layers"][1:]] == [written, "softmax"]
        assert_same(twin(model).predict(FLAT, verbose=0), model.predict(FLAT, verbose=0))


def test_keras_writes_a_function_by_the_same_name():
    theirs = keras.layers.Dense(3, activation=keras.activations.relu).get_config()
    assert Dense(3, activation=jkeras.activations.relu).get_config()["activation"] == theirs["activation"] == "relu"


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, np.float32("inf")])
def test_a_number_that_is_not_finite_is_written_as_a_word_because_json_has_none(value):
    model = Sequential([Input((5, 4)), Masking(mask_value=value)])
    text = json.dumps(model.get_config(), allow_nan=False)
    np.testing.assert_equal(Sequential.from_config(json.loads(text)).layers[0].mask_value, float(value))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_config_of_a_layer_is_plain_and_makes_it_again(case):
    layer = case.make(jkeras)
    config = json.loads(json.dumps(layer.get_config()))
    again = type(layer).from_config(config)
    assert type(again) is type(layer)
    assert again.get_config() == layer.get_config()
    assert type(layer).from_config(layer.get_config()).get_config() == layer.get_config()


def test_a_layer_of_a_models_config_is_made_by_its_class():
    entry = with_functions().get_config()["layers"][1]
    assert Dense.from_config(entry["config"]).get_config()["kernel_regularizer"] == entry["config"]["kernel_regularizer"]
    inputs = with_functions().program.layers["input_layer"]
    assert type(inputs).from_config(inputs.get_config()).config == inputs.config


def test_what_a_wrapper_made_again_wraps_has_weights_of_its_own():
    for inner in (Dense(3), Sequential([Dense(3)])):
        wrapper = TimeDistributed(inner)
        again = TimeDistributed.from_config(wrapper.get_config())
        assert again.layer is not wrapper.layer
        wrapper(X), again(X)
        before = wrapper.get_weights()
        again.set_weights([weight + 1 for weight in again.get_weights()])
        assert_same(wrapper.get_weights(), before)


def test_the_config_of_a_layer_with_a_nameless_function_says_so():
    with pytest.raises(TypeError, match=r"argument 'activation' of Dense cannot be written"):
        Dense(3, activation=lambda x: x).get_config()
    with pytest.raises(ValueError, match="A config is a dictionary of arguments by name, but got an int"):
        Dense.from_config(3)

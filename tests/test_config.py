"""Models as plain data: what get_config says, what from_config makes of it, and what it refuses."""

import collections
import copy
import inspect
import json
import re

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
from layer_table import CASES

import jkeras
from jkeras import Input, Model, Sequential, ops
from jkeras.core.errors import UnknownNameError
from jkeras.core.operation import find, names
from jkeras.layers import LSTM, BatchNormalization, Concatenate, Dense, Dropout, Embedding, Masking, TimeDistributed
from jkeras.saving import from_json, to_json

X = np.random.default_rng(0).normal(size=(6, 5, 4)).astype("float32")
FLAT = X[:, 0]


def twin(model, starts_inside=False):
    """Return the model that is made of another's config, after a way through JSON, with the other's weights."""
    other = type(model).from_config(json.loads(json.dumps(model.get_config())))
    assert (other.get_config() == model.get_config()) is not starts_inside  # the new one starts from inputs, listed first
    assert type(model).from_config(other.get_config()).get_config() == other.get_config()
    assert [w.path for w in other.weights] == [w.path for w in model.weights]
    other.set_weights(model.get_weights())
    return other


def assert_same(a, b):
    a, b = (list(v.values()) if isinstance(v, dict) else v if isinstance(v, (list, tuple)) else [v] for v in (a, b))
    for one, other in zip(a, b, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("lengths_known", [True, False])
def test_every_layer_of_the_table_is_made_again_inside_a_model(case, lengths_known):
    model = case.model(jkeras, lengths_known=lengths_known)
    assert_same(twin(model).predict(case.data(), verbose=0), model.predict(case.data(), verbose=0))


# -- wirings ----------------------------------------------------------------------------------------------------------


def shared():
    x, dense = Input((4,)), Dense(4, activation="tanh")
    return Model(x, dense(dense(x)) + Dense(4, name="other")(dense(x)))


def by_name():
    a, b = Input((4,), name="first"), Input((5, 4), name="second")
    joined = Concatenate()([a, LSTM(3)(b)])
    return Model({"b": b, "a": a}, {"z": Dense(1)(joined), "y": [Dense(2)(joined), joined]})


def inside():
    x = Input((4,))
    encoder = Sequential([Input((4,)), Dense(3, activation="relu"), BatchNormalization()], name="encoder")
    decoder = Model(h := Input((3,)), [Dense(4)(h), Dense(1)(h)])
    return Model(x, decoder(encoder(x)))


def inside_twice():
    x, z = Input((4,)), Input((4,))
    tower = Sequential([Dense(3), Dense(2)])
    return Model([x, z], ops.abs(tower(x) - tower(z)))


def operators():
    x = Input((5, 4))
    joined, half = ops.concatenate([x, x], axis=-1), ops.cast(x, jnp.float16)
    return Model(x, [2 - x[:, ::-1, 1:], x[..., 0], joined, half, ops.mean(x, axis=(1, 2))])


def with_arguments():
    x, start = Input((5, 4)), Input((3,))
    h = LSTM(3, return_sequences=True)(Masking()(x), initial_state=[start, start])
    return Model([x, start], [Dropout(0.5)(h, training=False), BatchNormalization()(h, training=True)])


def around():
    x = Input((5, 4))
    return Model(x, TimeDistributed(Sequential([Dense(3), Dense(2)]), name="steps")(x))


def cut():
    x = Input((4,))
    h = Dense(3, name="hidden")(x)
    return Model(h, Dense(2)(h) * h[:, :1])


def with_functions():
    init = jkeras.initializers.HeNormal(seed=2)
    first = Dense(3, kernel_initializer=init, kernel_regularizer=jkeras.regularizers.L2(0.1), kernel_constraint="max_norm")
    return Sequential([Input((4,)), first, Dense(2, dtype="mixed_bfloat16", trainable=False)], name="mine")


DATA = {"by_name": {"a": FLAT, "b": X}, "inside_twice": [FLAT, FLAT + 1], "with_arguments": [X, FLAT[:, :3]]}
DATA |= {"operators": X, "around": X, "cut": FLAT[:, :3]}
WIRINGS = [shared, by_name, inside, inside_twice, operators, with_arguments, around, cut, with_functions]


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
    for function, written in ((jkeras.activations.relu, "relu"), (jax.nn.relu, {"function": "relu"})):
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


# -- what is refused --------------------------------------------------------------------------------------------------


def test_what_is_not_plain_is_named():
    with pytest.raises(TypeError, match=r"argument 'activation' of Dense 'head' cannot be written"):
        Sequential([Input((4,)), Dense(3, activation=lambda x: x, name="head")]).get_config()
    with pytest.raises(TypeError, match=r"argument 'args' of Operation cannot be written"):
        Model(x := Input((4,)), x * np.ones(4)).get_config()
    Pair = collections.namedtuple("Pair", "left right")
    with pytest.raises(TypeError, match="A Pair of tensors cannot be written"):
        Model(Pair(a := Input((4,)), b := Input((4,))), a + b).get_config()


BEYOND = ["load", "save", "fromfile", "set_printoptions", "can_cast", "_np", "ndarray"]
BEYOND += ["linalg.__loader__.get_data", "linalg._np", "tanh.__globals__.get", "fft.fft.__call__", "jax.numpy.load", "os.system"]


@pytest.mark.parametrize("name", BEYOND)
def test_an_operation_that_data_name_does_nothing_but_compute(name):
    config = Model(x := Input((4,)), x + 1).get_config()
    next(entry for entry in config["layers"] if entry["class_name"] == "Operation")["config"]["function"] = name
    with pytest.raises(UnknownNameError, match=f"no function '{re.escape(name)}'"):
        Model.from_config(config)


def test_data_neither_write_files_nor_run_what_lies_in_a_pickle(tmp_path):
    class Writes:
        def __reduce__(self):
            return open, (str(tmp_path / "ran"), "w")

    np.save(tmp_path / "harmful.npy", np.array([Writes()], dtype=object), allow_pickle=True)
    harmful, allow = str(tmp_path / "harmful.npy"), {"dict": {"allow_pickle": True}}
    for function, args, kwargs in (("save", [str(tmp_path / "written.npy"), 1.0], None), ("load", [harmful], allow)):
        config = Model(x := Input((4,)), x + 1).get_config()
        entry = next(entry for entry in config["layers"] if entry["class_name"] == "Operation")
        entry["config"].update(function=function, args=args, kwargs=kwargs)
        with pytest.raises(UnknownNameError, match="no function"):
            Model.from_config(config)
    assert [path.name for path in tmp_path.iterdir()] == ["harmful.npy"]


def test_no_function_of_the_table_of_operations_takes_a_file():
    for name in names():
        try:
            taken = set(inspect.signature(find(name)).parameters)
        except ValueError:  # without a signature that can be read
            continue
        assert not taken & {"file", "fname", "filename", "path"}, name


@jkeras.layer
def Twofold():
    return (lambda key, x: ({}, {})), (lambda params, state, x, ctx: (2 * x, state))


def test_a_layer_of_ones_own_is_found_by_its_name_or_given():
    model = Model(x := Input((4,)), Twofold()(x))
    np.testing.assert_array_equal(twin(model).predict(FLAT, verbose=0), 2 * FLAT)
    config = copy.deepcopy(model.get_config())
    entry = next(entry for entry in config["layers"] if entry["class_name"] == "Twofold")
    entry["class_name"] = "Elsewhere"
    with pytest.raises(UnknownNameError, match="no custom layer called 'Elsewhere'"):
        Model.from_config(config)
    again = Model.from_config(config, custom_objects={"Elsewhere": Twofold})
    np.testing.assert_array_equal(again.predict(FLAT, verbose=0), 2 * FLAT)


def changed(**parts):
    def change(config):
        config |= parts

    return change


def without(name):
    return lambda config: config.pop(name)


def call(number, **parts):
    def change(config):
        config["calls"][number] |= parts

    return change


WRONG = {
    "no layers": (without("layers"), "must have 'layers', a list, but has nothing"),
    "no inputs": (without("inputs"), "must have 'inputs'"),
    "a name that is none": (changed(name=3), "must have 'name', a str, but has 3"),
    "a part too many": (changed(optimizer="adam"), "'optimizer' too"),
    "a call of no layer": (call(1, layer=99), "holds what is no call"),
    "a call of a layer by name": (call(1, layer="dense"), "holds what is no call"),
    "a call with something more": (call(1, path="/tmp"), "holds what is no call"),
    "a tensor that comes later": (call(1, inputs=3), "takes tensor 3 before a call gives it"),
    "a tensor of no call": (changed(outputs=99), "takes tensor 99 before"),
    "a nest that is none": (changed(outputs={"set": [1]}), "no nest of numbers"),
    "more tensors than come": (call(1, outputs=[1, 2]), "numbers 2 of 1 tensors"),
    "a layer called on nothing": (lambda config: config["calls"][1].pop("inputs"), "without inputs"),
    "a class of another table": (lambda c: c["layers"][1].update(module="functions"), "no function called 'Dense'"),
    "a class of no table": (lambda c: c["layers"][1].update(module="os"), "module 'os', which is none of layers, custom"),
    "a misspelt class": (lambda c: c["layers"][1].update(class_name="Dens"), "no layer called 'Dens'. Did you mean 'Dense'"),
    "an argument too many": (lambda c: c["layers"][1]["config"].update(size=3), "Dense takes no argument 'size'"),
    "an argument out of range": (lambda c: c["layers"][1]["config"].update(units=-3), "Dense: units must be a positive integer"),
    "a layer that was not seen": (lambda c: c["layers"].append({"again": 77}), "no layer and no function"),
    "no config": (
        lambda c: c["layers"][1].update(config=3),
        "must be a dictionary of arguments by name, but is 3",
    ),
    "a name that is no string": (lambda c: c["layers"][1]["config"].update({3: 4}), "dictionary of arguments by name"),
    "a module that is a list": (lambda c: c["layers"][1].update(module=[]), "none of layers, custom"),
    "a number among the layers": (lambda c: c["layers"].append(7), "something among its layers that is none: 7"),
    "a layer inside itself": (lambda c: c["layers"][1]["config"].update(units={"again": 2}), "a layer, number 2, inside itself"),
    "a dtype that is none": (lambda c: c["layers"][1]["config"].update(dtype="floaty"), "dtype must be"),
    "an input with something more": (lambda c: c["layers"][0]["config"].update(size=3), "InputLayer takes no argument 'size'"),
    "no calls": (without("calls"), "config of a Functional model must have 'calls'"),
    "an operation that is no name": (lambda c: c["layers"][-1]["config"].update(function=3), "function must be the name of"),
    "a hole that is none": (lambda c: c["layers"][-1]["config"].update(args=[{"hole": "x"}]), "a hole is the number of a tensor"),
    "a slice that is none": (lambda c: c["layers"][-1]["config"].update(args=[{"slice": 3}]), "a slice is three integers"),
    "arguments without names": (call(1, arguments=[1]), "arguments are not given by name"),
}


@pytest.mark.parametrize("what", WRONG)
def test_data_that_describe_no_model_are_refused_in_words(what):
    change, words = WRONG[what]
    config = json.loads(json.dumps(shared().get_config()))
    change(config)
    with pytest.raises((ValueError, TypeError), match=words):
        Model.from_config(config)


def places(data, path=()):
    entries = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for name, inside in entries:
        yield *path, name
        yield from places(inside, (*path, name))


JUNK = [None, True, -1, 3.5, "zzz", [], [1], {}, {"a": 1}, {3: 4}, {"slice": 3}, {"dtype": 3}, {"again": 0}, {"hole": "x"}]
PYTHONS_OWN = r"unhashable|not callable|not iterable|has no attribute|unexpected keyword|keywords must be|object is not"


@pytest.mark.parametrize("make", [shared, operators, with_arguments, around])
def test_whatever_stands_in_a_place_of_a_config_python_is_not_left_to_say_it(make):
    config, raw = make().get_config(), []
    for number, path in enumerate(places(config)):
        for junk in JUNK[number % 3 :: 3]:
            other = copy.deepcopy(config)
            inside = other
            for name in path[:-1]:
                inside = inside[name]
            inside[path[-1]] = junk
            try:
                Model.from_config(other)
            except ValueError:
                pass
            except TypeError as error:
                raw += [(path, junk, error)] if re.search(PYTHONS_OWN, str(error)) else []
    assert raw == []


@pytest.mark.parametrize("config", [None, 3, "zzz", [1], []])
def test_a_config_that_is_no_dictionary_is_refused(config):
    with pytest.raises(ValueError, match="The config of a model is a dictionary"):
        Model.from_config(config)


def test_a_config_of_the_other_kind_says_whose_it_is():
    with pytest.raises(ValueError, match=r"that of a Functional model: write Model.from_config"):
        Sequential.from_config(shared().get_config())
    assert isinstance(Model.from_config(with_functions().get_config()), Sequential)

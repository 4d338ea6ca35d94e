"""What of models cannot be written as plain data, what data cannot do, and what describes no model."""

import collections
import copy
import inspect
import json
import re

import numpy as np
import pytest
from wirings import FLAT, around, operators, shared, twin, with_arguments, with_functions

import jkeras
from jkeras import Input, Model, Sequential
from jkeras.core.errors import UnknownNameError
from jkeras.core.functions import find, names
from jkeras.layers import Dense


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

"""What a user of Keras sees and types: Sequential, summary, layers by name, sizes, messages."""

import re

import jax
import keras
import numpy as np
import pytest

import jkeras
from jkeras import Input, Model, Sequential
from jkeras.core import GraphError, ShapeError, UnknownNameError
from jkeras.core.nest import resolve
from jkeras.layers import LSTM, Activation, BatchNormalization, Dense, Embedding, concatenate


def _small():
    model = Sequential([Dense(4, activation="relu", input_shape=(3,)), Dense(1, name="out")], name="small")
    model.compile("sgd", "mse", metrics=["mae"])
    return model


X, Y = np.random.default_rng(0).random((40, 3)), np.random.default_rng(1).random((40, 1))


# -- Sequential ------------------------------------------------------------------------------------------------------


def test_a_sequential_without_input_shape_learns_it_from_its_first_data():
    model = Sequential([Dense(4), Dense(1)])
    assert not model.built
    model.compile("sgd", "mse")
    model.fit(X, Y, verbose=0)
    assert model.built
    assert model.count_params() == 3 * 4 + 4 + 5
    with pytest.raises(ShapeError):
        model.predict(np.ones((2, 5)))
    assert model.predict(X).shape == (40, 1)


def test_a_sequential_without_input_shape_takes_sequences_of_other_lengths_later():
    model = Sequential([Embedding(10, 4), LSTM(3), Dense(1)])
    ids = np.ones((6, 8), dtype="int64")
    model.compile("sgd", "mse")
    model.fit(ids, np.ones((6, 1)), verbose=0)
    weights = model.get_weights()
    assert model.predict(ids[:, :5]).shape == (6, 1)
    for a, b in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    model.fit(ids[:, :7], np.ones((6, 1)), verbose=0)


@pytest.mark.parametrize("dtype", ["int64", "float64"])
def test_inputs_of_64_bits_are_taken_without_a_warning_of_jax(dtype):
    x = Input((3,), dtype=dtype)
    flat = jkeras.layers.Flatten()(jkeras.layers.Embedding(5, 2)(x)) if dtype == "int64" else x
    model = jkeras.Model(x, Dense(2)(flat))
    model.compile("sgd", "mse", seed=0)
    data = np.ones((4, 3), dtype)
    model.fit(data, np.ones((4, 2)), verbose=0)
    np.testing.assert_allclose(model.predict(data, verbose=0), model.predict(data.astype(dtype[:-2] + "32"), verbose=0))


def test_layers_are_added_and_removed():
    model = Sequential(name="grown")
    model.add(Input((3,)))
    model.add(Dense(4))
    model.add(Activation("relu"))
    model.add(Dense(2))
    assert [layer.name for layer in model.layers] == ["dense", "activation", "dense_1"]
    removed = model.pop()
    assert removed.config["units"] == 2
    assert model.output_shape == (None, 4)
    with pytest.raises(ShapeError):
        model.add(LSTM(3))
    assert len(model.layers) == 2
    assert model.predict(X).shape == (40, 4)


def test_an_empty_sequential_and_a_second_input_say_what_is_wrong():
    with pytest.raises(ValueError, match=r"no layers: call add\(layer\)"):
        Sequential(name="empty").predict(X)
    with pytest.raises(ValueError, match="no layer to remove"):
        Sequential().pop()
    model = Sequential([Input((3,)), Dense(1)])
    with pytest.raises(GraphError, match="an Input can only come first"):
        model.add(Input((3,)))


def test_models_are_layers_of_a_sequential():
    inner = _small()
    outer = Sequential([inner, Dense(2)])
    assert outer.output_shape == (None, 2)
    assert outer.layers[0] is inner
    assert outer.count_params() == inner.count_params() + 4


# -- looking at a model ----------------------------------------------------------------------------------------------


def test_layers_are_found_by_name_and_index_and_a_misspelt_name_gets_the_nearest():
    model = _small()
    assert model.get_layer("out") is model.layers[1] is model.get_layer(index=1)
    with pytest.raises(UnknownNameError, match="Did you mean 'out'"):
        model.get_layer("oout")
    with pytest.raises(ValueError, match="There is no layer 7"):
        model.get_layer(index=7)


def test_a_functional_model_lists_its_input_layers():
    x = Input((3,), name="x")
    assert [layer.kind for layer in Model(x, Dense(1)(x)).layers] == ["InputLayer", "Dense"]


def test_the_summary_lists_layers_shapes_parameters_and_connections():
    text, question = Input((None,), dtype="int32", name="text"), Input((None,), dtype="int32", name="question")
    merged = concatenate([LSTM(32)(Embedding(10000, 64)(text)), LSTM(16)(Embedding(10000, 32)(question))])
    model = Model([text, question], Dense(500, activation="softmax")(merged))
    written = []
    model.summary(print_fn=written.append)
    (table,) = written
    rows = [re.split(r"\s*[│┃]\s*", line.strip("│┃ ")) for line in table.splitlines()]
    assert ["embedding (Embedding)", "(None, None, 64)", "640,000", "text[0][0]"] in rows
    assert ["lstm_1 (LSTM)", "(None, 16)", "3,136", "embedding_1[0][0]"] in rows
    assert ["concatenate (Concatenate)", "(None, 48)", "0", "lstm[0][0], lstm_1[0][0]"] in rows
    assert " Total params: 1,000,052 (3.81 MB)" in table.splitlines()


def test_the_summary_counts_frozen_and_remembered_numbers_apart_and_the_optimizer_once_it_has_run():
    model = Sequential([Input((3,)), Dense(4), BatchNormalization(), Dense(1)])
    model.layers[0].trainable = False
    model.compile("rmsprop", "mse")
    written = []
    model.summary(print_fn=written.append, show_trainable=True)
    assert " Trainable params: 13 (52.00 B)" in written[0]  # 8 of the normalisation, 5 of the head
    assert " Non-trainable params: 24 (96.00 B)" in written[0]  # 16 frozen, 8 moving statistics
    assert "Optimizer" not in written[0]
    model.fit(X, Y, verbose=0)
    model.summary(print_fn=written.append)
    assert " Optimizer params: 15 (60.00 B)" in written[1]  # a mean square each, a count, a learning rate


def test_the_summary_of_a_model_of_unknown_shape_and_of_nested_models():
    written = []
    Sequential([Dense(3)]).summary(print_fn=written.append)
    assert "?" in written[0]
    assert "unbuilt" in written[0]
    Sequential([_small(), Dense(2)]).summary(print_fn=written.append, expand_nested=True)
    assert "└ out (Dense)" in written[1]


def _branching(library):
    x = library.Input((4,), name="x")
    branches = [library.layers.Dense(8, name=f"branch_{side}")(x) for side in "ab"]
    joined = library.layers.Concatenate(name="joined")(branches)
    return library.Model(x, library.layers.Dense(1, name="end")(library.layers.Flatten(name="flat")(joined)), name="branching")


def _chain(library):
    layers = [library.layers.Dense(8, name="first"), library.layers.Flatten(name="flat"), library.layers.Dense(2, name="end")]
    return library.Sequential([library.Input((4,)), *layers], name="chain")


@pytest.mark.parametrize("make", [_branching, _chain])
@pytest.mark.parametrize(
    "arguments",
    [
        {"positions": [0.3, 0.6, 0.7, 1.0]},
        {"positions": [0.3, 0.5, 0.75, 1.0], "line_length": 70},
        {"positions": [0.4, 0.6, 0.8, 1.0], "show_trainable": True},
        {"positions": [0.4, 0.6, 0.8, 1.0], "layer_range": ["branch|first", "flat"]},
        {"positions": [0.4, 0.6, 0.8, 1.0], "layer_range": ("end", "branch|flat")},
    ],
)
def test_the_summary_with_positions_is_that_of_keras(make, arguments, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")  # Keras looks at it, terminal or not
    written = []
    for library in (keras, jkeras):
        make(library).summary(print_fn=written.append, **arguments)
    theirs, ours = ([line.rstrip() for line in text.strip().splitlines()] for text in written)
    assert ours == theirs


def test_positions_of_the_summary_may_be_numbers_of_signs_as_in_older_releases_of_keras():
    written = []
    for positions, length in (([0.3, 0.6, 0.8, 1], 100), ([30, 60, 80, 100], None), ((30, 60, 80, 100), 100)):
        _branching(jkeras).summary(length, positions, written.append)
    assert written[0] == written[1] == written[2]
    assert max(map(len, written[0].splitlines())) == 100


def test_positions_and_ranges_of_the_summary_that_make_no_sense_are_refused():
    model = _branching(jkeras)
    for positions in ([0.3, 0.6], [], [0.3, 0.31, 0.6, 1.0], [0.6, 0.3, 0.8, 1.0]):
        with pytest.raises(ValueError, match=r"columns end \(Layer|for the column 'Output Shape'"):
            model.summary(positions=positions)
    for layers in (["end"], ["x", "flat", "end"], "xy", [0, 2], 3):
        with pytest.raises(ValueError, match="layer_range must be two names"):
            model.summary(layer_range=layers)
    with pytest.raises(ValueError, match=r"'flatt'\. Did you mean 'flat'\?"):
        model.summary(layer_range=["x", "flatt"])


def test_a_range_of_the_summary_leaves_the_totals_as_they_are_and_lists_what_is_inside_its_layers():
    written = []
    model = Sequential([_small(), Dense(2, name="last")])
    model.summary(print_fn=written.append)
    model.summary(print_fn=written.append, layer_range=("small", "small"), expand_nested=True)
    whole, part = written
    assert "└ out (Dense)" in part
    assert "last" not in part
    assert whole.splitlines()[-3:] == part.splitlines()[-3:]


def test_params_can_be_read_and_assigned_and_are_checked():
    model = _small()
    model.params = jax.tree.map(lambda a: a * 0 + 1, model.params)
    np.testing.assert_allclose(model.predict(np.ones((1, 3))), [[17.0]])
    with pytest.raises(ValueError, match="dense/kernel"):
        model.params = {**model.params, "dense": {"kernel": np.ones((2, 2)), "bias": np.ones(4)}}
    with pytest.raises(ValueError, match="'out/bias' is missing"):
        model.params = {**model.params, "out": {"kernel": np.ones((4, 1))}}
    np.testing.assert_allclose(model.predict(np.ones((1, 3))), [[17.0]])


def test_weights_of_a_wrong_number_or_shape_change_nothing():
    model = _small()
    before = model.get_weights()
    with pytest.raises(ValueError, match="4 weights"):
        model.set_weights(before[:2])
    with pytest.raises(ValueError, match="'out/kernel'"):
        model.set_weights([*before[:2], np.ones((9, 1)), before[3]])
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_calling_a_model_on_arrays_runs_it():
    model = _small()
    np.testing.assert_allclose(model(X[:5]), model.predict(X[:5]), rtol=1e-6)
    assert isinstance(model(X[:5]), jax.Array)


# -- the resolver ----------------------------------------------------------------------------------------------------


def test_the_resolver_keeps_the_models_order_and_names_every_slip():
    names = ["zeta", "alpha"]
    assert resolve([1, 2], names, "targets") == {"zeta": 1, "alpha": 2}
    assert list(resolve({"alpha": 2, "zeta": 1}, names, "targets")) == names
    assert resolve(5, names, "sample_weight", broadcast=True) == {"zeta": 5, "alpha": 5}
    assert resolve({"b": [1, 2], "a": 3}, {"a": "x", "b": ["y", "z"]}, "inputs") == {"x": 3, "y": 1, "z": 2}
    with pytest.raises(UnknownNameError, match=r"'alfa' is not one of the names 'zeta', 'alpha'\. Did you mean 'alpha'"):
        resolve({"zeta": 1, "alfa": 2}, names, "targets")
    with pytest.raises(ValueError, match="nothing was given for 'alpha'"):
        resolve({"zeta": 1}, names, "targets")
    with pytest.raises(ValueError, match="got a list of 3 for 2 names"):
        resolve([1, 2, 3], names, "targets")
    with pytest.raises(ValueError, match="got one int for 2 names"):
        resolve(1, names, "targets")


def test_to_categorical_is_one_hot_and_refuses_what_is_no_class():
    one_hot = jkeras.utils.to_categorical(np.array([[1], [3]]), 4)
    assert one_hot.dtype == np.float64
    np.testing.assert_array_equal(one_hot, [[0, 1, 0, 0], [0, 0, 0, 1]])
    assert jkeras.utils.to_categorical(jax.numpy.array([0, 1])).dtype == np.float32
    assert jkeras.utils.to_categorical([], 3).shape == (0, 3)
    for wrong in ([-1], [4], [0.5], ["a"]):
        with pytest.raises(ValueError, match="to_categorical takes"):
            jkeras.utils.to_categorical(wrong, 4)

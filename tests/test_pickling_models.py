"""Models wired in every way, functions with and without a name, and other processes, pickled."""

import copy
import io
import pathlib
import pickle
import subprocess
import sys

import cloudpickle
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from pickled import AroundDense, Scale, X, Y, again, compiled, cubed, predictions, same_arrays

import jkeras
from jkeras import Input, Model, Sequential, ops, weight
from jkeras.layers import LSTM, BatchNormalization, Dense, Dropout, Embedding, Flatten

# -- models -----------------------------------------------------------------------------------------------------------


def test_a_layer_used_twice_is_one_layer_and_models_in_one_pickle_share_theirs():
    x = Input((4,), name="x")
    code = Dense(4, name="code")
    encoder = Model(x, code(code(x)))
    auto = Model(x, Dense(4, name="back")(encoder.output))
    decoder = Model(encoder.output, auto.output)
    for order in ((encoder, auto, decoder), (decoder, auto, encoder)):
        found = again(order)
        encoder2, auto2, decoder2 = found if order[0] is encoder else found[::-1]
        assert encoder2.get_layer("code") is auto2.get_layer("code")
        assert decoder2.get_layer("back") is auto2.get_layer("back")
        assert encoder2.output is decoder2.input
        assert Model(auto2.input, encoder2.output).count_params() == encoder.count_params() == 20
        auto2.compile("sgd", "mse")
        before = predictions(encoder2)
        np.testing.assert_array_equal(before, predictions(encoder))
        auto2.fit(X, X, verbose=0)
        assert (predictions(encoder2) != before).any()
        np.testing.assert_array_equal(predictions(auto2), predictions(decoder2, predictions(encoder2)))


def test_a_model_can_be_cut_after_it_was_unpickled():
    x = Input((4,))
    hidden = Dense(3, name="hidden")(x)
    model = Model(x, Dense(1)(ops.tanh(hidden)))
    cuts = [Model(each.input, each.get_layer("hidden").output) for each in (model, again(model))]
    np.testing.assert_array_equal(*map(predictions, cuts))


def test_functional_models_with_operators_indices_constants_dictionaries_and_arguments_are_pickled():
    a, b = Input((None, 4), name="a"), Input((3,), name="b")
    h = LSTM(3, return_state=True)
    y, *carry = h(a)
    z = LSTM(3)(a, initial_state=carry)
    merged = (y * 2.0 + np.arange(3, dtype="float32")) * ops.concatenate([z[:, :1], b[:, 1:]], axis=1)
    dropped = Dropout(0.5)(merged, training=True)
    model = Model({"b": b, "a": a}, {"z": Dense(1, name="head")(dropped), "m": abs(merged) ** 2})
    model.compile("adam", {"z": "mse"}, loss_weights={"z": 2.0}, seed=1)
    data, target = {"a": X.reshape(6, 5, 4), "b": X[:6, :3]}, {"z": Y[:6]}
    model.fit(data, target, verbose=0)
    other = again(model)
    assert other.input_shape == model.input_shape == {"b": (None, 3), "a": (None, None, 4)}
    assert list(other.output_shape) == ["z", "m"]
    found = predictions(other, data)
    same_arrays(found["m"], predictions(model, data)["m"])
    assert other.fit(data, target, verbose=0).history == model.fit(data, target, verbose=0).history
    longer = {"a": X[:28].reshape(2, 14, 4), "b": X[:2, :3]}
    same_arrays(predictions(other, longer)["m"], predictions(model, longer)["m"])


def test_unknown_sizes_are_those_of_the_process_that_unpickles():
    x = again(Input((None, 4)))
    assert jkeras.layers.Concatenate()([x, Input((None, 4))]).shape == (None, None, 8)
    assert x.spec == Input((None, 4)).spec
    assert again(x.spec) == x.spec


def test_symbols_of_others_are_pickled_as_before():
    (size,) = jax.export.symbolic_shape("n")
    assert str(again(size)) == str(copy.deepcopy(size)) == "n"


def test_nested_models_keep_their_own_training():
    inner = compiled()
    inner.fit(X, Y, verbose=0)
    outer = Sequential([Input((4,)), Dense(4), inner, Dense(1)])
    outer2, inner2 = again((outer, inner))
    assert outer2.layers[1] is inner2
    assert inner2.optimizer.owner() is inner2
    same_arrays(inner2.train_state(), inner.train_state())
    np.testing.assert_array_equal(predictions(outer2), predictions(outer))
    alone = again(outer)
    assert alone.layers[1].fit(X, Y, verbose=0).history == inner.fit(X, Y, verbose=0).history


def test_a_sequential_grows_shrinks_and_learns_its_shape_after_it_was_unpickled():
    for layers in ([], [Dense(3), Dense(2, name="b"), Dense(2)], [Embedding(5, 2), Flatten()], [Dense(3, input_shape=(4,))]):
        model = Sequential(layers, name="chain")
        other = again(model)
        assert [layer.name for layer in other.layers] == [layer.name for layer in model.layers]
        assert (other.name, other.built) == ("chain", model.built)
        other.add(Dense(1, name="last"))
        assert [w.shape for w in other.weights] == [] or other.built
    fresh = again(Sequential([Dense(3), Dense(1)]))
    fresh.pop()
    fresh.compile("sgd", "mse")
    fresh.fit(X, np.ones((30, 3)), verbose=0)
    assert again(fresh).input_shape == (None, 4)


def test_names_do_not_depend_on_the_order_of_unpickling():
    second, first = Dense(3), Dense(2)
    model = Sequential([first, second])
    assert [layer.name for layer in again(model).layers] == [layer.name for layer in model.layers] == ["dense_1", "dense"]


def test_a_long_chain_of_layers_is_pickled_in_either_form():
    shared, x = Dense(4, "tanh"), Input((4,))
    y, norms = x, [Scale(0.9) for _ in range(400)]
    for each in norms:
        y = each(shared(y)) + x
    model = Model(x, y)
    other, last = again((model, norms[-1]))
    assert other.layers[-1] is last
    np.testing.assert_array_equal(predictions(other), predictions(model))
    end = Model([x, norms[200].output], y)  # what it begins with is the end of a long chain, too
    same_arrays(again(end).get_weights(), end.get_weights())


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_every_protocol_and_the_pickler_in_python_give_the_same(protocol):
    model = compiled(AroundDense(4), Dense(1))
    np.testing.assert_array_equal(predictions(pickle.loads(pickle.dumps(model, protocol))), predictions(model))
    written = io.BytesIO()
    pickle._Pickler(written, protocol).dump(model)
    np.testing.assert_array_equal(predictions(pickle._loads(written.getvalue())), predictions(model))


def test_copies_of_models_and_layers_made_by_copy_leave_the_original_its_optimizer():
    model = compiled(Dense(1, activation=lambda x: x), loss=lambda y, p: (y - p) ** 2)
    model.fit(X, Y, verbose=0)
    for other in (copy.copy(model), copy.deepcopy(model)):
        np.testing.assert_array_equal(predictions(other), predictions(model))
        assert model.optimizer.owner() is model
        assert model.history.model is model
    layer = copy.copy(model.layers[0])
    same_arrays(layer.get_weights(), model.layers[0].get_weights())
    layer.set_weights([w + 1 for w in layer.get_weights()])
    assert (layer.kernel.numpy() != model.layers[0].kernel.numpy()).all()


# -- functions without a name -----------------------------------------------------------------------------------------


def schedule(step):
    return 0.1 / (1 + step)


def local_layer():
    @jkeras.layer
    def Local(start=1.0):
        return lambda key, x: ({"w": weight(key, "w", "ones", (x.shape[-1],))}, {}), lambda p, s, x, ctx: (x * p["w"], s)

    return Local(2.0)


NAMELESS = {
    "activation": (
        lambda: compiled(Dense(1, activation=lambda x: x * 2, name="out")),
        "Dense 'out'",
        "its activation, <function",
    ),
    "constructor": (lambda: compiled(local_layer(), Dense(1)), "Local 'local'", "its constructor, <class"),
    "loss": (lambda: compiled(loss=lambda y, p: (y - p) ** 2), "Model 'sequential'", "its loss, <function"),
    "metric": (lambda: compiled(metrics=["mae", lambda y, p: y[:, 0]]), "Model 'sequential'", "its metric, <function"),
    "schedule": (
        lambda: compiled(optimizer=jkeras.optimizers.SGD(optax.exponential_decay(0.1, 10, 0.5))),
        "Optimizer SGD",
        "its learning_rate, <function",
    ),
    "optax": (lambda: compiled(optimizer=optax.adam(0.1)), "Optimizer GradientTransformation", "its transformation, <function"),
}


@pytest.mark.parametrize("case", NAMELESS)
def test_pickle_says_which_function_of_what_has_no_name_and_what_to_do(case):
    make, owner, argument = NAMELESS[case]
    with pytest.raises(pickle.PicklingError) as caught:
        pickle.dumps(make())
    assert str(caught.value).startswith(f"{owner} cannot be pickled, because no module has a name for {argument}")
    assert "cloudpickle" in str(caught.value)


@pytest.mark.parametrize("case", NAMELESS)
def test_cloudpickle_takes_functions_without_a_name(case):
    model = NAMELESS[case][0]()
    model.fit(X, Y, verbose=0)
    other = again(model, cloudpickle)
    np.testing.assert_array_equal(predictions(other), predictions(model))
    assert other.fit(X, Y, verbose=0).history == model.fit(X, Y, verbose=0).history


def test_functions_with_a_name_are_found_by_it_those_of_jax_too():
    model = compiled(Dense(2, jax.nn.selu), Dense(1, cubed), optimizer=jkeras.optimizers.SGD(schedule))
    model.fit(X, Y, verbose=0)
    other = again(model)
    assert other.layers[0].config["activation"] is jax.nn.selu
    assert again(model, cloudpickle).layers[0].config["activation"] is jax.nn.selu
    assert other.optimizer.config["learning_rate"] is schedule
    assert other.fit(X, Y, verbose=0).history == model.fit(X, Y, verbose=0).history
    assert again(jax.nn.relu) is jax.nn.relu
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(jax.jit(lambda x: x))


def test_a_loss_that_holds_the_model_is_no_circle():
    model = compiled()
    model.compile("sgd", Holding(model))
    model.fit(X, Y, verbose=0)
    other = again(model)
    assert other.loss.model is other
    assert other.fit(X, Y, verbose=0).history == model.fit(X, Y, verbose=0).history


class Holding:
    def __init__(self, model):
        self.model = model

    def __call__(self, y_true, y_pred):
        return jnp.square(y_true - y_pred).mean(axis=-1)


# -- another process --------------------------------------------------------------------------------------------------

SCRIPT = """
import pickle, sys
import numpy as np
import jkeras
for _ in range(3):
    jkeras.Sequential([jkeras.Input((4,)), jkeras.layers.Dense(1)])  # other layers and names than there
model, encoder, x, y, expected = pickle.load(open(sys.argv[1], "rb"))
np.testing.assert_array_equal(model.predict(x, verbose=0), expected)
assert encoder.layers[-1] is model.layers[-2]
history = model.fit(x, y, epochs=2, verbose=0)
assert jkeras.layers.Dense(1)(model.output).shape == (None, 1)
pickle.dump((history, model.get_weights(), model.train_state()), open(sys.argv[2], "wb"))
"""


@pytest.mark.parametrize("by", [pickle, cloudpickle], ids=["pickle", "cloudpickle"])
def test_another_process_goes_on_bit_for_bit(by, tmp_path):
    x = Input((4,))
    coded = Dropout(0.2)(BatchNormalization()(AroundDense(4)(Scale(0.5)(x)) + x))
    if by is cloudpickle:
        coded = local_layer()(Dense(4, activation=lambda x: x * 2)(coded))
    encoder = Model(x, coded)
    model = Model(x, Dense(1)(coded))
    model.compile("adam", "mse", metrics=["mae"])
    model.fit(X, Y, verbose=0)
    (tmp_path / "there").write_bytes(by.dumps((model, encoder, X, Y, predictions(model))))
    script = f"import sys; sys.path.insert(0, {str(pathlib.Path(__file__).parent)!r})\n{SCRIPT}"
    command = [sys.executable, "-c", script, str(tmp_path / "there"), str(tmp_path / "back")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    history, weights, state = pickle.loads((tmp_path / "back").read_bytes())
    assert history.history == model.fit(X, Y, epochs=2, verbose=0).history
    same_arrays(weights, model.get_weights())
    same_arrays(state, model.train_state())

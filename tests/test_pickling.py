import copy
import functools
import io
import pathlib
import pickle
import re
import subprocess
import sys

import cloudpickle
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from layer_table import CASES

import jkeras
from jkeras import Input, Model, Sequential, clone, composite, ops, weight
from jkeras.layers import LSTM, BatchNormalization, Dense, Dropout, Embedding, Flatten, TimeDistributed

X = np.random.default_rng(0).normal(size=(30, 4)).astype("float32")
Y = X.sum(axis=1, keepdims=True)


def again(thing, by=pickle):
    return by.loads(by.dumps(thing))


def same_arrays(a, b):
    a, b = jax.tree.leaves(a), jax.tree.leaves(b)
    assert len(a) == len(b)
    for one, other in zip(a, b, strict=True):
        if jax.dtypes.issubdtype(one.dtype, jax.dtypes.prng_key):
            one, other = jax.random.key_data(one), jax.random.key_data(other)
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


def predictions(model, x=X):
    return model.predict(x, verbose=0)


@jkeras.layer
def Scale(start=1.0):
    def init(key, x):
        return {"scale": jnp.full(x.shape[-1], start)}, {}

    def apply(params, state, x, ctx):
        return x * params["scale"], state

    return init, apply


@jkeras.layer
def AroundDense(units):  # its inner layers are made inside: they are none of its arguments
    body = lambda call, x: x + call("second", call("first", x))
    return composite(body, first=Dense(units, "tanh"), second=Sequential([Dense(units), BatchNormalization()]))


@jkeras.layer
def Both(layer):  # one of its layers is its argument, the other is made of it
    body = lambda call, x: call("there", x) + call("back", x)
    return composite(body, there=layer, back=clone(layer, go_backwards=True))


@jkeras.layer
def Several(*rates, **options):
    return lambda key, x: ({}, {}), lambda params, state, x, ctx: (x * sum(rates) + options["offset"], state)


def cubed(x):
    return x**3


def my_loss(y_true, y_pred):
    return jnp.abs(y_true - y_pred).mean(axis=-1)


def compiled(*layers, **how):
    model = Sequential([Input((4,)), *(layers or (Dense(8, "relu"), Dropout(0.3), BatchNormalization(), Dense(1)))])
    model.compile(**{"optimizer": "adam", "loss": "mse", "metrics": ["mae"], "seed": 3, **how})
    return model


# -- weights and training state ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", [pickle, cloudpickle], ids=["pickle", "cloudpickle"])
def test_a_model_that_is_unpickled_trains_on_bit_for_bit(by):
    model = compiled()
    model.fit(X, Y, epochs=2, verbose=0)
    other = again(model, by)
    np.testing.assert_array_equal(predictions(model), predictions(other))
    same_arrays(model.train_state(), other.train_state())
    assert other.history.history == model.history.history
    histories = [each.fit(X, Y, epochs=2, validation_split=0.2, verbose=0).history for each in (model, other)]
    assert histories[0] == histories[1]
    same_arrays(model.train_state(), other.train_state())
    assert other.optimizer.iterations == model.optimizer.iterations == 4


def test_a_model_that_was_never_trained_has_the_weights_that_the_original_draws():
    for model in (compiled(seed=None), Sequential([Dense(3), Dense(1)])):
        other = again(model)
        for each in (model, other):
            each.compile("sgd", "mse")
            each.fit(X, Y, verbose=0)
        same_arrays(model.get_weights(), other.get_weights())


def test_the_original_is_what_it_was_and_arrays_are_not_shared():
    model = compiled()
    before = model.get_weights()
    other = again(model)
    other.fit(X, Y, verbose=0)
    same_arrays(model.get_weights(), before)
    assert other.layers[0] is not model.layers[0]


def test_a_learning_rate_that_was_set_stays_with_the_model_and_with_the_optimizer_alone():
    model = compiled()
    model.optimizer.learning_rate = 0.5
    for _ in range(2):  # where it waits in the optimizer, and where it lies in the training state
        assert again(model).optimizer.learning_rate == again(model.optimizer).learning_rate == 0.5
        model.fit(X, Y, verbose=0)
    other = again(model)
    assert other.optimizer.owner() is other
    other.optimizer.learning_rate = 0.25
    assert (model.optimizer.learning_rate, other.optimizer.learning_rate) == (0.5, 0.25)


def test_what_was_frozen_at_compile_stays_frozen_and_the_flags_are_what_they_are_now():
    model = compiled(AroundDense(4), Dense(1, trainable=False, name="out"))
    model.layers[0].trainable = False
    model.compile("adam", "mse")
    model.layers[0].trainable = True
    other = again(model)
    assert other.trainer.frozen == model.trainer.frozen != other.frozen == model.frozen
    assert other.get_layer("out").trainable is False


@pytest.mark.parametrize(
    "how",
    [
        {"loss": jkeras.losses.MeanSquaredError(reduction="sum"), "metrics": [jkeras.metrics.BinaryAccuracy(threshold=0.3)]},
        {"loss": my_loss, "metrics": [my_loss, "mse"], "weighted_metrics": ["mae"]},
        {"loss": jkeras.losses.BinaryCrossentropy(label_smoothing=0.1), "optimizer": jkeras.optimizers.SGD(0.1, momentum=0.9)},
        {"optimizer": jkeras.optimizers.RMSprop(clipnorm=1.0, weight_decay=0.1), "run_eagerly": True},
    ],
)
def test_losses_metrics_and_optimizers_of_every_form_are_pickled(how):
    model = compiled(Dense(3, cubed), Dense(1, jax.nn.sigmoid), **how)
    labels = (Y > 0).astype("float32")
    model.fit(X, labels, verbose=0)
    other = again(model)
    assert model.fit(X, labels, verbose=0).history == other.fit(X, labels, verbose=0).history
    same_arrays(model.train_state(), other.train_state())


def test_a_training_state_is_a_pytree_that_is_pickled_like_any_value():
    model = compiled()
    model.fit(X, Y, verbose=0)
    state = again(model.train_state())
    assert type(state) is type(model.train_state())
    same_arrays(state, model.train_state())
    step = jax.jit(model.trainer.step)
    same_arrays(step(state, (X, Y)), step(model.train_state(), (X, Y)))


def test_a_history_is_pickled_without_its_model_and_a_model_with_its_history():
    model = compiled(loss=lambda y, p: (y - p) ** 2)
    history = model.fit(X, Y, epochs=2, verbose=0)
    other = again(history)
    assert (other.history, other.epoch, other.seed, other.model) == (history.history, [0, 1], 3, None)
    for copied in (again(model, cloudpickle), copy.deepcopy(model)):
        assert copied.history.model is copied
    assert history.model is model


def test_pickling_inside_a_callback_of_fit_gives_a_model_at_rest():
    kept = []

    class Keep(jkeras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            kept.append(pickle.dumps(self.model))

    model = compiled()
    model.fit(X, Y, epochs=2, verbose=0, callbacks=[Keep()])
    other = pickle.loads(kept[0])
    other.compile(other.optimizer, "mse")
    assert other.optimizer.iterations == 1
    assert pickle.loads(kept[1]).fit(X, Y, verbose=0).history == model.fit(X, Y, verbose=0).history


# -- layers -----------------------------------------------------------------------------------------------------------


def test_a_layer_alone_has_its_weights_its_name_and_the_shapes_of_its_first_call_without_the_model_around_it():
    model = compiled(Dense(300), Dense(2, "relu", name="small", kernel_regularizer="l2", dtype="mixed_bfloat16"), Dense(1))
    model.layers[1].note = "mine"
    data = pickle.dumps(model.layers[1])
    assert len(data) < 6_000
    layer = pickle.loads(data)
    same_arrays(layer.get_weights(), model.layers[1].get_weights())
    assert repr(layer) == repr(model.layers[1])
    assert (layer.name, layer.note, layer.compute_dtype) == ("small", "mine", "bfloat16")
    assert (layer.input_shape, layer.output_shape) == ((None, 300), (None, 2))
    assert Dense(1)(layer.output).shape == (None, 1)
    assert layer.kernel_regularizer == model.layers[1].kernel_regularizer
    with pytest.raises(jkeras.core.ShapeError, match="first called on"):
        layer(Input((5,)))
    assert not again(Dense(3)).built


@pytest.mark.parametrize(
    ("layer", "x"),
    [
        (Scale(2.0), X),
        (Several(1.0, 2.0, offset=3.0), X),
        (AroundDense(4), X),
        (Both(LSTM(3)), X.reshape(6, 5, 4)),
        (TimeDistributed(AroundDense(4)), X.reshape(6, 5, 4)),
        (TimeDistributed(Sequential([Dense(3), Dense(2)])), X.reshape(6, 5, 4)),
        (Embedding(7, 3, mask_zero=True), np.arange(6).reshape(2, 3)),
        (LSTM(3, stateful=True, recurrent_initializer=jkeras.initializers.GlorotUniform(seed=3)), X.reshape(6, 5, 4)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_layers_of_every_kind_are_pickled(layer, x):
    expected = layer(x)
    layer.reset_state()
    other = again(layer)
    assert other.layer.name == layer.layer.name if "layer" in layer.config else True
    np.testing.assert_array_equal(other(x), expected)
    assert [w.path for w in other.weights] == [w.path for w in layer.weights]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_row_of_the_table_has_the_same_weights_and_the_same_program(case):
    model = case.model(jkeras, lengths_known=False)
    other = again(model)
    same_arrays(model.get_weights(), other.get_weights())
    assert [w.path for w in other.weights] == [w.path for w in model.weights]
    programs = []
    for each in (model, other):
        apply = functools.partial(each.layer.apply, training=True, key=jax.random.key(0))
        programs.append(re.sub(r"0x[0-9a-f]+", "", str(jax.make_jaxpr(apply)(each.params, each.state, case.data()))))
    assert programs[0] == programs[1]


def test_a_layer_that_is_an_argument_stays_the_same_as_elsewhere():
    inner = Dense(3)
    around = TimeDistributed(inner)
    around(X.reshape(6, 5, 4))
    other, first = again((around, inner))
    assert other.definition.children["layer"] is first
    first, other = again((inner, around))
    assert other.layer is first
    first.set_weights([w + 1 for w in first.get_weights()])
    same_arrays(first.get_weights(), other.get_weights())


def test_a_layer_and_a_wrapper_that_were_called_on_one_another_are_pickled_from_either_end():
    inner = Dense(4)
    around = TimeDistributed(inner)
    x = Input((5, 4))
    model = Model(x, around(inner(around(x))))
    for things in ((model, around, inner), (inner, around, model), (around, model, inner)):
        found = {type(thing).__name__: thing for thing in again(things)}
        model2, around2, inner2 = found["Model"], found["TimeDistributed"], found["Dense"]
        assert around2.layer is inner2
        assert around2 in model2.layers
        assert inner2 in model2.layers
        np.testing.assert_array_equal(predictions(model, X.reshape(6, 5, 4)), predictions(model2, X.reshape(6, 5, 4)))


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

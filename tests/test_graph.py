"""Symbolic tensors, programs, sharing, cutting, naming: the graph without training."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jkeras
from jkeras import Input, Model, Sequential, functional, ops
from jkeras.core import GraphError, ShapeError, UnknownNameError
from jkeras.layers import (
    LSTM,
    Activation,
    Add,
    BatchNormalization,
    Conv1D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GlobalMaxPooling1D,
    MaxPooling1D,
    TimeDistributed,
    concatenate,
)

KEY = jax.random.key(0)


def test_one_layer_called_twice_has_one_set_of_weights_and_two_layers_have_two():
    a, b = Input((4,)), Input((4,))
    shared = Dense(3)
    model = Model([a, b], Add()([shared(a), shared(b)]))
    assert list(model.params) == ["dense"]
    assert model.count_params() == 4 * 3 + 3
    assert Model([a, b], Add()([Dense(3)(a), Dense(3)(b)])).count_params() == 2 * (4 * 3 + 3)


def test_two_layers_made_with_equal_arguments_are_not_the_same_layer():
    assert len({Dense(8), Dense(8)}) == 2


def test_names_are_counted_per_model_in_order_of_creation_and_spelled_as_in_keras():
    for _ in range(2):  # the second time gives the same names: nothing is counted per process
        x = Input((20, 8), name="sequence")
        first = MaxPooling1D(2)
        h = first(Conv1D(4, 3)(x))
        h = Conv1D(4, 3)(h)
        model = Model(x, Dense(1)(GlobalMaxPooling1D()(h)))
        names = [layer.name for layer in model.layers]
        assert names == ["sequence", "conv1d", "max_pooling1d", "conv1d_1", "global_max_pooling1d", "dense"]


def test_two_different_layers_of_one_name_are_refused():
    x = Input((4,))
    with pytest.raises(GraphError, match="both named 'twin'"):
        Model(x, Dense(1, name="twin")(Dense(2, name="twin")(x)))


def test_inserting_layers_before_a_named_head_leaves_its_initial_weights_bit_for_bit():
    x = Input((4,))
    plain = functional(x, Dense(2, name="head")(Dense(3)(x)))
    longer = functional(x, Dense(2, name="head")(BatchNormalization()(Dropout(0.1)(Dense(3)(x)))))
    before, after = (model.init(KEY, x.spec)[0]["head"]["kernel"] for model in (plain, longer))
    np.testing.assert_array_equal(before, after)


def test_a_shared_dropout_draws_other_entries_at_each_call_and_each_layer_its_own():
    x = Input((1000,))
    drop, other = Dropout(0.5), Dropout(0.5)
    model = functional(x, [drop(x), drop(x), other(x)])
    (a, b, c), _ = model.apply({}, {}, jnp.ones((1, 1000)), training=True, key=KEY)
    assert not (a == b).all()
    assert not (a == c).all()
    again, _ = model.apply({}, {}, jnp.ones((1, 1000)), training=True, key=KEY)
    np.testing.assert_array_equal(a, again[0])


def test_a_chain_of_5000_layers_builds_and_runs():
    x = h = Input((2,))
    for _ in range(5000):
        h = Activation("linear")(h)
    model = functional(x, Dense(1, kernel_initializer="ones")(h))
    assert len(model.definition.program.steps) == 5001
    params, state = model.init(KEY, x.spec)
    y, _ = model.apply(params, state, jnp.array([[1.0, 2.0]]))
    assert y.tolist() == [[3.0]]


def test_thirty_valid_convolutions_of_unknown_length_build():
    h = Input((None, 3))
    for _ in range(30):
        h = Conv1D(4, 3)(h)
    assert GlobalMaxPooling1D()(h).shape == (None, 4)


# -- operators and ops ----------------------------------------------------------------------------------------------


def _run(symbolic, x, value):
    model = functional(x, symbolic)
    return model.apply({}, {}, value)[0]


@pytest.mark.parametrize(
    ("write", "expected"),
    [
        (lambda x: x + 1, lambda v: v + 1),
        (lambda x: 1 - x, lambda v: 1 - v),
        (lambda x: 2 * x / 4, lambda v: v / 2),
        (lambda x: x // 2 + x % 2, lambda v: v // 2 + v % 2),
        (lambda x: x**2, lambda v: v**2),
        (lambda x: abs(-x), np.abs),
        (lambda x: (x > 1) & ~(x >= 3), lambda v: (v > 1) & ~(v >= 3)),
        (lambda x: (x < 1) | (x <= 0), lambda v: v < 1),
        (lambda x: x @ np.eye(3, dtype="float32"), lambda v: v),
        (lambda x: x[:, 0], lambda v: v[:, 0]),
        (lambda x: x[:, None, ::-1], lambda v: v[:, None, ::-1]),
        (lambda x: x[..., 1:], lambda v: v[..., 1:]),
        (lambda x: x.reshape(-1, 3, 1), lambda v: v.reshape(-1, 3, 1)),
        (lambda x: x * np.array([1.0, 2.0, 3.0], "float32"), lambda v: v * np.array([1, 2, 3])),
        (lambda x: ops.concatenate([x, x * 2], axis=1), lambda v: np.concatenate([v, v * 2], 1)),
        (lambda x: ops.mean(ops.square(x), axis=1, keepdims=True), lambda v: (v**2).mean(1, keepdims=True)),
        (lambda x: ops.softmax(x), lambda v: np.exp(v) / np.exp(v).sum(-1, keepdims=True)),
        (lambda x: ops.cast(x, "int32"), lambda v: v.astype("int32")),
        (lambda x: ops.where(x > 1, x, 0.0), lambda v: np.where(v > 1, v, 0)),
        (lambda x: ops.linalg.norm(x, axis=1), lambda v: np.linalg.norm(v, axis=1)),
    ],
)
def test_operators_and_ops_on_symbolic_tensors_compute_what_numpy_computes(write, expected):
    x = Input((3,))
    value = np.array([[0.5, 1.5, 3.5], [2.0, 0.0, 1.0]], "float32")
    symbolic = write(x)
    y = _run(symbolic, x, value)
    np.testing.assert_allclose(y, expected(value), rtol=1e-6)
    assert len(symbolic.shape) == y.ndim
    assert all(a in (None, b) for a, b in zip(symbolic.shape, y.shape, strict=True))


def test_ops_on_arrays_run_at_once():
    np.testing.assert_allclose(ops.tanh(np.array([0.5])), np.tanh([0.5]), rtol=1e-6)


def test_a_misspelt_op_names_the_nearest_one():
    with pytest.raises(AttributeError, match="Did you mean 'softmax'"):
        ops.sofmax  # noqa: B018


def test_a_mask_passes_through_operators():
    x = Input((None,), dtype="int32")
    embedded = Embedding(10, 3, mask_zero=True)(x)
    model = functional(x, LSTM(4)(ops.tanh(embedded * 2 + 1)))
    params, state = model.init(KEY, x.spec)
    padded, _ = model.apply(params, state, jnp.array([[1, 2, 0, 0]]))
    plain, _ = model.apply(params, state, jnp.array([[1, 2]]))
    np.testing.assert_allclose(padded, plain, atol=1e-6)


@pytest.mark.parametrize("use", [bool, len, list, float, np.asarray, np.sin, jnp.sin])
def test_what_needs_values_says_so_on_a_symbolic_tensor(use):
    with pytest.raises(TypeError, match=r"no values yet|SymbolicTensor"):
        use(Input((3,)))


def test_comparing_symbolic_tensors_is_identity():
    x = Input((3,))
    same = x
    assert x == same
    assert x != Input((3,))


# -- structure -------------------------------------------------------------------------------------------------------


def test_inputs_and_outputs_come_in_any_nest_and_keep_their_order():
    b, a = Input((2,), name="b"), Input((3,), name="a")
    outputs = {"z": Dense(1)(b), "y": [Dense(2)(a), Dense(3)(a)]}
    model = Model({"b": b, "a": a}, outputs)
    assert model.input_names == ["b", "a"]
    assert model.output_names == ["z", "y_0", "y_1"]
    predicted = model.predict({"a": np.ones((4, 3)), "b": np.ones((4, 2))})
    assert list(predicted) == ["z", "y"]
    assert predicted["z"].shape == (4, 1)
    assert [p.shape for p in predicted["y"]] == [(4, 2), (4, 3)]


def test_the_same_layer_behind_two_outputs_gives_them_two_names():
    a, b = Input((2,)), Input((2,))
    shared = Dense(1, name="d")
    assert Model([a, b], [shared(a), shared(b)]).output_names == ["d", "d_1"]


def test_outputs_of_a_nested_model_keep_the_names_they_have_inside():
    x = Input((2,))
    inner = Model(x, [Dense(1, name="left")(x), Dense(1, name="right")(x)])
    y = Input((2,))
    assert Model(y, inner(y)).output_names == ["left", "right"]


def test_an_output_that_needs_another_input_names_it():
    a, b = Input((2,), name="a"), Input((2,), name="b")
    with pytest.raises(GraphError, match="Input 'b' of shape"):
        Model(a, Add()([a, b]))


def test_an_unused_input_is_allowed_and_listed():
    a, b = Input((2,), name="a"), Input((2,), name="b")
    model = Model([a, b], Dense(1)(a))
    assert "b" in [layer.name for layer in model.layers]
    assert model.predict({"a": np.ones((3, 2)), "b": np.ones((3, 2))}).shape == (3, 1)


def test_what_is_no_tensor_is_refused_as_input_or_output():
    x = Input((2,))
    with pytest.raises(GraphError, match="outputs of a model are symbolic tensors"):
        Model(x, Dense(1))
    with pytest.raises(GraphError, match="inputs of a model are symbolic tensors"):
        Model(np.ones((1, 2)), Dense(1)(x))


# -- cutting and nesting ---------------------------------------------------------------------------------------------


def _autoencoder():
    x = Input((6,), name="x")
    code = Dense(2, name="code", activation="tanh")(Dense(4, name="hidden")(x))
    return x, code, Model(x, Dense(6, name="back")(code))


def test_an_encoder_cut_out_before_training_predicts_with_the_trained_weights():
    x, code, autoencoder = _autoencoder()
    encoder = Model(x, code)
    data = np.random.default_rng(0).random((64, 6)).astype("float32")
    before = encoder.predict(data)
    autoencoder.compile("adam", "mse")
    autoencoder.fit(data, data, epochs=3, verbose=0)
    params = autoencoder.params
    h = data @ np.asarray(params["hidden"]["kernel"]) + np.asarray(params["hidden"]["bias"])
    expected = np.tanh(h @ np.asarray(params["code"]["kernel"]) + np.asarray(params["code"]["bias"]))
    np.testing.assert_allclose(encoder.predict(data), expected, atol=1e-6)
    assert np.abs(encoder.predict(data) - before).max() > 1e-4


def test_a_model_cut_out_by_layer_name_after_training_shares_the_weights():
    _, _, autoencoder = _autoencoder()
    data = np.ones((3, 6), "float32")
    whole = autoencoder.predict(data)
    features = Model(autoencoder.input, autoencoder.get_layer("code").output)
    tail = Model(autoencoder.get_layer("code").output, autoencoder.output)
    np.testing.assert_allclose(tail.predict(features.predict(data)), whole, atol=1e-6)


def test_training_an_outer_model_trains_the_model_inside_it_and_the_other_way_round():
    _, _, inner = _autoencoder()
    y = Input((6,))
    outer = Model(y, Dense(1, name="score")(inner(y)))
    before = inner.get_weights()
    outer.compile("sgd", "mse")
    outer.fit(np.ones((8, 6)), np.ones((8, 1)), verbose=0)
    assert any((a != b).any() for a, b in zip(before, inner.get_weights(), strict=True))
    np.testing.assert_array_equal(inner.params["code"]["kernel"], outer.params[inner.name]["code"]["kernel"])


def test_a_layer_used_directly_and_inside_a_nested_model_has_one_set_of_weights():
    layer = Dense(3, name="shared")
    x = Input((3,))
    inner = Model(x, layer(x), name="inner")
    y = Input((3,))
    outer = Model(y, Add()([inner(y), layer(y)]))
    assert outer.count_params() == 12
    assert len(jax.tree.leaves(outer.params)) == 2
    value = np.random.default_rng(1).random((2, 3)).astype("float32")
    np.testing.assert_allclose(outer.predict(value), 2 * inner.predict(value), rtol=1e-6)
    gradient = jax.grad(lambda p: outer.apply(p, outer.state, value)[0].sum())(outer.params)
    np.testing.assert_allclose(jax.tree.leaves(gradient)[0], [4.0, 4.0, 4.0])  # the bias: two examples, two uses


def test_two_nested_models_with_a_common_trunk_train_one_trunk_and_keep_its_state_equal():
    x = Input((4,))
    trunk = BatchNormalization(name="norm")(Dense(4, name="trunk")(x))
    actor, critic = Model(x, Dense(2)(trunk), name="actor"), Model(x, Dense(1)(trunk), name="critic")
    y = Input((4,))
    both = Model(y, [actor(y), critic(y)])
    assert both.count_params() == (4 * 4 + 4) + 16 + (4 * 2 + 2) + (4 + 1)
    both.compile("sgd", "mse")
    data = np.random.default_rng(2).random((8, 4)).astype("float32")
    both.fit(data, [np.ones((8, 2)), np.ones((8, 1))], verbose=0)
    np.testing.assert_array_equal(actor.state["norm"]["moving_mean"], critic.state["norm"]["moving_mean"])
    mean = data @ np.asarray(actor.get_weights()[0]) * 0  # the statistics moved twice, once for each use
    assert np.abs(np.asarray(actor.state["norm"]["moving_mean"]) - mean[0]).max() > 0


def test_a_model_called_twice_on_two_inputs_is_one_step_name_with_two_calls():
    _, _, inner = _autoencoder()
    a, b = Input((6,)), Input((6,))
    outer = Model([a, b], concatenate([inner(a), inner(b)]))
    assert [(s.name, s.call) for s in outer.program.steps if s.layer is inner.layer] == [(inner.name, 0), (inner.name, 1)]
    assert outer.count_params() == inner.count_params()


def test_time_distributed_shares_its_inner_model():
    inner = Sequential([Dense(3, input_shape=(4,))])
    x = Input((None, 4))
    outer = Model(x, TimeDistributed(inner)(x))
    value = np.random.default_rng(3).random((2, 5, 4)).astype("float32")
    expected = np.stack([inner.predict(value[:, t]) for t in range(5)], 1)
    np.testing.assert_allclose(outer.predict(value), expected, rtol=1e-5, atol=1e-6)


# -- errors at building ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: Dense(3)(Flatten()(Input((None, 4)))), ["Dense", "'kernel'", "(None, None)", "Give that axis"]),
        (lambda: Add(name="sum")([Input((3,)), Input((4,))]), ["Add 'sum'", "(None, 3)", "(None, 4)"]),
        (lambda: Conv1D(4, 3)(Input((8,))), ["Conv1D", "(batch, time, channels)", "(None, 8)"]),
        (lambda: Conv1D(4, 9)(Input((8, 2))), ["Conv1D", "8 time steps", "9"]),
        (lambda: LSTM(3, name="memory")(Input((3,))), ["LSTM 'memory'", "(batch, time, features)", "(None, 3)"]),
        (lambda: concatenate([Input((3, 2)), Input((4, 2))]), ["Concatenate", "(None, 3, 2)", "(None, 4, 2)", "axis -1"]),
        (lambda: concatenate([Input((3,)), Input((3,))], axis=9), ["Concatenate", "axis 9"]),
        (lambda: TimeDistributed(Dense(2))(Input((3,))), ["TimeDistributed", "(batch, time, features)"]),
        (lambda: Sequential([Input((4,)), Dense(3), LSTM(2)]), ["LSTM", "(None, 3)"]),
    ],
)
def test_a_wrong_shape_is_an_error_where_the_layer_is_called(build, words):
    with pytest.raises(ShapeError) as caught:
        build()
    for word in words:
        assert word in str(caught.value)
    assert len(str(caught.value)) < 800


@pytest.mark.parametrize(
    ("build", "error", "words"),
    [
        (lambda: Dense(3, activaton="relu"), TypeError, ["Dense", "'activaton'", "Did you mean 'activation'"]),
        (lambda: Dense(3, "rellu"), UnknownNameError, ["Dense", "'rellu'", "Did you mean 'relu'"]),
        (lambda: Dense(3, kernel_initializer="gloro_uniform"), UnknownNameError, ["glorot_uniform"]),
        (lambda: Dense(3, kernel_regularizer="l3"), UnknownNameError, ["regularizer", "'l3'"]),
        (lambda: Dense("10"), ValueError, ["Dense", "units", "positive integer", "'10'"]),
        (lambda: Dense(0), ValueError, ["Dense", "units", "0"]),
        (lambda: Dropout(1.5), ValueError, ["Dropout", "rate", "between 0 and 1", "1.5"]),
        (lambda: Conv1D(4, 3, padding="full"), ValueError, ["Conv1D", "padding", "'valid'", "'full'"]),
        (lambda: Conv1D(4, 3, strides=2, dilation_rate=2), ValueError, ["Conv1D", "strides", "dilation_rate"]),
        (lambda: TimeDistributed("x"), TypeError, ["TimeDistributed", "'x'", "layers and models"]),
        (lambda: Sequential([Dense]), TypeError, ["Dense", "call it"]),
        (lambda: Input(3), ValueError, ["Input", "tuple", "3"]),
        (lambda: Input((-1,)), ValueError, ["Input", "positive", "-1"]),
        (lambda: Dense(3, name="a/b"), ValueError, ["name", "'a/b'"]),
        (lambda: LSTM(4, use_cudnn=True), ValueError, ["LSTM", "use_cudnn"]),
        (lambda: Dense(3)(Input((3,)), traning=True), TypeError, ["Dense", "'traning'", "Did you mean 'training'"]),
    ],
)
def test_a_wrong_argument_names_layer_argument_and_what_came(build, error, words):
    with pytest.raises(error) as caught:
        build()
    for word in words:
        assert word in str(caught.value), str(caught.value)
    assert len(str(caught.value)) < 800


def test_a_layer_called_again_on_another_width_says_what_its_first_call_was():
    layer = Dense(3, name="d")
    layer(Input((4,)))
    with pytest.raises(ShapeError, match=r"Dense 'd' was first called on \(None, 4\).*\(4, 3\).*\(None, 5\).*\(5, 3\)"):
        layer(Input((5,)))


def test_an_error_inside_a_layer_keeps_its_type_and_gains_the_place():
    @jkeras.layer
    def Broken():
        def apply(params, state, x, ctx):
            return (x / 0 if not hasattr(x.shape[0], "_to_var") and isinstance(x.shape[0], int) and 1 / 0 else x), state

        return (lambda key, x: ({}, {})), apply

    x = Input((3,))
    inner = Model(x, Broken(name="breaks")(x), name="inner")
    y = Input((3,))
    with pytest.raises(ZeroDivisionError) as caught:
        Model(y, inner(y)).predict(np.ones((2, 3)))
    assert any("inner/breaks" in note and "(2, 3)" in note for note in caught.value.__notes__)


@pytest.mark.parametrize(
    "given",
    [{"shape": (4,)}, {"batch_shape": (None, 4)}, {"input_shape": (4,)}, {"shape": (4,), "batch_size": 3, "dtype": "int32"}],
)
def test_a_sequential_model_may_start_with_an_input_layer(given):
    model = jkeras.Sequential([jkeras.layers.InputLayer(**given, name="start"), jkeras.layers.Dense(2)])
    assert model.inputs[0].shape == (given.get("batch_size"), 4)
    assert jkeras.Sequential.from_config(model.get_config()).output_shape == model.output_shape
    assert jkeras.Sequential([jkeras.layers.InputLayer((4,)), jkeras.layers.Dense(2)]).output_shape == (None, 2)

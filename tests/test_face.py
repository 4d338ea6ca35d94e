"""What scripts read of models, layers and optimizers: Keras's public attributes, weights as variables, against Keras."""

import copy
import gc
import weakref

import jax
import jax.numpy as jnp
import keras
import numpy as np
import optax
import pytest
from smallest import ONE, ZERO, squaring

import jkeras
from jkeras import Input, Model, Sequential
from jkeras.layers import LSTM, BatchNormalization, Dense, Embedding

X, Y = np.ones((8, 4), "float32"), np.ones((8, 1), "float32")


def specimens(library):
    layers = library.layers
    x = library.Input((4,), name="x")
    model = library.Model(x, layers.Dense(1, name="out")(layers.BatchNormalization(name="norm")(x)))
    model.compile(library.optimizers.RMSprop(0.01), "mse")
    history = model.fit(X, Y, verbose=0)
    chain = library.Sequential([library.Input((4,)), layers.Dense(1)])
    chain.compile("sgd", "mse")
    chain.fit(X, Y, verbose=0)
    found = {"a Model": model, "a Sequential": chain, "a Dense": model.layers[-1], "a BatchNormalization": model.layers[1]}
    return {**found, "an optimizer": model.optimizer, "a symbolic tensor": x, "a History": history}


ABSENT = {  # Keras's public attributes that jkeras does not have, by the reason
    "layers are pure functions and make no weights or losses when they are called; classes of one's own are still to come": (
        "add_loss add_metric add_variable add_weight build_from_config get_build_config call_signature_parameters compute_mask "
        "symbolic_call metrics_variables activity_regularizer autocast input_dtype supports_jit rematerialized_call"
    ),
    "the pure functions are model.init, model.apply and model.trainer": (
        "stateless_call stateless_compute_loss compute_loss compute_loss_and_updates compute_metrics get_metrics_result "
        "jax_state_sync get_state_tree set_state_tree make_predict_function make_test_function make_train_function "
        "predict_function predict_step test_function test_step train_function train_step jit_compile steps_per_execution"
    ),
    "saving comes as one piece, later": (
        "save save_weights load_weights save_own_variables load_own_variables export to_json "
        "get_compile_config compile_from_config variable_serialization_spec"
    ),
    "quantisation and LoRA are not offered": (
        "quantize quantized_build quantized_call quantization_mode quantization_config get_quantization_layer_structure "
        "enable_lora lora_alpha lora_enabled lora_rank"
    ),
    "an option of Keras's that comes with the whole catalogue": (
        "renorm renorm_clipping renorm_momentum synchronized ema_momentum ema_overwrite_frequency use_ema "
        "gradient_accumulation_steps loss_scale_factor scale_loss exclude_from_weight_decay finalize_variable_values"
    ),
    "an optimizer is a pair of Optax's: init and update": (
        "add_optimizer_variables add_variable_from_reference apply apply_gradients assign assign_add assign_sub build "
        "set_weights stateless_apply update_step"
    ),
    "sparse and ragged tensors are not offered": "ragged ragged_rank row_splits_dtype record_history",
}
REASONS = {name: reason for reason, names in ABSENT.items() for name in names.split()}


def test_every_public_attribute_of_kerass_is_there_or_has_a_reason():
    theirs, ours = specimens(keras), specimens(jkeras)
    missing = {
        f"{name} of {what}"
        for what, thing in theirs.items()
        for name in dir(thing)
        if not name.startswith("_") and not hasattr(ours[what], name) and name not in REASONS
    }
    assert not missing


def weighty(library):
    layers = library.layers
    ids = library.Input((5,), dtype="int32")
    inner = library.Sequential([library.Input((4,)), layers.Dense(3, name="inside"), layers.BatchNormalization()], name="inner")
    y = layers.LSTM(4, name="lstm")(layers.Embedding(7, 6, name="embedding")(ids))
    frozen = layers.Dense(4, name="frozen")
    model = library.Model(ids, layers.Dense(1, name="out")(inner(frozen(y))))
    frozen.trainable = False
    return model


@pytest.mark.parametrize("group", ["weights", "trainable_weights", "non_trainable_weights", "trainable_variables"])
def test_weights_have_kerass_names_shapes_and_order(group):
    theirs, ours = getattr(weighty(keras), group), getattr(weighty(jkeras), group)
    assert [(w.name, tuple(w.shape), str(w.dtype), w.trainable) for w in ours] == [
        (w.name, tuple(w.shape), str(w.dtype), w.trainable) for w in theirs
    ]


def test_a_variable_is_an_array_to_numpy_and_jax_and_can_be_assigned():
    model = Sequential([Input((2,)), Dense(3, name="out")])
    kernel = model.layers[0].kernel
    held = np.arange(6.0, dtype="float32").reshape(2, 3)
    kernel.assign(held)
    held[:] = 0  # a copy was taken
    expected = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(kernel, expected)
    np.testing.assert_array_equal(jnp.sum(kernel, axis=0), expected.sum(0))
    np.testing.assert_array_equal(2 * kernel - kernel / 2, 1.5 * expected)
    np.testing.assert_array_equal(expected @ kernel[:].T, expected @ expected.T)
    np.testing.assert_array_equal(jax.jit(lambda w: w * 2)(kernel), 2 * expected)
    np.testing.assert_array_equal(jax.grad(lambda w: jnp.sum(w**2))(kernel), 2 * expected)
    assert kernel.path == "out/kernel"
    assert (kernel.ndim, kernel.size, len(kernel)) == (2, 6, 2)
    assert jax.tree.map(jnp.shape, model.weights) == [(2, 3), (3,)]
    kernel.assign_add(np.ones((2, 3)))
    np.testing.assert_array_equal(model.get_weights()[0], expected + 1)
    kernel.numpy()[:] = 9
    np.asarray(kernel)[:] = 9  # neither is the layer's own
    np.testing.assert_array_equal(kernel.value, expected + 1)
    with pytest.raises(ValueError, match=r"'out/kernel' has shape \(2, 3\), but got an array of shape \(3, 2\)"):
        kernel.assign(np.ones((3, 2)))


def test_arguments_and_weights_are_attributes_and_a_misspelt_one_gets_the_nearest():
    layer = Dense(3, activation="relu", kernel_regularizer="l2")
    assert (layer.units, layer.use_bias, layer.activation, layer.dtype) == (3, True, jkeras.activations.relu, "float32")
    assert layer.weights == layer.get_weights() == []
    with pytest.raises(AttributeError, match=r"Dense has no attribute 'kernel'.*before it is called or built"):
        _ = layer.kernel
    layer.build((None, 4))
    assert layer.built
    assert layer.kernel.shape == (4, 3)
    assert layer.compute_output_shape((None, 4)) == (None, 3)
    np.testing.assert_allclose(layer.losses, [0.01 * np.sum(layer.kernel.numpy() ** 2)], rtol=1e-5)
    with pytest.raises(AttributeError, match="Did you mean 'units'"):
        _ = layer.unit
    again = Dense.from_config(layer.get_config())
    assert repr(again) == repr(Dense(3, activation="relu", kernel_regularizer="l2", name=layer.name))


def test_what_has_no_shape_yet_has_no_weights_and_asking_raises_only_attribute_errors():
    assert Sequential([Dense(4)]).weights == Sequential().weights == Sequential([Dense(4)]).get_weights() == []
    assert not hasattr(Sequential(), "inputs")
    assert not hasattr(Sequential([Dense(4)]), "output_shape")


def test_an_input_layer_has_no_weights_and_a_sequentials_own_is_hidden():
    x = Input((3,), name="x")
    assert Model(x, Dense(1)(x)).get_layer("x").get_weights() == []
    model = Sequential([Input((3,), name="x"), Dense(1, name="out")])
    with pytest.raises(ValueError, match=r"no layer 'x'.*It has out"):
        model.get_layer("x")


def test_an_output_is_one_object_and_operations_are_no_layers():
    x = Input((3,))
    layer = Dense(2)
    y = layer(x)
    assert layer.output is layer.output is y
    assert layer.input is x
    model = Model(x, y * 2 + 1)
    assert [layer.kind for layer in model.layers] == ["InputLayer", "Dense"]
    assert len(model.operations) == 4


# -- optimizers -------------------------------------------------------------------------------------------------------


OPTIMIZERS = {
    "plain": lambda: jkeras.optimizers.SGD(0.25),
    "clipped": lambda: jkeras.optimizers.SGD(0.25, global_clipnorm=100.0),
    "on a schedule": lambda: jkeras.optimizers.SGD(optax.constant_schedule(0.25)),
    "Optax's": lambda: optax.chain(optax.clip(100.0), optax.inject_hyperparams(optax.sgd)(learning_rate=0.25)),
}


@pytest.mark.parametrize("made", OPTIMIZERS)
def test_a_learning_rate_is_read_and_set_behind_every_wrapping_without_compiling_anew(made):
    model = squaring(OPTIMIZERS[made]())
    model.fit(ONE, ZERO, verbose=0)  # 1 - 2/4
    assert float(model.optimizer.learning_rate) == 0.25
    model.optimizer.learning_rate = 0.125
    assert float(model.optimizer.learning_rate) == 0.125
    model.fit(ONE, ZERO, verbose=0)  # 1/2 - 1/8
    assert model.get_weights()[0].item() == pytest.approx(0.375)
    assert float(model.optimizer.learning_rate.numpy()) == 0.125
    model.optimizer.learning_rate.assign(0.5)
    model.fit(ONE, ZERO, verbose=0)
    assert model.get_weights()[0].item() == pytest.approx(0, abs=1e-7)
    assert model.engine().compilations == 1
    assert model.optimizer.iterations == 3


def test_a_transformation_without_a_rate_in_its_state_says_how_to_give_it_one():
    model = squaring(optax.sgd(0.25))
    model.fit(ONE, ZERO, verbose=0)
    for attempt in (lambda: model.optimizer.learning_rate, lambda: setattr(model.optimizer, "learning_rate", 0.5)):
        with pytest.raises(AttributeError, match="inject_hyperparams"):
            attempt()


def test_one_optimizer_object_given_to_two_models_keeps_their_states_apart():
    optimizer = jkeras.optimizers.SGD(0.25, momentum=0.5)
    first, second = squaring(optimizer), squaring(optimizer)
    assert first.optimizer is optimizer
    for _ in range(2):
        first.train_on_batch(ONE, ZERO)
        second.train_on_batch(ONE, ZERO)
    alone = squaring(jkeras.optimizers.SGD(0.25, momentum=0.5))
    alone.fit(ONE, ZERO, epochs=2, verbose=0)
    assert first.get_weights() == second.get_weights() == alone.get_weights()
    first.optimizer.learning_rate = 0.0
    assert float(second.optimizer.learning_rate) == 0.25


def test_arguments_of_an_optimizer_are_attributes_that_cannot_be_set():
    optimizer = jkeras.optimizers.Adam(0.1, beta_1=0.5)
    assert (optimizer.beta_1, optimizer.clipnorm, optimizer.name) == (0.5, None, "adam")
    assert isinstance(optimizer, jkeras.optimizers.Adam)
    assert jkeras.optimizers.Adam.from_config(optimizer.get_config()).beta_1 == 0.5
    with pytest.raises(AttributeError, match="beta_1 is fixed"):
        optimizer.beta_1 = 0.9
    with pytest.raises(AttributeError, match="learning_rate now"):
        _ = optimizer.lr
    with pytest.raises(ValueError, match="non-negative"):
        optimizer.learning_rate = -1.0


# -- freezing ---------------------------------------------------------------------------------------------------------


def branches():
    x = Input((1,))
    a, b = (Dense(1, use_bias=False, kernel_initializer="zeros", name=name) for name in "ab")
    return Model(x, jkeras.layers.Add()([a(x), b(x)])), a, b


def test_trainable_counts_from_compile_and_fit_says_where_it_has_changed_since():
    model, a, b = branches()
    model.compile(jkeras.optimizers.SGD(1.0), lambda y, p: p)
    a.trainable = False
    with pytest.warns(UserWarning, match="trainable of 'a' has changed since"):
        model.fit(ONE, ZERO, verbose=0)
    assert [layer.kernel.numpy().item() for layer in (a, b)] == [-1, -1]
    model.compile(model.optimizer, lambda y, p: p)
    model.fit(ONE, ZERO, verbose=0)
    assert [layer.kernel.numpy().item() for layer in (a, b)] == [-1, -2]


def test_what_the_optimizer_remembers_survives_freezing_in_turns():
    model, a, b = branches()
    optimizer = jkeras.optimizers.SGD(1.0, momentum=0.5)
    for turn in range(4):
        a.trainable, b.trainable = turn % 2 == 0, turn % 2 == 1
        model.compile(optimizer, lambda y, p: p)
        model.train_on_batch(ONE, ZERO)
    # each gradient is 1: -1, then -1 - (1 + 1/2)
    assert [layer.kernel.numpy().item() for layer in (a, b)] == [-2.5, -2.5]
    model.compile(jkeras.optimizers.SGD(1.0, momentum=0.5), lambda y, p: p)  # another object begins anew
    model.train_on_batch(ONE, ZERO)
    assert b.kernel.numpy().item() == -3.5


def test_a_model_is_freed_with_its_optimizer_and_its_programs():
    model = squaring("adam")
    model.fit(ONE, ZERO, verbose=0)
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None


def test_other_layers_show_their_weights_too():
    layer = LSTM(2)
    layer(Input((3, 4)))
    assert layer.cell.recurrent_kernel.shape == (2, 8)
    assert layer.cell.recurrent_kernel.path == "lstm/lstm_cell/recurrent_kernel"
    assert copy.deepcopy(layer).cell.kernel.path == "lstm/lstm_cell/kernel"
    norm, table = BatchNormalization(), Embedding(3, 2)
    norm.build((None, 4))
    table(Input((5,), dtype="int32"))
    assert [norm.gamma.trainable, norm.moving_mean.trainable] == [True, False]
    assert table.embeddings.shape == (3, 2)

"""Models, training states and layers of every kind, pickled."""

import copy
import pickle

import cloudpickle
import jax
import numpy as np
import pytest
from layer_table import CASES
from pickled import AroundDense, Both, Scale, Several, X, Y, again, compiled, cubed, my_loss, predictions, same_arrays
from wirings import program

import jkeras
from jkeras import Input, Model, Sequential
from jkeras.layers import LSTM, Dense, Embedding, TimeDistributed

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


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_row_of_the_table_has_the_same_weights_and_the_same_program(case):
    model = case.model(jkeras, lengths_known=False)
    other = again(model)
    same_arrays(model.get_weights(), other.get_weights())
    assert [w.path for w in other.weights] == [w.path for w in model.weights]
    assert program(other, case.data()) == program(model, case.data())


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

"""Further instances of kinds of faults that were once found in training, each against a closed form, NumPy or Keras."""

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
from pickled import same_arrays
from smallest import ONE, ZERO, Doing, aligned, one_weight

import jkeras
from jkeras import Input, Model, Sequential
from jkeras.layers import LSTM, Add, BatchNormalization, Conv1D, Dense, Dropout, Embedding, MaxPooling1D, TimeDistributed
from jkeras.metrics import Metric

KEY = jax.random.key(0)
RNG = np.random.default_rng(8)


# -- the first call is inside jit -------------------------------------------------------------------------------------


def test_models_first_called_inside_jit_compute_with_the_weights_that_they_then_hold():
    x = RNG.normal(size=(5, 4)).astype("float32")
    i = Input((4,))
    two = Model(i, [Dense(1)(i), Dense(2)(i)])
    deep = Sequential([Sequential([Dense(3)]), Dense(1)])  # which learns its shape inside
    (left, right), y = jax.jit(lambda x: (two(x), deep(x)))(x)
    a, b, c, d = two.get_weights()
    np.testing.assert_allclose(left, x @ a + b, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(right, x @ c + d, rtol=1e-5, atol=1e-6)
    a, b, c, d = deep.get_weights()
    for got in (y, deep.predict(x, verbose=0)):
        np.testing.assert_allclose(got, (x @ a + b) @ c + d, rtol=1e-5, atol=1e-6)


# -- weights and states that are set ----------------------------------------------------------------------------------

SETTING = {
    "set_weights": lambda m, *_: m.set_weights([np.full((1, 1), 7.0)]),
    "set_weights of a layer": lambda m, *_: m.layers[0].set_weights([np.full((1, 1), 7.0)]),
    "assign": lambda m, *_: m.layers[0].kernel.assign([[7.0]]),
    "params": lambda m, *_: setattr(m, "params", {"w": {"kernel": np.full((1, 1), 7.0)}}),
    "hold": lambda m, *_: m.hold(m.train_state()._replace(params={"w": {"kernel": jnp.full((1, 1), 7.0)}})),
}


@pytest.mark.parametrize("way", SETTING)
@pytest.mark.parametrize("hook", ["on_train_begin", "on_epoch_begin", "on_train_batch_begin"])
def test_weights_set_in_any_way_before_a_step_are_those_of_its_loss(hook, way):
    model = Sequential([Input((1,)), one_weight()])
    model.compile(jkeras.optimizers.SGD(0.0), "mse")
    history = model.fit(ONE, ZERO, epochs=2, verbose=0, callbacks=[Doing(hook, SETTING[way])]).history
    assert history["loss"] == [49.0, 49.0]
    assert model.get_weights()[0].item() == 7


@pytest.mark.parametrize("key", [jax.random.key(5), jax.random.PRNGKey(5), jax.random.key(5, impl="rbg")], ids=str)
def test_a_state_that_is_held_is_returned_leaf_by_leaf_and_goes_on(key):
    model = Sequential([Input((4,)), BatchNormalization(), Dropout(0.5), Dense(1)])
    model.compile("adam", "mse", seed=1)
    state = jax.tree.map(lambda leaf: leaf + 3 if leaf.dtype == jnp.float32 else leaf, model.trainer.init(KEY))
    state = state._replace(key=key, step=jnp.int32(41))
    model.hold(state)
    same_arrays(model.train_state(), state)
    model.fit(np.ones((8, 4)), np.ones((8, 1)), verbose=0)
    assert int(model.train_state().step) == 42


def test_arrays_of_a_state_that_is_held_may_be_changed_afterwards():
    model = Sequential([Input((16,)), BatchNormalization(), Dense(16, use_bias=False)])
    model.compile(jkeras.optimizers.SGD(0.1, momentum=0.5), "mse")
    shared = jax.tree.map(lambda leaf: aligned(leaf.shape, 1), (model.train_state().params, model.train_state().state))
    opt_state = jax.tree.map(
        lambda leaf: aligned(leaf.shape, 1) if leaf.dtype == jnp.float32 else leaf, model.train_state().opt_state
    )
    model.hold(model.train_state()._replace(params=shared[0], state=shared[1], opt_state=opt_state))
    for array in jax.tree.leaves((shared, opt_state)):
        if isinstance(array, np.ndarray):
            array[...] = 99
    for leaf in jax.tree.leaves((model.get_weights(), model.train_state().opt_state)):
        assert (np.asarray(leaf) < 99).all()


@pytest.mark.parametrize("how", ["set_weights", "assign", "state"])
def test_an_array_given_to_a_layer_or_as_state_may_be_changed_afterwards(how):
    model = Sequential([Input((16,)), BatchNormalization(name="norm")])
    norm, given = model.layers[0], aligned((16,), 1)
    if how == "set_weights":
        norm.set_weights([*norm.get_weights()[:2], given, norm.get_weights()[3]])
    elif how == "assign":
        norm.moving_mean.assign(given)
    else:
        model.state = {"norm": {**model.state["norm"], "moving_mean": given}}
    given[:] = 99
    assert (norm.get_weights()[2] == 1).all()


# -- freezing in turns ------------------------------------------------------------------------------------------------


def adam_at(steps, rate=0.1):
    """Where Adam comes from 0 whose gradient is 1 at these steps of its own count, and which rests between them."""
    w = m = v = 0.0
    for t in steps:
        m, v = 0.9 * m + 0.1, 0.999 * v + 0.001
        w -= rate * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-7)
    return w


def test_three_nested_models_that_learn_in_turns_keep_both_moments_of_adam():
    x = Input((1,))
    parts = [Sequential([Input((1,)), one_weight(start=0.0)], name=name) for name in "abc"]
    model = Model(x, Add()([part(x) for part in parts]))
    optimizer = jkeras.optimizers.Adam(0.1)
    for turn in range(6):
        for i, part in enumerate(parts):
            part.trainable = turn % 3 == i
        model.compile(optimizer, lambda y, p: p)
        model.train_on_batch(ONE, ONE)
    got = [part.get_weights()[0].item() for part in parts]
    np.testing.assert_allclose(got, [adam_at((1, 4)), adam_at((2, 5)), adam_at((3, 6))], rtol=1e-4)


# -- metrics of one's own ---------------------------------------------------------------------------------------------


def totalled(name, of, join=jnp.add):
    return Metric(name, lambda: jnp.zeros(()), lambda total, y, p, w=None: join(total, of(y, p)), lambda total: total)


def test_metrics_of_ones_own_count_outputs_steps_and_the_largest_batch_with_weights_and_in_validation():
    seen = [
        totalled("outputs", lambda y, p: p.shape[0]),
        totalled("steps", lambda y, p: y.shape[0] * y.shape[1]),
        totalled("largest", lambda y, p: y.shape[0], jnp.maximum),
    ]
    model = Sequential([Input((3, 2)), Dense(1)])
    model.compile("sgd", "mse", metrics=seen, weighted_metrics=[totalled("weighted", lambda y, p: y.shape[0])])
    x, y = np.ones((35, 3, 2)), np.ones((35, 3, 1))

    def wanted(n, largest, prefix=""):
        return {f"{prefix}{k}": v for k, v in {"outputs": n, "steps": 3 * n, "largest": largest, "weighted": n}.items()}

    logs = {k: v[0] for k, v in model.fit(x, y, validation_data=(x[:5], y[:5]), verbose=0).history.items()}
    assert logs.items() >= {**wanted(35, 32), **wanted(5, 5, "val_")}.items()
    weights = np.full(35, 0.5)
    assert model.evaluate(x, y, 8, sample_weight=weights, verbose=0, return_dict=True).items() >= wanted(35, 8).items()
    assert model.test_on_batch(x[:5], y[:5], return_dict=True).items() >= wanted(5, 5).items()


@pytest.mark.filterwarnings("ignore:__array__ implementation")  # of Keras
@pytest.mark.parametrize("threshold", [0.5, 0.3])
@pytest.mark.parametrize("form", ["a column", "flat targets", "steps"])
def test_accuracy_with_targets_of_any_value_is_that_of_keras_weighted_and_at_any_threshold(form, threshold):
    y = np.array([[-1.0], [0.0], [1.0], [2.0], [0.5], [1.0]], "float32")
    p, weight = np.array([[0.0], [0.0], [1.0], [1.0], [0.0], [0.4]], "float32"), np.arange(1.0, 7)
    if form == "flat targets":
        y = y[:, 0]
    if form == "steps":
        y, p, weight = np.stack([y, y], 1), np.stack([p, p], 1), None
    found = []
    for k in (keras, jkeras):
        model = k.Sequential([k.Input(p.shape[1:]), k.layers.Activation("linear")])
        model.compile("sgd", "mse", weighted_metrics=[k.metrics.BinaryAccuracy(threshold=threshold)])
        found.append(model.evaluate(p, y, sample_weight=weight, verbose=0)[1])
    assert found[0] == pytest.approx(found[1])
    assert 0 < found[1] < 1


# -- penalties before anything was called -----------------------------------------------------------------------------


@pytest.mark.parametrize("warm", [False, True])
def test_penalties_of_layers_of_every_kind_inside_a_model_of_unknown_shape_need_no_earlier_init(warm):
    def thousand(w):
        return 1000 + 0 * w.sum()

    def model(of=None):
        inner = [
            Embedding(4, 2, embeddings_regularizer=of), LSTM(2, recurrent_regularizer=of, bias_regularizer=of),
        ]  # fmt: skip
        return Sequential([Sequential(inner, name="inner"), BatchNormalization(gamma_regularizer=of), Dense(1)])

    ids = jax.ShapeDtypeStruct((1, 2), "int32")
    params, state = model().init(KEY, ids)
    penalised = model(thousand)
    penalised.compile("sgd", "mse")
    if warm:
        penalised.init(KEY, ids)
    trainer = penalised.trainer
    start = trainer.start(jax.tree.map(jnp.zeros_like, params), state, KEY)
    _, logs = trainer.step(start, (np.array([[1, 2]]), np.zeros((1, 1))))
    assert float(logs["loss"]) == 4000


# -- a refused layer --------------------------------------------------------------------------------------------------

FIRST = {  # a first layer with a wrong shape, the same with a right one, what then comes out
    "Conv1D": (lambda shape: Conv1D(2, 3, input_shape=shape), (4,), (9, 4), (None, 7, 2)),
    "MaxPooling1D": (lambda shape: MaxPooling1D(7, input_shape=shape), (4, 2), (14, 2), (None, 2, 2)),
    "TimeDistributed": (lambda shape: TimeDistributed(Dense(2), input_shape=shape), (4,), (4, 3), (None, 4, 2)),
    "Embedding": (lambda shape: Embedding(5, 2, input_shape=shape), (-1,), (3,), (None, 3, 2)),
}


@pytest.mark.parametrize("kind", FIRST)
def test_a_first_layer_of_any_kind_that_is_refused_leaves_an_empty_sequential(kind):
    make, wrong, right, expected = FIRST[kind]
    model = Sequential()
    with pytest.raises(ValueError, match=kind):
        model.add(make(wrong))
    assert model.layers == []
    model.add(make(right))
    assert model.output_shape == expected


def test_a_layer_that_was_refused_is_free_for_another_model():
    lstm, model = LSTM(3), Sequential([Input((4,))])
    with pytest.raises(ValueError, match="expected 3 axes"):
        model.add(lstm)
    assert Sequential([Input((5, 4)), lstm]).output_shape == (None, 3)
    model.add(Dense(2))
    assert model.output_shape == (None, 2)


# -- without jit ------------------------------------------------------------------------------------------------------


def test_masks_and_statistics_train_without_jit_as_with_it():
    def run():
        x = Input((3,), dtype="int32")
        model = Model(x, Dense(1)(BatchNormalization()(Embedding(7, 2, mask_zero=True)(x))))
        model.compile("sgd", "mse", seed=3)
        return model.fit(ids, ONE[:, None] * np.ones((4, 3, 1)), batch_size=3, verbose=0).history, model.get_weights()

    ids = np.array([[1, 2, 0], [3, 0, 0], [4, 5, 6], [6, 2, 0]], "int32")
    expected = run()
    with jax.disable_jit():
        got = run()
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5), got, expected)


# -- outputs without a loss, and validation that begins anew ----------------------------------------------------------


def test_outputs_that_a_loss_leaves_out_are_not_trained_whatever_form_losses_targets_and_data_have():
    x = Input((1,))
    outputs = {name: one_weight(name, i + 1.0)(x) for i, name in enumerate("abc")}
    model = Model(x, outputs)
    targets = {"c": ZERO, "b": ZERO}
    model.compile(jkeras.optimizers.SGD(0.0), {"b": "mse", "c": "mae"})
    history = model.fit(ONE, targets, validation_data=(ONE, targets), verbose=0).history
    assert (history["loss"], history["val_loss"]) == ([4 + 3], [4 + 3])
    assert model.evaluate(((ONE, targets) for _ in range(2)), verbose=0)[0] == 7
    model.compile(jkeras.optimizers.SGD(0.125), {"b": "mse"})
    assert model.train_on_batch(ONE, {"b": ZERO}, return_dict=True)["loss"] == 4
    assert [w.item() for w in model.get_weights()] == [1, 2 - 4 / 8, 3]
    listed = Model(x, list(outputs.values()))
    listed.compile("sgd", [None, "mse", None])
    assert listed.evaluate(ONE, [None, ZERO, None], verbose=0) == listed.evaluate(ONE, {"b": ZERO}, verbose=0) == 1.5**2


class Iterable:
    def __iter__(self):
        return ((np.full((2, 1), k, "float32"), np.zeros((2, 1), "float32")) for k in range(4))


COLUMN = np.repeat(np.arange(4.0), 2)[:, None]
READ_AGAIN = {"an iterable": (Iterable(), {}), "arrays": ((COLUMN, 0 * COLUMN), {"validation_batch_size": 2})}


@pytest.mark.parametrize("form", READ_AGAIN)
def test_validation_of_fewer_steps_than_there_are_begins_anew_in_every_form_of_data(form):
    data, more = READ_AGAIN[form]
    model = Sequential([Input((1,)), one_weight()])
    model.compile(jkeras.optimizers.SGD(0.0), "mse")
    history = model.fit(ONE, ONE, epochs=3, validation_data=data, validation_steps=2, verbose=0, **more).history
    assert history["val_loss"] == [0.5] * 3

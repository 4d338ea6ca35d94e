"""Where examples of a batch see one another, batches are never filled up; where a layer says never, they do not."""

import jax.numpy as jnp
import numpy as np
import pytest

import jkeras
from jkeras import Input, Model, Sequential, ops
from jkeras.core import Definition, composite, layer
from jkeras.layers import LSTM, Activation, BatchNormalization, Dense, TimeDistributed
from jkeras.losses import Loss
from jkeras.metrics import Metric

RNG = np.random.default_rng(4)
X = RNG.normal(size=(11, 4)).astype("float32")
SERIES = RNG.normal(size=(11, 3, 4)).astype("float32")


def test_a_layer_called_with_training_true_sees_the_real_rows_of_its_batch_only():
    x = Input((1,))
    model = Model(x, BatchNormalization()(x, training=True))
    rows = np.array([[10.0], [0.0], [1.0], [2.0], [3.0], [7.0], [7.5], [4.0]], "float32")

    def normed(v):
        return (v - v.mean()) / np.sqrt(v.var() + 1e-3)

    expected = np.concatenate([normed(rows[:5]), normed(rows[5:])])
    np.testing.assert_allclose(model.predict(rows, batch_size=5, verbose=0), expected, atol=1e-4)
    outer = Model(y := Input((1,)), model(y))  # and in a model inside another
    np.testing.assert_allclose(outer.predict(rows, batch_size=5, verbose=0), expected, atol=1e-4)
    model.compile("sgd", "mse")
    assert model.evaluate(rows, expected, batch_size=5, verbose=0) < 1e-6


def counting(count_of):
    return Metric("n", lambda: jnp.zeros(()), lambda total, y, p, w=None: total + count_of(y), lambda total: total)


def test_an_unknown_metric_is_never_shown_examples_that_fill_up_a_batch():
    model = Sequential([Input((4,)), Dense(1)])
    model.compile("sgd", "mse", metrics=[counting(lambda y: y.shape[0])])
    assert model.evaluate(np.ones((33, 4)), np.ones((33, 1)), verbose=0, return_dict=True)["n"] == 33
    assert model.fit(np.ones((33, 4)), np.ones((33, 1)), verbose=0).history["n"] == [33]


@pytest.mark.parametrize("loss", [lambda y, p: jnp.mean(y - p) ** 2, Loss(lambda y, p: jnp.mean(y - p) ** 2, "own")])
def test_an_unknown_loss_is_never_shown_examples_that_fill_up_a_batch(loss):
    model = Sequential([Input((1,)), Dense(1, kernel_initializer="zeros")])
    model.compile("sgd", loss)
    y = np.array([[1.0], [2.0], [6.0]], "float32")
    got = model.evaluate(np.ones((3, 1)), y, batch_size=2, verbose=0)
    np.testing.assert_allclose(got, (2 * 1.5**2 + 1 * 6.0**2) / 3, rtol=1e-6)


def test_an_unknown_layer_is_never_shown_examples_that_fill_up_a_batch():
    @layer
    def Center():
        return (lambda key, x: ({}, {})), (lambda params, state, x, ctx: (x - x.mean(0), state))

    model = Sequential([Input((1,)), Center()])
    rows = np.array([[0.0], [1.0], [5.0]], "float32")
    np.testing.assert_allclose(model.predict(rows, verbose=0)[:, 0], [-2, -1, 3])


def test_a_word_that_says_nothing_about_mixing_is_refused_when_the_layer_is_written():
    with pytest.raises(ValueError, match=r"mixes_examples must be one of 'never', 'training', 'always'.*'allways'"):
        Definition(lambda key, x: ({}, {}), lambda p, s, x, ctx: (x, s), mixes_examples="allways")


@pytest.mark.parametrize(
    ("write", "shapes"),
    [
        (lambda a, b: a + b, [(), (1,)]),
        (lambda a, b: a * b, [(1,), ()]),
        (lambda a, b: jkeras.ops.maximum(a, b), [(3, 1), (3,)]),
    ],
)
def test_examples_that_broadcast_against_each_other_are_not_filled_up(write, shapes):
    a, b = (Input(shape) for shape in shapes)
    given = [np.arange(1.0, 1 + np.prod((3, *shape))).reshape(3, *shape).astype("float32") for shape in shapes]
    got = Model([a, b], write(a, b)).predict(given, verbose=0)
    np.testing.assert_allclose(got, write(*map(jnp.asarray, given)))


@pytest.mark.parametrize(
    "write",
    [
        lambda x, i: ops.take(x, i, axis=1),
        lambda x, i: x[:, i],
        lambda x, i: ops.quantile(x, np.array([0.1, 0.9], "float32"), axis=1),
        lambda x, i: ops.rollaxis(x, 1),
        lambda x, i: ops.one_hot(i, 4, axis=0),
        lambda x, i: ops.transpose(x),
        lambda x, i: ops.argmax(x, axis=0),
        lambda x, i: ops.concatenate([x, x], axis=0),
        lambda x, i: ops.reshape(x, (-1,)),
        lambda x, i: ops.outer(x, x),
        lambda x, i: x[:, :, None, None][:, 0, :, [0, 0]],
    ],
)
def test_an_operation_that_may_move_or_mix_examples_is_given_the_real_rows_and_its_result_is_not_cut(write):
    x, i = Input((4,)), Input((2,), dtype="int32")
    given = [X[:3], np.array([[0, 1], [2, 3], [1, 1]], "int32")]
    got = Model([x, i], write(x, i)).predict(given, verbose=0)
    np.testing.assert_allclose(got, write(jnp.asarray(given[0]), jnp.asarray(given[1])), rtol=1e-6)


@pytest.mark.parametrize("training", [True, 1, np.True_])
def test_every_way_to_say_training_is_understood(training):
    x = Input((3, 4))
    model = Model(x, TimeDistributed(BatchNormalization())(x, training=training))
    whole = model.predict(SERIES[:5], batch_size=5, verbose=0)
    np.testing.assert_allclose(whole.mean((0, 1)), np.zeros(4), atol=1e-5)
    with pytest.raises(ValueError, match="training must be True or False"):
        BatchNormalization()(Input((3,)), training="yes")


def exact(model, x, size=8):
    """Check that the rows of a partial batch come out as when they are alone."""
    np.testing.assert_allclose(model.predict(x, batch_size=size, verbose=0)[size:], model(x[size:]), rtol=1e-5, atol=1e-6)


def composed(body, **inner):
    more = {name: inner.pop(name) for name in ("weights", "transient", "arguments") if name in inner}
    return layer(lambda: composite(body, **inner, **more))()


def test_a_penalty_of_a_composites_own_counts_real_rows_only():
    def body(call, x):
        z = call("d", x)
        call.states["penalty"] = jnp.square(z.value).sum() / x.shape[0]
        return z

    made = composed(body, weights=lambda key, x: ({}, {"penalty": jnp.zeros(())}), d=Dense(2))
    model = Sequential([Input((4,)), made])
    model.compile("sgd", "mse")
    z = model.predict(X, verbose=0)
    got = model.evaluate(X, z, batch_size=8, verbose=0)
    np.testing.assert_allclose(got, np.square(z).sum() / 11, rtol=1e-5)
    assert len(model.get_weights()) == 2  # a penalty is no weight


def test_what_mixes_in_training_only_is_found_out():
    def body(call, x):
        y = call("q", x)
        return (y + y[::-1]) * 0.5 if call.ctx.training else y

    model = Sequential([Input((4,)), composed(body, q=Activation("linear")), Dense(1, kernel_initializer="ones")])
    model.compile(jkeras.optimizers.SGD(0.0), "mse")
    got = model.fit(X, np.zeros((11, 1)), batch_size=8, shuffle=False, verbose=0).history["loss"][0]
    rows = [(part + part[::-1]) / 2 for part in (X[:8], X[8:])]
    np.testing.assert_allclose(got, np.square(np.concatenate(rows).sum(1)).mean(), rtol=1e-5)
    exact(model, X)


def test_what_mixes_through_an_argument_of_the_call_is_found_out():
    def body(call, x):
        y = call("q", x)
        return y - ops.mean(y, axis=0, keepdims=True) if call.ctx.arguments.get("center") else y

    made = composed(body, arguments=("center",), q=Activation("linear"))
    x = Input((4,))
    exact(Model(x, made(x, center=True)), X)
    spec = X[:3].view()
    describe = jkeras.core.describe
    assert describe.mixing(made, jnp.asarray(spec), {}) == "never"


def test_what_mixes_through_the_mask_or_the_state_given_to_an_inner_layer_is_found_out():
    def by_mask(call, x):
        return call("l", x, mask=jnp.broadcast_to(x.value.mean((0, 2)) > 0, x.shape[:2]))

    def by_state(call, x):
        h = jnp.broadcast_to(x.value.mean((0, 1))[:2], (x.shape[0], 2))
        return call("l", x, initial_state=[h, h])

    for body in (by_mask, by_state):
        x = Input((3, 4))
        exact(Model(x, composed(body, l=LSTM(2))(x)), SERIES)


@pytest.mark.parametrize("word", ["nevver", False, "", 0])
def test_a_composite_takes_one_of_the_three_words_or_none(word):
    with pytest.raises(ValueError, match="mixes_examples must be one of"):
        composite(lambda call, x: x, mixes_examples=word)
    bad = layer(lambda: Definition(lambda k, x: ({}, {}), lambda p, s, x, c: (x, s), mixes_examples=lambda x, a: word))()
    with pytest.raises(ValueError, match="mixes_examples must be one of"):
        Model(x := Input((4,)), bad(x)).predict(X, verbose=0)

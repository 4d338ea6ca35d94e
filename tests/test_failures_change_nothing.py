"""Whatever goes wrong, a trained model is what it was after its last whole step, and goes on from there."""

import contextlib
import hashlib
import itertools
import os
import signal
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jkeras
from jkeras import layers
from jkeras.callbacks import Callback
from jkeras.training.engine import Engine

N, BATCH = 16, 4
STEPS = N // BATCH
RNG = np.random.default_rng(2)
WORDS, SIZE = RNG.integers(0, 7, (N, 4)).astype("int32"), RNG.normal(size=(N, 3)).astype("float32")
X = {"words": WORDS, "size": SIZE}
KIND, PRICE = RNG.integers(0, 3, N), RNG.normal(size=(N, 1)).astype("float32")
Y = {"kind": KIND, "price": PRICE}
LOSSES = {"kind": "sparse_categorical_crossentropy", "price": "mse"}
QUIET = {"batch_size": BATCH, "shuffle": False, "verbose": 0}


def fingerprint(model):
    """Hash everything that training changes: weights, moving statistics, the optimizer's state, the key, the step."""
    state = model.train_state()
    state = state._replace(key=jax.random.key_data(state.key))
    digest = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_flatten_with_path(state)[0]:
        array = np.asarray(leaf)
        digest.update(f"{jax.tree_util.keystr(path)} {array.shape} {array.dtype}".encode() + array.tobytes())
    return digest.hexdigest()


@pytest.fixture(scope="module")
def trained():
    words, size = jkeras.Input((4,), dtype="int32", name="words"), jkeras.Input((3,), name="size")
    h = layers.concatenate([layers.Flatten()(layers.Embedding(7, 2)(words)), size])
    h = layers.BatchNormalization()(layers.Dense(5, activation="tanh")(h))
    kind, price = layers.Dense(3, activation="softmax", name="kind")(h), layers.Dense(1, name="price")(h)
    model = jkeras.Model([words, size], [kind, price])
    model.compile("adam", LOSSES, {"kind": 1.0, "price": 0.5}, metrics={"kind": ["acc"], "price": ["mae"]}, seed=0)
    model.fit(X, Y, **QUIET)
    return model


@contextlib.contextmanager
def unchanged(model):
    """Check that a block leaves a model as it was, and able to predict and to fit."""
    before, predicted = fingerprint(model), model.predict(X, N, verbose=0)
    yield
    assert fingerprint(model) == before
    for now, then in zip(model.predict(X, N, verbose=0), predicted, strict=True):
        np.testing.assert_array_equal(now, then)
    step = int(model.train_state().step)
    assert np.isfinite(model.fit(X, Y, **QUIET).history["loss"][0])
    assert int(model.train_state().step) == step + STEPS


# -- bad data ---------------------------------------------------------------------------------------------------------


def entry(array, place, value, dtype=None):
    """A copy of an array with one entry replaced."""
    array = np.array(array, dtype)
    array[place] = value
    return array


INPUTS = {  # name of the fault: inputs, and what the message must say
    "too wide": ({**X, "size": np.ones((N, 4))}, r"'size' must have shape \(batch, 3\), but got \(16, 4\)"),
    "a rank too high": ({**X, "size": np.ones((N, 3, 2))}, r"'size'.*\(batch, 3\).*\(16, 3, 2\)"),
    "a misspelt key": ({"word": WORDS, "size": SIZE}, "'word'.*Did you mean 'words'"),
    "a key too many": ({**X, "sizes": SIZE}, "'sizes'.*Did you mean 'size'"),
    "a missing key": ({"words": WORDS}, "'size'"),
    "a list too short": ([WORDS], "words.*size"),
    "fewer rows in one": ({**X, "size": SIZE[:-1]}, "15 of.*size"),
    "no rows": ({"words": WORDS[:0], "size": SIZE[:0]}, "no examples|0 of input"),
    "strings": ({**X, "size": np.full((N, 3), "1.0")}, "'size' must hold numbers"),
    "a masked array": ({**X, "size": np.ma.masked_array(SIZE, SIZE > 0)}, "'size'.*mask"),
    "None": (None, "inputs|input 'words'"),
    "a string": ("words", "str"),
    "a number": (3.0, "words.*size"),
    "an index too high": ({**X, "words": entry(WORDS, (2, 1), 7)}, r"'words'.*0 to 6.*\(2, 1\).*7"),
    "a negative index": ({**X, "words": entry(WORDS, (2, 1), -1)}, r"'words'.*0 to 6.*\(2, 1\).*-1"),
    "an index that is not whole": ({**X, "words": entry(WORDS, (2, 1), 0.5, float)}, "'words'.*0.5"),
}
TARGETS = {
    "none at all": (None, "targets are missing"),
    "none for one output": ({"kind": KIND}, "'price'"),
    "a misspelt key": ({"kinds": KIND, "price": PRICE}, "'kinds'.*Did you mean 'kind'"),
    "fewer rows": ({**Y, "price": PRICE[:-1]}, "15 of.*price"),
    "a class too high": ({**Y, "kind": entry(KIND, 3, 3)}, r"'kind'.*0 to 2.*\(3,\).*3"),
    "a negative class": ({**Y, "kind": entry(KIND, 3, -1)}, r"'kind'.*0 to 2.*\(3,\).*-1"),
    "a class that is not whole": ({**Y, "kind": entry(KIND, 3, 0.5, float)}, "'kind'.*0.5"),
    "one-hot for class numbers": ({**Y, "kind": np.eye(3)[KIND]}, r"'kind'.*\(16, 3\)|One-hot.*categorical_crossentropy"),
    "what would broadcast": ({**Y, "price": np.tile(PRICE, 3)}, r"\(.*, 1\).*\(.*, 3\)"),
    "a row for all": ({**Y, "price": PRICE[:1]}, "1 of.*price"),
    "strings": ({**Y, "price": np.full((N, 1), "dear")}, "'price' must hold numbers"),
}
HALF = np.full(N, 0.5)
WEIGHTS = {
    "fewer rows": (HALF[:-1], "15 of.*sample_weight"),
    "columns": (np.ones((N, 3)), r"sample.weight.*\(.*, 3\)"),
    "a misspelt key": ({"prise": HALF}, "'prise'.*Did you mean 'price'"),
    "NaN": (entry(HALF, 3, np.nan), "finite"),
}
METHODS = {
    "fit": lambda model, x, y, w: model.fit(x, y, sample_weight=w, **QUIET),
    "evaluate": lambda model, x, y, w: model.evaluate(x, y, BATCH, sample_weight=w, verbose=0),
    "train_on_batch": lambda model, x, y, w: model.train_on_batch(x, y, w),
    "test_on_batch": lambda model, x, y, w: model.test_on_batch(x, y, w),
    "predict": lambda model, x, y, w: model.predict(x, BATCH, verbose=0),
    "predict_on_batch": lambda model, x, y, w: model.predict_on_batch(x),
    "a call": lambda model, x, y, w: model(x),
}
JUDGING = list(METHODS)[:4]
FAULTS = {f"inputs: {fault}": (x, Y, None, message, METHODS) for fault, (x, message) in INPUTS.items()}
FAULTS |= {f"targets: {fault}": (X, y, None, message, JUDGING) for fault, (y, message) in TARGETS.items()}
FAULTS |= {f"weights: {fault}": (X, Y, weight, message, JUDGING) for fault, (weight, message) in WEIGHTS.items()}


@pytest.mark.parametrize("fault", FAULTS)
def test_bad_data_are_refused_by_name_and_change_nothing(fault, trained):
    x, y, weight, message, methods = FAULTS[fault]
    with unchanged(trained):
        for method in methods:
            if (fault, method) == ("inputs: no rows", "a call"):
                continue  # an empty batch is a batch like any other there
            with pytest.raises(ValueError, match=message):
                METHODS[method](trained, x, y, weight)


ARGUMENTS = [
    *({"batch_size": wrong} for wrong in (0, -1, 2.5, "8", True)),
    *({"epochs": wrong} for wrong in (-1, 1.5, None, "2")),
    *({"initial_epoch": wrong} for wrong in (-1, 0.5)),
    *({"steps_per_epoch": wrong} for wrong in (0, 2.0)),
    *({"validation_split": wrong} for wrong in (-0.1, 1.0, 1.5, "half", 0.99, True, float("nan"))),
    *({"verbose": wrong} for wrong in (3, -1, "loud", None, 0.5)),
    *({name: 0, "validation_data": (X, Y)} for name in ("validation_batch_size", "validation_steps", "validation_freq")),
    *({"validation_freq": wrong, "validation_data": (X, Y)} for wrong in ([0], [1.5], "2", [True])),
    *({"validation_data": wrong} for wrong in (3, (X,), (X, Y, HALF, HALF), ({"words": WORDS}, Y), (X, {**Y, "kind": KIND + 1}))),
    {"validation_data": (X, {**Y, "price": np.tile(PRICE, 3)})},
    *({"class_weight": wrong} for wrong in ({0: 1.0}, 3, {"a": 1.0})),
]


@pytest.mark.parametrize("wrong", ARGUMENTS, ids=lambda wrong: ", ".join(f"{k}={str(v)[:20]}" for k, v in wrong.items()))
def test_bad_arguments_of_fit_are_refused_by_name_and_change_nothing(wrong, trained):
    with unchanged(trained):
        for _ in range(2):  # what was checked once is checked again
            with pytest.raises(ValueError, match=next(iter(wrong))):
                trained.fit(X, Y, **{**QUIET, **wrong})


@pytest.mark.parametrize("wrong", ["early", 3, object(), Callback, print], ids=lambda wrong: type(wrong).__name__)
def test_bad_callbacks_are_refused_and_change_nothing(wrong, trained):
    with unchanged(trained):
        for given in (wrong, [wrong], [Callback(), wrong]):
            with pytest.raises(TypeError, match="Callback"):
                trained.fit(X, Y, callbacks=given, **QUIET)


COMPILE = [
    ({"optimizer": "adm"}, "(?i)Did you mean 'adam'"),
    ({"loss": "mes"}, "Did you mean 'mse'"),
    *(({name: 3}, name) for name in ("optimizer", "loss", "metrics", "weighted_metrics")),
    *(({"loss": ["mse"] * n}, f"loss.*{n} for 2.*kind.*price") for n in (1, 3)),
    ({"loss": {**LOSSES, "prise": "mse"}}, "loss.*'prise'.*Did you mean 'price'"),
    ({"loss": jkeras.losses.MeanSquaredError(reduction="none")}, "reduction"),
    *(({"loss_weights": [1.0] * n}, f"loss_weights.*{n} for 2") for n in (1, 3)),
    *(({"loss_weights": wrong}, "loss_weights") for wrong in (2.0, ["a", "b"], [True, 1.0], [None, 1.0])),
    ({"loss_weights": {"kind": 1.0}}, "loss_weights.*'price'"),
    ({"loss_weights": {"kind": 1.0, "prise": 1.0}}, "loss_weights.*'prise'.*Did you mean 'price'"),
    ({"metrics": "accuracy"}, "metrics"),
    *(({"metrics": ["acc"] * n}, f"metrics.*{n} for 2") for n in (1, 3)),
    ({"metrics": {"kin": ["acc"]}}, "metrics.*'kin'.*Did you mean 'kind'"),
    ({"metrics": {"kind": ["acuracy"]}}, "Did you mean 'accuracy'"),
    ({"weighted_metrics": {"pric": "mse"}}, "weighted_metrics.*'pric'.*Did you mean 'price'"),
    *(({"seed": wrong}, "seed") for wrong in (-1, 0.5)),
]


@pytest.mark.parametrize(("wrong", "message"), COMPILE, ids=lambda case: str(case)[:40])
def test_a_wrong_compile_is_refused_at_once_and_leaves_what_was_compiled(wrong, message, trained):
    before = trained.optimizer, trained.metrics_names, trained.evaluate(X, Y, N, verbose=0)
    with unchanged(trained):
        with pytest.raises((ValueError, TypeError), match=message):
            trained.compile(**{"optimizer": "sgd", "loss": LOSSES, **wrong})
        assert (trained.optimizer, trained.metrics_names, trained.evaluate(X, Y, N, verbose=0)) == before


class StopError(Exception):
    """What these tests raise in the middle of training."""


def failing(method, after, error=StopError):
    """Make a callback that raises in one of its methods, at its ``after``-th call."""
    calls = itertools.count(1)

    def call(*args):
        if next(calls) == after:
            raise error

    return type("Failing", (Callback,), {method: call})()


def replayed(model, start, steps, x=X, y=Y):
    """Train again from a state, uninterrupted, for so many steps, and return the fingerprint."""
    model.hold(start)
    if steps >= STEPS:
        model.fit(x, y, epochs=steps // STEPS, **QUIET)
    if steps % STEPS:
        model.fit(x, y, steps_per_epoch=steps % STEPS, **QUIET)
    return fingerprint(model)


@pytest.fixture(scope="module")
def runs(trained):
    """The state in which these tests start, and fingerprints after 0, 1, ... steps of uninterrupted training from it."""
    start = trained.train_state()
    prints = [replayed(trained, start, steps) for steps in range(2 * STEPS + 1)]
    assert len(set(prints)) == 2 * STEPS + 1
    return start, prints


MOMENTS = [  # the method that raises, at which of its calls, and how many steps were finished before it
    *(("on_train_begin", 1, 0), ("on_epoch_begin", 1, 0), ("on_epoch_begin", 2, STEPS), ("on_train_batch_begin", 1, 0)),
    *(("on_train_batch_begin", 3, 2), ("on_train_batch_end", 1, 1), ("on_train_batch_end", STEPS + 2, STEPS + 2)),
    *(("on_epoch_end", 1, STEPS), ("on_epoch_end", 2, 2 * STEPS), ("on_train_end", 1, 2 * STEPS)),
]


@pytest.mark.parametrize("error", [StopError, KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize(("method", "after", "steps"), MOMENTS)
def test_an_error_in_a_callback_leaves_the_whole_steps_before_it(method, after, steps, error, trained, runs):
    start, prints = runs
    trained.hold(start)
    with pytest.raises(error):
        trained.fit(X, Y, epochs=2, callbacks=[failing(method, after, error)], **QUIET)
    assert fingerprint(trained) == prints[steps]
    with unchanged(trained):
        pass


def batches(failing_at, fault):
    for i in range(STEPS):
        rows = slice(i * BATCH, (i + 1) * BATCH)
        x, y = {name: a[rows] for name, a in X.items()}, {name: a[rows] for name, a in Y.items()}
        if i == failing_at and fault == "raises":
            raise StopError
        yield (x, {**y, "kind": y["kind"] + 3}) if i == failing_at and fault == "yields a bad batch" else (x, y)


@pytest.mark.parametrize("fault", ["raises", "yields a bad batch"])
@pytest.mark.parametrize("failing_at", [0, 1, 3])
def test_a_stream_that_fails_leaves_the_whole_steps_before_it(failing_at, fault, trained, runs):
    start, prints = runs
    trained.hold(start)
    with pytest.raises(StopError if fault == "raises" else ValueError):
        trained.fit(batches(failing_at, fault), verbose=0)
    assert fingerprint(trained) == prints[failing_at]
    with unchanged(trained), pytest.raises(StopError if fault == "raises" else ValueError):
        trained.evaluate(batches(failing_at, fault), verbose=0)


def test_a_failing_validation_leaves_the_whole_epoch_before_it(trained, runs):
    start, prints = runs
    trained.hold(start)
    with pytest.raises(StopError):
        trained.fit(X, Y, validation_data=batches(1, "raises"), **QUIET)
    assert fingerprint(trained) == prints[STEPS]
    with unchanged(trained), pytest.raises(StopError):
        trained.predict(batches(1, "raises"), verbose=0)


@pytest.mark.parametrize("inside", [False, True], ids=["at any time", "inside a dispatch"])
def test_ctrl_c_leaves_exactly_the_whole_steps_before_it(inside, trained, runs, monkeypatch):
    def train(engine, *given):
        program = compiled(engine, *given)
        return lambda *args: (program(*args), os.kill(os.getpid(), signal.SIGINT))[0]  # computed, but not yet returned

    start, compiled = runs[0], Engine.train
    trained.hold(start)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(0.4, os.kill, (os.getpid(), signal.SIGINT))
    try:
        monkeypatch.setattr(Engine, "train", train) if inside else timer.start()
        with pytest.raises(KeyboardInterrupt):
            trained.fit(X, Y, epochs=10**9, **QUIET)
    finally:
        timer.join() if timer.ident else None
        signal.signal(signal.SIGINT, before)
        monkeypatch.undo()
    interrupted, steps = fingerprint(trained), int(trained.train_state().step) - int(start.step)
    assert steps > 0
    assert replayed(trained, start, steps) == interrupted
    with unchanged(trained):
        pass


def test_arrays_that_were_taken_stay_alive_and_keep_their_values(trained):
    taken = trained.train_state()
    values = jax.tree.map(np.array, (taken.params, taken.state, taken.opt_state))
    trained.fit(X, Y, **QUIET)
    trained.train_on_batch(X, Y)
    for leaf, value in zip(jax.tree.leaves(taken[:3]), jax.tree.leaves(values), strict=True):
        np.testing.assert_array_equal(leaf, value)
    assert int(trained.train_state().step) == int(taken.step) + STEPS + 1


class Fragile:
    """A mean squared error that raises at one of its calls, counted while it runs, not while it is compiled."""

    def __init__(self):
        self.calls, self.failing_at = 0, None

    def look(self, values):
        self.calls += 1
        if self.calls == self.failing_at:
            raise StopError
        return values

    def __call__(self, y_true, y_pred):
        values = jax.lax.stop_gradient(y_pred)
        same = jax.pure_callback(self.look, jax.ShapeDtypeStruct(values.shape, values.dtype), values)
        return jnp.mean((y_pred - y_true) ** 2, -1) + 0.0 * jnp.sum(same)


@pytest.mark.parametrize("watched", [False, True], ids=["many steps a dispatch", "one step a dispatch"])
@pytest.mark.parametrize("failing_at", [1, 6])
def test_an_error_inside_a_compiled_step_leaves_whole_steps(failing_at, watched):
    model, loss = jkeras.Sequential([jkeras.Input((3,)), layers.Dense(1)]), Fragile()
    model.compile("adam", loss, seed=0)
    model.fit(SIZE, PRICE, epochs=2, **QUIET)
    start = model.train_state()
    callbacks = [failing("on_train_batch_end", 10**9)] if watched else None
    loss.calls, loss.failing_at = 0, failing_at
    with pytest.raises(Exception, match="StopError"):
        model.fit(SIZE, PRICE, epochs=3, callbacks=callbacks, **QUIET)
    steps, left = int(model.train_state().step) - int(start.step), fingerprint(model)
    finished = failing_at - 1  # where several steps are one dispatch, at least the finished epochs
    assert steps == finished if watched else finished // STEPS * STEPS <= steps <= finished
    loss.failing_at = None
    assert replayed(model, start, steps, SIZE, PRICE) == left
    assert np.isfinite(model.predict(SIZE, verbose=0)).all()


def test_a_loss_that_raises_changes_nothing():
    def wrong(y_true, y_pred):
        raise StopError

    model = jkeras.Sequential([jkeras.Input((3,)), layers.Dense(1)])
    model.compile("adam", wrong)
    before = fingerprint(model)
    for call in (model.fit, model.evaluate, model.train_on_batch, model.test_on_batch):
        with pytest.raises(StopError):
            call(SIZE, PRICE)
        assert fingerprint(model) == before
    model.compile("adam", "mse")
    assert np.isfinite(model.fit(SIZE, PRICE, **QUIET).history["loss"][0])


def test_a_first_fit_that_fails_leaves_a_sequential_free_to_learn_another_input_shape():
    model = jkeras.Sequential([layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="as many examples"):
        model.fit(np.ones((N, 5)), PRICE[:-1])
    assert model.fit(SIZE, PRICE, **QUIET).history
    assert model.get_weights()[0].shape == (3, 1)


def test_predicting_sequences_of_another_length_leaves_the_state_of_the_optimizer():
    model = jkeras.Sequential([layers.LSTM(2), layers.Dense(1)])
    model.compile("adam", "mse")
    model.fit(np.ones((N, 5, 3)), PRICE, **QUIET)
    before = fingerprint(model)
    model.predict(np.ones((2, 7, 3)), verbose=0)
    assert fingerprint(model) == before


def test_an_index_out_of_range_is_refused_in_a_nested_model_too():
    words = jkeras.Input((4,), dtype="int32", name="words")
    inner = jkeras.Sequential([layers.Embedding(7, 2), layers.Flatten()])
    model = jkeras.Model(words, layers.Dense(1)(inner(words)))
    model.compile("adam", "mse")
    model.fit(WORDS, PRICE, **QUIET)
    before = fingerprint(model)
    for call, wrong in itertools.product((model.fit, model.evaluate, lambda x, y: model.predict(x)), (7, -1)):
        with pytest.raises(ValueError, match=f"'words'.*0 to 6.*{wrong}"):
            call(entry(WORDS, (2, 1), wrong), PRICE)
    assert fingerprint(model) == before

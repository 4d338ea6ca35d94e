"""Callbacks: the order of hooks and what they are told, against Keras; and that what they set counts."""

import keras
import numpy as np
import pytest
from smallest import ONE, ZERO, Doing, squaring

import jkeras

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(12, 3)).astype("float32"), RNG.normal(size=(12, 1)).astype("float32")
KERNEL = RNG.normal(size=(3, 1)).astype("float32")
HOOKS = [
    *(f"on_{doing}_{when}" for doing in ("train", "test", "predict", "epoch", "batch") for when in ("begin", "end")),
    *(f"on_{doing}_batch_{when}" for doing in ("train", "test", "predict") for when in ("begin", "end")),
]


def plain(logs):
    """Copy logs, arrays of a prediction as lists."""
    return {name: np.asarray(value, "float64").round(5).tolist() for name, value in logs.items()}


def noting(library):
    """Make a callback that notes every hook with its arguments, and the list of its notes."""
    notes = []

    def note(hook):
        def method(self, *place, logs=None):
            *place, logs = (*place, logs) if logs is not None else place
            assert type(logs) is dict, (hook, logs)
            assert all(isinstance(v, float) for k, v in logs.items() if k != "outputs"), (hook, logs)
            notes.append((hook, tuple(place), plain(logs)))
            getattr(library.callbacks.Callback, hook)(self, *place, logs)  # which leads from train_batch to batch

        return method

    return type("Noting", (library.callbacks.Callback,), {hook: note(hook) for hook in HOOKS})(), notes


def compiled(library):
    model = library.Sequential([library.Input((3,)), library.layers.Dense(1)])
    model.compile(library.optimizers.SGD(0.1), "mse", metrics=["mae"])
    model.set_weights([KERNEL, np.zeros(1, "float32")])
    return model


RUNS = {
    "fit with validation data": lambda m, c: m.fit(
        X, Y, batch_size=4, epochs=2, validation_data=(X[:6], Y[:6]), shuffle=False, callbacks=c, verbose=0
    ),
    "fit with a validation split": lambda m, c: m.fit(
        X, Y, batch_size=4, epochs=2, validation_split=0.5, validation_freq=2, shuffle=False, callbacks=c, verbose=0
    ),
    "fit with validation in listed epochs": lambda m, c: m.fit(
        X, Y, batch_size=4, epochs=3, validation_split=0.5, validation_freq=[1, 3], shuffle=False, callbacks=c, verbose=0
    ),
    "evaluate": lambda m, c: m.evaluate(X, Y, batch_size=5, callbacks=c, verbose=0),
    "predict": lambda m, c: m.predict(X, batch_size=5, callbacks=c, verbose=0),
}


@pytest.mark.parametrize("run", RUNS)
def test_every_hook_is_called_in_kerass_order_with_kerass_logs(run):
    records = []
    for library in (keras, jkeras):
        callback, notes = noting(library)
        RUNS[run](compiled(library), [callback])
        records.append(notes)
    theirs, ours = records
    assert [note[:2] for note in ours] == [note[:2] for note in theirs]
    for (hook, place, mine), (_, _, other) in zip(ours, theirs, strict=True):
        assert list(mine) == list(other), (hook, place)
        for name in mine:
            np.testing.assert_allclose(mine[name], other[name], rtol=1e-4, atol=2e-5, err_msg=f"{hook}{place} {name}")


@pytest.mark.parametrize(
    ("hook", "at", "expected"),
    [
        ("on_train_begin", 1, 0.0),  # w = 1 (1 - 2/2): at once
        ("on_epoch_begin", 2, 0.0),
        ("on_train_batch_begin", 3, 0.0),
        ("on_batch_end", 1, 0.0),
        ("on_epoch_end", 2, 0.0),
        ("on_train_end", 1, 0.125),  # three steps of a half each; it counts in the next fit
    ],
)
def test_a_learning_rate_set_in_any_hook_is_used_from_the_next_step_on(hook, at, expected):
    model = squaring(jkeras.optimizers.SGD(0.25))
    model.fit(
        ONE, ZERO, epochs=3, verbose=0, callbacks=[Doing(hook, lambda m, *_: setattr(m.optimizer, "learning_rate", 0.5), at)]
    )
    assert model.layers[0].kernel.numpy().item() == pytest.approx(expected, abs=1e-6)
    assert float(model.optimizer.learning_rate) == 0.5
    model.fit(ONE, ZERO, verbose=0)
    assert model.layers[0].kernel.numpy().item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("hook", "at", "expected"),
    [("on_train_begin", 1, 1.0), ("on_epoch_begin", 2, 2.0), ("on_train_batch_begin", 3, 4.0), ("on_batch_end", 2, 4.0)],
)
def test_weights_set_in_any_hook_are_trained_on(hook, at, expected):
    model = squaring(jkeras.optimizers.SGD(0.25))
    assigning = Doing(hook, lambda m, *_: m.layers[0].kernel.assign([[8.0]]), at)
    model.fit(ONE, ZERO, epochs=3, verbose=0, callbacks=[assigning])
    assert model.layers[0].kernel.numpy().item() == pytest.approx(expected)


def test_compile_in_a_callback_is_refused_by_name_and_the_model_is_whole():
    model = squaring(jkeras.optimizers.SGD(0.25))
    with pytest.raises(RuntimeError, match=r"compile of model .* while fit runs") as caught:
        model.fit(ONE, ZERO, epochs=3, verbose=0, callbacks=[Doing("on_epoch_end", lambda m, *_: m.compile("sgd", "mae"), 1)])
    assert "In Doing.on_epoch_end(0)." in caught.value.__notes__
    assert any("fit was at epoch 1" in note for note in caught.value.__notes__)
    assert model.layers[0].kernel.numpy().item() == 0.5
    model.compile("sgd", "mae")
    model.fit(ONE, ZERO, verbose=0)


def test_stop_training_set_before_an_epoch_ends_it_after_one_batch_as_in_keras():
    seen = []
    for library in (keras, jkeras):
        batches = []

        class Stop(library.callbacks.Callback):
            def on_epoch_begin(self, epoch, logs=None):
                self.model.stop_training = True

            def on_train_batch_end(self, batch, logs=None, batches=batches):
                batches.append(batch)

        history = compiled(library).fit(X, Y, batch_size=4, epochs=3, callbacks=[Stop()], verbose=0)
        seen.append((batches, history.epoch))
    assert seen[0] == seen[1] == ([0], [0])


def test_evaluate_and_predict_stop_when_told_to():
    model = compiled(jkeras)
    stop = Doing("on_predict_batch_end", lambda m, *_: setattr(m, "stop_predicting", True), 2)
    assert model.predict(X, batch_size=4, callbacks=[stop]).shape == (8, 1)
    stop = Doing("on_test_batch_end", lambda m, *_: setattr(m, "stop_evaluating", True), 1)
    first = model.evaluate(X, Y, batch_size=4, callbacks=[stop], verbose=0)
    np.testing.assert_allclose(first, model.evaluate(X[:4], Y[:4], verbose=0), rtol=1e-6)


def test_logs_that_a_callback_adds_are_recorded_and_shown(capsys):
    model = compiled(jkeras)
    adding = Doing("on_epoch_end", lambda m, epoch, logs: logs.update(learning_rate=0.5), 1)
    history = model.fit(X, Y, verbose=2, callbacks=[adding])
    assert history.history["learning_rate"] == [0.5]
    assert "learning_rate: 0.5000" in capsys.readouterr().out
    assert model.history is history


@pytest.mark.parametrize("method", ["fit", "evaluate", "predict"])
def test_what_is_no_callback_is_refused_everywhere(method):
    model = compiled(jkeras)
    arguments = (X,) if method == "predict" else (X, Y)
    for wrong in ("early", [print], jkeras.callbacks.Callback):
        with pytest.raises(TypeError, match=r"callbacks must be jkeras\.callbacks\.Callback objects"):
            getattr(model, method)(*arguments, verbose=0, callbacks=wrong)

"""Callbacks do what Keras's do: on the same logs, and in the same runs; what cannot work is refused before the first step."""

import csv
import itertools
import types

import keras
import numpy as np
import pytest
from smallest import ONE, ZERO, squaring

import jkeras
from jkeras.core.errors import UnknownNameError

RNG = np.random.default_rng(5)
X, Y = RNG.normal(size=(24, 3)).astype("float32"), RNG.normal(size=(24, 1)).astype("float32")
KERNEL = RNG.normal(size=(3, 1)).astype("float32")
VALUES = {
    "falling": [5.0, 4.0, 3.0, 2.0, 1.0, 0.5],
    "rising": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
    "valley": [3.0, 2.0, 1.0, 1.0, 1.05, 0.98, 2.0, 2.0, 2.0, 0.5, 0.5, 0.5],
    "plateau": [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0],
    "with a gap": [2.0, None, 3.0, None, 1.0, 1.5, None, 1.5],
    "with nan": [2.0, float("nan"), 1.0, 1.5, 1.5, 1.5],
}


class Stub:
    """What a callback asks of a model, with weights that count the epochs."""

    def __init__(self, mode):
        self.metrics, self.stop_training, self.mode = [], False, mode
        self.optimizer = types.SimpleNamespace(learning_rate=np.float32(1.0))
        self.weights = -1

    def better(self, name):
        return {"loss": "min"}.get(name)

    def get_weights(self):
        return self.weights

    def set_weights(self, weights):
        self.weights = weights


def followed(callback, values, monitor):
    """All that a run over scripted logs shows of a callback."""
    model, seen = Stub(callback.mode), []
    callback.set_model(model)
    callback.set_params({"epochs": len(values)})
    callback.on_train_begin()
    for epoch, value in enumerate(values):
        model.weights = epoch
        logs = {"other": 1.0, "loss": 1.0, **({} if value is None else {monitor: value})}
        callback.on_epoch_end(epoch, logs)
        seen.append((model.stop_training, float(model.optimizer.learning_rate), callback.wait, callback.best))
        if model.stop_training:
            break
    callback.on_train_end({})
    return seen, model.weights, getattr(callback, "stopped_epoch", None), getattr(callback, "best_epoch", None)


STOPPING = [
    {"patience": 2},
    {"patience": 0},
    {"patience": 1, "min_delta": 0.1},
    {"patience": 2, "restore_best_weights": True},
    {"patience": 1, "restore_best_weights": True, "start_from_epoch": 2},
    {"patience": 3, "baseline": 1.01},
    {"patience": 2, "mode": "max", "restore_best_weights": True},
]
LOWERING = [
    {"patience": 1},
    {"patience": 2, "factor": 0.5, "cooldown": 2},
    {"patience": 0, "factor": 0.3, "min_lr": 0.05},
    {"patience": 1, "min_delta": 0.5, "mode": "min"},
    {"patience": 1, "mode": "max", "cooldown": 1},
]


@pytest.mark.filterwarnings("ignore:.*(not available|no log)")
@pytest.mark.parametrize("values", VALUES)
@pytest.mark.parametrize(
    ("kind", "options"),
    [*itertools.product(["EarlyStopping"], STOPPING), *itertools.product(["ReduceLROnPlateau"], LOWERING)],
    ids=str,
)
def test_callbacks_that_monitor_follow_keras_epoch_by_epoch(kind, options, values):
    ours, theirs = (
        followed(getattr(library.callbacks, kind)(monitor="val_loss", **options), VALUES[values], "val_loss")
        for library in (jkeras, keras)
    )
    assert str(ours) == str(theirs)  # as words, since nan is not itself


def compiled(library, **options):
    model = library.Sequential([library.Input((3,)), library.layers.Dense(1)])
    model.compile(library.optimizers.SGD(0.2, momentum=0.9), "mse", metrics=["mae"], **options)
    model.set_weights([KERNEL, np.zeros(1, "float32")])
    return model


def halved(epoch, rate):
    return rate * 0.5 if epoch else rate


RUNS = {
    "EarlyStopping": lambda c: [c.EarlyStopping("val_mae", patience=1, restore_best_weights=True, mode="auto")],
    "EarlyStopping on the loss": lambda c: [c.EarlyStopping("loss", min_delta=0.01)],
    "ReduceLROnPlateau": lambda c: [c.ReduceLROnPlateau("val_loss", factor=0.5, patience=1, min_delta=0.05)],
    "LearningRateScheduler": lambda c: [c.LearningRateScheduler(halved)],
    "LearningRateScheduler of the epoch": lambda c: [c.LearningRateScheduler(lambda epoch: 0.1 / (1 + epoch))],
    "several": lambda c: [
        c.LearningRateScheduler(lambda epoch, rate: rate * 0.9),
        c.ReduceLROnPlateau(patience=1, factor=0.5),
        c.EarlyStopping(patience=3, restore_best_weights=True),
        c.TerminateOnNaN(),
    ],
}


@pytest.mark.filterwarnings("ignore:__array__ implementation")  # of Keras
@pytest.mark.parametrize("run", RUNS)
def test_runs_with_callbacks_log_and_end_as_those_of_keras(run):
    found = []
    for library in (jkeras, keras):
        model = compiled(library)
        chosen, judged = RUNS[run](library.callbacks), (X[18:], Y[18:])
        history = model.fit(
            X[:18], Y[:18], batch_size=8, epochs=8, validation_data=judged, shuffle=False, verbose=0, callbacks=chosen
        )
        found.append((history.history, model.get_weights()))
    (ours, weights), (theirs, theirs_weights) = found
    assert set(ours) == set(theirs)
    for name in theirs:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=2e-5, err_msg=name)
    for a, b in zip(weights, theirs_weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6)


@pytest.mark.filterwarnings("ignore:__array__ implementation")  # of Keras
@pytest.mark.parametrize("append", [False, True])
@pytest.mark.parametrize("validated", [False, True])
def test_csv_files_hold_what_those_of_keras_hold(tmp_path, append, validated):
    tables = []
    for library in (jkeras, keras):
        path = tmp_path / f"{library.__name__}.csv"
        model = compiled(library)
        for _ in range(2):
            logger = library.callbacks.CSVLogger(path, separator=";", append=append)
            data = {"validation_data": (X[:8], Y[:8])} if validated else {}
            model.fit(X, Y, batch_size=8, epochs=2, shuffle=False, verbose=0, callbacks=[logger], **data)
        with open(path, newline="") as file:
            tables.append(list(csv.reader(file, delimiter=";")))
    ours, theirs = tables
    assert ours[0] == theirs[0]
    assert len(ours) == len(theirs) == (5 if append else 3)
    for mine, other in zip(ours[1:], theirs[1:], strict=True):
        assert [cell == "NA" for cell in mine] == [cell == "NA" for cell in other]
        numbers = [[float(cell) for cell in row if cell != "NA"] for row in (mine, other)]
        np.testing.assert_allclose(*numbers, rtol=2e-5)


def test_a_csv_file_that_cannot_be_written_is_refused_before_the_first_step(tmp_path):
    model = squaring("sgd")
    before = model.get_weights()
    with pytest.raises(OSError, match="missing"):
        model.fit(ONE, ZERO, verbose=0, callbacks=[jkeras.callbacks.CSVLogger(tmp_path / "missing" / "log.csv")])
    np.testing.assert_array_equal(model.get_weights()[0], before[0])


@pytest.mark.parametrize("raises", [False, True])
def test_training_ends_at_the_batch_whose_loss_is_not_finite(raises, capsys):
    seen = []
    watch = jkeras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(batch))
    model = compiled(jkeras)
    x = X.copy()
    x[9] = 1e30  # in the second batch of 8; its square is no float32
    callbacks = [watch, jkeras.callbacks.TerminateOnNaN(raise_error=raises)]
    if raises:
        with pytest.raises(RuntimeError, match="loss is inf after batch 1"):
            model.fit(x, Y, batch_size=8, epochs=3, shuffle=False, verbose=0, callbacks=callbacks)
    else:
        model.fit(x, Y, batch_size=8, epochs=3, shuffle=False, verbose=0, callbacks=callbacks)
        assert "Batch 1: the loss is inf" in capsys.readouterr().out
    assert seen == [0, 1]


def test_functions_for_any_hook_are_called_with_what_the_hook_gets():
    calls = []
    hooks = ["on_epoch_begin", "on_epoch_end", "on_train_begin", "on_train_end", "on_test_begin", "on_batch_end"]
    noted = {hook: lambda *given, hook=hook: calls.append((hook, *given[:-1])) for hook in hooks}
    compiled(jkeras).fit(
        X, Y, batch_size=12, validation_data=(X, Y), verbose=0, callbacks=[jkeras.callbacks.LambdaCallback(**noted)]
    )
    assert calls == [
        ("on_train_begin",), ("on_epoch_begin", 0), ("on_batch_end", 0), ("on_batch_end", 1), ("on_test_begin",),
        ("on_epoch_end", 0), ("on_train_end",),
    ]  # fmt: skip


WRONG = {
    "a misspelt monitor": (lambda c: c.EarlyStopping("val_los"), UnknownNameError, "log 'val_los'.*Did you mean 'val_loss'"),
    "a metric that there is not": (lambda c: c.ReduceLROnPlateau("val_accuracy"), UnknownNameError, "no epoch will log"),
    "a misspelt mode": (lambda c: c.EarlyStopping(mode="mni"), ValueError, "mode must be one of"),
    "a negative patience": (lambda c: c.EarlyStopping(patience=-1), ValueError, "patience must be"),
    "a factor of 1": (lambda c: c.ReduceLROnPlateau(factor=1.0), ValueError, "factor must be above 0 and below 1"),
    "a schedule of three": (lambda c: c.LearningRateScheduler(lambda a, b, c: 1), TypeError, "must take"),
    "no schedule": (lambda c: c.LearningRateScheduler(0.1), TypeError, "must be a function"),
    "a schedule of words": (lambda c: c.LearningRateScheduler(lambda epoch: "fast"), ValueError, "must return a number"),
    "a misspelt hook": (lambda c: c.LambdaCallback(on_epoch_ends=print), TypeError, "Did you mean 'on_epoch_end'"),
    "a hook that is no function": (lambda c: c.LambdaCallback(on_epoch_end=3), TypeError, "must be a function"),
}


@pytest.mark.parametrize("case", WRONG)
def test_callbacks_that_cannot_work_are_refused_before_the_first_step(case):
    make, kind, said = WRONG[case]
    model = compiled(jkeras)
    with pytest.raises(kind, match=said):
        model.fit(X, Y, validation_split=0.25, verbose=0, callbacks=[make(jkeras.callbacks)])
    np.testing.assert_array_equal(model.get_weights()[0], KERNEL)
    assert int(model.steps_taken) == 0


def test_a_monitor_of_validation_without_validation_data_is_refused():
    with pytest.raises(UnknownNameError, match="There is no validation data"):
        compiled(jkeras).fit(X, Y, verbose=0, callbacks=[jkeras.callbacks.EarlyStopping()])


def test_a_log_that_a_callback_of_the_users_own_adds_can_be_monitored_with_a_mode():
    class Add(jkeras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["mine"] = -float(epoch)

    callbacks = [Add(), jkeras.callbacks.EarlyStopping("mine", mode="max", patience=2)]
    assert len(compiled(jkeras).fit(X, Y, epochs=9, verbose=0, callbacks=callbacks).epoch) == 3
    callbacks[1] = jkeras.callbacks.EarlyStopping("mine")
    with pytest.raises(ValueError, match="give mode='min'"):
        compiled(jkeras).fit(X, Y, verbose=0, callbacks=callbacks)


def test_whether_more_of_a_metric_is_better_is_as_in_keras():
    own = {"IoU": (2, [0]), "OneHotIoU": (2, [0]), "MeanIoU": (2,), "OneHotMeanIoU": (2,)}
    own |= dict.fromkeys(
        ("SensitivityAtSpecificity", "SpecificityAtSensitivity", "PrecisionAtRecall", "RecallAtPrecision"), (0.5,)
    )
    for name in keras.metrics.__dict__:
        kind = getattr(jkeras.metrics, name, None)
        if isinstance(kind, type) and name not in ("Metric", "MeanMetricWrapper"):
            theirs = getattr(getattr(keras.metrics, name)(*own.get(name, ())), "_direction", None)
            assert jkeras.metrics.better(kind(*own.get(name, ()))) == {"up": "max", "down": "min", None: None}[theirs], name
    for name, word in {"mse": "min", "accuracy": "max", "huber": "min", "binary_accuracy": "max"}.items():
        assert jkeras.metrics.better(jkeras.metrics.get(name)) == word, name

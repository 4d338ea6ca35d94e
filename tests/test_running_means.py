"""Models are judged with the running means of their weights and train on with the weights themselves."""

import jax
import numpy as np
import pytest

import jkeras
from jkeras.callbacks import Callback, EarlyStopping, LambdaCallback, SwapEMAWeights

X, Y = np.ones((4, 1), "float32"), np.zeros((4, 1), "float32")


def falling(**options):
    """A model of one weight that each of its steps, one an epoch, lowers by 1; its output is the weight."""
    model = jkeras.Sequential([jkeras.Input((1,)), jkeras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
    options = {"use_ema": True, "ema_momentum": 0.5, **options}
    model.compile(jkeras.optimizers.SGD(1.0, **options), lambda y_true, y_pred: y_pred[:, 0])
    return model


def weight(model):
    return float(jax.tree.leaves(model.params)[0][0, 0])


def test_validation_is_of_the_means_and_training_of_the_weights():
    model, seen = falling(), []
    watch = LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(weight(model)))
    history = model.fit(X, Y, epochs=3, validation_data=(X, Y), verbose=0, callbacks=[SwapEMAWeights(), watch]).history
    assert history["val_loss"] == [-1.0, -1.5, -2.25]  # means of -1; -1, -2; -1, -2, -3, half of each before
    assert seen == [-1.0, -2.0, -3.0]
    assert weight(model) == -2.25  # where fit ends, with the callback or without


def test_between_epochs_others_see_the_means_if_they_are_to():
    model, ends, begins = falling(), [], []
    watch = LambdaCallback(
        on_epoch_end=lambda epoch, logs: ends.append(weight(model)),
        on_train_batch_begin=lambda batch, logs: begins.append(weight(model)),
    )
    stop = EarlyStopping("val_loss", mode="max", patience=1)  # which ends training in the second epoch
    model.fit(X, Y, epochs=9, validation_data=(X, Y), verbose=0, callbacks=[SwapEMAWeights(swap_on_epoch=True), watch, stop])
    assert (ends, begins) == ([-1.0, -1.5], [0.0, -1.0])
    assert weight(model) == -1.5


def test_evaluate_and_predict_take_the_means_and_put_the_weights_back():
    model = falling()
    assert model.evaluate(X, Y, verbose=0, callbacks=[SwapEMAWeights()]) == 0.0  # no step, no mean: the weights
    for _ in range(3):
        model.train_on_batch(X, Y)
    assert model.evaluate(X, Y, verbose=0, callbacks=[SwapEMAWeights()]) == -2.25
    assert model.predict(X, verbose=0, callbacks=[SwapEMAWeights()])[0, 0] == -2.25
    assert model.evaluate(X, Y, verbose=0) == weight(model) == -3.0


def test_an_optimizer_that_keeps_no_mean_is_refused_before_the_first_step():
    model = falling(use_ema=False, ema_momentum=0.99)
    with pytest.raises(ValueError, match="make it with use_ema=True"):
        model.fit(X, Y, verbose=0, callbacks=[SwapEMAWeights()])
    assert weight(model) == 0.0


@pytest.mark.parametrize("doing", ["evaluate", "predict"])
def test_weights_that_a_callback_sets_before_an_evaluation_or_prediction_count_in_it(doing):
    class Set(Callback):
        def on_test_begin(self, logs=None):
            self.model.set_weights([np.full((1, 1), 7.0)])

        on_predict_begin = on_test_begin

    model = falling()
    found = getattr(model, doing)(X, **({"y": Y} if doing == "evaluate" else {}), verbose=0, callbacks=[Set()])
    assert np.ravel(found)[0] == 7.0

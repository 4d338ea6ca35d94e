"""Old spellings, misspelt names and classes in Keras's style are answered in a sentence; errors say whose code they arose in."""

import copy

import jax
import numpy as np
import pytest

import jkeras
from jkeras import Input, Model, Sequential
from jkeras.layers import Dense

X, Y = np.ones((4, 2), "float32"), np.ones((4, 1), "float32")


def small(loss="mse", metrics=None):
    model = Sequential([Input((2,)), Dense(1, name="out")])
    model.compile(jkeras.optimizers.Adam(0.1), loss, metrics=metrics)
    return model


ANSWERS = {
    "fit(nb_epoch=)": (lambda: small().fit(X, Y, nb_epoch=2), "'nb_epoch' is an older name: it is called epochs now"),
    "fit(epoch=)": (lambda: small().fit(X, Y, epoch=2), "fit takes no argument 'epoch'. Did you mean 'epochs'"),
    "predict(batchsize=)": (lambda: small().predict(X, batchsize=2), "Did you mean 'batch_size'"),
    "compile(metric=)": (lambda: small().compile("sgd", "mse", metric=["mae"]), "Did you mean 'metrics'"),
    "train_on_batch(sample_weights=)": (lambda: small().train_on_batch(X, Y, sample_weights=X), "Did you mean 'sample_weight'"),
    "Adam(lr=)": (lambda: jkeras.optimizers.Adam(lr=0.1), "called learning_rate now"),
    "Dense(output_dim=)": (lambda: Dense(output_dim=3), "called units, or filters of a convolution now"),
    "Dense(3, init=)": (lambda: Dense(3, init="uniform"), "called kernel_initializer now"),
    "Conv1D(border_mode=)": (lambda: jkeras.layers.Conv1D(2, 3, border_mode="same"), "called padding now"),
    "Dropout(p=)": (lambda: jkeras.layers.Dropout(p=0.5), "called rate now"),
    "Model(input=)": (lambda: Model(input=1, output=2), "Model takes no argument 'input'.*called inputs now"),
    "fit_generator": (lambda: small().fit_generator(iter([])), "called fit, which takes generators now"),
    "predict_classes": (lambda: small().predict_classes(X), r"predict\(x\).argmax\(-1\)"),
    "optimizer.lr": (lambda: small().optimizer.lr, "learning_rate"),
    "a misspelt attribute": (lambda: small().wieghts, "Did you mean 'weights'"),
    "layers.Danse": (lambda: jkeras.layers.Danse, "jkeras.layers has no 'Danse'. Did you mean 'Dense'"),
    "layers.merge": (lambda: jkeras.layers.merge, "called concatenate, add"),
    "jkeras.np_utils": (lambda: jkeras.np_utils, "called jkeras.utils now"),
}


@pytest.mark.parametrize("said", ANSWERS)
def test_an_old_or_misspelt_name_is_answered_with_todays(said):
    attempt, answer = ANSWERS[said]
    with pytest.raises((TypeError, AttributeError), match=answer):
        attempt()


def test_a_class_in_kerass_style_is_told_what_to_write_and_that_works():
    with pytest.raises(TypeError, match="Scaled cannot be a class with build and call") as caught:

        class Scaled(jkeras.layers.Layer):
            def build(self, shape):
                self.w = self.add_weight(shape=shape[-1:])

            def call(self, x):
                return x * self.w

    lines = str(caught.value).split("for example,\n")[1]
    space = {"jkeras": jkeras, "__name__": "a_script"}
    exec("\n".join(line[4:] for line in lines.splitlines()), space)
    assert space["Scaled"](5)(Input((3,))).shape == (None, 5)
    with pytest.raises(TypeError, match=r"Mine cannot be a subclass of Model.*Model\(inputs, outputs\)"):

        class Mine(Model):
            def call(self, x):
                return x


def failing(*_):
    raise ZeroDivisionError("of one's own")


@pytest.mark.parametrize(
    ("arguments", "note"),
    [({"loss": failing}, "In loss 'failing'."), ({"metrics": [failing]}, "In metric 'failing'.")],
)
def test_an_error_in_a_loss_or_metric_names_it(arguments, note):
    with pytest.raises(ZeroDivisionError, match="of one's own") as caught:
        small(**arguments).fit(X, Y, verbose=0)
    assert note in caught.value.__notes__


def test_a_deep_copy_of_a_model_has_weights_and_a_training_of_its_own():
    model = small()
    model.fit(X, Y, verbose=0)
    other = copy.deepcopy(model)
    for a, b in zip(jax.tree.leaves(model.opt_state), jax.tree.leaves(other.opt_state), strict=True):
        np.testing.assert_array_equal(a, b)
    before = model.get_weights()
    other.optimizer.learning_rate = 0.5
    assert float(model.optimizer.learning_rate) == pytest.approx(0.1)
    other.fit(X, Y, verbose=0)
    for a, b, c in zip(before, model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
        assert (a != c).any()
    assert other.layers[0] is not model.layers[0]
    assert Dense(1)(other.output).shape == (None, 1)
    model.fit(X, Y, verbose=0)
    assert (model.optimizer.iterations, other.optimizer.iterations) == (2, 2)

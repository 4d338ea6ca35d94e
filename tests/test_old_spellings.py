"""Old spellings, misspelt names and classes in Keras's style are answered in a sentence; errors say whose code they arose in."""

import copy
import importlib.util
import subprocess
import sys

import jax
import numpy as np
import pytest

import jkeras
from jkeras import Input, Model, Sequential
from jkeras.core.spellings import ABSENT, MODULES, NAMES
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


IMPORTS = {
    "from jkeras.layers import CuDNNLSTM": "jkeras.layers has no 'CuDNNLSTM'. 'CuDNNLSTM' is an older name: it is called LSTM",
    "from jkeras.layers import Dens": "jkeras.layers has no 'Dens'. Did you mean 'Dense'?",
    "from jkeras.layers import Dense, Drop0ut": "jkeras.layers has no 'Drop0ut'. Did you mean 'Dropout'?",
    "from jkeras.layers import Adam": "jkeras.layers has no 'Adam'. It is jkeras.optimizers.Adam.",
    "from jkeras.layers.core import Dropout": "jkeras.layers.core has no 'Dropout'. It is jkeras.layers.Dropout.",
    "from jkeras import Dense": "jkeras has no 'Dense'. It is jkeras.layers.Dense.",
    "from jkeras import datasets": "jkeras has no 'datasets'. Nothing is downloaded",
    "from jkeras.models import Sequental": "jkeras.models has no 'Sequental'. Did you mean 'Sequential'?",
    "from jkeras.optimizers import Addam": "jkeras.optimizers has no 'Addam'. Did you mean 'Adam'?",
    "from jkeras.backend import mean": "jkeras.backend has no 'mean'. It is jkeras.ops.mean.",
    "from jkeras.ops import tanhh": "jkeras.ops has no function 'tanhh'. Did you mean 'tanh'?",
    "from jkeras.utils import np_utils": "it is called jkeras.utils now.",
    "from jkeras.utils import plot_model": "model.summary() shows layers",
    "from jkeras.config import set_backend": "JAX is the only backend.",
    "from jkeras.regularizers import l3": "jkeras.regularizers has no 'l3'.",
    "from jkeras.training import Trainr": "jkeras.training has no 'Trainr'. Did you mean 'Trainer'?",
}
GONE = {
    "from jkeras.layers.convolutional import Conv2D": "No module named 'jkeras.layers.convolutional'. .* called jkeras.layers",
    "import jkeras.layers.embeddings": "called jkeras.layers now",
    "from jkeras.layers.advanced_activations import LeakyReLU": "called jkeras.layers now",
    "from jkeras.utils.np_utils import to_categorical": "called jkeras.utils now",
    "import jkeras.engine.topology as topology": "called jkeras.models and jkeras.layers now",
    "from jkeras.wrappers.scikit_learn import KerasClassifier": "no wrapper for scikit-learn",
    "from jkeras.datasets import mnist": "Nothing is downloaded",
    "from jkeras.preprocessing.text import Tokenizer": "a tokenizer of your choice",
    "from jkeras.preprocessing.image import ImageDataGenerator": "Read images with Pillow",
}


@pytest.mark.parametrize("line", IMPORTS)
def test_a_name_that_a_module_does_not_have_is_answered_where_it_is_imported(line):
    with pytest.raises(ImportError) as caught:
        exec(line)
    assert type(caught.value) is ImportError
    assert IMPORTS[line] in str(caught.value)


@pytest.mark.parametrize("line", GONE)
def test_a_module_that_keras_had_is_answered_where_it_is_imported(line):
    with pytest.raises(ModuleNotFoundError, match=GONE[line]):
        exec(line)


def test_what_asks_otherwise_than_by_an_import_finds_nothing_and_no_more():
    assert not hasattr(jkeras.layers, "Nonsense")
    assert getattr(jkeras.layers, "x", None) is None
    assert getattr(jkeras.ops, "nonsense", 3) == 3
    for module in ("jkeras.nonsense", "jkeras.layers.nonsense"):
        with pytest.raises(ModuleNotFoundError) as caught:
            exec(f"import {module}")
        assert str(caught.value) == f"No module named {module!r}"
        assert importlib.util.find_spec(module) is None
    for other in ("nonsense", "keras.objectives", "jkeras_extra.objectives"):
        with pytest.raises(ModuleNotFoundError, match=r"^No module named '[a-z_.]*'$"):
            exec(f"import {other}")


def test_an_import_is_known_as_one_inside_functions_and_behind_hundreds_of_names():
    many = "\n".join(f"x{i} = {i}" for i in range(300))  # numbers above 255 take a longer form of the instruction
    with pytest.raises(ImportError, match="Did you mean 'Dense'"):
        exec(f"{many}\ndef later():\n    from jkeras.layers import Dens\n    return Dens\nlater()", {})
    with pytest.raises(ImportError, match="Did you mean 'Dense'"):
        exec(f"{many}\nfrom jkeras.layers import Dens", {})


def test_a_star_import_and_special_names_are_pythons_own():
    space = {}
    exec("from jkeras.layers import *", space)
    assert set(jkeras.layers.__all__) <= set(space)
    with pytest.raises(ImportError, match="__secret__"):
        exec("from jkeras.layers import __secret__")


def test_no_table_of_old_names_lists_what_is_there():
    for path in MODULES | {name: said for name, said in ABSENT.items() if name.startswith("preprocessing.")}:
        with pytest.raises(ModuleNotFoundError, match="No module named"):
            importlib.import_module(f"jkeras.{path}")
    public = [jkeras, *(getattr(jkeras, name) for name in jkeras.__all__)]
    exported = {name for module in public for name in vars(module).get("__all__", ()) if hasattr(module, "__file__")}
    assert not exported & set(ABSENT)
    assert not exported & set(MODULES)
    aliases = {"random_normal", "random_uniform"}  # of initializers
    assert exported & set(NAMES) <= aliases


def test_keras_3s_own_places_for_padding_are_there():
    from jkeras.preprocessing.sequence import pad_sequences

    assert pad_sequences is jkeras.utils.pad_sequences is jkeras.preprocessing.sequence.pad_sequences


def test_answers_come_in_a_fresh_process_and_leave_other_packages_alone():
    script = "import sys; import jkeras; print(type(sys.meta_path[-1]).__module__)\nfrom jkeras.metrics import Metrik"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "jkeras.core.imports\n"
    assert done.stderr.splitlines()[-1] == "ImportError: jkeras.metrics has no 'Metrik'. Did you mean 'Metric'?"


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

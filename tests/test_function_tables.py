"""Functions by name that tests of all names do not reach: sparse maxima, transforms, angles, classes, plain data."""

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

import jkeras
from jkeras import activations, constraints, initializers, regularizers


def test_sparsemax_is_the_nearest_point_whose_entries_are_not_negative_and_sum_to_1():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4, 5)).astype("float32")
    y = np.asarray(activations.sparsemax(x))
    np.testing.assert_allclose(y.sum(-1), 1, rtol=1e-6)
    assert (y >= 0).all()
    others = rng.dirichlet(np.ones(5), 2000)
    assert (((x - y) ** 2).sum(-1)[:, None] <= ((x[:, None] - others) ** 2).sum(-1) + 1e-6).all()
    np.testing.assert_allclose(activations.sparsemax(x.T, 0), y.T, rtol=1e-6)
    assert np.abs(np.asarray(keras.activations.sparsemax(x)).sum(-1) - 1).max() > 0.01  # if it is mended, compare with it


@pytest.mark.parametrize("scaling", ["density", "spectrum", None])
@pytest.mark.parametrize("side", ["real", "imag"])
def test_stft_kernels_are_those_of_keras(side, scaling):
    for window, periodic in (("hann", False), ("hamming", True), (None, False)):
        ours = initializers.STFT(side, window, scaling, periodic)(jax.random.key(0), (8, 1, 5))
        theirs = keras.initializers.STFT(side, window, scaling, periodic)((8, 1, 5))
        np.testing.assert_allclose(ours, theirs, atol=2e-6)


def test_an_orthogonal_regularizer_is_that_of_keras_and_0_for_orthogonal_rows():
    w = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
    for mode in ("rows", "columns"):
        ours = regularizers.OrthogonalRegularizer(0.5, mode)(w)
        np.testing.assert_allclose(ours, keras.regularizers.OrthogonalRegularizer(0.5, mode)(jnp.asarray(w)), rtol=1e-5)
    assert float(regularizers.OrthogonalRegularizer()(jnp.eye(3))) == 0
    with pytest.raises(ValueError, match="takes a matrix"):
        regularizers.OrthogonalRegularizer()(jnp.ones(3))


def test_functions_of_every_table_are_written_down_and_made_again():
    for module, made in ((activations, jnp.tanh), (regularizers, regularizers.L1(0.2)), (constraints, constraints.NonNeg())):
        assert module.deserialize(module.serialize(made)) == made
    with pytest.raises(TypeError, match="cannot be written"):
        activations.serialize(lambda x: x)


def test_classes_written_for_keras_are_functions_here():
    class Halved(jkeras.regularizers.Regularizer):
        def __init__(self, factor=0.5):
            self.factor = factor

        def __call__(self, w):
            return self.factor * jnp.sum(w)

        def get_config(self):
            return {"factor": self.factor}

    assert Halved.from_config(Halved(0.25).get_config()).factor == 0.25
    layer = jkeras.layers.Dense(2, kernel_regularizer=Halved(0.25), kernel_initializer="ones")
    layer.build((None, 3))
    assert float(layer.losses[0]) == 1.5
    assert isinstance(initializers.Zeros(), jkeras.initializers.Initializer)

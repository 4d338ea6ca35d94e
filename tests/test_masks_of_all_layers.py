"""Every row of the layer table on masked inputs: the mask that comes out is Keras's, or the one that is documented."""

import warnings

import jax
import keras
import numpy as np
import pytest
from keras.src.backend import get_keras_mask
from layer_case import Case, masked, plain, quick_jit
from layer_table import CASES

import jkeras
from jkeras.core import Context, Masked, functional
from jkeras.core.nest import flatten

# Keras ends the mask here, although nothing moves in time.
KEPT = {"RMSNormalization", "EinsumDense of steps", "EinsumDense with an ellipsis before", "EinsumDense into heads"}
# Keras leaves a mask of words in sentences as it was; here a sentence is valid if any of its words is.
NESTED = "TimeDistributed"
# Keras cannot take a mask of time steps here, because it fails on the shapes, and cannot crop at random inside jit.
REFUSED = {"Softmax", "RandomCrop"}


def takes_masks(case):
    time_first = "channels_first" not in (*case.make.args, *map(str, case.make.kwargs.values()))
    of_space = case.make.what.startswith("ConvLSTM")  # whose mask is of time alone, which Masking does not make of images
    return (
        time_first
        and not of_space
        and case.call in (plain, masked)
        and all(x.dtype == "float32" and x.ndim > 2 for x in case.inputs)
    )


def partly_zero(x):
    """Set some steps of every input to 0: at the end, at the start and in between."""
    x = x.copy()
    x[0, -1:] = x[-1, :1] = x[-1, 2:3] = 0
    return x


def masks(case: Case, data):
    """Return the masks that come out of a layer here and in Keras, or what Keras says where it cannot take one."""
    xs = case.symbols(jkeras)
    around = functional(xs, masked(case.make(jkeras), jkeras, xs))
    params, state = around.init(jax.random.key(0), [x.spec for x in xs] if len(xs) > 1 else xs[0].spec)
    theirs, refused = case.make(keras), None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a layer destroys a mask
        plain(theirs, keras, case.symbols(keras))
        masking = [keras.layers.Masking() for _ in data]

        def run(data):
            nonlocal refused
            y = flatten(around.apply(params, state, data if len(data) > 1 else data[0], Context())[0])[0]
            try:
                z = plain(theirs, keras, [layer(x) for layer, x in zip(masking, data, strict=True)])
            except (ValueError, TypeError, IndexError) as error:
                refused, z = error, None
            z = z[0] if isinstance(z, (list, tuple)) else z
            return y.mask if isinstance(y, Masked) else None, None if z is None else get_keras_mask(z)

        ours, of_keras = quick_jit(run)(data)
    return ours, of_keras, refused


@pytest.mark.parametrize("case", [case for case in CASES if takes_masks(case)], ids=str)
def test_the_mask_that_comes_out_of_a_layer_is_keras_or_the_documented_one(case):
    data = [partly_zero(x) for x in case.inputs]
    (mask, wanted, refused), given = masks(case, data), np.any(data[0] != 0, -1)
    assert (refused is not None) is (case.make.what in REFUSED)
    if refused is not None:
        return
    if case.make.what in KEPT or case.name in KEPT:
        assert wanted is None
        wanted = given
    if case.make.kwargs.get("go_backwards") and wanted is not None:  # where Keras leaves the mask in the order of the inputs
        np.testing.assert_array_equal(wanted, given)
        wanted = given[:, ::-1]
    if case.make.what == NESTED and given.ndim == 3:
        np.testing.assert_array_equal(wanted, given)
        wanted = given.any(-1)
    if mask is None or wanted is None:
        assert all(known is None or np.asarray(known).all() for known in (mask, wanted))
    else:
        np.testing.assert_array_equal(mask, wanted)

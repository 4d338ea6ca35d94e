"""Random changes of images: what they do in training, each image by itself, and nothing elsewhere."""

import jax
import numpy as np
import pytest

from jkeras.layers import RandomBrightness, RandomContrast, RandomFlip, Rescaling

X = np.random.default_rng(0).uniform(50, 200, (400, 4, 5, 3)).astype("float32")


def trained(layer, x=X, key=0):
    return np.asarray(layer.apply({}, {}, x, training=True, key=jax.random.key(key))[0])


@pytest.mark.parametrize(
    ("mode", "flips"),
    [("horizontal", [(2,)]), ("vertical", [(1,)]), ("horizontal_and_vertical", [(1,), (2,), (1, 2)])],
)
def test_each_image_is_flipped_by_itself_half_of_the_time_along_each_axis(mode, flips):
    y = trained(RandomFlip(mode))
    forms = [X, *(np.flip(X, axes) for axes in flips)]
    found = np.array([[np.array_equal(a, form[i]) for form in forms] for i, a in enumerate(y)])
    assert (found.sum(1) == 1).all()
    assert np.abs(found.mean(0) - 1 / len(forms)).max() < 5 * 0.5 / np.sqrt(len(X))


def test_brightness_moves_each_image_by_one_number_within_the_bounds():
    y = trained(RandomBrightness((-0.1, 0.05)))
    moved = (y - X).reshape(len(X), -1)
    np.testing.assert_allclose(moved, np.broadcast_to(moved[:, :1], moved.shape), atol=1e-4)
    assert moved.min() >= -25.51
    assert moved.max() <= 12.76
    assert moved.min() < -24
    assert moved.max() > 11.5
    assert trained(RandomBrightness(1.0)).max() <= 255


def test_contrast_draws_each_image_from_or_to_its_mean_within_the_bounds():
    y = trained(RandomContrast(0.3))
    mean = X.mean((1, 2), keepdims=True)
    np.testing.assert_allclose(y.mean((1, 2)), mean[:, 0, 0], rtol=1e-4)
    factors = ((y - mean) / (X - mean)).reshape(len(X), -1)
    factor = np.median(factors, 1)
    assert 0.699 <= factor.min() < 0.71
    assert 1.29 < factor.max() <= 1.301


@pytest.mark.parametrize("make", [RandomFlip, lambda: RandomBrightness(0.5), lambda: RandomContrast(0.5)])
def test_nothing_happens_outside_training_and_whole_numbers_become_floats(make):
    x = X.astype("uint8")
    y, _ = make().apply({}, {}, x)
    assert y.dtype == np.float32
    np.testing.assert_array_equal(y, x)
    assert (trained(make()) != trained(make(), key=1)).any()


def test_numbers_out_of_range_are_refused_in_words():
    with pytest.raises(ValueError, match="mode must be one of"):
        RandomFlip("diagonal")
    with pytest.raises(ValueError, match="factor must be a number from -1 to 1"):
        RandomBrightness(2.0)
    with pytest.raises(ValueError, match="factor must be a number from 0 to 1"):
        RandomContrast((-0.1, 0.5))
    with pytest.raises(ValueError, match="value_range must be"):
        RandomContrast(0.1, value_range=255)
    with pytest.raises(ValueError, match="scale and offset must be numbers"):
        Rescaling("a")

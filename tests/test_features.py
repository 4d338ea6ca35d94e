"""Preprocessing layers by themselves: what ``adapt`` finds, what random layers do in training, hashes inside ``jit``."""

import pickle

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

import jkeras
from jkeras import Input, Model, Sequential
from jkeras.layers import (
    Dense,
    Discretization,
    HashedCrossing,
    Hashing,
    Normalization,
    Pipeline,
    RandomCrop,
    RandomFlip,
    RandomRotation,
    RandomTranslation,
    RandomZoom,
    Rescaling,
)

RNG = np.random.default_rng(0)
X = RNG.normal(3, 5, (40, 6, 4)).astype("float32")
IMAGES = RNG.uniform(0, 1, (3, 7, 9, 2)).astype("float32")


@pytest.mark.parametrize("axis", [-1, 1, (1, 2), (-1, 1), None])
@pytest.mark.parametrize("invert", [False, True])
def test_normalization_finds_the_mean_and_variance_of_keras(axis, invert):
    ours, theirs = Normalization(axis, invert=invert), keras.layers.Normalization(axis, invert=invert)
    ours.adapt(X)
    theirs.adapt(X)
    np.testing.assert_allclose(ours(X), theirs(X), rtol=2e-5, atol=2e-5)
    for mine, other in zip(ours.get_weights(), [np.asarray(weight.value) for weight in theirs.weights], strict=True):
        np.testing.assert_allclose(mine, other, rtol=2e-5)
        assert mine.dtype == other.dtype


def test_batches_of_any_sizes_have_the_mean_and_variance_of_the_whole():
    far = X.astype("float64") + 1e4  # where a sum of squares in float32 would lose every digit
    whole = Normalization()
    whole.adapt(far)
    for batches in ([far[:3], far[3:4], far[4:]], ((far[i : i + 7], None) for i in range(0, 40, 7))):
        parts = Normalization()
        parts.adapt(batches)
        np.testing.assert_allclose(parts.config["adapted"], whole.config["adapted"], rtol=1e-6)
    np.testing.assert_allclose(whole.config["adapted"], [far.mean((0, 1)), far.var((0, 1))], rtol=1e-6)


def test_what_was_adapted_is_part_of_the_pure_init_of_data_of_pickles_and_of_models():
    norm = Normalization()
    norm.adapt(X)
    model = Model(x := Input((6, 4)), Dense(2)(norm(x)))
    _, state = model.init(jax.random.key(0), jax.ShapeDtypeStruct((1, 6, 4), "float32"))
    np.testing.assert_allclose(state["normalization"]["mean"], X.mean((0, 1)), rtol=1e-5)
    for again in (jkeras.layers.deserialize(jkeras.layers.serialize(norm)), pickle.loads(pickle.dumps(norm))):
        np.testing.assert_array_equal(again(X), norm(X))
    twin = Model.from_config(model.get_config())
    twin.set_weights(model.get_weights())
    np.testing.assert_array_equal(twin.predict(X, verbose=0), model.predict(X, verbose=0))


def test_a_layer_adapted_inside_a_compiled_model_counts_from_then_on():
    norm = Normalization()
    model = Sequential([Input((6, 4)), norm])
    model.compile("sgd", "mse")
    np.testing.assert_array_equal(model.predict(X, verbose=0), X)
    norm.adapt(X)
    np.testing.assert_allclose(model.predict(X, verbose=0), (X - X.mean((0, 1))) / X.std((0, 1)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("epsilon", [0.01, 0.1])
@pytest.mark.parametrize("count", [2, 5])
def test_discretization_finds_the_bins_of_keras(epsilon, count):
    ours, theirs = (k.layers.Discretization(num_bins=count, epsilon=epsilon) for k in (jkeras, keras))
    ours.adapt([X[:11], X[11:]])
    for part in (X[:11], X[11:]):  # Keras reads batches with TensorFlow only
        theirs.update_state(part)
    theirs.finalize_state()
    np.testing.assert_allclose(ours.config["adapted"], theirs.bin_boundaries, rtol=1e-6)
    np.testing.assert_array_equal(ours(X), theirs(X))
    fractions = np.bincount(np.ravel(ours(X)), minlength=count) / X.size
    np.testing.assert_allclose(fractions, 1 / count, atol=2 * epsilon)


# What Keras 3.15.1 on TensorFlow 2.21 puts into 1000 bins.
NUMBERS = np.array([0, 1, -5, 123456, 2147483647, -2147483648], "int32")
BINS = {None: [735, 849, 816, 998, 757, 469], 133: [385, 310, 800, 47, 579, 998], (133, 137): [369, 326, 270, 793, 326, 731]}


@pytest.mark.parametrize("salt", BINS)
def test_whole_numbers_are_hashed_inside_jit_into_the_bins_of_keras(salt):
    assert Hashing(1000, salt=salt)(NUMBERS).tolist() == BINS[salt]
    model = Sequential([Input((1,), dtype="int32"), Hashing(1000, salt=salt)])
    assert model.predict(NUMBERS[:, None], verbose=0)[:, 0].tolist() == BINS[salt]
    assert Hashing(1000, salt=salt)(NUMBERS.astype(str)).tolist() == BINS[salt]  # a number is hashed as it is written


FAR, CROSSED_FAR = [378, 492, 88], [537, 13, 660]  # by Keras 3.15.1 on TensorFlow, too


def test_numbers_that_jax_has_not_are_hashed_as_they_are_on_the_host():
    far = np.array([2**40, -(2**62), 7])
    assert Hashing(1000)(far).tolist() == Hashing(1000)(far.astype(str)).tolist() == FAR
    assert HashedCrossing(1000)([far, np.array([1, 2, 3])]).tolist() == CROSSED_FAR


def test_crosses_are_hashed_inside_jit_into_the_bins_of_keras():
    a, b = np.array([0, 1, -5, 123456], "int32"), np.array([7, 8, 9, -1], "int32")
    assert HashedCrossing(1000)([a, b]).tolist() == [291, 922, 468, 769]
    assert HashedCrossing(1000)([a[:2], b[:2], np.array([3, 3])]).tolist() == [194, 752]
    assert HashedCrossing(1000)([np.array(["A", "B"]), np.array([101, 102])]).tolist() == [891, 576]
    model = Model(xs := [Input((1,), dtype="int32"), Input((1,), dtype="int32")], HashedCrossing(1000)(xs))
    assert model.predict([a[:, None], b[:, None]], verbose=0)[:, 0].tolist() == [291, 922, 468, 769]
    assert Hashing(10, mask_value=0)(np.array([0, 1, 2, 3])).tolist() == [0, 1, 5, 4]


def trained(layer, x=IMAGES, key=0):
    return np.asarray(layer.apply({}, {}, x, training=True, key=jax.random.key(key))[0])


# Ranges of a single number leave nothing to chance, so that Keras's layers can be compared.
CERTAIN = {
    "rotation": ("RandomRotation", ((0.1, 0.1),), {}),
    "rotation nearest": ("RandomRotation", ((-0.3, -0.3), "constant", "nearest"), {"fill_value": 0.5}),
    "zoom": ("RandomZoom", ((0.2, 0.2),), {}),
    "zoom of both": ("RandomZoom", ((0.2, 0.2), (-0.3, -0.3), "wrap"), {}),
    "translation": ("RandomTranslation", ((0.1, 0.1), (0.2, 0.2)), {}),
    "translation channels_first": ("RandomTranslation", ((0.3, 0.3), (-0.2, -0.2), "nearest"), {"data_format": "channels_first"}),
}


@pytest.mark.parametrize("what", CERTAIN)
def test_images_are_moved_as_keras_moves_them(what):
    kind, args, kwargs = CERTAIN[what]
    found = trained(getattr(jkeras.layers, kind)(*args, **kwargs))
    theirs = getattr(keras.layers, kind)(*args, **kwargs)(IMAGES, training=True)
    np.testing.assert_allclose(found, theirs, atol=2e-5)
    assert np.abs(found - IMAGES).max() > 0.1


@pytest.mark.parametrize(
    "layer", [RandomRotation(0.2), RandomTranslation(0.3, 0.3), RandomZoom((-0.4, 0.4), (-0.4, 0.4))], ids=str
)
def test_each_image_is_moved_by_itself_and_only_in_training(layer):
    same = np.repeat(IMAGES[:1], 20, 0)
    moved = trained(layer, same)
    assert len(np.unique(moved.round(4), axis=0)) == 20
    np.testing.assert_array_equal(layer(same), same)
    assert (moved != trained(layer, same, key=1)).any()


def test_each_image_is_cut_at_a_place_of_its_own_and_places_are_equally_likely():
    tagged = np.broadcast_to(np.arange(20, dtype="float32").reshape(1, 4, 5, 1), (3000, 4, 5, 1))
    cut = trained(RandomCrop(3, 3), tagged)[..., 0]
    top_left = cut[:, 0, 0].astype(int)
    np.testing.assert_array_equal(cut, top_left[:, None, None] + np.arange(3)[:, None] * 5 + np.arange(3))
    places, counts = np.unique(top_left, return_counts=True)
    assert places.tolist() == [0, 1, 2, 5, 6, 7]
    assert np.abs(counts / 3000 - 1 / 6).max() < 5 * np.sqrt(5 / 36 / 3000)


def test_a_crop_outside_training_is_the_resized_middle_of_its_ratio():
    for size in ((3, 6), (14, 9)):
        wanted = keras.ops.image.resize(IMAGES, size, crop_to_aspect_ratio=True)
        np.testing.assert_allclose(RandomCrop(*size)(IMAGES), wanted, atol=1e-5)
    assert RandomCrop(3, 6)(Input((None, None, 2))).shape == (None, 3, 6, 2)


def test_a_pipeline_trains_where_a_call_does_not_say_otherwise():
    flips = Pipeline([Rescaling(2.0), RandomFlip("horizontal")])
    many = np.repeat(IMAGES[:1], 40, 0)
    assert len(np.unique(np.asarray(flips(many)), axis=0)) == 2
    np.testing.assert_array_equal(flips(many, training=False), 2 * many)
    model = Sequential([Input((7, 9, 2)), flips])
    np.testing.assert_array_equal(model.predict(many, verbose=0), 2 * many)
    assert [layer.kind for layer in jkeras.layers.deserialize(jkeras.layers.serialize(flips)).config["layers"]] == [
        "Rescaling",
        "RandomFlip",
    ]


REFUSED = {
    "one of mean and variance": (lambda: Normalization(mean=1.0), "both mean and variance"),
    "a mean that does not fit": (lambda: Normalization(mean=[1.0, 2.0, 3.0], variance=[1.0] * 3)(X), "does not fit"),
    "data of another size": (lambda: built().adapt(X[..., :3]), "was built for means"),
    "numbers that are none": (lambda: Normalization().adapt(np.array([[np.nan], [1.0]])), "not finite"),
    "no data": (lambda: Normalization().adapt([]), "needs an array or batches"),
    "a given mean": (lambda: Normalization(mean=0.0, variance=1.0).adapt(X), "was given its mean"),
    "an axis that is not there": (lambda: Normalization(axis=3)(X), "names no axis"),
    "bins before adapt": (lambda: Discretization(num_bins=3)(X), "call adapt"),
    "bins in no order": (lambda: Discretization([1.0, 0.0]), "ascending"),
    "neither bins nor their number": (lambda: Discretization(), "either bin_boundaries"),
    "bins of a model": (lambda: in_a_model().adapt(X), "part of a model already"),
    "bins that were given": (lambda: Discretization([0.0]).adapt(X), "was given its bin_boundaries"),
    "a salt of words": (lambda: Hashing(3, salt="a"), "salt must be"),
    "a cross of one": (lambda: HashedCrossing(3)([NUMBERS]), "at least two"),
    "a cross of two shapes": (lambda: HashedCrossing(3)([NUMBERS, NUMBERS[:2]]), "inputs must all be"),
    "weights of ones": (
        lambda: jkeras.layers.CategoryEncoding(3)(NUMBERS[:2], count_weights=jnp.ones(2)),
        "count_weights goes with",
    ),
    "no number of categories": (lambda: jkeras.layers.CategoryEncoding(), "num_tokens must be given"),
    "a turn of more than one": (lambda: RandomRotation(1.5), "from -1 to 1"),
    "another way to fill": (lambda: RandomZoom(0.1, fill_mode="black"), "fill_mode must be one of"),
    "both ways to keep the ratio": (
        lambda: jkeras.layers.Resizing(3, 3, crop_to_aspect_ratio=True, pad_to_aspect_ratio=True),
        "cannot both be True",
    ),
}


def built():
    norm = Normalization()
    norm.build((None, 6, 4))
    return norm


def in_a_model():
    bins = Discretization(num_bins=3)
    bins.adapt(X)
    bins(Input((4,)))
    return bins


@pytest.mark.parametrize("what", REFUSED)
def test_what_makes_no_sense_is_refused_in_words(what):
    act, said = REFUSED[what]
    with pytest.raises((ValueError, TypeError), match=said):
        act()


def test_count_weights_are_what_each_entry_counts():
    codes = jkeras.layers.CategoryEncoding(4, "count")
    found = codes(np.array([[0, 1, 1], [3, 3, 9]]), count_weights=np.array([[0.5, 1, 2], [1, 0.25, 1]], "float32"))
    np.testing.assert_allclose(found, [[0.5, 3, 0, 0], [0, 0, 0, 1.25]])

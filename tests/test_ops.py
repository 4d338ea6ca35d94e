"""Every function of ``keras.ops``, by name: the same arguments, and the same numbers of the same dtypes on them."""

import inspect
import itertools

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
from calls_of_ops import CALLS, COMPLEX, X

import jkeras
from jkeras import ops


def namespaces():
    return [name for name in dir(keras.ops) if inspect.ismodule(getattr(keras.ops, name))]


def named(space, name):
    for part in name.split("."):
        space = getattr(space, part)
    return space


# Whose calls cannot be compared, because they draw numbers, have none, or are right up to signs or order; they have tests below.
# Keras's ``sparsemax`` is wrong: what it returns does not sum to 1.
APART = """
    argpartition convert_to_numpy custom_gradient dtype eig empty empty_like image.elastic_transform is_tensor qr shape sparsemax
    svd
    """.split()  # noqa: SIM905, a list of quoted names is harder to read
NAMES = [name for name in dir(keras.ops) if not name.startswith("_") and name not in namespaces()]
NAMES += [f"image.{name}" for name in dir(keras.ops.image) if not name.startswith("_")]


def test_every_function_of_keras_is_called_here():
    assert set(CALLS) | set(APART) == set(NAMES)
    assert not set(CALLS) & set(APART)


def test_arguments_their_order_and_their_defaults_are_those_of_keras():
    for name in NAMES:
        ours, theirs = (
            [
                (p.name, p.default)
                for p in inspect.signature(named(space, name)).parameters.values()
                if p.kind is not p.VAR_KEYWORD
            ]
            for space in (ops, keras.ops)
        )
        assert ours == theirs, name


def plain(y):
    if isinstance(y, (list, tuple)):
        return [plain(part) for part in y]
    return y


def assert_same(ours, theirs):
    ours, theirs = plain(ours), plain(theirs)
    if isinstance(theirs, list):
        assert isinstance(ours, list)
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            assert_same(one, other)
        return
    one, other = np.asarray(ours), np.asarray(theirs)
    assert one.shape == other.shape
    assert one.dtype == other.dtype
    np.testing.assert_allclose(one, other, rtol=2e-5, atol=2e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", CALLS)
def test_the_numbers_are_those_of_keras(name):
    for args, kwargs in CALLS[name]:
        ours, theirs = named(ops, name)(*args, **kwargs), named(keras.ops, name)(*args, **kwargs)
        if callable(theirs):
            ours, theirs = ours(X), theirs(X)
        assert_same(ours, theirs)


def on_tensors(name, args, kwargs):
    """Return a model of a call's first arrays, and these; None where they are none, or have no axes."""
    first, *rest = args or (None,)
    several = isinstance(first, (list, tuple)) and all(isinstance(x, np.ndarray) for x in first)
    if not several and not (isinstance(first, np.ndarray) and first.ndim):
        return None
    xs = list(first) if several else [first]
    inputs = [jkeras.Input(batch_shape=x.shape, dtype=x.dtype.name) for x in xs]
    y = named(ops, name)(type(first)(inputs) if several else inputs[0], *rest, **kwargs)
    return inputs, y, xs


# The shape of whose results depends on the values, so that no model can have them.
BY_VALUES = {"bincount", "nonzero", "unique", "where"}
NO_TENSORS = {"ndim", "size"}


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in CALLS if name not in BY_VALUES | NO_TENSORS])
def test_on_symbolic_tensors_they_are_steps_of_a_model(name):
    for args, kwargs in CALLS[name][:2]:
        made = on_tensors(name, args, kwargs)
        if made is None:
            continue
        inputs, y, xs = made
        found = jkeras.Model(inputs, y).apply({}, {}, xs if len(xs) > 1 else xs[0])[0]
        wanted = named(ops, name)(*args, **kwargs)
        assert_same(found, jax.tree.map(jnp.asarray, plain(wanted)))
        specs, values = jax.tree.leaves(plain(y)), jax.tree.leaves(plain(wanted))
        assert [(spec.shape, spec.dtype) for spec in specs] == [(np.shape(v), np.asarray(v).dtype) for v in values]


def test_what_is_asked_about_tensors_is_answered_before_there_are_numbers():
    x = jkeras.Input((4,), dtype="int32")
    assert ops.shape(x) == (None, 4)
    assert ops.dtype(x) == "int32"
    assert not ops.is_tensor(x)
    assert not ops.is_tensor(X)
    assert ops.is_tensor(jnp.zeros(2))
    with pytest.raises(TypeError, match="has none until its model is called"):
        ops.convert_to_numpy(x)
    copied = ops.convert_to_numpy(given := jnp.zeros(2))
    copied[0] = 1
    assert given[0] == 0


def test_a_tensor_made_of_an_array_does_not_share_its_memory():
    buffer = np.zeros(1 << 12, "float32")
    made = ops.convert_to_tensor(buffer)
    buffer[:] = 1
    assert not np.asarray(made).any()
    with pytest.raises(ValueError, match="dense tensors only"):
        ops.convert_to_tensor(buffer, sparse=True)


def test_what_is_right_up_to_signs_and_order_makes_the_matrix_again():
    q, r = ops.qr(X)
    np.testing.assert_allclose(q @ r, X, atol=1e-5)
    u, s, vh = ops.svd(X, full_matrices=False)
    np.testing.assert_allclose(u * s @ vh, X, atol=1e-5)
    np.testing.assert_allclose(ops.svd(X, compute_uv=False), np.linalg.svd(X, compute_uv=False), atol=1e-5)
    values, vectors = ops.eig(X[:, :3])
    np.testing.assert_allclose(X[:, :3] @ np.asarray(vectors), vectors * values, atol=1e-4)
    parted = np.asarray(ops.argpartition(X, 2, axis=1))
    np.testing.assert_array_equal(np.sort(parted, 1), np.broadcast_to(np.arange(4), (3, 4)))
    np.testing.assert_array_equal(np.take_along_axis(X, parted, 1)[:, 2], np.sort(X, 1)[:, 2])


def test_windows_that_are_pooled_do_not_overlap_by_default():  # Keras 3.15.1's functions fail without strides
    x = jnp.arange(12.0).reshape(1, 4, 3, 1)
    np.testing.assert_array_equal(ops.max_pool(x, (2, 3)).ravel(), [5, 11])
    np.testing.assert_array_equal(ops.average_pool(x, (2, 3)).ravel(), [2.5, 8.5])


def test_empty_arrays_have_the_shape_and_dtype_asked_for():
    assert (ops.empty((2, 3)).shape, ops.empty((2, 3)).dtype) == ((2, 3), "float32")
    assert ops.empty_like(COMPLEX).dtype == "complex64"


def test_sparsemax_is_the_nearest_distribution():
    for axis in (0, 1):
        p = np.asarray(ops.sparsemax(X, axis=axis), "float64")
        np.testing.assert_allclose(p.sum(axis), 1, atol=1e-6)
        support = p > 0  # where it is positive, x - p is one number, and elsewhere x is not above that
        gap = np.where(support, X - p, -np.inf).max(axis, keepdims=True)
        np.testing.assert_allclose(np.where(support, X - p - gap, 0), 0, atol=1e-6)
        assert (np.where(support, -np.inf, X - gap) <= 1e-6).all()


def test_gradients_of_ones_own_are_taken():
    clipped = ops.custom_gradient(lambda x: (x**2, lambda g: jnp.clip(g, -1, 1)))
    assert jax.grad(lambda x: 5 * clipped(x))(3.0) == 1


def test_an_elastic_map_moves_pixels_differently_in_both_directions_and_by_its_seed():
    rows = np.broadcast_to(np.arange(32, dtype="float32")[:, None, None], (32, 32, 1))
    moved = [np.asarray(ops.image.elastic_transform(x, seed=1, fill_mode="nearest")) for x in (rows, rows.transpose(1, 0, 2))]
    by = (moved[0] - rows)[8:-8, 8:-8, 0], (moved[1] - rows.transpose(1, 0, 2))[8:-8, 8:-8, 0]
    assert all(np.abs(b).max() > 0.5 for b in by)
    assert abs(np.corrcoef(by[0].ravel(), by[1].ravel())[0, 1]) < 0.9
    again = ops.image.elastic_transform(rows, seed=1, fill_mode="nearest")
    np.testing.assert_array_equal(again, moved[0])
    np.testing.assert_allclose(ops.image.elastic_transform(rows, alpha=0.0, seed=2), rows, atol=1e-5)


def test_a_projective_map_divides_by_its_last_row():
    image = np.arange(36, dtype="float32").reshape(6, 6, 1)
    t = np.array([1, 0, 0, 0, 1, 0, 0.1, 0.05], "float32")
    found = ops.image.affine_transform(image, t, fill_mode="nearest")[..., 0]
    y, x = np.mgrid[:6, :6]
    k = 0.1 * x + 0.05 * y + 1
    np.testing.assert_allclose(found, 6 * y / k + x / k, rtol=1e-5)  # the image is linear in its places


def test_a_short_transform_without_a_window_is_undone_too():
    signal = np.random.default_rng(1).normal(size=64).astype("float32")
    for window, center in itertools.product((None, "hann"), (True,)):
        there = ops.stft(signal, 16, 4, 16, window, center)
        np.testing.assert_allclose(ops.istft(there, 16, 4, 16, 64, window, center), signal, atol=1e-5)


def test_beams_wide_enough_find_the_sum_over_all_ways_to_write_each_label():
    rng = np.random.default_rng(2)
    logits = rng.normal(size=(1, 4, 3)).astype("float32")
    log_probs = np.asarray(jax.nn.log_softmax(logits[0]), "float64")
    sums: dict = {}
    for way in itertools.product(range(3), repeat=4):
        merged = [c for i, c in enumerate(way) if i == 0 or c != way[i - 1]]
        label = tuple(c for c in merged if c)
        sums[label] = sums.get(label, 0) + np.exp(sum(log_probs[t, c] for t, c in enumerate(way)))
    best = sorted(sums.items(), key=lambda item: -item[1])[:5]
    paths, scores = ops.ctc_decode(logits, [4], "beam_search", beam_width=40, top_paths=5)
    for i, (label, p) in enumerate(best):
        assert tuple(c for c in np.asarray(paths[i, 0]).tolist() if c >= 0) == label
        np.testing.assert_allclose(scores[0, i], np.log(p), atol=1e-5)


def test_functions_of_rows_are_steps_of_a_model_too():
    x = jkeras.Input((4,))
    ys = [ops.map(lambda r: r * 2, x), ops.vectorized_map(lambda r: r / r.sum(), x)]
    ys += [ops.scan(lambda c, r: (c + r, c), jnp.zeros(4), x)[1], ops.while_loop(lambda v: ops.sum(v) < 99, lambda v: v * 2, x)]
    found = jkeras.Model(x, ys).predict(ones := np.ones((3, 4), "float32"), verbose=0)
    wanted = [2 * ones, ones / 4, np.arange(3)[:, None] * ones, 16 * ones]
    assert [y.shape for y in ys] == [(None, 4)] * 4
    for y, w in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(y, w)


def test_a_size_that_is_not_known_yet_may_be_given_back():
    x = jkeras.Input((4, 3))
    assert ops.reshape(x, (ops.shape(x)[0], 12)).shape == (None, 12)


REFUSED = {
    "an argument too many": (lambda: ops.relu(X, 1), r"relu\(x\): too many"),
    "branches of symbolic tensors": (lambda: ops.cond(True, lambda: jkeras.Input((2,)), lambda: 1.0), "use ops.where"),
    "conv of another kernel": (lambda: ops.conv(jnp.zeros((1, 8, 4)), jnp.zeros((3, 3, 2))), "does not fit an input"),
    "cholesky of what is not positive": (lambda: ops.cholesky(-np.eye(3, dtype="float32")), "positive definite"),
    "a crop beyond the image": (lambda: ops.image.crop_images(jnp.zeros((4, 4, 3)), 3, 0, 3, 0), "none may be negative"),
    "a crop told too much": (lambda: ops.image.crop_images(jnp.zeros((4, 4, 3)), 1, 0, 1, 0, 2), "exactly two"),
    "a pattern that does not fit": (lambda: ops.rearrange(jnp.zeros((2, 5)), "a (b c) -> a b c", b=2), "does not fit the sizes"),
    "hsv of whole numbers": (lambda: ops.image.rgb_to_hsv(jnp.zeros((4, 4, 3), "int32")), "floating numbers"),
    "columns of another image": (lambda: ops.fold(jnp.zeros((1, 4, 8)), 4, 2), "has columns"),
    "stacks of another number": (lambda: ops.unstack(jnp.zeros((3, 2)), 2), "num must be"),
    "half of where": (lambda: ops.where(jnp.zeros(2) > 0, 1.0), "or neither"),
    "a function that is not there": (lambda: ops.tanhh, "no function 'tanhh'. Did you mean 'tanh'"),
    "an image function that is not there": (lambda: ops.image.resise, "Did you mean"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_makes_no_sense_is_refused_in_words(what):
    act, said = REFUSED[what]
    with pytest.raises((ValueError, TypeError, AttributeError), match=said):
        act()


def test_names_are_found_where_keras_has_them_too_and_jax_beyond():
    for space in ("nn", "numpy", "linalg", "image"):
        for name in dir(getattr(keras.ops, space)):
            if not name.startswith("_"):
                assert callable(getattr(getattr(ops, space), name)), name
    from jkeras.ops import image, linalg, nn

    assert image.resize(jnp.zeros((4, 4, 3)), (2, 2)).shape == (2, 2, 3)
    assert nn.relu(-1.0) == 0
    np.testing.assert_allclose(linalg.matrix_power(2 * jnp.eye(2), 3), 8 * np.eye(2))
    assert ops.sum(X, where=X > 0) == X[X > 0].sum()  # what JAX's function takes besides may be given by name

"""Every loss of the catalogue: values and gradients beside Keras and finite differences, and what it does at its limits."""

import functools

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
from jax.test_util import check_grads

import jkeras

N, T, C = 6, 5, 3
SHAPES = {"row": (N, C), "step": (N, T, C), "pixel": (N, 2, T, C)}
AREA = {"axis": (1, 2)}

# class, its arguments, what its targets and outputs are
LOSSES = [
    ("MeanSquaredError", {}, "reals"),
    ("MeanAbsoluteError", {}, "reals"),
    ("MeanAbsolutePercentageError", {}, "reals"),
    ("MeanSquaredLogarithmicError", {}, "rates"),
    ("Huber", {}, "reals"),
    ("Huber", {"delta": 0.4}, "reals"),
    ("LogCosh", {}, "reals"),
    ("Poisson", {}, "rates"),
    ("CosineSimilarity", {}, "reals"),
    ("CosineSimilarity", {"axis": 1}, "reals"),
    ("BinaryCrossentropy", {}, "binary"),
    ("BinaryCrossentropy", {"from_logits": True, "label_smoothing": 0.2}, "binary logits"),
    ("BinaryCrossentropy", {"label_smoothing": 0.2, "axis": 1}, "binary"),
    ("BinaryFocalCrossentropy", {}, "binary"),
    ("BinaryFocalCrossentropy", {"apply_class_balancing": True, "alpha": 0.3, "gamma": 1.5}, "binary"),
    ("BinaryFocalCrossentropy", {"from_logits": True, "label_smoothing": 0.2}, "binary logits"),
    ("CategoricalCrossentropy", {}, "one-hot"),
    ("CategoricalCrossentropy", {"from_logits": True}, "one-hot logits"),
    ("CategoricalCrossentropy", {"label_smoothing": 0.3}, "one-hot"),
    ("CategoricalCrossentropy", {"axis": 1}, "one-hot"),
    ("CategoricalFocalCrossentropy", {}, "one-hot"),
    ("CategoricalFocalCrossentropy", {"alpha": [0.1, 0.3, 0.6], "gamma": 3.0, "label_smoothing": 0.2}, "one-hot"),
    ("CategoricalFocalCrossentropy", {"from_logits": True}, "one-hot logits"),
    ("SparseCategoricalCrossentropy", {}, "classes"),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, "classes logits"),
    ("SparseCategoricalCrossentropy", {"ignore_class": 1}, "classes"),
    ("CategoricalGeneralizedCrossEntropy", {}, "classes"),
    ("CategoricalGeneralizedCrossEntropy", {"q": 0.9}, "classes"),
    ("KLDivergence", {}, "distributions"),
    ("Hinge", {}, "signs"),
    ("Hinge", {}, "binary"),
    ("SquaredHinge", {}, "signs"),
    ("CategoricalHinge", {}, "one-hot logits"),
    ("Dice", {}, "binary"),
    ("Dice", AREA, "binary"),
    ("Tversky", {}, "binary"),
    ("Tversky", {"alpha": 0.3, "beta": 0.7, **AREA}, "binary"),
    ("Circle", {}, "embeddings"),
    ("Circle", {"gamma": 16.0, "margin": 0.2, "remove_diagonal": False}, "embeddings"),
    ("CTC", {}, "writing"),
]
RANKS = {"embeddings": ["row"], "writing": ["step"]}  # of which there is only one
IDS = [f"{name}({', '.join(f'{k}={v}' for k, v in options.items())}) {kind}" for name, options, kind in LOSSES]
REDUCTIONS = ["sum_over_batch_size", "sum", "mean_with_sample_weight", "none"]


def data_of(kind, shape, seed=0):
    """Targets and outputs of a kind; probabilities do not sum to 1, as Keras allows."""
    rng = np.random.default_rng(seed)
    if kind == "embeddings":
        found = rng.normal(size=shape)
        return np.array([0, 1, 0, 1, 0, 2], "int32"), (found / np.linalg.norm(found, axis=-1, keepdims=True)).astype("float32")
    if kind == "writing":
        return np.int32([[1, 2], [2, 2], [1, 0], [2, 1], [1, 1], [2, 0]]), rng.normal(size=shape).astype("float32")
    real = kind in ("reals", "signs") or "logits" in kind
    outputs = rng.normal(size=shape) * 2 if real else rng.uniform(0.05, 0.95, shape)
    targets = {
        "reals": rng.normal(size=shape),
        "rates": rng.uniform(0, 3, shape),
        "signs": rng.choice([-1.0, 1.0], shape),
        "distributions": rng.dirichlet(np.ones(shape[-1]), shape[:-1]),
        "binary": rng.integers(0, 2, shape),
        "one-hot": np.eye(shape[-1])[rng.integers(0, shape[-1], shape[:-1])],
        "classes": rng.integers(0, shape[-1], shape[:-1]),
    }[kind.removesuffix(" logits")]
    return targets.astype("int32" if "classes" in kind else "float32"), outputs.astype("float32")


def both(name, options, **common):
    options = {**options, **common}
    return getattr(jkeras.losses, name)(**options), getattr(keras.losses, name)(**options)


def value_and_gradient(loss, y_true, y_pred, *weight):
    def total(p):
        value = loss(y_true, p, *weight)
        return jnp.sum(value), value

    (_, value), gradient = jax.value_and_grad(total, has_aux=True)(y_pred)
    return value, gradient


ROWS = [(*row, rank) for row in LOSSES for rank in RANKS.get(row[2], SHAPES) if not (row[1] is AREA and rank == "row")]
ROWS = [row for row in ROWS if row[3] != "row" or "axis" not in row[1] or row[1]["axis"] == 1]


@pytest.mark.parametrize(("name", "options", "kind", "rank"), ROWS, ids=lambda v: str(v))
def test_a_loss_has_the_value_and_gradient_of_keras_under_every_reduction(name, options, kind, rank):
    y_true, y_pred = data_of(kind, SHAPES[rank])
    values = both(name, options, reduction="none")[0](y_true, y_pred)
    weight = np.random.default_rng(1).uniform(0, 2, values.shape).astype("float32") if values.ndim else None
    for reduction in REDUCTIONS if kind != "writing" else ("sum", "none"):  # whose loops are compiled anew in every call
        ours, theirs = both(name, options, reduction=reduction)
        for w in [None] if weight is None else [None, weight]:
            if name == "Circle" and w is not None:
                continue  # Keras weighs all, also those without a loss, by the mask of those with one; see below
            np.testing.assert_allclose(
                ours(y_true, y_pred, w), theirs(y_true, y_pred, w), rtol=2e-5, atol=2e-5, err_msg=reduction
            )
    got, wanted = (value_and_gradient(loss, y_true, jnp.asarray(y_pred), w)[1] for loss in (ours, theirs))  # of each by itself
    np.testing.assert_allclose(got, wanted, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(("name", "options", "kind"), [row for row in LOSSES if row[0][:3] in ("Hub", "Spa", "Bin")], ids=str)
def test_a_mask_counts_as_in_keras(name, options, kind, reduction):
    if options.get("axis", -1) != -1:
        pytest.skip("the mask is one of steps")
    y_true, y_pred = data_of(kind, SHAPES["step"])
    mask = np.random.default_rng(2).uniform(size=(N, T)) < 0.6
    weight = np.random.default_rng(3).uniform(0, 2, (N, T)).astype("float32")
    ours, theirs = both(name, options, reduction=reduction)
    for w in (None, weight):
        masked = keras.ops.convert_to_tensor(y_pred)
        masked._keras_mask = keras.ops.convert_to_tensor(mask)
        wanted = theirs(y_true, masked, w)
        got = ours.reduced(jnp.asarray(y_true), jnp.asarray(y_pred), w, jnp.asarray(mask))
        if reduction == "none" or (reduction == "mean_with_sample_weight" and w is None):
            where = mask & (y_true != options.get("ignore_class", -9)) if kind == "classes" else mask
            values = both(name, options, reduction="none")[0](y_true, y_pred) * (1 if w is None else w)
            wanted = np.where(mask, values, 0) if reduction == "none" else np.sum(np.where(where, values, 0)) / where.sum()
        np.testing.assert_allclose(got, wanted, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize(("name", "options", "kind"), LOSSES, ids=IDS)
def test_gradients_in_float64_are_the_limits_of_finite_differences(name, options, kind):
    y_true, y_pred = data_of(kind, SHAPES["step" if kind not in RANKS else RANKS[kind][0]], seed=5)
    with jax.enable_x64(True):
        loss = both(name, options, reduction="none")[0]
        p = jnp.asarray(y_pred, "float64")
        assert loss(y_true, p).dtype == jnp.float64
        check_grads(lambda p: loss(y_true, p), (p,), order=1, modes=["rev"], atol=1e-6, rtol=1e-6, eps=1e-6)


# -- at limits ----------------------------------------------------------------------------------------------------------


def extremes(kind, shape):
    """Outputs at 0, at the ends of what they may be, and logits far out."""
    ones = np.eye(shape[-1], dtype="float32")[np.zeros(shape[:-1], int)]
    far = 1e4 if kind in ("reals", "signs", "writing", "embeddings") or "logits" in kind else 1
    return [np.zeros(shape, "float32"), ones * far, (1 - ones) * far, ones * far - (1 - ones) * (far if far > 1 else 0)]


@pytest.mark.parametrize(("name", "options", "kind"), LOSSES, ids=IDS)
def test_values_and_gradients_are_finite_at_limits_and_where_nothing_counts(name, options, kind):
    shape = SHAPES["step" if kind not in RANKS else RANKS[kind][0]]
    y_true, y_pred = data_of(kind, shape)
    loss = both(name, options)[0]
    for p in extremes(kind, shape)[:: 1 if kind != "writing" else 3]:
        value, gradient = value_and_gradient(loss, y_true, jnp.asarray(p))
        assert np.isfinite(value), p[0]
        assert np.isfinite(gradient).all(), p[0]
    values = both(name, options, reduction="none")[0](y_true, y_pred)
    for reduction in ("sum_over_batch_size", "mean_with_sample_weight") if values.ndim else ():
        reduced = both(name, options, reduction=reduction)[0].reduced
        for weight, mask in ((jnp.zeros(values.shape), None), (None, jnp.zeros(values.shape, bool))):
            held = functools.partial(reduced, weight=weight, mask=mask)
            value, gradient = value_and_gradient(held, y_true, jnp.asarray(y_pred))
            assert value == 0
            assert not gradient.any()


AFTER = [
    ("BinaryCrossentropy", jax.nn.sigmoid, {}, [1.0]),
    ("BinaryFocalCrossentropy", jax.nn.sigmoid, {}, [1.0]),
    ("CategoricalCrossentropy", jax.nn.softmax, {}, [0.0, 1.0]),
    ("CategoricalFocalCrossentropy", jax.nn.softmax, {"alpha": 1.0}, [0.0, 1.0]),
    ("KLDivergence", jax.nn.softmax, {}, [0.0, 1.0]),
    ("SparseCategoricalCrossentropy", jax.nn.softmax, {}, 1),
    ("SparseCategoricalCrossentropy", jax.nn.log_softmax, {"from_logits": True}, 1),
]


@pytest.mark.parametrize(("name", "activation", "options", "y"), AFTER, ids=lambda v: getattr(v, "__name__", str(v)))
@pytest.mark.parametrize("margin", [1.0, 30.0, 1e4])
def test_after_its_activation_a_loss_is_the_margin_and_pulls_with_all_its_might(name, activation, options, y, margin):
    loss = both(name, options)[0]
    logits = jnp.float32([[-margin]] if activation is jax.nn.sigmoid else [[margin, 0.0]])

    def cost(z):
        return loss.reduced(jnp.asarray([y]), activation(z), None, None, z, activation)

    value, gradient = jax.value_and_grad(cost)(logits)
    if margin > 1:
        np.testing.assert_allclose(value, margin, rtol=1e-6)  # what is lost by a certain wrong answer
        np.testing.assert_allclose(jnp.abs(gradient[0, 0]), 1, rtol=1e-6)
    else:  # where probabilities are good enough, both ways agree
        np.testing.assert_allclose(value, loss(jnp.asarray([y]), activation(logits)), rtol=1e-5)


# -- called by hand -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "options", "kind"), [row for row in LOSSES if row[2] not in RANKS], ids=str)
def test_the_function_takes_lists_whole_numbers_and_half_precision(name, options, kind):
    function = getattr(jkeras.losses, jkeras.losses.get(name).name.replace("huber_loss", "huber"))
    y_true, y_pred = data_of(kind, SHAPES["row"] if "axis" not in options else SHAPES["step"])
    given = {"q": 0.5} if "Generalized" in name else {}
    wanted = function(y_true, y_pred, **{**given, **options})
    np.testing.assert_array_equal(function(y_true.tolist(), y_pred.tolist(), **{**given, **options}), wanted)
    half = function(np.round(y_true).astype("int32"), jnp.asarray(y_pred, "bfloat16"), **{**given, **options})
    assert half.dtype == jnp.float32


def test_functions_let_flat_targets_meet_columns_and_refuse_what_would_broadcast():
    y, p = np.float32([1, 0, 1]), np.float32([[0.9], [0.2], [0.6]])
    for name in ("binary_crossentropy", "mean_squared_error", "hinge", "poisson"):
        function, theirs = getattr(jkeras.losses, name), getattr(keras.losses, name)
        np.testing.assert_allclose(function(y, p), theirs(y[:, None], p), rtol=2e-5)
        with pytest.raises(jkeras.core.ShapeError, match=f"{name} needs targets of shape"):
            function(np.ones((3, 2)), p)
    with pytest.raises(jkeras.core.ShapeError, match="to_categorical"):
        jkeras.losses.categorical_focal_crossentropy([0, 1], np.ones((2, 3)))


def test_circle_takes_the_mean_over_what_costs_something():
    y_true, y_pred = data_of("embeddings", (N, C))
    each = jkeras.losses.circle(y_true, y_pred)
    alone = np.float32([0, 0, 0, 0, 0, 1])  # the last is the only one of its class
    assert each[5] == 0
    np.testing.assert_allclose(jkeras.losses.Circle()(y_true, y_pred), np.mean(np.asarray(each)[np.asarray(each) > 0]), rtol=1e-5)
    assert jkeras.losses.Circle()(y_true, y_pred, alone) == 0


def test_the_dtype_is_that_of_outputs_and_losses():
    y, p = np.float32([[1.0]]), np.float32([[0.3]])
    for dtype in ("bfloat16", "float16"):
        loss = jkeras.losses.BinaryCrossentropy(dtype=dtype)(y, p)
        assert loss.dtype == dtype
        np.testing.assert_allclose(loss, -np.log(0.3), rtol=1e-2)
    with jax.enable_x64(True):
        assert jkeras.losses.Huber(dtype="float64")(y, p).dtype == "float64"


@pytest.mark.parametrize("name", ["Huber", "huber", "KLD", "kld", "mape", "MSLE", "log_cosh", "poisson", "dice"])
def test_a_name_stands_for_the_loss_that_keras_calls_so(name):
    theirs = keras.losses.get(name)
    y, p = data_of("binary", (N, C))
    np.testing.assert_allclose(jkeras.losses.get(name)(y, p), np.mean(theirs(y, p)), rtol=2e-5)


def test_a_loss_is_an_instance_of_its_class_and_is_made_again_from_plain_data():
    loss = jkeras.losses.Tversky(alpha=0.3, axis=(1, 2))
    assert isinstance(loss, jkeras.losses.Tversky)
    again = jkeras.losses.deserialize(jkeras.losses.serialize(loss))
    assert repr(again) == repr(loss)
    assert again.get_config() == loss.get_config()
    assert jkeras.losses.Tversky.from_config(loss.get_config()).name == "tversky"


def test_a_loss_of_ones_own_takes_fewer_than_ten_lines_in_either_form():
    def each(y_true, y_pred):  # one number per example
        return jnp.mean(jnp.abs(y_true - y_pred) ** 3, axis=-1)

    def together(y_true, y_pred):  # one number
        return jnp.mean(each(y_true, y_pred))

    x, y = data_of("reals", (40, C))
    for loss in (each, together, jkeras.losses.Loss(each, reduction="sum")):
        model = jkeras.Sequential([jkeras.Input((C,)), jkeras.layers.Dense(C)])
        model.compile("sgd", loss)
        wanted = np.mean(np.abs(model.predict(x, verbose=0) - y) ** 3)
        scale = 32 if isinstance(loss, jkeras.losses.Loss) else 1
        got = model.evaluate(x[:32], y[:32], verbose=0)
        np.testing.assert_allclose(got, np.mean(np.abs(model.predict(x[:32], verbose=0) - y[:32]) ** 3) * scale, rtol=1e-4)
        if scale == 1:
            np.testing.assert_allclose(model.evaluate(x, y, verbose=0), wanted, rtol=1e-4)


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        ("Huber", {"delta": 0.0}),
        ("BinaryCrossentropy", {"label_smoothing": 1.5}),
        ("CategoricalCrossentropy", {"label_smoothing": -0.1}),
        ("BinaryFocalCrossentropy", {"gamma": -1.0}),
        ("CategoricalGeneralizedCrossEntropy", {"q": 0.0}),
    ],
)
def test_arguments_of_losses_out_of_their_range_are_refused_by_name(kind, arguments):
    (name,) = arguments
    with pytest.raises(ValueError, match=f"{kind}: {name} must be"):
        getattr(jkeras.losses, kind)(**arguments)

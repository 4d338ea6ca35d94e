"""Losses and metrics have Keras's values and gradients; after a softmax or sigmoid the loss is exact at any margin."""

import warnings

import jax
import jax.numpy as jnp
import keras
import numpy as np
import optax
import pytest

import jkeras

TOLERANCE = 2e-5
N, T, C = 6, 5, 3
RNG = np.random.default_rng(7)


@pytest.fixture(autouse=True)
def _same_numbers_whichever_tests_ran_before():
    RNG.bit_generator.state = np.random.default_rng(8).bit_generator.state


# name of the class in both libraries, its arguments, what its targets and outputs are
LOSSES = [
    ("MeanSquaredError", {}, "reals"),
    ("MeanAbsoluteError", {}, "reals"),
    ("BinaryCrossentropy", {}, "binary"),
    ("BinaryCrossentropy", {"from_logits": True}, "binary logits"),
    ("SparseCategoricalCrossentropy", {}, "classes"),
]
IDS = [f"{name}({', '.join(f'{k}={v}' for k, v in options.items())})" for name, options, _ in LOSSES]
REDUCTIONS = ["sum_over_batch_size", "sum", "mean_with_sample_weight", "none"]
SHAPES = {"one output a row": (N, C), "one output a step": (N, T, C)}


def targets_and_outputs(kind, shape):
    """Targets and outputs that a loss of this kind takes; probabilities do not sum to 1, as Keras allows."""
    outputs = RNG.normal(size=shape) * 2 if "logits" in kind or kind == "reals" else RNG.uniform(0.05, 0.95, shape)
    if kind == "reals":
        targets = RNG.normal(size=shape)
    elif "binary" in kind:
        targets = RNG.integers(0, 2, shape)
    else:
        targets = RNG.integers(0, C, shape[:-1])
        targets = targets if "classes" in kind else np.eye(C)[targets]
    return targets.astype("int32" if "classes" in kind else "float32"), outputs.astype("float32")


def all_weights(shape):
    """Every form of sample weights that Keras itself takes for outputs of this shape."""
    ones = {"no weights": None, "(n, 1)": RNG.uniform(0, 2, (N, 1)).astype("float32")}
    more = {"(n, t)": RNG.uniform(0, 2, (N, T))} if len(shape) == 3 else {"(n,)": RNG.uniform(0, 2, N)}
    return ones | {name: weight.astype("float32") for name, weight in more.items()}


def assert_same_value_and_gradient(ours, theirs, y_true, y_pred, weight, message=""):
    def both(loss):
        def total(p):
            value = loss(y_true, p, sample_weight=weight)
            return jnp.sum(value), value

        return jax.value_and_grad(total, has_aux=True)(jnp.asarray(y_pred))

    ((_, value), grad), ((_, expected), expected_grad) = both(ours), both(theirs)
    expected = np.reshape(expected, value.shape)  # under weights (n, 1) and no reduction Keras's own is (n, 1)
    np.testing.assert_allclose(value, expected, rtol=TOLERANCE, atol=TOLERANCE, err_msg=f"value, {message}")
    np.testing.assert_allclose(grad, expected_grad, rtol=TOLERANCE, atol=TOLERANCE, err_msg=f"gradient, {message}")


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(("name", "options", "kind"), LOSSES, ids=IDS)
def test_a_loss_has_the_value_and_gradient_of_keras_under_every_weight(name, options, kind, reduction, shape):
    y_true, y_pred = targets_and_outputs(kind, shape)
    ours = getattr(jkeras.losses, name)(reduction=reduction, **options)
    theirs = getattr(keras.losses, name)(reduction=reduction, **options)
    for form, weight in all_weights(shape).items():
        if reduction == "mean_with_sample_weight" and form == "(n, 1)" and len(shape) == 3:
            continue  # Keras divides by the sum of the n weights, not by that of the n * t terms; see the closed form below
        assert_same_value_and_gradient(ours, theirs, y_true, y_pred, weight, f"weights {form}")


@pytest.mark.parametrize("form", ["(n,)", "(n, 1)"])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_a_weight_per_row_counts_for_every_step_of_its_row(reduction, form):
    y_true, y_pred = targets_and_outputs("reals", (N, T, C))
    weight = RNG.uniform(0, 2, N).astype("float32")
    values = np.mean((y_true - y_pred) ** 2, -1)  # (N, T)
    total = np.sum(values * weight[:, None])
    expected = {
        "sum_over_batch_size": total / (N * T),
        "sum": total,
        "mean_with_sample_weight": total / (T * weight.sum()),
        "none": values * weight[:, None],
    }[reduction]
    got = jkeras.losses.MeanSquaredError(reduction=reduction)(y_true, y_pred, weight if form == "(n,)" else weight[:, None])
    np.testing.assert_allclose(got, expected, rtol=TOLERANCE)


@pytest.mark.parametrize(("name", "options", "kind"), LOSSES[:4], ids=IDS[:4])
@pytest.mark.parametrize("flat", ["targets", "outputs"])
def test_flat_targets_and_columns_meet_as_in_keras(name, options, kind, flat):
    y_true, y_pred = targets_and_outputs(kind, (N, 1))
    y_true, y_pred = (y_true[:, 0], y_pred) if flat == "targets" else (y_true, y_pred[:, 0])
    ours, theirs = getattr(jkeras.losses, name)(**options), getattr(keras.losses, name)(**options)
    assert_same_value_and_gradient(ours, theirs, y_true, y_pred, None)


@pytest.mark.parametrize("name", ["mean_squared_error", "mae", "MSE", "BinaryCrossentropy", "bce", "mean_absolute_error"])
def test_a_name_stands_for_the_loss_that_keras_calls_so(name):
    y_true, y_pred = targets_and_outputs("binary", (N, C))
    found = keras.losses.get(name)
    expected = np.mean(found(y_true, y_pred))
    np.testing.assert_allclose(jkeras.losses.get(name)(y_true, y_pred), expected, rtol=TOLERANCE)


@pytest.mark.parametrize(
    ("name", "kind"), list(zip(["BinaryCrossentropy", "CategoricalCrossentropy"], ["binary", "one-hot"], strict=True))
)
def test_probabilities_of_exactly_0_and_1_give_the_clipped_loss_of_keras(name, kind):
    y_true, _ = targets_and_outputs(kind, (N, C))
    y_pred = np.eye(C, dtype="float32")[np.arange(N) % C]
    ours, theirs = getattr(jkeras.losses, name)(reduction="none"), getattr(keras.losses, name)(reduction="none")
    assert np.max(theirs(y_true, y_pred)) > 5
    assert_same_value_and_gradient(ours, theirs, y_true, y_pred, None)


@pytest.mark.parametrize("half", ["float16", "bfloat16"])
@pytest.mark.parametrize(("name", "kind"), [("MeanSquaredError", "reals"), ("CategoricalCrossentropy", "one-hot")])
def test_outputs_in_half_precision_are_judged_in_float32_as_in_keras(name, kind, half):
    y_true, y_pred = targets_and_outputs(kind, (N, C))
    y_pred = jnp.asarray(y_pred).astype(half)
    value = getattr(jkeras.losses, name)()(y_true, y_pred)
    assert value.dtype == jnp.float32
    np.testing.assert_allclose(value, getattr(keras.losses, name)()(y_true, y_pred), rtol=TOLERANCE)


# -- after a softmax or a sigmoid, computed from the logits -----------------------------------------------------------


def ending_in(lib, how, activation):
    """A model that gives ``activation`` of its two inputs, written in one of several ways."""
    layers = lib.layers

    def inner():
        return lib.Sequential([lib.Input((2,)), layers.Dense(2), layers.Activation(activation)])

    if how == "argument":
        return lib.Sequential([lib.Input((2,)), layers.Dense(2, activation=activation)])
    if how == "Activation layer":
        return inner()
    x = lib.Input((2, 2)) if how.startswith("TimeDistributed") else lib.Input((2,))
    if how == "nested model":
        return lib.Model(x, inner()(x))
    if how == "nested twice":
        outer = lib.Sequential([lib.Input((2,)), inner()])
        return lib.Model([x], [outer(x)])
    if how == "TimeDistributed layer":
        return lib.Model(x, layers.TimeDistributed(layers.Dense(2, activation=activation))(x))
    return lib.Model(x, layers.TimeDistributed(inner())(x))


WAYS = ["argument", "Activation layer", "nested model", "nested twice", "TimeDistributed layer", "TimeDistributed model"]
FUSED = {
    "categorical_crossentropy": ("softmax", optax.softmax_cross_entropy),
    "sparse_categorical_crossentropy": ("softmax", optax.softmax_cross_entropy_with_integer_labels),
    "binary_crossentropy": ("sigmoid", optax.sigmoid_binary_cross_entropy),
}


@pytest.mark.parametrize(
    ("how", "loss"), [(how, loss) for how in WAYS for loss in FUSED if loss[0] == "c" or how in ("argument", "nested twice")]
)
def test_loss_and_gradient_are_those_of_the_logits_at_every_margin(how, loss):
    activation, exact = FUSED[loss]
    model = ending_in(jkeras, how, activation)
    model.compile(jkeras.optimizers.SGD(0.1), loss)
    shape = (4, 2, 2) if how.startswith("TimeDistributed") else (4, 2)
    one_hot = np.eye(2, dtype="float32")[RNG.integers(0, 2, shape[:-1])]
    y = np.argmax(one_hot, -1) if loss.startswith("sparse") else one_hot
    kernel, bias = jnp.eye(2), jnp.zeros(2)
    for margin in (0.5, 30.0, 1e4):
        x = ((1 - one_hot) * margin).astype("float32")  # confidently wrong

        def total(kernel, bias, x=x):
            return jnp.mean(exact(x @ kernel + bias, y))

        expected, grads = jax.value_and_grad(total, (0, 1))(kernel, bias)
        model.set_weights([kernel, bias])
        got = model.train_on_batch(x, y)
        after = model.get_weights()
        np.testing.assert_allclose(got, expected, rtol=TOLERANCE, err_msg=f"loss at {margin}")
        for start, now, grad in zip((kernel, bias), after, grads, strict=True):
            np.testing.assert_allclose((start - now) / 0.1, grad, rtol=1e-4, atol=1e-5, err_msg=f"gradient at {margin}")


def test_two_outputs_that_end_in_different_activations_are_both_exact():
    x = jkeras.Input((2,))
    outputs = {"yes": jkeras.layers.Dense(2, activation="sigmoid")(x), "which": jkeras.layers.Dense(2, activation="softmax")(x)}
    model = jkeras.Model(x, outputs)
    model.compile("sgd", {"which": "categorical_crossentropy", "yes": "binary_crossentropy"})
    model.params = jax.tree.map(lambda a: jnp.eye(2) if a.ndim == 2 else jnp.zeros(2), model.params)
    data, y = np.float32([[90.0, 0.0]]), np.float32([[0.0, 1.0]])
    logs = model.evaluate(data, {"yes": y, "which": y}, verbose=0, return_dict=True)
    np.testing.assert_allclose(logs["which_loss"], 90.0, rtol=TOLERANCE)
    np.testing.assert_allclose(logs["yes_loss"], (90.0 + np.log(2)) / 2, rtol=TOLERANCE)


def fit_from_wrong(lib, activation, loss, bias, target):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = lib.Sequential([lib.Input((1,)), lib.layers.Dense(len(bias), activation=activation)])
        model.compile(lib.optimizers.SGD(10.0), loss)
        model.set_weights([np.zeros((1, len(bias))), np.array(bias)])
        return model.fit(np.zeros((4, 1)), np.tile(target, (4, 1)), epochs=5, verbose=0).history["loss"]


@pytest.mark.parametrize(
    ("activation", "loss", "bias", "target", "stuck", "expected"),
    [
        ("softmax", "categorical_crossentropy", [40.0, 0.0], [0.0, 1.0], 16.11810, [40, 20, np.log(2)]),
        ("sigmoid", "binary_crossentropy", [-35.0], [1.0], 16.11810, [35, 25, 15, 5]),
    ],
)
def test_training_leaves_a_confidently_wrong_start_in_which_keras_stays(activation, loss, bias, target, stuck, expected):
    theirs = fit_from_wrong(keras, activation, loss, bias, target)
    np.testing.assert_allclose(theirs, stuck, rtol=1e-5)
    ours = fit_from_wrong(jkeras, activation, loss, bias, target)
    np.testing.assert_allclose(ours[: len(expected)], expected, rtol=1e-2)
    assert ours[-1] < 1


# -- metrics ----------------------------------------------------------------------------------------------------------

ACCURACIES = [  # shape of the outputs, of the targets, what "accuracy" then means
    ((8, 1), (8,), "BinaryAccuracy"),
    ((8, 1), (8, 1), "BinaryAccuracy"),
    ((8, 3), (8,), "SparseCategoricalAccuracy"),
    ((8, 3), (8, 1), "SparseCategoricalAccuracy"),
    ((8, 3), (8, 3), "CategoricalAccuracy"),
    ((8, 5, 3), (8, 5), "SparseCategoricalAccuracy"),
    ((8, 5, 3), (8, 5, 1), "SparseCategoricalAccuracy"),
    ((8, 5, 3), (8, 5, 3), "CategoricalAccuracy"),
    ((8, 5, 1), (8, 5, 1), "BinaryAccuracy"),
    ((8, 5, 1), (8, 5), "BinaryAccuracy"),
]


def accuracy_data(outputs, targets, kind):
    """Targets and outputs of which every third row is wrong."""
    y_pred = RNG.uniform(size=outputs).astype("float32")
    if kind == "BinaryAccuracy":
        y_true = y_pred > 0.5
        y_true[::3] = ~y_true[::3]
        return y_true.reshape(targets).astype("float32"), y_pred
    label = y_pred.argmax(-1)
    label[::3] = (label[::3] + 1) % 3
    return np.eye(3, dtype="float32")[label] if kind == "CategoricalAccuracy" else label.reshape(targets), y_pred


def result_of(metric, batches):
    total = metric.init()
    for batch in batches:
        total = metric.update(total, *batch)
    return metric.result(total)


def result_of_keras(metric, batches):
    for batch in batches:
        metric.update_state(*batch)
    return metric.result()


@pytest.mark.parametrize(("outputs", "targets", "kind"), ACCURACIES)
def test_accuracy_means_what_the_shapes_ask_for(outputs, targets, kind):
    y_true, y_pred = accuracy_data(outputs, targets, kind)
    expected = result_of_keras(getattr(keras.metrics, kind)(), [(y_true, y_pred)])
    metric = jkeras.metrics.get("accuracy")
    np.testing.assert_allclose(expected, 5 / 8)
    np.testing.assert_allclose(result_of(metric, [(y_true, y_pred)]), expected, rtol=TOLERANCE)


@pytest.mark.parametrize("name", ["accuracy", "acc", "Accuracy", "ACC", "mse", "MSE", "mae", "BinaryAccuracy"])
def test_a_metric_bears_the_name_that_was_written(name):
    assert jkeras.metrics.get(name).name == name


METRICS = {
    "binary_accuracy": ("BinaryAccuracy", "binary", {}),
    "binary_accuracy from 0.3": ("BinaryAccuracy", "binary", {"threshold": 0.3}),
    "categorical_accuracy": ("CategoricalAccuracy", "one-hot", {}),
    "sparse_categorical_accuracy": ("SparseCategoricalAccuracy", "classes", {}),
    "mse": ("MeanSquaredError", "reals", {}),
    "mae": ("MeanAbsoluteError", "reals", {}),
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("case", METRICS)
def test_a_metric_has_the_result_of_keras_over_weighted_and_partial_batches(case, shape):
    name, kind, options = METRICS[case]
    data = [targets_and_outputs(kind, shape) for _ in range(3)]
    for form, weight in all_weights(shape).items():
        rows = (N, N, 2)  # the last batch is smaller
        batches = [(y[:n], p[:n], None if weight is None else weight[-n:]) for (y, p), n in zip(data, rows, strict=True)]
        expected = result_of_keras(getattr(keras.metrics, name)(**options), batches)
        got = result_of(getattr(jkeras.metrics, name)(**options), batches)
        assert expected > 0
        np.testing.assert_allclose(got, expected, rtol=TOLERANCE, err_msg=f"weights {form}")


@pytest.mark.parametrize("shape", [(N,), (N, T)])
def test_the_mean_is_that_of_keras_over_weighted_and_partial_batches(shape):
    weights = {"none": None, "(n,)": RNG.uniform(size=N)} | ({"(n, t)": RNG.uniform(size=(N, T))} if len(shape) > 1 else {})
    for form, weight in weights.items():
        batches = [(RNG.normal(size=shape)[:n], None if weight is None else weight[:n]) for n in (N, N, 2)]
        batches = [(values.astype("float32"), w) for values, w in batches]
        expected = result_of_keras(keras.metrics.Mean(), batches)
        np.testing.assert_allclose(result_of(jkeras.metrics.Mean(), batches), expected, rtol=1e-4, err_msg=form)


def test_a_metric_without_any_weight_is_0_as_in_keras():
    batches = [(np.ones((3, 1), "float32"), np.zeros((3, 1), "float32"), np.zeros(3, "float32"))]
    assert float(result_of_keras(keras.metrics.MeanSquaredError(), batches)) == 0.0
    assert float(result_of(jkeras.metrics.MeanSquaredError(), batches)) == 0.0


@pytest.mark.parametrize("name", ["binary_crossentropy", "categorical_crossentropy", "sparse_categorical_crossentropy"])
def test_a_loss_named_as_a_metric_is_its_mean_over_the_examples(name):
    kind = {"b": "binary", "c": "one-hot", "s": "classes"}[name[0]]
    y_true, y_pred = targets_and_outputs(kind, (N, C))
    expected = np.mean(getattr(keras.losses, name)(y_true, y_pred))
    np.testing.assert_allclose(result_of(jkeras.metrics.get(name), [(y_true, y_pred)]), expected, rtol=TOLERANCE)


# -- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "targets", "outputs"),
    [("mse", (N, 1), (N, C)), ("mae", (N,), (N, C)), ("mse", (C,), (N, C)), ("bce", (N, 1), (N, C)), ("mse", (1, C), (N, C))],
)
def test_a_loss_refuses_shapes_that_would_broadcast(name, targets, outputs):
    with pytest.raises(ValueError, match=r"needs targets of shape"):
        jkeras.losses.get(name)(np.zeros(targets, "float32"), np.full(outputs, 0.5, "float32"))


@pytest.mark.parametrize(
    ("name", "targets", "outputs"), [("mse", (N, 1), (N, C)), ("mae", (N,), (N, N)), ("mse", (1, C), (N, C))]
)
def test_a_metric_refuses_shapes_that_would_broadcast(name, targets, outputs):
    metric = jkeras.metrics.get(name)
    with pytest.raises(ValueError, match="targets"):
        metric.update(metric.init(), np.zeros(targets, "float32"), np.full(outputs, 0.5, "float32"))


@pytest.mark.parametrize("label", [-1, C])
def test_a_class_number_out_of_range_gives_nan_and_not_a_loss_of_0(label):
    y_true, y_pred = np.full(N, label), np.full((N, C), 1 / C, "float32")
    assert np.isnan(jkeras.losses.SparseCategoricalCrossentropy()(y_true, y_pred))


@pytest.mark.parametrize(
    ("module", "misspelt", "nearest"),
    [
        ("losses", "binary_crosentropy", "binary_crossentropy"),
        ("losses", "msee", "mse"),
        ("metrics", "acuracy", "accuracy"),
        ("metrics", "BinaryAcuracy", "BinaryAccuracy"),
    ],
)
def test_a_misspelt_name_is_refused_with_the_nearest_one(module, misspelt, nearest):
    with pytest.raises(ValueError, match=f"(?i)Did you mean '{nearest}'"):
        getattr(jkeras, module).get(misspelt)


def test_an_unknown_reduction_is_refused_with_the_nearest_one():
    with pytest.raises(ValueError, match="Did you mean 'sum_over_batch_size'"):
        jkeras.losses.MeanSquaredError(reduction="sum_over_batchsize")

"""Every metric of the catalogue over uneven, weighted batches: beside Keras and, where it has them, beside scikit-learn."""

import inspect
import warnings

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
import sklearn.metrics as sk
from test_losses_against_keras import data_of

import jkeras

N, C = 24, 3
ROWS = (24, 24, 7)  # of three batches

# class, its arguments, what its targets and outputs are, of which shape
METRICS = [
    ("Accuracy", {}, "whole", (N, C)),
    ("BinaryAccuracy", {}, "binary", (N, C)),
    ("BinaryAccuracy", {"threshold": 0.3}, "binary", (N, 1)),
    ("CategoricalAccuracy", {}, "one-hot", (N, C)),
    ("CategoricalAccuracy", {}, "one-hot", (N, 4, C)),
    ("SparseCategoricalAccuracy", {}, "classes", (N, C)),
    ("SparseCategoricalAccuracy", {}, "classes", (N, 4, C)),
    ("TopKCategoricalAccuracy", {"k": 2}, "one-hot", (N, C)),
    ("TopKCategoricalAccuracy", {"k": 2}, "one-hot", (N, 4, C)),
    ("SparseTopKCategoricalAccuracy", {"k": 2}, "classes", (N, C)),
    ("SparseTopKCategoricalAccuracy", {"k": 1}, "classes", (N, 4, C)),
    ("MeanSquaredError", {}, "reals", (N, 4, C)),
    ("RootMeanSquaredError", {}, "reals", (N, C)),
    ("RootMeanSquaredError", {}, "reals", (N, 4, C)),
    ("MeanAbsoluteError", {}, "reals", (N, C)),
    ("MeanAbsolutePercentageError", {}, "reals", (N, C)),
    ("MeanSquaredLogarithmicError", {}, "rates", (N, C)),
    ("LogCoshError", {}, "reals", (N, C)),
    ("Poisson", {}, "rates", (N, C)),
    ("KLDivergence", {}, "distributions", (N, C)),
    ("CosineSimilarity", {}, "reals", (N, C)),
    ("CosineSimilarity", {"axis": 1}, "reals", (N, 4, C)),
    ("PearsonCorrelation", {}, "reals", (N, 6)),
    ("ConcordanceCorrelation", {}, "reals", (N, 6)),
    ("Hinge", {}, "signs", (N, C)),
    ("SquaredHinge", {}, "binary", (N, C)),
    ("CategoricalHinge", {}, "one-hot logits", (N, C)),
    ("BinaryCrossentropy", {}, "binary", (N, C)),
    ("BinaryCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, "binary logits", (N, C)),
    ("CategoricalCrossentropy", {"label_smoothing": 0.1}, "one-hot", (N, C)),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, "classes logits", (N, C)),
    ("TruePositives", {}, "binary", (N, 1)),
    ("FalsePositives", {"thresholds": [0.2, 0.7]}, "binary", (N, C)),
    ("TrueNegatives", {"thresholds": 0.4}, "binary", (N, C)),
    ("FalseNegatives", {}, "binary", (N, C)),
    ("Precision", {}, "binary", (N, 1)),
    ("Precision", {"thresholds": [0.2, 0.5, 0.8]}, "binary", (N, C)),
    ("Precision", {"top_k": 2}, "one-hot", (N, C)),
    ("Precision", {"top_k": 2, "class_id": 1, "thresholds": 0.3}, "one-hot", (N, C)),
    ("Recall", {}, "binary", (N, C)),
    ("Recall", {"class_id": 2}, "one-hot", (N, C)),
    ("Recall", {"top_k": 1, "class_id": 0}, "one-hot", (N, C)),
    ("SensitivityAtSpecificity", {"specificity": 0.4}, "binary", (N, 1)),
    ("SpecificityAtSensitivity", {"sensitivity": 0.4, "num_thresholds": 50}, "binary", (N, C)),
    ("PrecisionAtRecall", {"recall": 0.6}, "binary", (N, 1)),
    ("RecallAtPrecision", {"precision": 0.5, "class_id": 1}, "one-hot", (N, C)),
    ("RecallAtPrecision", {"precision": 0.5, "num_thresholds": 1}, "binary", (N, 1)),
    ("AUC", {}, "binary", (N, 1)),
    ("AUC", {"summation_method": "majoring", "num_thresholds": 20}, "binary", (N, C)),
    ("AUC", {"summation_method": "minoring", "curve": "PR", "num_thresholds": 20}, "binary", (N, C)),
    ("AUC", {"curve": "PR"}, "binary", (N, 1)),
    ("AUC", {"curve": "PRGAIN"}, "binary", (N, 1)),
    ("AUC", {"thresholds": [0.1, 0.4, 0.45]}, "binary", (N, 1)),
    ("AUC", {"from_logits": True}, "binary logits", (N, C)),
    ("AUC", {"multi_label": True}, "binary", (N, C)),
    ("AUC", {"multi_label": True, "num_labels": C, "label_weights": [0.2, 0.5, 0.3], "curve": "PR"}, "binary", (N, C)),
    ("AUC", {"label_weights": [0.2, 0.5, 0.3]}, "binary", (N, C)),
    ("F1Score", {}, "one-hot", (N, C)),
    ("F1Score", {"average": "macro", "threshold": 0.5}, "binary", (N, C)),
    ("FBetaScore", {"average": "micro", "beta": 2.0}, "one-hot", (N, C)),
    ("FBetaScore", {"average": "weighted", "beta": 0.5}, "one-hot", (N, C)),
    ("R2Score", {}, "reals", (N, C)),
    ("R2Score", {"class_aggregation": None}, "reals", (N, C)),
    ("R2Score", {"class_aggregation": "variance_weighted_average", "num_regressors": 2}, "reals", (N, C)),
    ("IoU", {"num_classes": 3, "target_class_ids": [0, 2]}, "class images", (N, 4, 4)),
    ("IoU", {"num_classes": 3, "target_class_ids": [1], "sparse_y_pred": False}, "classes", (N, C)),
    ("MeanIoU", {"num_classes": 4, "ignore_class": 1}, "class images", (N, 4, 4)),
    ("OneHotIoU", {"num_classes": 3, "target_class_ids": [0, 2]}, "one-hot", (N, C)),
    ("OneHotMeanIoU", {"num_classes": 3}, "one-hot", (N, C)),
    ("BinaryIoU", {"threshold": 0.4}, "binary", (N, 4, 4)),
]
IDS = [f"{name}({', '.join(f'{k}={v}' for k, v in options.items())}) {shape}" for name, options, _, shape in METRICS]


def batches_of(kind, shape, weighted):
    """Three batches, the last one smaller, with weights of some of which are 0."""
    rng = np.random.default_rng(3)
    found = []
    for seed, rows in enumerate(ROWS):
        size = (rows, *shape[1:])
        if kind in ("whole", "class images"):
            y, p = rng.integers(0, 3, size), rng.integers(0, 3, size)
            y, p = (y.astype("float32"), p.astype("float32")) if kind == "whole" else (y.astype("int32"), p.astype("int32"))
        else:
            y, p = data_of(kind, size, seed)
        found.append((y, p, rng.choice([0.0, 0.5, 1.0, 2.0], rows).astype("float32") if weighted else None))
    return found


def result_of(metric, batches):
    total = metric.empty(batches[0][1])
    for y, p, w in batches:
        total = metric.update(total, jnp.asarray(y), jnp.asarray(p), None if w is None else jnp.asarray(w))
    return metric.result(total)


def for_keras(name, kind, batches):
    """The same batches as Keras takes them: weights of images flat, one for each entry, in whole numbers by default."""
    if "IoU" not in name:
        return batches
    entries = 1 if kind in ("one-hot", "classes") else batches[0][0][0].size
    return [(y, p, None if w is None else np.repeat(w, entries)) for y, p, w in batches]


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize(("name", "options", "kind", "shape"), METRICS, ids=IDS)
def test_a_metric_has_the_result_of_keras_over_uneven_batches(name, options, kind, shape, weighted):
    batches = batches_of(kind, shape, weighted)
    if "num_regressors" in options:  # where Keras counts examples without weight as well
        batches = [(y, p, w if w is None else w + 1) for y, p, w in batches]
    dtype = {"dtype": "float32"} if "IoU" in name else {}  # Keras's own would cut weights down to whole numbers
    theirs = getattr(keras.metrics, name)(**options, **dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of whole numbers of 64 bits in Keras's own IoU
        for batch in for_keras(name, kind, batches):
            theirs.update_state(*batch)
    ours = getattr(jkeras.metrics, name)(**options)
    got = result_of(ours, batches)
    np.testing.assert_allclose(got, theirs.result(), rtol=2e-5, atol=1e-6)
    assert got.dtype == jnp.float32
    for batch in batches:
        ours.update_state(*batch)
    np.testing.assert_allclose(ours.result(), got, rtol=1e-6)


@pytest.mark.parametrize(("name", "options", "kind", "shape"), METRICS, ids=IDS)
def test_a_row_without_weight_is_as_if_it_were_not_there(name, options, kind, shape):
    metric = getattr(jkeras.metrics, name)(**options)
    assert metric.per_example
    (y, p, _), *_ = batches_of(kind, shape, False)
    kept = np.arange(N) < 17
    if name in ("Hinge", "SquaredHinge"):
        p = np.where(kept.reshape(N, *(1,) * (p.ndim - 1)), p, 0)  # labels are read together, so only outputs may be odd
    else:
        p = np.where(kept.reshape(N, *(1,) * (p.ndim - 1)), p, np.asarray(1e6).astype(p.dtype))
    got = metric.result(metric.update(metric.empty(jnp.asarray(p)), jnp.asarray(y), jnp.asarray(p), jnp.asarray(kept, "float32")))
    alone = metric.update(metric.empty(jnp.asarray(p)), jnp.asarray(y[:17]), jnp.asarray(p[:17]), jnp.ones(17))
    np.testing.assert_allclose(got, metric.result(alone), rtol=2e-6, atol=1e-7)


BESIDE_SKLEARN = [
    ("AUC", {"num_thresholds": 4000}, "binary", (N, 1), lambda y, p, w: sk.roc_auc_score(y, p, sample_weight=w)),
    ("Precision", {}, "binary", (N, 1), lambda y, p, w: sk.precision_score(y, p > 0.5, sample_weight=w)),
    ("Recall", {}, "binary", (N, 1), lambda y, p, w: sk.recall_score(y, p > 0.5, sample_weight=w)),
    ("BinaryAccuracy", {}, "binary", (N, 1), lambda y, p, w: sk.accuracy_score(y, p > 0.5, sample_weight=w)),
    (
        "F1Score",
        {"average": "macro"},
        "one-hot",
        (N, C),
        lambda y, p, w: sk.f1_score(y.argmax(1), p.argmax(1), average="macro", sample_weight=w),
    ),
    (
        "FBetaScore",
        {"average": "weighted", "beta": 2.0},
        "one-hot",
        (N, C),
        lambda y, p, w: sk.fbeta_score(y.argmax(1), p.argmax(1), beta=2.0, average="weighted", sample_weight=w),
    ),
    ("R2Score", {}, "reals", (N, C), lambda y, p, w: sk.r2_score(y, p, sample_weight=w)),
    ("MeanSquaredError", {}, "reals", (N, C), lambda y, p, w: sk.mean_squared_error(y, p, sample_weight=w)),
    ("RootMeanSquaredError", {}, "reals", (N, 1), lambda y, p, w: sk.root_mean_squared_error(y, p, sample_weight=w)),
    ("MeanAbsoluteError", {}, "reals", (N, C), lambda y, p, w: sk.mean_absolute_error(y, p, sample_weight=w)),
    ("MeanSquaredLogarithmicError", {}, "rates", (N, C), lambda y, p, w: sk.mean_squared_log_error(y, p, sample_weight=w)),
    (
        "OneHotMeanIoU",
        {"num_classes": C},
        "one-hot",
        (N, C),
        lambda y, p, w: sk.jaccard_score(y.argmax(1), p.argmax(1), average="macro", sample_weight=w),
    ),
    (
        "SparseTopKCategoricalAccuracy",
        {"k": 2},
        "classes",
        (N, C),
        lambda y, p, w: sk.top_k_accuracy_score(y, p, k=2, sample_weight=w, labels=range(C)),
    ),
]


@pytest.mark.parametrize(("name", "options", "kind", "shape", "judge"), BESIDE_SKLEARN, ids=[row[0] for row in BESIDE_SKLEARN])
def test_a_metric_has_the_result_of_scikit_learn(name, options, kind, shape, judge):
    batches = batches_of(kind, shape, True)
    y, p, w = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    y, p = (x.astype("float64") if kind != "classes" or x is p else x for x in (y, p))
    expected = judge(y, p, w)
    got = result_of(getattr(jkeras.metrics, name)(**options), batches)
    np.testing.assert_allclose(got, expected, rtol=2e-3 if name == "AUC" else 2e-5)


def test_the_share_of_variance_keeps_its_digits_far_from_zero():
    rng = np.random.default_rng(0)
    y = (1e4 + rng.normal(size=(200, 1))).astype("float32")
    p = (y + rng.normal(size=y.shape) * 0.5).astype("float32")
    metric, total = jkeras.metrics.R2Score(), None
    for start in range(0, 200, 32):
        total = metric.update(metric.empty(p) if total is None else total, y[start : start + 32], p[start : start + 32])
    expected = sk.r2_score(y.astype("float64"), p.astype("float64"))
    np.testing.assert_allclose(metric.result(total), expected, rtol=1e-3)


def test_entries_of_an_ignored_class_are_no_part_of_the_mean():
    y, p = data_of("classes", (N, 4, C))
    metric = jkeras.metrics.SparseCategoricalCrossentropy(ignore_class=1)
    cost = -np.log((p / p.sum(-1, keepdims=True))[y != 1, :][np.arange((y != 1).sum()), y[y != 1]])
    counted = (y != 1).mean(1)
    np.testing.assert_allclose(metric(y, p), cost.sum() / 4 / counted.sum(), rtol=1e-5)


# -- used alone ------------------------------------------------------------------------------------------------------------


def test_a_metric_is_used_alone_as_keras_uses_its_own():
    for metric in (jkeras.metrics.AUC(), keras.metrics.AUC()):
        metric.update_state([0, 0, 1, 1], [0, 0.5, 0.3, 0.9])
        assert abs(float(metric.result()) - 0.75) < 1e-3
        metric.update_state([0, 1], [0.7, 0.6], sample_weight=[1.0, 0.0])
        between = float(metric.result())
        metric.reset_state()
        assert float(metric.result()) == 0
        assert abs(float(metric([0, 0, 1, 1], [0, 0.5, 0.3, 0.9])) - 0.75) < 1e-3
        assert 0.5 < between < 0.75
    total = jkeras.metrics.Sum()
    total.update_state([[1.0, 2.0], [3.0, 4.0]], sample_weight=[1.0, 2.0])
    theirs = keras.metrics.Sum()
    theirs.update_state([[1.0, 2.0], [3.0, 4.0]], sample_weight=[1.0, 2.0])
    assert float(total.result()) == float(theirs.result()) == 17


def test_what_a_metric_holds_is_no_part_of_training_and_training_none_of_it():
    metric = jkeras.metrics.MeanAbsoluteError(name="off")
    metric.update_state([[0.0]], [[7.0]])
    model = jkeras.Sequential([jkeras.Input((1,)), jkeras.layers.Dense(1)])
    model.compile("sgd", "mse", metrics=[metric])
    logs = model.evaluate(np.ones((4, 1)), model.predict(np.ones((4, 1)), verbose=0), verbose=0, return_dict=True)
    assert logs["off"] == 0
    assert float(metric.result()) == 7


def test_metrics_of_every_kind_are_logged_by_fit_over_a_smaller_last_batch():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(70, 4)).astype("float32"), np.eye(3, dtype="float32")[rng.integers(0, 3, 70)]
    m = jkeras.metrics
    chosen = [m.AUC(multi_label=True), m.F1Score(), m.Precision(), m.TopKCategoricalAccuracy(2), m.R2Score(), m.OneHotMeanIoU(3)]
    model = jkeras.Sequential([jkeras.Input((4,)), jkeras.layers.Dense(3, activation="softmax")])
    model.compile("sgd", "categorical_crossentropy", metrics=chosen, weighted_metrics=[m.Recall(name="weighed")])
    history = model.fit(x, y, epochs=2, sample_weight=rng.uniform(size=70), verbose=0).history
    assert set(history) == {"loss", "weighed", *(metric.name for metric in chosen)}
    logs = model.evaluate(x, y, verbose=0, return_dict=True, batch_size=32)
    p = model.predict(x, verbose=0)
    for metric in chosen:
        np.testing.assert_allclose(logs[metric.name], result_of(metric, [(y, p, None)]), rtol=1e-5)


def test_a_metric_of_ones_own_takes_fewer_than_ten_lines():
    def of_classes(outputs):  # an array of the size of the outputs
        return jnp.zeros(outputs.shape[-1])

    def update(total, targets, outputs, weights):
        return total.at[jnp.argmax(outputs, -1)].add(1 if weights is None else weights)

    said = jkeras.metrics.Metric("said", of_classes, update, lambda total: total / total.sum(), per_example=True)
    assert len(inspect.getsource(of_classes).splitlines() + inspect.getsource(update).splitlines()) + 1 < 10
    model = jkeras.Sequential([jkeras.Input((2,)), jkeras.layers.Dense(3, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=[said])
    logs = model.evaluate(np.ones((40, 2)), np.zeros(40), verbose=0, return_dict=True)
    assert sorted(np.asarray(logs["said"]).tolist()) == [0, 0, 1]


def test_metrics_run_under_vmap_and_scan_and_take_themselves_apart():
    init, update, result = jkeras.metrics.Precision()
    y, p = data_of("binary", (5, 8, 1))
    totals = jax.vmap(lambda y, p: update(init(), y, p))(y, p)
    each = jax.vmap(result)(totals)
    wanted = [sk.precision_score(a, b > 0.5, zero_division=0) for a, b in zip(y, p, strict=True)]
    np.testing.assert_allclose(each, wanted, rtol=1e-6)
    total, _ = jax.lax.scan(lambda total, batch: (update(total, *batch), None), init(), (y, p))
    np.testing.assert_allclose(result(total), sk.precision_score(y.ravel(), p.ravel() > 0.5), rtol=1e-6)


NAMES = ["AUC", "auc", "Precision", "f1_score", "cosine_similarity", "mape", "MSLE", "sparse_top_k_categorical_accuracy"]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_stands_for_the_metric_that_keras_calls_so(name):
    ours, theirs = jkeras.metrics.get(name), keras.metrics.get(name)
    y, p = data_of("classes" if "sparse" in name else "one-hot", (N, C))
    if name != "sparse_top_k_categorical_accuracy" and inspect.isfunction(theirs):
        wanted = np.mean(theirs(y, p))
    elif inspect.isfunction(theirs):
        wanted = 1  # of three classes each is among the five largest
    else:
        theirs.update_state(y, p)
        wanted = theirs.result()
    assert ours.name == name
    np.testing.assert_allclose(result_of(ours, [(y, p, None)]), wanted, rtol=2e-5)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda m: m.Precision(thresholds=1.5), "from 0 to 1"),
        (lambda m: m.AUC(curve="ROCK"), "Did you mean 'ROC'"),
        (lambda m: m.AUC(summation_method="middle"), "interpolation"),
        (lambda m: m.AUC(num_labels=3), "multi_label"),
        (lambda m: m.AUC(num_thresholds=1), "at least 2"),
        (lambda m: m.RecallAtPrecision(1.2), "RecallAtPrecision: precision must be from 0 to 1"),
        (lambda m: m.F1Score(average="mean"), "average must be one of"),
        (lambda m: m.FBetaScore(beta=0.0), "beta must be positive"),
        (lambda m: m.R2Score(class_aggregation="sum"), "class_aggregation"),
        (lambda m: m.IoU(2, [2]), "target_class_ids must be from 0 to 1"),
        (lambda m: m.TopKCategoricalAccuracy(0), "k must be a positive integer"),
        (lambda m: m.Recall()([[1, 0]], [[0.1, 0.2, 0.3]]), "must have the shape"),
        (lambda m: m.F1Score()(np.ones((2, 3, 4)), np.ones((2, 3, 4))), "batch, classes"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(make, said):
    with pytest.raises(ValueError, match=said):
        make(jkeras.metrics)


@pytest.mark.parametrize("metric", [jkeras.metrics.F1Score(), jkeras.metrics.Precision(), jkeras.metrics.CategoricalAccuracy()])
def test_metrics_of_one_hot_targets_say_what_to_do_with_class_numbers(metric):
    with pytest.raises(ValueError, match=r"targets \(2,\) must have the shape of the outputs, \(2, 3\).*utils.to_categorical"):
        metric.update_state([0, 2], np.eye(3)[:2])


def test_weights_that_do_not_fit_the_values_of_a_mean_are_refused():
    with pytest.raises(ValueError, match=r"weights of shape \(3,\) do not fit values of shape \(2,\)"):
        jkeras.metrics.Mean().update_state([1.0, 2.0], sample_weight=[1.0, 1.0, 1.0])

"""The same weights and the same data train to the same numbers as in Keras: steps, epochs, histories, moving statistics."""

import functools
import warnings

import keras
import numpy as np
import pytest

import jkeras

TOLERANCE = {"rtol": 2e-5, "atol": 2e-5}
N, BATCH, STEPS = 22, 5, 20  # the last of 5 batches has 2 examples
RNG = np.random.default_rng(11)
BCE, CCE, SCE = "binary_crossentropy", "categorical_crossentropy", "sparse_categorical_crossentropy"


@pytest.fixture(autouse=True)
def _same_numbers_whichever_tests_ran_before():
    RNG.bit_generator.state = np.random.default_rng(12).bit_generator.state


def reals(*shape):
    return RNG.normal(size=shape).astype("float32")


def integers(top, *shape):
    return RNG.integers(0, top, shape).astype("int32")


def one_hot(classes, *shape):
    return np.eye(classes, dtype="float32")[integers(classes, *shape)]


def padded(top, n, length):
    """Sequences of indices of every length from 1 up, followed by zeros."""
    ids = RNG.integers(1, top, (n, length)).astype("int32")
    return ids * (np.arange(length) < RNG.integers(1, length + 1, (n, 1)))


class Cheap:
    """The layers of a library with initializers that cost no compilation; the tests set every weight."""

    def __init__(self, layers):
        self.layers = layers

    def __getattr__(self, name):
        zeros = {"Embedding": ("embeddings",), "LSTM": ("kernel", "recurrent"), "Dense": ("kernel",), "Conv1D": ("kernel",)}
        chosen = {f"{weight}_initializer": "zeros" for weight in zeros.get(name, ())}
        return functools.partial(getattr(self.layers, name), **chosen)


def set_same_weights(ours, theirs):
    """Draw all weights anew; variances are positive."""
    weights = [reals(*variable.shape) * 0.5 for variable in theirs.weights]
    weights = [np.abs(w) + 0.5 if v.path.endswith("variance") else w for w, v in zip(weights, theirs.weights, strict=True)]
    theirs.set_weights(weights)
    ours.set_weights(weights)


class Case:
    """A model written once for both libraries, ``build(library, layers)``; its data, and what ``compile`` is told."""

    def __init__(self, build, loss, x, y, weight=None, optimizer=lambda o: o.RMSprop(0.01), **compiled):
        self.build, self.x, self.y, self.weight, self.optimizer = build, x, y, weight, optimizer
        self.compiled = {"loss": loss, **compiled}

    def models(self):
        """Compile both, with the same weights in both."""
        theirs, ours = self.build(keras, Cheap(keras.layers)), self.build(jkeras, Cheap(jkeras.layers))
        for library, model in ((keras, theirs), (jkeras, ours)):
            model.compile(optimizer=self.optimizer(library.optimizers), **self.compiled)
        set_same_weights(ours, theirs)
        return ours, theirs


def quietly(function, *args, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*args, **kwargs)


def weights_of(theirs):
    return [np.asarray(variable.value) for variable in theirs.weights]


def assert_same_weights(ours, theirs):
    pairs = list(zip(ours.get_weights(), weights_of(theirs), strict=True))
    assert [a.shape for a, _ in pairs] == [b.shape for _, b in pairs]
    for (mine, other), variable in zip(pairs, theirs.weights, strict=True):
        np.testing.assert_allclose(mine, other, **TOLERANCE, err_msg=variable.path)


def assert_same_logs(ours, theirs):
    assert list(ours) == list(theirs)
    for name, values in theirs.items():
        np.testing.assert_allclose(ours[name], values, **TOLERANCE, err_msg=name)


def assert_same_nest(ours, theirs):
    assert type(ours) is type(theirs)
    if isinstance(theirs, list):
        for mine, other in zip(ours, theirs, strict=True):
            assert_same_nest(mine, other)
    else:
        assert np.shape(ours) == np.shape(theirs)
        np.testing.assert_allclose(ours, theirs, **TOLERANCE)


def floats(values):
    return [float(v) for v in values] if isinstance(values, list) else float(values)


def rows(data, n):
    return [rows(part, n) for part in data] if isinstance(data, list) else None if data is None else data[:n]


def fit_both(case, ours_alone=None, **more):
    """Fit both for two epochs, and compare histories and weights; ``ours_alone``: arguments of jkeras's fit that differ."""
    ours, theirs = quietly(case.models)
    more = {"y": case.y, "batch_size": N // 2, "epochs": 2, "sample_weight": case.weight, "shuffle": False, "verbose": 0} | more
    before = weights_of(theirs)
    expected = quietly(theirs.fit, case.x, **more)
    got = ours.fit(case.x, **{**more, **(ours_alone or {})})
    assert any(np.abs(a - b).max() > 1e-3 for a, b in zip(before, weights_of(theirs), strict=True))
    assert_same_logs(got.history, expected.history)
    assert_same_weights(ours, theirs)
    return ours, theirs


# -- whole models, from one step to evaluate --------------------------------------------------------------------------


def binary(k, layers):
    return k.Sequential([k.Input((6,)), layers.Dense(4, activation="relu"), layers.Dense(1, activation="sigmoid")])


def ten_classes(k, layers):
    return k.Sequential([k.Input((6,)), layers.Dense(5), layers.Activation("tanh"), layers.Dense(10, activation="softmax")])


def two_inputs(k, layers):
    a, b = k.Input((3,), name="a"), k.Input((2,), name="b")
    both = layers.concatenate([layers.Dense(4, activation="tanh")(a), b], axis=-1)
    return k.Model([a, b], layers.Dense(1)(both))


def three_outputs(k, layers):
    x = k.Input((6,), name="posts")
    h = layers.Dense(5, activation="tanh")(x)
    outputs = [layers.Dense(1, name="age")(h), layers.Dense(4, activation="softmax", name="income")(h)]
    return k.Model(x, [*outputs, layers.Dense(1, activation="sigmoid", name="gender")(h)])


def masked_lstm(k, layers):
    x = k.Input((None,), dtype="int32")
    h = layers.LSTM(4)(layers.Embedding(7, 3, mask_zero=True)(x))
    return k.Model(x, layers.Dense(1, activation="sigmoid")(h))


def text(k, layers):
    x = k.Input((None,), dtype="int32")
    h = layers.Conv1D(4, 3, activation="relu")(layers.Embedding(9, 5)(x))
    h = layers.GlobalMaxPooling1D()(layers.Conv1D(3, 2, padding="same")(layers.MaxPooling1D(2)(h)))
    return k.Model(x, layers.Dense(3, activation="softmax")(h))


def normalised(k, layers):
    norm = layers.BatchNormalization(momentum=0.7)
    return k.Sequential([k.Input((5,)), layers.Dense(4, use_bias=False), norm, layers.Activation("relu"), layers.Dense(2)])


def every_step(k, layers):
    inner = k.Sequential([k.Input((3,)), layers.Dense(4, activation="relu"), layers.Dense(3, activation="softmax")])
    x = k.Input((3, 3))
    return k.Model(x, layers.TimeDistributed(inner)(x))


THREE, FACTORS = ["mse", CCE, BCE], [0.25, 1.0, 10.0]
AGES = {"age": reals(N, 1), "income": one_hot(4, N), "gender": integers(2, N, 1)}
JUDGED = {"loss_weights": FACTORS, "metrics": ["mae", ["acc"], ["accuracy"]]}
SKEWED = RNG.uniform(size=N).astype("float32")
CASES = {
    "two classes": Case(binary, BCE, reals(N, 6), integers(2, N, 1), metrics=["accuracy", "mae"]),
    "ten classes": Case(ten_classes, CCE, reals(N, 6), one_hot(10, N), optimizer=lambda o: o.Adam(0.01), metrics=["acc"]),
    "two inputs": Case(two_inputs, "mse", [reals(N, 3), reals(N, 2)], reals(N), SKEWED, metrics=["mae"]),
    "three outputs": Case(three_outputs, THREE, reals(N, 6), list(AGES.values()), **JUDGED),
    "masked LSTM": Case(masked_lstm, BCE, padded(7, N, 6), integers(2, N), metrics=["acc"]),
    "convolutions over text": Case(text, SCE, integers(9, N, 9), integers(3, N), SKEWED[:, None], weighted_metrics=["acc"]),
    "batch normalization": Case(normalised, "mse", 3 * reals(N, 5) + 1, reals(N, 2), optimizer=lambda o: o.SGD(0.05, 0.9)),
    "a model on every step": Case(every_step, CCE, reals(N, 3, 3), one_hot(3, N, 3), metrics=["accuracy"]),
}


@pytest.mark.parametrize("name", CASES)
def test_a_step_epochs_evaluate_and_predict_are_those_of_keras(name):
    case = CASES[name]
    n = N if name in ("two classes", "batch normalization") else N - N % BATCH
    x, y, weight = (rows(part, n) for part in (case.x, case.y, case.weight))
    ours, theirs = quietly(case.models)
    before = weights_of(theirs)
    first = [rows(part, BATCH) for part in (x, y, weight)]
    assert_same_nest(ours.train_on_batch(*first), floats(quietly(theirs.train_on_batch, *first)))
    assert_same_weights(ours, theirs)
    epochs = STEPS * BATCH // (n + -n % BATCH)
    fitting = {"epochs": epochs, "shuffle": False, "sample_weight": weight, "batch_size": BATCH, "verbose": 0}
    expected = quietly(theirs.fit, x, y, **fitting)
    assert_same_logs(ours.fit(x, y, **fitting).history, expected.history)
    assert_same_weights(ours, theirs)
    for value, after in zip(before, weights_of(theirs), strict=True):  # moving statistics included
        assert np.abs(after - value).max() > 1e-4
    if name in ("ten classes", "convolutions over text", "a model on every step"):
        return  # evaluate and predict are compared in the other cases
    judged = {"sample_weight": weight, "batch_size": N, "verbose": 0}
    assert_same_nest(ours.evaluate(x, y, **judged), floats(quietly(theirs.evaluate, x, y, **judged)))
    assert_same_nest(ours.predict(x, N, verbose=0), quietly(theirs.predict, x, N, verbose=0))


def tagger(k, layers):
    x = k.Input((None,), dtype="int32")
    h = layers.LSTM(4, return_sequences=True)(layers.Embedding(7, 3, mask_zero=True)(x))
    return k.Model(x, layers.Dense(3, activation="softmax")(h))


def plain_tagger(k, layers, activation=None):
    x = k.Input((None,), dtype="int32")
    return k.Model(x, layers.Dense(3, activation)(layers.Embedding(7, 4, mask_zero=True)(x)))


TAGS, WORDS, STEPWISE = integers(3, N, 6), padded(7, N, 6), RNG.uniform(size=(N, 6)).astype("float32")
CLOSED = functools.partial(plain_tagger, activation="softmax")
TAGGED = {
    "class numbers (n, t)": (tagger, SCE, TAGS, None),
    "one-hot (n, t, c), weights (n, t)": (CLOSED, CCE, np.eye(3, dtype="float32")[TAGS], STEPWISE),
    "reals (n, t, c)": (plain_tagger, "mse", reals(N, 6, 3), None),
    "reals (n, t, c), weights (n, 1)": (plain_tagger, "mse", reals(N, 6, 3), STEPWISE[:, :1]),
}


@pytest.mark.parametrize("targets", TAGGED)
def test_a_mask_reaches_the_loss_and_the_metrics_as_in_keras(targets):
    build, loss, y, weight = TAGGED[targets]
    metric = "mae" if loss == "mse" else "acc"
    ours, theirs = quietly(Case(build, loss, WORDS, y, metrics=[metric], weighted_metrics=[metric]).models)
    judged = quietly(theirs.evaluate, WORDS, y, N, sample_weight=weight, return_dict=True, verbose=0)
    assert_same_logs(ours.evaluate(WORDS, y, N, sample_weight=weight, return_dict=True, verbose=0), judged)
    trained = quietly(theirs.train_on_batch, WORDS, y, weight, return_dict=True)
    assert float(trained["loss"]) == pytest.approx(judged["loss"])  # but Keras's metrics lose the mask in training
    assert_same_logs(ours.train_on_batch(WORDS, y, weight, return_dict=True), judged)
    assert_same_weights(ours, theirs)


def by_name(values):
    return dict(zip(AGES, values, strict=True))


APART = [SKEWED, SKEWED[::-1, None], SKEWED**2]
WEIGHTS = {"one for all": (SKEWED, {}), "by name": (APART, {"sample_weight": by_name(APART), "y": AGES})}


@pytest.mark.parametrize("form", WEIGHTS)
def test_sample_weights_of_several_outputs_count_as_in_keras(form):
    weights, ours_alone = WEIGHTS[form]
    case = Case(three_outputs, THREE, reals(N, 6), list(AGES.values()), weights, weighted_metrics=[["mae"], ["acc"], ["acc"]])
    fit_both(case, ours_alone)


@pytest.fixture(scope="module")
def three_in_keras():
    x, theirs = reals(N, 6), quietly(three_outputs, keras, keras.layers)
    before = weights_of(theirs)
    quietly(theirs.compile, "sgd", by_name(THREE), by_name(FACTORS))
    logs = quietly(theirs.train_on_batch, x, AGES, return_dict=True)
    return x, before, theirs, {name: float(value) for name, value in logs.items()}


FORMS = [(list, by_name, list), (by_name, list, by_name), (list, list, by_name), (by_name, by_name, list)]


@pytest.mark.parametrize(("losses", "factors", "targets"), FORMS)
def test_losses_factors_and_targets_mean_the_same_as_lists_and_by_name(losses, factors, targets, three_in_keras):
    x, before, theirs, logs = three_in_keras
    ours = three_outputs(jkeras, Cheap(jkeras.layers))
    ours.compile("sgd", losses(THREE), factors(FACTORS))
    ours.set_weights(before)
    assert_same_logs(ours.train_on_batch(x, targets(AGES.values()), return_dict=True), logs)
    assert_same_weights(ours, theirs)


OTHERS = (reals(7, 6), integers(2, 7, 1), RNG.uniform(size=7))
HELD_OUT = {
    "a fraction, with weights": {"validation_split": 0.3, "sample_weight": SKEWED},
    "arrays with weights, every second epoch": {"validation_data": OTHERS, "validation_freq": 2, "validation_batch_size": 3},
}


@pytest.mark.parametrize("what", HELD_OUT)
def test_validation_logs_are_those_of_keras(what):
    case = Case(binary, BCE, reals(N, 6), integers(2, N, 1), metrics=["accuracy"], weighted_metrics=["mse"])
    ours, theirs = fit_both(case, **HELD_OUT[what])
    names = ["accuracy", "loss", "mse", "val_accuracy", "val_loss", "val_mse"]
    assert list(ours.history.history) == list(theirs.history.history) == names


CLASSES = {
    "two classes (n, 1)": (binary, BCE, integers(2, N, 1), {0: 0.5, 1: 3.0}),
    "one-hot": (ten_classes, CCE, one_hot(10, N), {0: 0.5, 3: 4.0, 9: 2.0}),
    "class numbers (n,)": (ten_classes, SCE, integers(10, N), {0: 0.5, 3: 4.0, 9: 2.0}),
}


@pytest.mark.parametrize("kind", CLASSES)
def test_class_weights_count_as_in_keras(kind):
    build, loss, y, weight = CLASSES[kind]
    fit_both(Case(build, loss, reals(N, 6), y, weighted_metrics=["acc"]), class_weight=weight)
    fit_both(Case(build, loss, reals(N, 6), y, weighted_metrics=["acc"]), class_weight=weight, validation_split=0.25)


def penalised(k, layers):
    r = k.regularizers
    first = layers.Dense(4, "tanh", kernel_regularizer=r.L1L2(0.01, 0.02), bias_regularizer="l1", bias_initializer="ones")
    last = layers.Dense(2, activity_regularizer=r.L2(0.1), kernel_regularizer=r.L2(0.3))
    middle = layers.Dense(3, activity_regularizer="l1")
    return k.Sequential([k.Input((6,)), first, middle, layers.BatchNormalization(gamma_regularizer="l2"), last])


def penalised_text(k, layers):
    x = k.Input((None,), dtype="int32")
    h = layers.Embedding(7, 3, embeddings_regularizer="l2", embeddings_constraint="non_neg")(x)
    rules = {"kernel_regularizer": "l2", "recurrent_regularizer": "l1", "bias_regularizer": "l2"}
    return k.Model(x, layers.Dense(2)(layers.LSTM(2, **rules, recurrent_constraint="unit_norm")(h)))


def constrained(k, layers):
    c = k.constraints
    first = layers.Dense(4, kernel_constraint=c.MaxNorm(0.5), bias_constraint="non_neg")
    middle = layers.Dense(3, kernel_constraint=c.UnitNorm(axis=0))
    last = layers.Dense(2, kernel_constraint=c.MinMaxNorm(0.2, 0.9, rate=0.5, axis=1))
    return k.Sequential([k.Input((6,)), first, middle, last])


@pytest.mark.parametrize("build", [penalised, penalised_text, constrained])
def test_regularizers_and_constraints_are_those_of_keras(build):
    x = integers(7, N, 4) if build is penalised_text else reals(N, 6)
    case = Case(build, "mse", x, reals(N, 2), optimizer=lambda o: o.SGD(0.05), metrics=["mse"])
    logs = fit_both(case, validation_split=0.3 if build is penalised else 0.0)[1].history.history
    assert (logs["loss"][0] > logs["mse"][0] + 0.01) == (build is not constrained)


def test_frozen_layers_stay_and_the_others_train_as_in_keras():
    def build(k, layers):
        still = [layers.Dense(4, trainable=False, kernel_regularizer="l2"), layers.BatchNormalization(trainable=False)]
        return k.Sequential([k.Input((5,)), *still, layers.Dense(2)])

    fit_both(Case(build, "mse", reals(N, 5), reals(N, 2), optimizer=lambda o: o.SGD(0.05)))


def siamese(k, layers):
    a, b = k.Input((5,), name="a"), k.Input((5,), name="b")
    tower = k.Sequential([k.Input((5,)), layers.Dense(4), layers.Dense(3)])
    both = layers.concatenate([tower(b), tower(a), layers.Dense(2)(a)])
    return k.Model([a, b], layers.Dense(1)(both))


def skips(k, layers):
    x = k.Input((5,))
    h, side = layers.Dense(6)(x), layers.Dense(8)(x)
    deep = layers.concatenate([layers.Dense(7)(layers.BatchNormalization()(h)), side])
    return k.Model(x, layers.Dense(2)(layers.add([layers.Dense(9)(deep), layers.Dense(9)(h)])))


def two_by_three(k, layers):
    a, b = k.Input((3,), name="a"), k.Input((4,), name="b")
    one, two = layers.Dense(5)(b), layers.Dense(6)(a)
    mixed = layers.concatenate([two, one])
    return k.Model([a, b], [layers.Dense(7)(mixed), layers.Dense(8)(one), layers.Dense(9)(layers.Dense(10)(two))])


def shared(k, layers):
    x = k.Input((6, 4))
    same, other = layers.Dense(4), layers.Dense(3)
    return k.Model(x, layers.Dense(2)(layers.LSTM(5)(layers.concatenate([other(x), same(same(x))]))))


def nested(k, layers):
    x, y, a, b = (k.Input((size,)) for size in (3, 2, 3, 2))
    inner = k.Model([x, y], [layers.Dense(4)(layers.concatenate([layers.Dense(5)(y), x])), layers.Dense(6)(x)])
    first, second = inner([layers.Dense(3)(a), b])
    return k.Model([a, b], layers.Dense(8)(layers.concatenate([second, layers.Dense(7)(first)])))


@pytest.mark.parametrize("build", [siamese, skips, two_by_three, shared, nested])
def test_weights_come_in_the_order_of_keras(build):
    theirs, ours = quietly(build, keras, Cheap(keras.layers)), build(jkeras, Cheap(jkeras.layers))
    shapes = [tuple(variable.shape) for variable in theirs.weights]
    assert [w.shape for w in ours.get_weights()] == shapes
    assert [layer.name.split("_")[0] for layer in ours.layers] == [layer.name.split("_")[0] for layer in theirs.layers]
    set_same_weights(ours, theirs)
    x = [reals(4, *tensor.shape[1:]) for tensor in theirs.inputs]
    assert_same_nest(ours.predict(x, verbose=0), quietly(theirs.predict, x, verbose=0))

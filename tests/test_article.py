"""The six models that jkeras was started from, word for word as written for Keras but for the import."""

import numpy as np
import pytest

import jkeras


@pytest.fixture(autouse=True)
def _seed():
    jkeras.utils.set_random_seed(0)


def _falls(history):
    return history["loss"][-1] < history["loss"][0]


def test_binary_sequential_with_input_shape():
    from jkeras.layers import Activation, Dense
    from jkeras.models import Sequential

    model = Sequential()
    model.add(Dense(32, input_shape=(100,)))
    model.add(Activation("relu"))
    model.add(Dense(1, activation="sigmoid"))
    model.compile(optimizer="rmsprop", loss="binary_crossentropy", metrics=["accuracy"])
    data = np.random.random((1000, 100))
    labels = np.random.randint(2, size=(1000, 1))
    h = model.fit(data, labels, epochs=10, batch_size=32, verbose=0)
    p = model.predict(data, verbose=0)
    assert model.count_params() == 3265
    assert p.shape == (1000, 1)
    assert list(h.history) == ["accuracy", "loss"]
    assert _falls(h.history)


def test_sequential_from_a_list():
    from jkeras.layers import Activation, Dense
    from jkeras.models import Sequential

    model = Sequential([Dense(32, input_shape=(784,)), Activation("relu"), Dense(10), Activation("softmax")])
    assert model.output_shape == (None, 10)
    assert model.count_params() == 784 * 32 + 32 + 32 * 10 + 10


def test_ten_classes_with_input_dim_and_to_categorical():
    from jkeras import Sequential
    from jkeras.layers import Dense

    model = Sequential()
    model.add(Dense(32, activation="relu", input_dim=100))
    model.add(Dense(10, activation="softmax"))
    model.compile(optimizer="rmsprop", loss="categorical_crossentropy", metrics=["accuracy"])
    data = np.random.random((1000, 100))
    labels = np.random.randint(10, size=(1000, 1))
    one_hot_labels = jkeras.utils.to_categorical(labels, num_classes=10)
    h = model.fit(data, one_hot_labels, epochs=10, batch_size=32, verbose=0)
    assert _falls(h.history)


def test_the_same_model_as_a_chain_and_as_a_graph(capsys):
    from jkeras import Input, Model, Sequential, layers

    seq_model = Sequential()
    seq_model.add(layers.Dense(32, activation="relu", input_shape=(64,)))
    seq_model.add(layers.Dense(32, activation="relu"))
    seq_model.add(layers.Dense(10, activation="softmax"))
    input_tensor = Input(shape=(64,))
    x = layers.Dense(32, activation="relu")(input_tensor)
    x = layers.Dense(32, activation="relu")(x)
    output_tensor = layers.Dense(10, activation="softmax")(x)
    model = Model(input_tensor, output_tensor)
    model.compile(optimizer="rmsprop", loss="categorical_crossentropy", metrics=["accuracy"])
    rng = np.random.default_rng(0)
    data = rng.random((1000, 64))
    labels = np.eye(10)[rng.integers(0, 10, 1000)]
    model.fit(data, labels, verbose=0)
    model.summary()
    seq_model.set_weights(model.get_weights())
    np.testing.assert_array_equal(seq_model.predict(data), model.predict(data))
    assert "Total params: 6,934" in capsys.readouterr().out  # 3,466 and RMSprop's 3,468


def test_a_model_called_on_every_step_of_a_sequence():
    from jkeras import Input, Model, layers
    from jkeras.layers import TimeDistributed

    i = Input(shape=(784,))
    model = Model(i, layers.Dense(10, activation="softmax")(layers.Dense(32, activation="relu")(i)))
    input_sequences = Input(shape=(20, 784))
    processed_sequences = TimeDistributed(model)(input_sequences)
    video = Model(input_sequences, processed_sequences)
    x = np.random.default_rng(0).random((3, 20, 784)).astype("float32")
    y = video.predict(x, verbose=0)
    assert y.shape == (3, 20, 10)
    assert video.count_params() == model.count_params() == 25450
    np.testing.assert_allclose(y[:, 7], model.predict(x[:, 7]), atol=1e-6)


def test_question_answering_with_two_inputs_by_list_and_by_dict():
    from jkeras import Input, layers
    from jkeras.models import Model

    text_input = Input(shape=(None,), dtype="int32", name="text")
    encoded_text = layers.LSTM(32)(layers.Embedding(10000, 64)(text_input))
    question_input = Input(shape=(None,), dtype="int32", name="question")
    encoded_question = layers.LSTM(16)(layers.Embedding(10000, 32)(question_input))
    concatenated = layers.concatenate([encoded_text, encoded_question], axis=-1)
    answer = layers.Dense(500, activation="softmax")(concatenated)
    model = Model([text_input, question_input], answer)
    assert model.count_params() == 1_000_052
    text = np.random.randint(1, 10000, size=(200, 30))
    question = np.random.randint(1, 10000, size=(200, 12))
    answers = jkeras.utils.to_categorical(np.random.randint(500, size=(200)), 500)
    start = model.get_weights()
    losses = []
    for x in ([text, question], {"question": question, "text": text}):
        model.set_weights(start)
        model.compile(optimizer="rmsprop", loss="categorical_crossentropy", metrics=["acc"], seed=1)
        losses.append(model.fit(x, answers, epochs=2, batch_size=128, verbose=0).history)
    assert losses[0] == losses[1]
    assert list(losses[0]) == ["acc", "loss"]
    p = model.predict({"question": question[:7, :11], "text": text[:7, :25]}, verbose=0)  # other lengths
    assert p.shape == (7, 500)
    np.testing.assert_allclose(p.sum(1), np.ones(7), rtol=1e-5)


def _posts_model(vocabulary_size, width):
    from jkeras import Input, layers
    from jkeras.models import Model

    posts_input = Input(shape=(None,), dtype="int32", name="posts")
    embedded_posts = layers.Embedding(vocabulary_size, width)(posts_input)
    x = layers.Conv1D(width // 2, 5, activation="relu")(embedded_posts)
    x = layers.MaxPooling1D(5)(x)
    x = layers.Conv1D(width, 5, activation="relu")(x)
    x = layers.Conv1D(width, 5, activation="relu")(x)
    x = layers.MaxPooling1D(5)(x)
    x = layers.Conv1D(width, 5, activation="relu")(x)
    x = layers.Conv1D(width, 5, activation="relu")(x)
    x = layers.GlobalMaxPooling1D()(x)
    x = layers.Dense(width // 2, activation="relu")(x)
    age_prediction = layers.Dense(1, name="age")(x)
    income_prediction = layers.Dense(10, activation="softmax", name="income")(x)
    gender_prediction = layers.Dense(1, activation="sigmoid", name="gender")(x)
    return Model(posts_input, [age_prediction, income_prediction, gender_prediction])


def test_the_posts_model_has_as_many_parameters_as_in_keras():
    assert _posts_model(50000, 256).count_params() == 14_146_316


def test_three_outputs_train_alike_in_all_eight_forms_of_losses_weights_and_targets():
    rng = np.random.default_rng(0)
    model = _posts_model(1000, 16)
    posts, age = rng.integers(1, 1000, (64, 300)), rng.integers(18, 70, (64, 1)).astype("float32")
    income, gender = np.eye(10)[rng.integers(0, 10, 64)], rng.integers(0, 2, (64, 1))
    start = model.get_weights()

    def run(loss, weights, y):
        model.set_weights(start)
        model.compile(optimizer="rmsprop", loss=loss, loss_weights=weights)
        history = model.fit(posts, y, epochs=1, batch_size=64, shuffle=False, verbose=0).history
        return {name: values[0] for name, values in history.items()}

    as_list = ["mse", "categorical_crossentropy", "binary_crossentropy"]
    as_dict = {"gender": "binary_crossentropy", "age": "mse", "income": "categorical_crossentropy"}
    weights = [0.25, 1.0, 10.0], {"income": 1.0, "gender": 10.0, "age": 0.25}
    targets = [age, income, gender], {"gender": gender, "age": age, "income": income}
    runs = [run(loss, w, y) for loss in (as_list, as_dict) for w in weights for y in targets]
    assert all(one == runs[0] for one in runs)
    first = runs[0]
    assert list(first) == ["age_loss", "gender_loss", "income_loss", "loss"]
    total = 0.25 * first["age_loss"] + first["income_loss"] + 10 * first["gender_loss"]
    np.testing.assert_allclose(first["loss"], total, rtol=1e-6)

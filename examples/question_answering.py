"""A model with two inputs, a text and a question, fed by list and by dictionary of names.

The data are generated: most words of a text come from one of ten subjects, most words of a question from one of five kinds, and
the answer, one of fifty, depends on both. Look at the two trainings, which give the same numbers whichever way the inputs are
fed, and at the accuracy on new questions once training has gone on.
"""

import jax
import numpy as np

from jkeras import Input, layers
from jkeras.models import Model
from jkeras.utils import to_categorical

TEXT_WORDS, QUESTION_WORDS, SUBJECTS, KINDS = 1000, 100, 10, 5
ANSWERS = SUBJECTS * KINDS


def words(rng: np.random.Generator, topics: np.ndarray, length: int, vocabulary: int, topic_count: int) -> np.ndarray:
    """Draw sentences of which seven words in ten belong to a topic, and the rest to any."""
    own = vocabulary // topic_count
    from_topic = topics[:, None] * own + rng.integers(0, own, (len(topics), length))
    from_any = rng.integers(0, vocabulary, (len(topics), length))
    return np.where(rng.random((len(topics), length)) < 0.7, from_topic, from_any)


def make(rng: np.random.Generator, count: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Generate texts (count, 30) with questions (count, 10), and their answers (count, ANSWERS)."""
    subject, kind = rng.integers(0, SUBJECTS, count), rng.integers(0, KINDS, count)
    text = words(rng, subject, 30, TEXT_WORDS, SUBJECTS)
    question = words(rng, kind, 10, QUESTION_WORDS, KINDS)
    return {"text": text, "question": question}, to_categorical(subject * KINDS + kind, ANSWERS)


def build() -> Model:
    """Encode both inputs, each by an LSTM, and choose an answer from both codes together."""
    text_input = Input(shape=(None,), dtype="int32", name="text")
    encoded_text = layers.LSTM(32)(layers.Embedding(TEXT_WORDS, 64)(text_input))
    question_input = Input(shape=(None,), dtype="int32", name="question")
    encoded_question = layers.LSTM(16)(layers.Embedding(QUESTION_WORDS, 32)(question_input))
    concatenated = layers.concatenate([encoded_text, encoded_question], axis=-1)
    answer = layers.Dense(ANSWERS, activation="softmax", name="answer")(concatenated)
    model = Model([text_input, question_input], answer)
    model.compile(optimizer="rmsprop", loss="categorical_crossentropy", metrics=["acc"], seed=0)
    return model


def main():
    print("Device:", jax.devices()[0])
    rng = np.random.default_rng(0)
    named, answers = make(rng, 4000)
    new, new_answers = make(rng, 500)

    by_list, by_name = build(), build()
    by_list.summary()
    print("Fed by list:")
    first = by_list.fit([named["text"], named["question"]], answers, epochs=3, batch_size=64, verbose=2).history
    print("Fed by dictionary:")
    second = by_name.fit(named, answers, epochs=3, batch_size=64, verbose=2).history
    rtol = 0 if jax.default_backend() == "cpu" else 0.05  # a GPU may add up in another order each time
    for name, values in first.items():
        np.testing.assert_allclose(second[name], values, rtol=rtol, err_msg="both forms must train the same model")
    print("The same losses and accuracies: True")

    by_name.fit(named, answers, initial_epoch=3, epochs=15, batch_size=64, verbose=2)
    loss, accuracy = by_name.evaluate(new, new_answers, verbose=0)
    short = {"question": new["question"][:5, :7], "text": new["text"][:5, :20]}  # sequences of any length will do
    chosen = by_name.predict(short, verbose=0).argmax(axis=1)
    print("Answers to five shorter questions:", chosen, "of which right:", chosen == new_answers[:5].argmax(axis=1))
    print(f"On 500 new questions: loss {loss:.3f}, accuracy {accuracy:.1%}; a guess is right once in fifty.")


if __name__ == "__main__":
    main()

"""A model with two inputs, a text and a question, fed by list and by dictionary of names.

The data are generated: most words of a text come from one of ten subjects, most words of a question from one of five kinds, and
the answer, one of fifty, depends on both. Look at the two trainings: the same numbers, whichever way the inputs are given.
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
    subject, kind = rng.integers(0, SUBJECTS, 4000), rng.integers(0, KINDS, 4000)
    text = words(rng, subject, 30, TEXT_WORDS, SUBJECTS)  # (4000, 30)
    question = words(rng, kind, 10, QUESTION_WORDS, KINDS)  # (4000, 10)
    answers = to_categorical(subject * KINDS + kind, ANSWERS)  # (4000, 50)

    by_list, by_name = build(), build()
    by_list.summary()
    print("Fed by list:")
    first = by_list.fit([text, question], answers, epochs=12, batch_size=64, validation_split=0.1, verbose=2)
    print("Fed by dictionary:")
    second = by_name.fit({"question": question, "text": text}, answers, epochs=12, batch_size=64, validation_split=0.1, verbose=2)
    assert first.history == second.history, "both forms must train the same model"
    print("The same losses and accuracies: True")

    short = {"text": text[:3, :20], "question": question[:3, :7]}  # any lengths will do
    print("Answers to three shorter questions:", by_name.predict(short, verbose=0).argmax(axis=1), "right:", answers[:3].argmax(1))
    print(f"Validation accuracy: {second.history['val_acc'][-1]:.1%}; a guess would be right in 2.0%.")


if __name__ == "__main__":
    main()

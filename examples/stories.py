"""From strings to training: stories and questions written here, a vocabulary, and a model that answers in words.

Question answering as in the article, one step earlier: it starts from texts. ``TextVectorization`` and ``StringLookup`` work on
the host, before the model, which sees whole numbers only. Look at the accuracy, a guess being right once in two, and the answers.
"""

import numpy as np

import jkeras
from jkeras import layers

PEOPLE, PLACES = ["Mary", "John", "Sandra", "Daniel"], ["kitchen", "garden", "office", "hallway", "bedroom"]
WAYS = ["went to", "moved to", "walked back to", "ran into"]


def story(rng):
    """Write a story of three sentences about two people, a question, and its answer: where somebody went last."""
    people = rng.choice(PEOPLE, 2, replace=False)
    where, sentences = {}, []
    for who in [people[0], people[1], people[rng.integers(2)]]:
        where[who] = str(rng.choice(PLACES))
        sentences.append(f"{who} {rng.choice(WAYS)} the {where[who]}.")
    asked = str(rng.choice(people))
    return " ".join(sentences), f"Where is {asked}?", where[asked]


def main():
    jkeras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    texts, questions, answers = zip(*(story(rng) for _ in range(6000)), strict=True)

    words = layers.TextVectorization()
    words.adapt([*texts, *questions])
    places = layers.StringLookup(num_oov_indices=0)
    places.adapt(answers)
    print(
        f"{words.vocabulary_size()} words, such as {', '.join(words.get_vocabulary()[2:7])}; {places.vocabulary_size()} answers"
    )

    text = jkeras.Input((None,), dtype="int32", name="text")
    question = jkeras.Input((None,), dtype="int32", name="question")
    embed = layers.Embedding(words.vocabulary_size(), 32, mask_zero=True)
    asked = layers.LSTM(32)(embed(question))
    told = layers.Bidirectional(layers.LSTM(32, return_sequences=True))(embed(text))
    seen = layers.Attention()([layers.RepeatVector(1)(layers.Dense(64)(asked)), told])
    both = layers.concatenate([layers.Flatten()(seen), asked])
    answer = layers.Dense(places.vocabulary_size(), activation="softmax")(layers.Dense(64, activation="relu")(both))
    model = jkeras.Model([text, question], answer)
    model.compile(jkeras.optimizers.Adam(5e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])

    data, targets = {"text": words(texts), "question": words(questions)}, places(answers)
    model.fit(data, targets, batch_size=64, epochs=16, validation_split=0.1, verbose=2)

    tale = "Mary went to the kitchen. John ran into the garden. Mary walked back to the office."
    for ask in ("Where is Mary?", "Where is John?"):
        found = model.predict({"text": words([tale]), "question": words([ask])}, verbose=0)
        print(ask, places.get_vocabulary()[int(found.argmax())])


if __name__ == "__main__":
    main()

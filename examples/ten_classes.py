"""A classifier with ten classes: one-hot labels, a softmax at the end, categorical cross-entropy.

The data are generated: 100 random numbers each, in ten groups of ten; the class is the group with the largest sum. Look at the
accuracy on the held-out examples, where a guess would be right once in ten, and at the accuracy for each class.
"""

import jax
import numpy as np

import jkeras
from jkeras import Sequential
from jkeras.layers import Dense


def make(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Generate examples (count, 100) and their class numbers (count, 1)."""
    data = rng.random((count, 100))
    return data, data.reshape(count, 10, 10).sum(axis=2).argmax(axis=1)[:, None]


def main():
    print("Device:", jax.devices()[0])
    jkeras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    data, labels = make(rng, 8000)
    test_data, test_labels = make(rng, 1000)
    one_hot_labels = jkeras.utils.to_categorical(labels, num_classes=10)  # (8000, 10)
    one_hot_test_labels = jkeras.utils.to_categorical(test_labels, num_classes=10)

    model = Sequential()
    model.add(Dense(32, activation="relu", input_dim=100))
    model.add(Dense(10, activation="softmax"))
    model.compile(optimizer="rmsprop", loss="categorical_crossentropy", metrics=["accuracy"])
    model.fit(data, one_hot_labels, epochs=10, batch_size=32, verbose=2)

    loss, accuracy = model.evaluate(test_data, one_hot_test_labels, verbose=0)
    right = model.predict(test_data, verbose=0).argmax(axis=1) == test_labels[:, 0]
    for number in range(10):
        chosen = test_labels[:, 0] == number
        print(f"Class {number}: {right[chosen].mean():.0%} of {chosen.sum()} right")
    print(f"Held-out examples: loss {loss:.3f}, accuracy {accuracy:.1%}.")


if __name__ == "__main__":
    main()

"""A model with three outputs: the age, the income group and the gender of a writer, from the words of their posts.

The data are generated: one word in four of a post tells something, and every income group, gender and age has words of its own. The
losses differ in scale, so they are weighted. Look at the two trainings, told by list and by dictionary: the losses are the same.
"""

import jax
import numpy as np

from jkeras import Input, layers
from jkeras.models import Model
from jkeras.utils import to_categorical

VOCABULARY, INCOME_GROUPS, POSTS, LENGTH = 50_000, 10, 256, 269  # shorter posts than 269 words leave the last pooling nothing


def build() -> Model:
    """Two stretches of convolutions, the largest value of each channel, and three heads."""
    posts_input = Input(shape=(None,), dtype="int32", name="posts")
    x = layers.Embedding(VOCABULARY, 256)(posts_input)
    x = layers.Conv1D(128, 5, activation="relu")(x)
    x = layers.MaxPooling1D(5)(x)
    x = layers.Conv1D(256, 5, activation="relu")(x)
    x = layers.Conv1D(256, 5, activation="relu")(x)
    x = layers.MaxPooling1D(5)(x)
    x = layers.Conv1D(256, 5, activation="relu")(x)
    x = layers.Conv1D(256, 5, activation="relu")(x)
    x = layers.GlobalMaxPooling1D()(x)
    x = layers.Dense(128, activation="relu")(x)
    age = layers.Dense(1, name="age")(x)
    income = layers.Dense(INCOME_GROUPS, activation="softmax", name="income")(x)
    gender = layers.Dense(1, activation="sigmoid", name="gender")(x)
    return Model(posts_input, [age, income, gender])


def make(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Generate posts (POSTS, LENGTH) and the age, income group and gender of their writers (POSTS, 1)."""
    age, income, gender = (rng.integers(low, high, (POSTS, 1)) for low, high in ((18, 70), (0, INCOME_GROUPS), (0, 2)))
    telling = np.stack([age, 100 + income, 200 + gender])[rng.integers(0, 3, (POSTS, LENGTH)), np.arange(POSTS)[:, None], 0]
    anything = rng.integers(1000, VOCABULARY, (POSTS, LENGTH))
    return np.where(rng.random((POSTS, LENGTH)) < 0.25, telling, anything), age.astype("float32"), income, gender


def main():
    print("Device:", jax.devices()[0])
    posts, age, income, gender = make(np.random.default_rng(0))
    income = to_categorical(income, INCOME_GROUPS)
    losses = {"age": "mse", "income": "categorical_crossentropy", "gender": "binary_crossentropy"}
    weights = {"age": 0.25, "income": 1.0, "gender": 10.0}
    targets = {"age": age, "income": income, "gender": gender}

    by_list, by_name = build(), build()
    by_list.summary()
    by_list.compile(optimizer="rmsprop", loss=list(losses.values()), loss_weights=list(weights.values()), seed=0)
    by_name.compile(optimizer="rmsprop", loss=losses, loss_weights=weights, seed=0)
    print("Told by list:")
    first = by_list.fit(posts, [age, income, gender], epochs=3, batch_size=64, verbose=2).history
    print("Told by dictionary:")
    second = by_name.fit(posts, targets, epochs=3, batch_size=64, verbose=2).history
    assert first == second, "both forms must train the same model"
    print("The same losses: True")
    total = sum(weights[name] * first[f"{name}_loss"][-1] for name in weights)
    print(f"Last loss {first['loss'][-1]:.3f} = 0.25 age + 1 income + 10 gender = {total:.3f}.")


if __name__ == "__main__":
    main()

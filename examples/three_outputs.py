"""A model with three outputs: the age, the income group and the gender of a writer, from the words of their posts.

The data are generated: half the words of a post tell something, because each decade of age, income group and gender has a word of
its own. Look at the two trainings, told their losses and weights by list and by dictionary, which give the same losses; then at
the losses on new posts beside those of guessing: gender, of the greatest weight, and age are learned, income not yet.
"""

import jax
import numpy as np

from jkeras import Input, layers, optimizers
from jkeras.models import Model
from jkeras.utils import to_categorical

VOCABULARY, INCOME_GROUPS, LENGTH = 50_000, 10, 269  # of posts shorter than 269 words nothing would be left after the pooling


def build() -> Model:
    """Embed the words, shorten the sequence by convolutions and pooling, and end in three heads."""
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


def make(rng: np.random.Generator, count: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Generate posts (count, LENGTH), and their writers' age in decades, income group and gender."""
    age, income, gender = (rng.integers(low, high, (count, 1)) for low, high in ((18, 70), (0, INCOME_GROUPS), (0, 2)))
    own_words = np.concatenate([age // 10, 10 + income, 20 + gender], axis=1)  # (count, 3)
    telling = np.take_along_axis(own_words, rng.integers(0, 3, (count, LENGTH)), axis=1)
    anything = rng.integers(1000, VOCABULARY, (count, LENGTH))
    posts = np.where(rng.random((count, LENGTH)) < 0.5, telling, anything)
    return posts, {"age": age / 10, "income": to_categorical(income, INCOME_GROUPS), "gender": gender}


def main():
    print("Device:", jax.devices()[0])
    rng = np.random.default_rng(0)
    posts, targets = make(rng, 256)
    losses = {"age": "mse", "income": "categorical_crossentropy", "gender": "binary_crossentropy"}
    weights = {"age": 0.25, "income": 1.0, "gender": 10.0}

    by_list, by_name = build(), build()
    by_list.summary()
    rmsprop = optimizers.RMSprop(learning_rate=3e-4)
    by_list.compile(optimizer=rmsprop, loss=list(losses.values()), loss_weights=list(weights.values()), seed=0)
    by_name.compile(optimizer=rmsprop, loss=losses, loss_weights=weights, seed=0)
    print("Told by list:")
    first = by_list.fit(posts, list(targets.values()), epochs=1, batch_size=16, verbose=2).history
    print("Told by dictionary:")
    second = by_name.fit(posts, targets, epochs=1, batch_size=16, verbose=2).history
    rtol = 0 if jax.default_backend() == "cpu" else 0.05  # a GPU may add up in another order each time
    for name, values in first.items():
        np.testing.assert_allclose(second[name], values, rtol=rtol, err_msg="both forms must train the same model")
    print("The same losses: True")

    by_name.fit(posts, targets, initial_epoch=1, epochs=6, batch_size=16, verbose=2)
    found = by_name.evaluate(*make(rng, 64), batch_size=16, verbose=0, return_dict=True)
    guessing = {"age": targets["age"].var(), "income": np.log(INCOME_GROUPS), "gender": np.log(2)}
    for name in losses:
        print(f"On 64 new posts: {name} loss {found[f'{name}_loss']:.4f}; guessing would lose {guessing[name]:.2f}.")
    total = sum(weight * found[f"{name}_loss"] for name, weight in weights.items())
    print(f"The loss {found['loss']:.4f} is 0.25 age + 1 income + 10 gender = {total:.4f}.")


if __name__ == "__main__":
    main()

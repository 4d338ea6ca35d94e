"""Learn to read handwritten digits: 1,797 real 8x8 images from scikit-learn, a quarter of them held out.

First the Keras way, ``compile`` and ``fit``; then the same model as pure functions, of which ``jax.vmap`` trains eight copies
from eight random keys at once. Look at the accuracies on the held-out images, and at the seconds an epoch takes in each way.
"""

import time

import jax
import numpy as np
import optax

from jkeras import Input, Sequential
from jkeras.layers import Dense, Dropout
from jkeras.utils import set_random_seed

EPOCHS, COPIES = 40, 8


def load() -> tuple[tuple, tuple]:
    """Return (images, labels) to train on and (images, labels) held out; grey values are from 0 to 1."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise SystemExit('The digits come with scikit-learn, which is missing: pip install "jkeras[examples]"') from error
    images, labels = load_digits(return_X_y=True)
    images = (images / 16).astype(np.float32)  # (1797, 64)
    order = np.random.default_rng(0).permutation(len(images))
    test, train = order[: len(order) // 4], order[len(order) // 4 :]
    return (images[train], labels[train]), (images[test], labels[test])


def train_one(model, train: tuple, test: tuple) -> float:
    """Train the model the Keras way; return its accuracy on the held-out images."""
    model.fit(*train, epochs=5, verbose=2)
    started = time.perf_counter()
    model.fit(*train, initial_epoch=5, epochs=EPOCHS, verbose=0)
    seconds = (time.perf_counter() - started) / (EPOCHS - 5)
    _, accuracy = model.evaluate(*test, verbose=0)
    print(f"One model, fit: {accuracy:.1%} of {len(test[0])} held-out images right, {1000 * seconds:.1f} ms per epoch.\n")
    return accuracy


def train_many(model, train: tuple, test: tuple) -> tuple[np.ndarray, float]:
    """Train copies from different keys in one program; return their accuracies and that of their mean probability."""
    _, apply = model  # init(key) -> (params, state) and apply(params, state, x) -> (y, state), both pure
    epoch = jax.jit(jax.vmap(model.trainer.epoch, in_axes=(0, None)))  # epoch(state, data) -> (state, logs)
    states = jax.vmap(model.trainer.init)(jax.random.split(jax.random.key(0), COPIES))
    states, _ = epoch(states, train)  # compiles
    started = time.perf_counter()
    for _ in range(EPOCHS - 1):
        states, _ = epoch(states, train)
    jax.block_until_ready(states)
    seconds = (time.perf_counter() - started) / (EPOCHS - 1)
    images, labels = test
    probabilities, _ = jax.vmap(apply, in_axes=(0, 0, None))(states.params, states.state, images)  # (copies, images, 10)
    each = np.mean(probabilities.argmax(-1) == labels, axis=1)
    together = float(np.mean(probabilities.mean(0).argmax(-1) == labels))
    right = ", ".join(f"{a:.1%}" for a in each)
    print(f"{COPIES} models, vmap: {right} right, {1000 * seconds:.1f} ms per epoch of all.\n")
    return each, together


def main():
    print("Device:", jax.devices()[0])
    set_random_seed(0)
    train, test = load()
    model = Sequential([Input((64,)), Dense(128, activation="relu"), Dropout(0.3), Dense(128, activation="relu"), Dropout(0.3)])
    model.add(Dense(10, activation="softmax"))
    decay = optax.cosine_decay_schedule(3e-3, EPOCHS * -(-len(train[0]) // 32))  # over all steps of 32 images
    model.compile(optimizer=optax.adam(decay), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.summary()
    one = train_one(model, train, test)
    each, together = train_many(model, train, test)
    print(f"Held-out accuracy: one model {one:.1%}, eight models {each.mean():.1%} on average, together {together:.1%}.")


if __name__ == "__main__":
    main()

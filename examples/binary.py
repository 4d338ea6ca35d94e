"""A binary classifier as a Sequential model, built with ``add`` and trained with ``fit``.

The data are generated: 100 random numbers each, labelled 1 where the first fifty add up to more than the last fifty. Look at the
accuracy on the validation examples, which the model never trains on: it climbs from a guess to more than nine in ten.
"""

import jax
import numpy as np

from jkeras.layers import Activation, Dense
from jkeras.models import Sequential
from jkeras.utils import set_random_seed


def main():
    print("Device:", jax.devices()[0])
    set_random_seed(0)
    rng = np.random.default_rng(0)
    data = rng.random((4000, 100))
    labels = (data[:, :50].sum(axis=1) > data[:, 50:].sum(axis=1)).astype("int32")[:, None]  # (4000, 1)

    model = Sequential()
    model.add(Dense(32, input_shape=(100,)))
    model.add(Activation("relu"))
    model.add(Dense(1, activation="sigmoid"))
    model.compile(optimizer="rmsprop", loss="binary_crossentropy", metrics=["accuracy"])
    model.summary()
    history = model.fit(data, labels, epochs=10, batch_size=32, validation_split=0.25, verbose=2).history

    probabilities = model.predict(data[-5:], verbose=0)
    print("Last five examples: probabilities", probabilities[:, 0].round(2), "labels", labels[-5:, 0])
    print(f"Validation accuracy: {history['val_accuracy'][0]:.1%} after one epoch, {history['val_accuracy'][-1]:.1%} after ten.")


if __name__ == "__main__":
    main()

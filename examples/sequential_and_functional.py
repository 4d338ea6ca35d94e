"""The same network twice: as a Sequential chain of layers, and as a functional Model of everything from an input to an output.

The functional one learns to tell ten generated clusters of 64 numbers apart; then its weights are copied to the Sequential
one. Look at the predictions: they are equal to the last bit, because both models run the same layers.
"""

import jax
import numpy as np

from jkeras import Input, Model, Sequential, layers
from jkeras.utils import set_random_seed, to_categorical


def sequential() -> Sequential:
    """Stack the layers; only the first is told its input shape."""
    model = Sequential(name="chain")
    model.add(layers.Dense(32, activation="relu", input_shape=(64,)))
    model.add(layers.Dense(32, activation="relu"))
    model.add(layers.Dense(10, activation="softmax"))
    return model


def functional() -> Model:
    """Call each layer on a tensor, and frame what lies between the first tensor and the last."""
    input_tensor = Input(shape=(64,))
    x = layers.Dense(32, activation="relu")(input_tensor)
    x = layers.Dense(32, activation="relu")(x)
    output_tensor = layers.Dense(10, activation="softmax")(x)
    return Model(input_tensor, output_tensor, name="graph")


def main():
    print("Device:", jax.devices()[0])
    set_random_seed(0)
    rng = np.random.default_rng(0)
    centres = rng.random((10, 64))
    labels = rng.integers(0, 10, 1000)
    data = centres[labels] + rng.normal(0, 0.5, (1000, 64))

    chain, graph = sequential(), functional()
    chain.summary()
    graph.summary()
    graph.compile(optimizer="rmsprop", loss="categorical_crossentropy", metrics=["accuracy"])
    graph.fit(data, to_categorical(labels, 10), epochs=5, verbose=2)

    before = np.abs(chain.predict(data, verbose=0) - graph.predict(data, verbose=0)).max()
    chain.set_weights(graph.get_weights())
    after = np.abs(chain.predict(data, verbose=0) - graph.predict(data, verbose=0)).max()
    print(f"Largest difference of the predictions: {before:.3f} before the weights were copied, {after} after.")
    assert after == 0, "the same weights must give the same predictions"
    print("Equal: True")


if __name__ == "__main__":
    main()

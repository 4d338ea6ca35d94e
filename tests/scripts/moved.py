import keras
import numpy as np
from keras import layers
from seeding import seeded


def make(units):
    return keras.Sequential(
        [keras.Input((4,)), layers.Dense(5, activation="relu", name="shared"), layers.Dense(units, name="top")]
    )


first, second = seeded(make(3), 1), seeded(make(2), 2)
for layer in second.layers:
    source = first.get_layer(layer.name)
    if [w.shape for w in source.get_weights()] == [w.shape for w in layer.get_weights()]:
        layer.set_weights(source.get_weights())
        print("moved", layer.name)
second.layers[-1].kernel.assign(first.layers[-1].kernel[:, :2] * 0.5)
second.layers[-1].bias.assign(np.zeros(2))
x = np.linspace(-1, 1, 12).reshape(3, 4)
print(first.predict(x, verbose=0).round(4).tolist())
print(second.predict(x, verbose=0).round(4).tolist())
for weight in second.trainable_weights:
    print(weight.name, tuple(weight.shape), weight.dtype, f"{np.abs(weight.numpy()).sum():.4f}")
print(second.layers[0].units, second.layers[0].activation.__name__, second.layers[0].use_bias, second.count_params())

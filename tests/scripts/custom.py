import keras
import numpy as np
from keras import layers
from seeding import seeded

rng = np.random.default_rng(7)
x, y = rng.normal(size=(40, 3)), rng.normal(size=(40, 1))


def huber_like(y_true, y_pred):
    error = keras.ops.abs(y_true - y_pred)
    return keras.ops.mean(keras.ops.where(error < 1.0, 0.5 * error * error, error - 0.5), axis=-1)


def within_one(y_true, y_pred):
    return keras.ops.mean(keras.ops.cast(keras.ops.abs(y_true - y_pred) < 1.0, "float32"), axis=-1)


model = keras.Sequential([keras.Input((3,)), layers.Dense(6, activation="relu"), layers.Dense(1)])
model.compile(optimizer=keras.optimizers.SGD(0.05), loss=huber_like, metrics=[within_one, "mae"])
seeded(model)
history = model.fit(x, y, epochs=4, batch_size=8, shuffle=False, verbose=0)
for name in ("loss", "within_one", "mae"):
    print(name, [f"{value:.4f}" for value in history.history[name]])
print(model.evaluate(x, y, verbose=0, return_dict=True).keys() == history.history.keys())

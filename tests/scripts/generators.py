import keras
import numpy as np
from keras import layers
from seeding import seeded

rng = np.random.default_rng(8)
x, y = rng.normal(size=(64, 4)).astype("float32"), rng.normal(size=(64, 1)).astype("float32")


class Batches(keras.utils.PyDataset):
    def __init__(self, x, y, size, **kwargs):
        super().__init__(**kwargs)
        self.x, self.y, self.size = x, y, size

    def __len__(self):
        return len(self.x) // self.size

    def __getitem__(self, i):
        return self.x[i * self.size : (i + 1) * self.size], self.y[i * self.size : (i + 1) * self.size]


def forever():
    while True:
        for i in range(0, 64, 16):
            yield x[i : i + 16], y[i : i + 16]


model = keras.Sequential([keras.Input((4,)), layers.Dense(5, activation="tanh"), layers.Dense(1)])
model.compile("sgd", "mse", metrics=["mae"])
seeded(model)
validation = Batches(x[:24], y[:24], 8)
for data, more in ((forever(), {"steps_per_epoch": 3}), (Batches(x, y, 8), {})):
    history = model.fit(data, epochs=3, validation_data=validation, shuffle=False, verbose=0, **more)
    for name, values in history.history.items():
        print(name, [f"{value:.4f}" for value in values])
print([f"{value:.4f}" for value in model.evaluate(Batches(x, y, 16), verbose=0)])
print(model.predict(Batches(x, y, 16), verbose=0).shape)

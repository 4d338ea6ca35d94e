import keras
import numpy as np
from keras import layers
from seeding import seeded

rng = np.random.default_rng(10)
x, y = rng.normal(size=(32, 3)), rng.normal(size=(32, 1))


class Halving(keras.callbacks.Callback):
    def __init__(self, every):
        super().__init__()
        self.every = every

    def on_epoch_begin(self, epoch, logs=None):
        if epoch and epoch % self.every == 0:
            rate = float(self.model.optimizer.learning_rate)
            self.model.optimizer.learning_rate = rate / 2
        print("epoch", epoch, "rate", f"{float(self.model.optimizer.learning_rate):.5f}")

    def on_epoch_end(self, epoch, logs=None):
        logs["lr"] = float(self.model.optimizer.learning_rate)


model = keras.Sequential([keras.Input((3,)), layers.Dense(4, activation="tanh"), layers.Dense(1)])
model.compile(keras.optimizers.Adam(learning_rate=0.1, clipnorm=1.0), "mse")
seeded(model)
history = model.fit(x, y, epochs=5, batch_size=8, shuffle=False, verbose=0, callbacks=[Halving(2)])
print([f"{loss:.4f}" for loss in history.history["loss"]], [f"{rate:.3f}" for rate in history.history["lr"]])
model.optimizer.learning_rate = 0.001
print(int(model.optimizer.iterations), f"{model.fit(x, y, shuffle=False, verbose=0).history['loss'][0]:.4f}")

import keras
import numpy as np
from keras import layers
from seeding import seeded

rng = np.random.default_rng(1)
data = rng.normal(size=(60, 5))
targets = data @ rng.normal(size=5) + 0.1 * rng.normal(size=60)


class Report(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if epoch % 2 == 1:
            print(f"  epoch {epoch}: val_mae {logs['val_mae']:.4f}")


def build_model():
    model = keras.Sequential([layers.Input((5,)), layers.Dense(8, activation="relu"), layers.Dense(1)])
    model.compile(optimizer="rmsprop", loss="mse", metrics=["mae"])
    return seeded(model)


k = 3
size = len(data) // k
scores = []
for i in range(k):
    print("fold", i)
    validation = slice(i * size, (i + 1) * size)
    train_x, train_y = np.delete(data, validation, 0), np.delete(targets, validation, 0)
    model = build_model()
    history = model.fit(
        train_x, train_y, validation_data=(data[validation], targets[validation]),
        epochs=4, batch_size=8, shuffle=False, verbose=0, callbacks=[Report()],
    )  # fmt: skip
    scores.append(history.history["val_mae"][-1])
print("mean", f"{np.mean(scores):.4f}", history.epoch)

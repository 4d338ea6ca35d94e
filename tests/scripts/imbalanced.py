import keras
import numpy as np
from keras import layers
from keras.utils import to_categorical
from seeding import seeded

rng = np.random.default_rng(11)
x = rng.normal(size=(80, 4))
labels = (x[:, 0] > 1).astype(int) + (x[:, 0] > 1.5)
counts = np.bincount(labels)
class_weight = {i: len(labels) / (len(counts) * count) for i, count in enumerate(counts)}
print({i: round(weight, 4) for i, weight in class_weight.items()})
model = keras.Sequential([keras.Input((4,)), layers.Dense(6, activation="relu"), layers.Dense(3, activation="softmax")])
for loss, y in (("sparse_categorical_crossentropy", labels), ("categorical_crossentropy", to_categorical(labels))):
    model.compile("adam", loss, metrics=["accuracy"], weighted_metrics=["accuracy"])
    seeded(model)
    history = model.fit(x, y, epochs=3, batch_size=16, class_weight=class_weight, shuffle=False, verbose=0)
    for name, values in sorted(history.history.items()):
        print(name, [f"{value:.4f}" for value in values])
print(model.predict(x[:3], verbose=0).round(3).tolist())

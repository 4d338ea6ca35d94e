import keras
import numpy as np
from keras import layers
from seeding import seeded

rng = np.random.default_rng(5)
x, y, z = rng.normal(size=(48, 6)), rng.normal(size=(48, 2)), rng.integers(0, 3, size=48)
base = keras.Sequential([keras.Input((6,)), layers.Dense(8, activation="relu"), layers.Dense(4, activation="relu")], name="base")
whole = keras.Sequential([base, layers.Dense(2)])
whole.compile("adam", "mse")
seeded(whole)
print("first task", f"{whole.fit(x, y, epochs=3, shuffle=False, verbose=0).history['loss'][-1]:.4f}")

base.trainable = False
inputs = keras.Input((6,))
model = keras.Model(inputs, layers.Dense(3, activation="softmax", name="head")(base(inputs, training=False)))
model.get_layer("head").set_weights([rng.normal(size=(4, 3)) * 0.3, np.zeros(3)])
model.compile(keras.optimizers.Adam(1e-2), "sparse_categorical_crossentropy", metrics=["accuracy"])
print(len(model.trainable_weights), len(model.non_trainable_weights))
before = [w.copy() for w in base.get_weights()]
history = model.fit(x, z, epochs=3, shuffle=False, verbose=0)
print([f"{loss:.4f}" for loss in history.history["loss"]], all((a == b).all() for a, b in zip(before, base.get_weights())))

base.trainable = True
base.layers[0].trainable = False
model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
print([w.path.split("/")[-1] for w in model.trainable_variables])
history = model.fit(x, z, epochs=2, shuffle=False, verbose=0)
print([f"{loss:.4f}" for loss in history.history["loss"]], [bool((a == b).all()) for a, b in zip(before, base.get_weights())])

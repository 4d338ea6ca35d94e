import keras
import numpy as np
from keras import layers
from seeding import seeded

rng = np.random.default_rng(3)
left, right = rng.normal(size=(40, 6)), rng.normal(size=(40, 6))
same = (np.sign(left[:, 0]) == np.sign(right[:, 0])).astype("float32")

tower = keras.Sequential([layers.Dense(8, activation="tanh"), layers.Dense(4)], name="tower")
a, b = keras.Input((6,), name="a"), keras.Input((6,), name="b")
distance = layers.Concatenate()([tower(a) - tower(b), tower(a) * tower(b)])
model = keras.Model(inputs=[a, b], outputs=layers.Dense(1, activation="sigmoid")(distance))
model.compile(optimizer=keras.optimizers.SGD(learning_rate=0.2, momentum=0.9), loss="binary_crossentropy")
seeded(model)
print(model.count_params(), [w.shape for w in model.get_weights()])
history = model.fit({"a": left, "b": right}, same, epochs=5, batch_size=10, shuffle=False, verbose=0)
print([f"{loss:.4f}" for loss in history.history["loss"]])
print(model.predict([left[:4], right[:4]], verbose=0).round(3).tolist())
print(tower.predict(left[:1], verbose=0).round(3).tolist())

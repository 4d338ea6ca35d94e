import keras
import numpy as np
from keras import layers
from seeding import seeded

images = np.random.default_rng(4).random((64, 12)).astype("float32")
x = keras.Input(shape=(12,))
encoded = layers.Dense(4, activation="relu", activity_regularizer=None, name="code")(x)
decoded = layers.Dense(12, activation="sigmoid")(encoded)
autoencoder = keras.Model(x, decoded)
encoder = keras.Model(x, encoded)
code = keras.Input(shape=(4,))
decoder = keras.Model(code, autoencoder.layers[-1](code))

autoencoder.compile(optimizer="adam", loss="binary_crossentropy")
seeded(autoencoder)
history = autoencoder.fit(
    images, images, epochs=4, batch_size=16, shuffle=False, validation_data=(images[:8], images[:8]), verbose=0
)
print({name: [f"{v:.4f}" for v in values] for name, values in history.history.items()})
codes = encoder.predict(images[:3], verbose=0)
print(codes.shape, codes.round(3).tolist())
print(np.abs(decoder.predict(codes, verbose=0) - autoencoder.predict(images[:3], verbose=0)).max() < 1e-6)

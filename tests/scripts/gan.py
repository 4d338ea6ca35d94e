import keras
import numpy as np
from keras.layers import Dense
from keras.models import Sequential
from keras.optimizers import Adam
from seeding import seeded

optimizer = Adam(0.01, beta_1=0.5)
discriminator = Sequential([keras.Input((2,)), Dense(8, activation="tanh"), Dense(1, activation="sigmoid")])
discriminator.compile(loss="binary_crossentropy", optimizer=optimizer, metrics=["accuracy"])
generator = Sequential([keras.Input((3,)), Dense(8, activation="tanh"), Dense(2)])
seeded(discriminator, 1)
seeded(generator, 2)
noise_input = keras.Input((3,))
discriminator.trainable = False
combined = keras.Model(noise_input, discriminator(generator(noise_input)))
combined.compile(loss="binary_crossentropy", optimizer=Adam(0.01, beta_1=0.5))

rng = np.random.default_rng(6)
for epoch in range(6):
    real = rng.normal(size=(16, 2)) * 0.1 + 1
    noise = rng.normal(size=(16, 3))
    fake = generator.predict(noise, verbose=0)
    g_before = combined.get_weights()
    g_loss = combined.train_on_batch(noise, np.ones((16, 1)))
    held = discriminator.get_weights()
    print(epoch, f"{float(g_loss):.4f}", all((a == b).all() for a, b in zip(g_before[-4:], held)))
print(generator.predict(noise[:2], verbose=0).round(3).tolist())

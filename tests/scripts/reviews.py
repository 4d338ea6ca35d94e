import keras
import numpy as np
from keras.layers import LSTM, Dense, Embedding
from keras.models import Sequential
from keras.utils import pad_sequences
from seeding import seeded

rng = np.random.default_rng(2)
reviews = [rng.integers(1, 50, size=rng.integers(3, 12)).tolist() for _ in range(48)]
labels = np.array([int(np.mean(review) > 25) for review in reviews])
x = pad_sequences(reviews, maxlen=10)

model = Sequential()
model.add(keras.Input((10,), dtype="int32"))
model.add(Embedding(50, 8, mask_zero=True))
model.add(LSTM(6))
model.add(Dense(1, activation="sigmoid"))
model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["acc"])
seeded(model)
history = model.fit(x, labels, epochs=3, batch_size=16, validation_split=0.25, shuffle=False, verbose=0)
for name, values in history.history.items():
    print(name, [f"{value:.4f}" for value in values])
loss, acc = model.evaluate(x, labels, verbose=0)
print(f"{loss:.4f} {acc:.4f}")
print(model.predict(x[:3], verbose=0).round(4).tolist())

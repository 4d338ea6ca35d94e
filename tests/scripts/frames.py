import keras
import numpy as np
import pandas as pd
from keras import layers
from seeding import seeded

rng = np.random.default_rng(9)
frame = pd.DataFrame({"age": rng.integers(18, 80, 50), "height": rng.normal(1.7, 0.1, 50), "smokes": rng.random(50) < 0.3})
frame["risk"] = 0.01 * frame["age"] + 0.5 * frame["smokes"]
train, test = frame.iloc[:40], frame.iloc[40:]
mean, std = train[["age", "height"]].mean(), train[["age", "height"]].std()
for part in (train, test):
    assert not part.isna().any().any()
features = ["age", "height", "smokes"]
x = frame[features].astype("float32")
x[["age", "height"]] = (x[["age", "height"]] - mean) / std

model = keras.Sequential([keras.Input((3,)), layers.Dense(8, activation="relu"), layers.Dense(1)])
model.compile("rmsprop", "mse", metrics=["mae"])
seeded(model)
history = model.fit(x.iloc[:40], train["risk"], epochs=5, batch_size=10, shuffle=False, verbose=0)
print(pd.DataFrame(history.history).round(4).to_string())
predicted = pd.Series(model.predict(x.iloc[40:], verbose=0)[:, 0], index=test.index, name="predicted")
print(pd.concat([test["risk"], predicted], axis=1).round(3).head(4).to_string())

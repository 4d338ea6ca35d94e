"""A model is called like a layer: one that classifies a picture becomes, by TimeDistributed, one that classifies videos.

The pictures are generated: ten patterns of 784 numbers with much noise. The picture model learns them; the video model, whose
sequences hold 20 such pictures, is never trained: it shares the weights. Look at its answers, which at each step are those of the
picture model, up to the last digit of a float32.
"""

import jax
import numpy as np

from jkeras import Input, Model
from jkeras.layers import Dense, TimeDistributed
from jkeras.utils import set_random_seed


def main():
    print("Device:", jax.devices()[0])
    set_random_seed(0)
    rng = np.random.default_rng(0)
    patterns = rng.random((10, 784))

    def pictures(numbers: np.ndarray) -> np.ndarray:
        return (patterns[numbers] + rng.normal(0, 1.5, (*numbers.shape, 784))).astype("float32")

    one_input = Input(shape=(784,))
    picture_model = Model(one_input, Dense(10, activation="softmax")(Dense(32, activation="relu")(one_input)), name="picture")

    input_sequences = Input(shape=(20, 784))
    processed_sequences = TimeDistributed(picture_model)(input_sequences)
    video_model = Model(input_sequences, processed_sequences, name="video")
    video_model.summary()

    labels = rng.integers(0, 10, 4000)
    picture_model.compile(optimizer="rmsprop", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    picture_model.fit(pictures(labels), labels, epochs=5, verbose=2)

    shown = rng.integers(0, 10, (100, 20))
    videos = pictures(shown)  # (100, 20, 784)
    classes = video_model.predict(videos, verbose=0)  # (100, 20, 10)
    print("Videos", videos.shape, "to classes", classes.shape)
    for t in (0, 7, 19):
        difference = np.abs(classes[:, t] - np.asarray(picture_model(videos[:, t]))).max()
        print(f"Step {t:2}: largest difference from the picture model {difference:.1e}")
        assert difference < 1e-6, "every step must be what the picture model gives"
    print(f"Pictures in the videos told apart: {np.mean(classes.argmax(-1) == shown):.1%} of {shown.size}.")


if __name__ == "__main__":
    main()

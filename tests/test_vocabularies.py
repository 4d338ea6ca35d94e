"""StringLookup, IntegerLookup and TextVectorization against what Keras 3.15.1 gives on TensorFlow 2.21, written down once."""

import pickle

import numpy as np
import pytest

import jkeras
from jkeras.core.errors import GraphError
from jkeras.layers import Embedding, Hashing, IntegerLookup, Pipeline, StringLookup, TextVectorization

TEXTS = ["the cat sat. the mat!", "a cat   and a dog", "the the dog"]
WORDS = ["the", "dog", "cat", "a", "sat", "mat", "and"]
ASKED = ["The cat, zebra", "dog"]

# Arguments, the vocabulary that adapt finds in TEXTS, and what ASKED becomes.
OF_TEXTS = [
    ({}, ["", "[UNK]", *WORDS], [[2, 4, 1], [3, 0, 0]]),
    ({"output_sequence_length": 4}, ["", "[UNK]", *WORDS], [[2, 4, 1, 0], [3, 0, 0, 0]]),
    ({"output_sequence_length": 2}, ["", "[UNK]", *WORDS], [[2, 4], [3, 0]]),
    ({"max_tokens": 5}, ["", "[UNK]", "the", "dog", "cat"], [[2, 4, 1], [3, 0, 0]]),
    (
        {"ngrams": 2},
        [
            *[
                "",
                "[UNK]",
                "the",
                "dog",
                "cat",
                "a",
                "the the",
                "the mat",
                "the dog",
                "the cat",
                "sat the",
                "sat",
                "mat",
                "cat sat",
            ],
            *["cat and", "and a", "and", "a dog", "a cat"],
        ],
        [[2, 4, 1, 9, 1], [3, 0, 0, 0, 0]],
    ),
    (
        {"ngrams": (1, 3)},
        [
            *["", "[UNK]", "the", "dog", "cat", "a", "the the dog", "the cat sat", "sat the mat", "sat", "mat", "cat sat the"],
            *["cat and a", "and a dog", "and", "a cat and"],
        ],
        [[2, 4, 1, 1], [3, 0, 0, 0]],
    ),
    ({"output_mode": "multi_hot"}, ["[UNK]", *WORDS], [[1, 1, 0, 1, 0, 0, 0, 0], [0, 0, 1, 0, 0, 0, 0, 0]]),
    ({"output_mode": "count"}, ["[UNK]", *WORDS], [[1, 1, 0, 1, 0, 0, 0, 0], [0, 0, 1, 0, 0, 0, 0, 0]]),
    (
        {"output_mode": "tf_idf"},
        ["[UNK]", *WORDS],
        [[0.8206577897071838, 0.6931471824645996, 0, 0.6931471824645996, 0, 0, 0, 0], [0, 0, 0.6931471824645996, 0, 0, 0, 0, 0]],
    ),
    (
        {"output_mode": "multi_hot", "max_tokens": 12, "pad_to_max_tokens": True},
        ["[UNK]", *WORDS],
        [[1, 1, 0, 1, *[0] * 8], [0, 0, 1, *[0] * 9]],
    ),
    ({"standardize": "lower"}, ["", "[UNK]", "the", "dog", "cat", "a", "sat.", "mat!", "and"], [[2, 1, 1], [3, 0, 0]]),
    ({"standardize": None}, ["", "[UNK]", "the", "dog", "cat", "a", "sat.", "mat!", "and"], [[1, 1, 1], [3, 0, 0]]),
    ({"standardize": "strip_punctuation"}, ["", "[UNK]", *WORDS], [[1, 4, 1], [3, 0, 0]]),
    (
        {"split": "character"},
        ["", "[UNK]", " ", "t", "a", "h", "e", "d", "o", "g", "c", "s", "n", "m"],
        [[3, 5, 6, 2, 10, 4, 3, 2, 1, 6, 1, 1, 4], [7, 8, 9, *[0] * 10]],
    ),
    ({"split": None}, ["", "[UNK]", "the the dog", "the cat sat the mat", "a cat   and a dog"], [1, 1]),
]


@pytest.mark.parametrize(("given", "vocabulary", "expected"), OF_TEXTS, ids=lambda case: str(case)[:40])
def test_texts_become_the_numbers_that_keras_gives(given, vocabulary, expected):
    words = TextVectorization(**given)
    words.adapt(TEXTS)
    assert words.get_vocabulary() == vocabulary
    assert words.vocabulary_size() == len(vocabulary)
    found = words(ASKED)
    assert isinstance(found, np.ndarray)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    np.testing.assert_array_equal(words(np.array(ASKED, object)[:, None]), found)
    for again in (pickle.loads(pickle.dumps(words)), type(words)(**words.config)):  # what was found is part of the layer
        np.testing.assert_array_equal(again(ASKED), found)


# Arguments, the vocabulary with and without special tokens, and what a, b, z, q (or 0, 1, 2, 3) become.
OF_STRINGS = [
    ({}, ["[UNK]"], [1, 2, 0, 0]),
    ({"num_oov_indices": 2}, ["[UNK]", "[UNK]"], [2, 3, 1, 1]),
    ({"num_oov_indices": 3, "salt": 5}, ["[UNK]"] * 3, [3, 4, 2, 1]),
    ({"mask_token": "[M]"}, ["[M]", "[UNK]"], [2, 3, 1, 1]),
    ({"output_mode": "one_hot"}, ["[UNK]"], [[0, 1, 0], [0, 0, 1], [1, 0, 0], [1, 0, 0]]),
    ({"output_mode": "multi_hot"}, ["[UNK]"], [1, 1, 1]),
    ({"output_mode": "count"}, ["[UNK]"], [2, 1, 1]),
    ({"output_mode": "multi_hot", "mask_token": "[M]"}, ["[UNK]"], [1, 1, 1]),
    ({"output_mode": "multi_hot", "max_tokens": 6, "pad_to_max_tokens": True}, ["[UNK]"], [1, 1, 1, 0, 0, 0]),
    ({"output_mode": "tf_idf", "idf_weights": [0.5, 0.7]}, ["[UNK]"], [1.2000000476837158, 0.5, 0.699999988079071]),
    ({"invert": True}, ["[UNK]"], ["[UNK]", "a", "b", "[UNK]"]),
    ({"invert": True, "mask_token": "[M]"}, ["[M]", "[UNK]"], ["[M]", "[UNK]", "a", "b"]),
]


@pytest.mark.parametrize(("given", "special", "expected"), OF_STRINGS, ids=lambda case: str(case)[:40])
def test_strings_become_the_numbers_that_keras_gives(given, special, expected):
    letters = StringLookup(vocabulary=["a", "b"], **given)
    assert letters.get_vocabulary() == [*special, "a", "b"]
    assert letters.get_vocabulary(include_special_tokens=False) == ["a", "b"]
    found = letters([0, 1, 2, 3] if given.get("invert") else ["a", "b", "z", "q"])
    if given.get("invert"):
        assert found.tolist() == expected
    else:
        np.testing.assert_allclose(found, expected, rtol=1e-6)


# Arguments, and what 5, 9, 0, 100, 101, -3 become in the vocabulary 5, 7, 9.
OF_INTEGERS = [
    ({"num_oov_indices": 2}, [2, 4, 0, 0, 1, 1]),
    ({"mask_token": 0}, [2, 4, 0, 1, 1, 1]),
    ({"output_mode": "count"}, [4, 1, 0, 1]),
    ({"num_oov_indices": 3, "oov_method": "farmhash"}, [3, 5, 1, 0, 1, 0]),
    ({"num_oov_indices": 3, "oov_method": "farmhash", "salt": 7}, [3, 5, 1, 0, 2, 1]),
]


@pytest.mark.parametrize(("given", "expected"), OF_INTEGERS, ids=lambda case: str(case)[:40])
def test_whole_numbers_become_the_numbers_that_keras_gives(given, expected):
    assert IntegerLookup(vocabulary=[5, 7, 9], **given)([5, 9, 0, 100, 101, -3]).tolist() == expected


def test_vocabularies_are_found_in_order_of_frequency_and_ties_backwards():
    ids = IntegerLookup()
    ids.adapt([[5, 5, 7], [9, 5, 7]])
    assert ids.get_vocabulary() == [-1, 5, 7, 9]
    assert ids([5, 9, 7, 100, 101]).tolist() == [1, 3, 2, 0, 0]
    few = StringLookup(max_tokens=4, num_oov_indices=2)
    few.adapt(["b", "b", "a", "c", "c", "d"])
    assert few.get_vocabulary() == ["[UNK]", "[UNK]", "c", "b"]
    for data in ([["b", "a"], ["b", "c"]], iter([["b", "a"], ["b", "c"]]), np.array([[b"b", b"a"], [b"b", b"c"]])):
        letters = StringLookup()
        letters.adapt(data)
        assert letters.get_vocabulary() == ["[UNK]", "b", "c", "a"]
    letters.adapt(["z"])  # the last data count
    assert letters.get_vocabulary() == ["[UNK]", "z"]
    weighted = StringLookup(output_mode="tf_idf")
    weighted.adapt([["a", "b"], ["a", "c"], ["a", "a"]])
    expected = [[0.79739910364151, 0.5596157908439636, 0.0, 0.9162907600402832]]
    np.testing.assert_allclose(weighted([["a", "b", "z"]]), expected, rtol=1e-6)
    letters.set_vocabulary(["x", "y"])
    assert letters(["y", "w"]).tolist() == [2, 0]


@pytest.mark.parametrize("make", [StringLookup, TextVectorization])
def test_a_batch_that_is_a_tuple_of_strings_counts_whole_and_steps_are_batches(make):
    words = make()
    words.adapt(iter([("a", "b"), ("c", "c"), ("d", "d")]), steps=2)
    assert words.get_vocabulary(include_special_tokens=False) == ["c", "b", "a"]


def test_functions_of_ones_own_standardize_and_split():
    words = TextVectorization(standardize=np.char.upper, split=lambda texts: [t.split("-") for t in texts], vocabulary=["A", "B"])
    assert words(["a-b", "c"]).tolist() == [[2, 3], [1, 0]]
    with pytest.raises(TypeError, match="cannot be written"):
        words.get_config()


def test_a_text_layer_is_saved_as_plain_data_with_what_it_found():
    words = TextVectorization(output_mode="tf_idf")
    words.adapt(TEXTS)
    again = jkeras.layers.deserialize(jkeras.layers.serialize(words))
    np.testing.assert_array_equal(again(ASKED), words(ASKED))


def test_a_pipeline_of_host_layers_runs_on_the_host():
    words = TextVectorization(vocabulary=["cat", "dog"])
    assert Pipeline([words, lambda_plus_one()])(["dog cat"]).tolist() == [[4, 3]]


def lambda_plus_one():
    return jkeras.layers.Lambda(lambda x: x + 1)


STRINGS = StringLookup(vocabulary=["a", "b"])
REFUSED = {
    "a symbolic tensor": (lambda: STRINGS(jkeras.Input((3,))), GraphError, "map the data first"),
    "a model": (lambda: jkeras.Sequential([jkeras.Input((3,)), STRINGS, Embedding(3, 2)]), GraphError, "map the data first"),
    "numbers for strings": (lambda: STRINGS([1, 2]), TypeError, "needs strings"),
    "strings for numbers": (lambda: IntegerLookup(vocabulary=[1])(["a"]), TypeError, "needs whole numbers"),
    "lists of several lengths": (lambda: STRINGS([["a"], ["a", "b"]]), ValueError, "inhomogeneous"),
    "use before adapt": (lambda: StringLookup()(["a"]), ValueError, "call adapt"),
    "a token twice": (lambda: StringLookup(vocabulary=["a", "a"]), ValueError, "has 'a' twice"),
    "a special token inside": (lambda: StringLookup(vocabulary=["a", "[UNK]"]), ValueError, "special token"),
    "a path": (lambda: StringLookup(vocabulary="words.txt"), TypeError, "read the file"),
    "too many tokens": (lambda: StringLookup(max_tokens=2, vocabulary=["a", "b"]), ValueError, "more than max_tokens"),
    "an unknown token without an index for it": (
        lambda: StringLookup(vocabulary=["a"], num_oov_indices=0)(["z", "a"]),
        ValueError,
        "has no 'z'",
    ),
    "tokens of ones": (lambda: StringLookup(invert=True, output_mode="count"), ValueError, "invert"),
    "no data": (lambda: StringLookup().adapt([]), ValueError, "no tokens"),
    "a length of ones": (lambda: TextVectorization(output_mode="count", output_sequence_length=3), ValueError, "goes with"),
    "texts in a table": (lambda: TextVectorization(vocabulary=["a"])([["a", "b"]]), ValueError, "needs texts"),
    "another mode": (lambda: StringLookup(output_mode="hot"), ValueError, "output_mode must be one of"),
    "sparse tensors": (lambda: TextVectorization(sparse=True), ValueError, "dense tensors only"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_makes_no_sense_is_refused_in_words(what):
    act, kind, said = REFUSED[what]
    with pytest.raises(kind, match=said):
        act()


# What Keras 3.15.1 on TensorFlow puts into 100,000 bins without a salt, and with salt 7: all lengths that FarmHash tells apart.
OF_TEXTS_HASHED = {
    "A": (60564, 80702), "hello": (296, 21413), "a longer string of thirty chars": (60665, 55138), "x" * 50: (21893, 73386),
    "y" * 100: (28355, 89034), "": (97263, 42358),
}  # fmt: skip


def test_strings_are_hashed_into_the_bins_of_keras():
    texts = np.array(list(OF_TEXTS_HASHED))[:, None]
    for salt, which in ((None, 0), (7, 1)):
        assert Hashing(100_000, salt=salt)(texts)[:, 0].tolist() == [bins[which] for bins in OF_TEXTS_HASHED.values()]
    assert Hashing(3, mask_value="")(np.array([["A"], ["B"], [""], ["C"], ["D"]])).tolist() == [[1], [1], [0], [2], [2]]

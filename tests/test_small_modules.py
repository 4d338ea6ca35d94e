"""Small modules that scripts lean on, against Keras: backend, config, random, tree, utils; and streams of batches."""

import collections

import jax
import keras
import numpy as np
import pytest
from smallest import squaring

import jkeras
from jkeras import Input, Sequential
from jkeras.layers import Dense

DRAWS = {
    "normal": lambda r, seed: r.normal((3, 2), mean=1.0, stddev=2.0, seed=seed),
    "uniform": lambda r, seed: r.uniform((4,), minval=-1.0, maxval=3.0, seed=seed),
    "randint": lambda r, seed: r.randint((5,), 0, 100, seed=seed),
    "truncated_normal": lambda r, seed: r.truncated_normal((4,), stddev=0.5, seed=seed),
    "categorical": lambda r, seed: r.categorical(np.log(np.array([[0.2, 0.8], [0.5, 0.5]], "float32")), 6, seed=seed),
    "shuffle": lambda r, seed: r.shuffle(np.arange(10), seed=seed),
    "dropout": lambda r, seed: r.dropout(np.ones((4, 5), "float32"), 0.3, seed=seed),
    "dropout by columns": lambda r, seed: r.dropout(np.ones((4, 5), "float32"), 0.5, noise_shape=(None, 1), seed=seed),
    "gamma": lambda r, seed: r.gamma((4,), 2.5, seed=seed),
    "beta": lambda r, seed: r.beta((2, 3), [0.5, 1.0, 4.0], 2.0, seed=seed),
    "binomial": lambda r, seed: r.binomial((3, 2), [5, 20], [0.2, 0.7], seed=seed),
    "gamma in bfloat16": lambda r, seed: r.gamma((4,), 2.5, dtype="bfloat16", seed=seed),
}


@pytest.mark.parametrize("draw", DRAWS)
def test_an_integer_seed_gives_kerass_numbers(draw):
    for seed in (0, 7, 2**31):
        ours, theirs = DRAWS[draw](jkeras.random, seed), np.asarray(DRAWS[draw](keras.random, seed))
        np.testing.assert_array_equal(ours, theirs)
        assert ours.dtype == theirs.dtype
    source = jkeras.random.SeedGenerator(5)
    theirs = keras.random.SeedGenerator(5)
    for _ in range(2):
        np.testing.assert_array_equal(DRAWS[draw](jkeras.random, source), np.asarray(DRAWS[draw](keras.random, theirs)))
    assert np.shape(DRAWS[draw](jkeras.random, None)) == np.shape(DRAWS[draw](jkeras.random, 1))


PADDED = [
    {},
    {"maxlen": 2},
    {"maxlen": 4, "padding": "post", "value": -1.0, "dtype": "float32"},
    {"maxlen": 2, "truncating": "post"},
]


@pytest.mark.parametrize("arguments", PADDED, ids=str)
def test_pad_sequences_pads_as_keras_does(arguments):
    for sequences in ([[1], [2, 3], [4, 5, 6], []], [np.ones((2, 3)), np.zeros((1, 3))]):
        ours, theirs = (k.utils.pad_sequences(sequences, **arguments) for k in (jkeras, keras))
        np.testing.assert_array_equal(ours, theirs)
        assert ours.dtype == theirs.dtype


def test_pad_sequences_says_what_it_cannot_take():
    with pytest.raises(ValueError, match="number 1 is 3"):
        jkeras.utils.pad_sequences([[1], 3])
    with pytest.raises(ValueError, match=r"sequence 1 have shape \(2,\)"):
        jkeras.utils.pad_sequences([np.ones((1, 3)), np.ones((1, 2))])
    with pytest.raises(ValueError, match="padding must be 'pre' or 'post'"):
        jkeras.utils.pad_sequences([[1]], padding="both")


def test_normalize_gives_kerass_vectors():
    x = np.random.default_rng(0).normal(size=(3, 4))
    x[1] = 0
    for order in (1, 2):
        np.testing.assert_allclose(jkeras.utils.normalize(x, order=order), keras.utils.normalize(x, order=order), rtol=1e-6)


def test_the_backend_reads_and_sets_what_scripts_touch():
    x = Input((2,))
    assert jkeras.backend.is_keras_tensor(x)
    assert isinstance(x, jkeras.KerasTensor)
    assert jkeras.config.backend() == "jax"
    assert jkeras.backend.epsilon() == keras.config.epsilon() == 1e-7
    assert (jkeras.backend.floatx(), jkeras.backend.image_data_format()) == ("float32", "channels_last")
    with pytest.raises(ValueError, match="set_floatx takes 'float32' only"):
        jkeras.backend.set_floatx("float64")
    model = Sequential([x, Dense(1)])
    model.compile(jkeras.optimizers.SGD(0.5), "mse")
    jkeras.backend.set_value(model.optimizer.learning_rate, 0.25)
    assert jkeras.backend.get_value(model.optimizer.learning_rate) == 0.25
    jkeras.backend.set_value(model.layers[0].bias, [3.0])
    np.testing.assert_array_equal(jkeras.backend.get_value(model.layers[0].bias), [3.0])
    jkeras.backend.clear_session()
    assert model.predict(np.zeros((1, 2), "float32"), verbose=0) == 3.0


def test_trees_are_taken_apart_and_put_together_as_by_keras():
    nest = {"b": 1, "a": [2, (None, 3)]}
    assert jkeras.tree.flatten(nest) == keras.tree.flatten(nest)
    assert jkeras.tree.map_structure(str, nest) == keras.tree.map_structure(str, nest)
    assert jkeras.tree.pack_sequence_as(nest, range(4)) == keras.tree.pack_sequence_as(nest, list(range(4)))
    assert jkeras.tree.lists_to_tuples([1, [2]]) == keras.tree.lists_to_tuples([1, [2]])
    for value in (1, None, [1], {}, (), "a"):
        assert jkeras.tree.is_nested(value) == keras.tree.is_nested(value), value
    with pytest.raises(ValueError, match="structures differ"):
        jkeras.tree.assert_same_structure([1], [1, 2])


Point = collections.namedtuple("Point", "x y")
NESTS = [
    1,
    None,
    [1, (2, None)],
    {"b": [1, 2], "a": (3, Point(4, [5]))},
    [],
    {},
    Point([1], (2,)),
    collections.OrderedDict(z=1, a=[2]),
]


@pytest.mark.parametrize("nest", NESTS, ids=repr)
def test_a_nest_is_listed_mapped_and_walked_in_kerass_order(nest):
    def alike(do):
        ours, theirs = do(jkeras.tree), do(keras.tree)
        assert repr(ours) == repr(theirs)  # which shows the order of a dictionary too

    alike(lambda tree: tree.flatten_with_path(nest))
    alike(lambda tree: tree.lists_to_tuples(nest))
    alike(lambda tree: tree.map_structure(lambda leaf: [leaf], nest))
    alike(lambda tree: tree.map_structure(lambda leaf: -leaf, nest, none_is_leaf=False))
    if None not in keras.tree.flatten(nest):  # which Keras refuses
        alike(lambda tree: tree.map_structure_up_to(nest, lambda leaf: -leaf, nest))
    alike(lambda tree: tree.pack_sequence_as(nest, list(range(9))[: len(tree.flatten(nest))]))

    def walked(tree, top_down):
        seen = []

        def look(part):
            seen.append(repr(part))
            if part == 2:
                return tree.MAP_TO_NONE
            return list(part) if type(part) is tuple else None

        return tree.traverse(look, nest, top_down=top_down), seen

    for top_down in (True, False):
        alike(lambda tree, top_down=top_down: walked(tree, top_down))


def test_shapes_in_a_nest_are_leaves_and_paths_are_compared_without_their_kinds():
    shapes = {"y": [(2,), ()], "x": (None, 3)}
    ours, theirs = (tree.map_shape_structure(len, shapes) for tree in (jkeras.tree, keras.tree))
    assert repr(ours) == repr(theirs)
    jkeras.tree.assert_same_paths([1, {"a": 2}], (3, {"a": 4}))
    with pytest.raises(ValueError, match=r"only the first has \[\(1,\)\], only the second has \[\]"):
        jkeras.tree.assert_same_paths([1, 2], [1])
    with pytest.raises(ValueError, match="structures differ"):
        jkeras.tree.map_structure(max, [1], [1, 2])
    with pytest.raises(ValueError, match="different lengths of list"):
        jkeras.tree.map_structure_up_to([0, 0], len, [[1]])


def test_what_is_shown_can_be_switched_and_is_on_at_first():
    switches = [
        ("interactive_logging", jkeras.config),
        ("traceback_filtering", jkeras.config),
        ("interactive_logging", jkeras.utils),
    ]
    for what, module in switches:
        ask, enable, disable = (getattr(module, name) for name in (f"is_{what}_enabled", f"enable_{what}", f"disable_{what}"))
        assert ask() is True
        try:
            disable()
            assert ask() is False
        finally:
            enable()
        assert ask() is True


def test_tracebacks_have_jaxs_own_frames_once_filtering_is_off():
    def frames():
        try:
            jax.jit(lambda x: x + np.ones(3))(np.ones(2))
        except TypeError as error:
            found, step = [], error.__traceback__
            while step:
                found.append(step.tb_frame.f_code.co_filename)
                step = step.tb_next
            return sum("jax" in name for name in found)

    few = frames()
    try:
        jkeras.config.disable_traceback_filtering()
        assert frames() > few
    finally:
        jkeras.config.enable_traceback_filtering()


def test_what_keras_has_in_utils_too_is_the_same_thing_there():
    assert jkeras.utils.clear_session is jkeras.backend.clear_session
    assert jkeras.utils.is_keras_tensor is jkeras.backend.is_keras_tensor
    assert jkeras.utils.enable_interactive_logging is jkeras.config.enable_interactive_logging
    assert jkeras.utils.Sequence is jkeras.utils.PyDataset
    assert keras.utils.Sequence is keras.utils.PyDataset


# -- streams ----------------------------------------------------------------------------------------------------------


class Counted(jkeras.utils.PyDataset):
    """Batch number k holds k and the target 0; it counts who reads it."""

    def __init__(self, batches=4):
        super().__init__()
        self.batches, self.begun, self.hooks = batches, 0, []

    def __len__(self):
        return self.batches

    def __getitem__(self, k):
        return np.full((2, 1), k, "float32"), np.zeros((2, 1), "float32")

    def __iter__(self):
        self.begun += 1
        return super().__iter__()

    def on_epoch_begin(self):
        self.hooks.append("begin")

    def on_epoch_end(self):
        self.hooks.append("end")


def still():
    """A model that does not learn, whose loss is the input squared."""
    return squaring(jkeras.optimizers.SGD(0.0))


def test_an_iterable_is_begun_once_an_epoch_and_told_of_each():
    data = Counted()
    history = still().fit(data, epochs=3, verbose=0)
    assert data.begun == 3
    assert data.hooks == ["begin", "end"] * 3
    np.testing.assert_allclose(history.history["loss"], (0 + 1 + 4 + 9) / 4)


def test_validation_data_that_can_be_read_again_begins_afresh_at_every_validation():
    data = Counted()
    x = np.ones((4, 1), "float32")
    history = still().fit(x, x, epochs=3, validation_data=data, validation_steps=3, verbose=0)
    np.testing.assert_allclose(history.history["val_loss"], (0 + 1 + 4) / 3)
    assert data.begun == 3


def test_steps_beyond_the_data_end_with_it_and_warn_once():
    x = np.ones((8, 1), "float32")
    seen = []

    class Look(jkeras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(batch)

    with pytest.warns(UserWarning, match=r"10 steps an epoch.*make 4"):
        still().fit(x, x, batch_size=2, steps_per_epoch=10, epochs=2, callbacks=[Look()], verbose=0)
    assert seen == [0, 1, 2, 3] * 2
    with pytest.warns(UserWarning, match="ended after 4 of 6 batches"):
        history = still().fit(Counted(), steps_per_epoch=6, epochs=2, verbose=0)
    np.testing.assert_allclose(history.history["loss"], [3.5, 3.5])


def test_a_sequential_without_input_learns_its_shape_from_the_first_batch_of_a_stream():
    taken = []

    def batches():
        for k in range(3):
            taken.append(k)
            yield np.ones((2, 5), "float32"), np.ones((2, 1), "float32")

    model = Sequential([Dense(1)])
    model.compile("sgd", "mse")
    history = model.fit(batches(), verbose=0)
    assert model.input_shape == (None, 5)
    assert taken == [0, 1, 2]
    assert len(history.epoch) == 1


def test_a_dataset_from_which_a_sequential_learns_its_shape_keeps_its_length_and_hooks(capsys):
    data, model = Counted(), Sequential([Dense(1)])
    model.compile("sgd", "mse")
    model.fit(data, epochs=2, verbose=2)
    assert capsys.readouterr().out.count("4/4") == 2
    assert (data.begun, data.hooks) == (2, ["begin", "end"] * 2)
    assert model.history.params["steps"] == len(data)


def test_a_buffer_that_a_generator_fills_anew_is_copied():
    buffer = np.zeros((2, 1), "float32")

    def batches():
        for k in range(4):
            buffer[:] = k
            yield buffer, np.zeros((2, 1), "float32")
            buffer[:] = 99

    model = still()
    np.testing.assert_allclose(model.fit(batches(), verbose=0).history["loss"], [3.5])
    np.testing.assert_allclose(model.evaluate(batches(), verbose=0), 3.5)
    np.testing.assert_allclose(model.predict(batches(), verbose=0)[:, 0], [0, 0, 1, 1, 2, 2, 3, 3])


def test_batches_given_one_by_one_are_filled_up_to_few_sizes_and_count_as_themselves():
    model = still()
    for n in range(1, 33):
        x = np.arange(n, dtype="float32")[:, None]
        for method in (model.train_on_batch, model.test_on_batch):
            np.testing.assert_allclose(method(x, 0 * x), np.mean(x**2), rtol=1e-5)
    assert model.engine().compilations <= 2 * 6


def test_twenty_fits_of_twenty_sizes_compile_at_most_three_programs():
    model = still()
    for n in range(1, 21):
        x = np.ones((32 * n, 1), "float32")
        model.fit(x, x, verbose=0)
    assert model.engine().compilations <= 3


def test_programs_are_kept_in_a_bounded_number():
    model = still()
    engine = model.engine()
    engine.KEPT = 3
    for size in range(2, 9):
        model.fit(np.ones((16, 1), "float32"), np.ones((16, 1), "float32"), batch_size=size, verbose=0)
    assert len(engine._programs) == 3


@pytest.mark.parametrize("how", ["run_eagerly", "disable_jit"])
def test_a_loss_runs_step_by_step_where_a_debugger_is_to_follow_it(how):
    import contextlib

    seen = []

    def loss(y_true, y_pred):
        seen.append(y_true)  # targets are numbers, not tracers: nothing is compiled
        return (y_true - y_pred) ** 2

    def trained(eagerly, function):
        model = Sequential([Input((1,)), Dense(1, use_bias=False, kernel_initializer="ones")])
        model.compile(jkeras.optimizers.SGD(0.25), function, run_eagerly=eagerly)
        x = np.ones((4, 1), "float32")
        return model.fit(x, 0 * x, batch_size=2, verbose=0).history["loss"], model.get_weights()[0].item()

    with jax.disable_jit() if how == "disable_jit" else contextlib.nullcontext():
        found = trained(how == "run_eagerly", loss)
    assert len(seen) == 2
    assert all(float(y_true.sum()) == 0 for y_true in seen)
    assert found == ([0.625], 0.25)  # 1, then a half squared; w halves twice


def test_an_array_stands_for_the_one_output_that_counts_and_a_trailing_axis_of_one_is_dropped():
    x = Input((3,))
    first, second = Dense(1, name="first")(x), Dense(1, name="second")(x)
    model = jkeras.Model(x, [first, second])
    data, y = np.ones((4, 3), "float32"), np.ones((4, 1), "float32")
    model.compile("sgd", ["mse", None])
    alone = model.evaluate(data, y, verbose=0)
    assert alone == model.evaluate(data, [y, None], verbose=0) == model.evaluate(data[..., None], [y], verbose=0)
    model.compile("sgd", {"second": "mse"})
    expected = np.mean((model.predict(data, verbose=0)[1] - 1) ** 2)
    np.testing.assert_allclose(model.evaluate(data, {"second": y}, verbose=0), expected, rtol=1e-5)
    single = jkeras.Model({"in": x}, {"out": first})
    single.compile("sgd", "mse")
    assert single.evaluate(data, y, verbose=0) == pytest.approx(alone)


def test_what_is_wrong_with_data_is_said_by_name():
    model = still()
    with pytest.raises(ValueError, match=r"must have shape \(batch, 1\), but got \(3,|must have shape \(batch, 1\)"):
        model.predict(np.ones((3, 2)), verbose=0)
    with pytest.raises(ValueError, match="input 'input_layer' is a list whose rows have different lengths, 1, 2"):
        model.predict([[1.0], [1.0, 2.0]], verbose=0)
    with pytest.raises(TypeError, match="fit was called inside a JAX transformation"):
        jax.jit(lambda x: model.fit(x, x))(np.ones((2, 1), "float32"))


@pytest.mark.parametrize("parts", [("x",), ("x", "y"), ("x", "y", "w"), (["a", "b"],), (("a",), "y")])
def test_what_batches_yield_is_packed_and_unpacked_as_in_keras(parts):
    packed = jkeras.utils.pack_x_y_sample_weight(*parts)
    assert packed == keras.utils.pack_x_y_sample_weight(*parts)
    unpacked = jkeras.utils.unpack_x_y_sample_weight(packed)
    assert unpacked == keras.utils.unpack_x_y_sample_weight(packed) == (*parts, None, None)[:3]
    with pytest.raises(ValueError, match="4 parts"):
        jkeras.utils.unpack_x_y_sample_weight(("x", "y", "w", "z"))

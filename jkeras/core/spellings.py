"""What Keras 1 and 2 called otherwise, and what it is called now: one table, for arguments, attributes and names in modules."""

from __future__ import annotations

ARGUMENTS = {
    "nb_epoch": "epochs",
    "lr": "learning_rate",
    "decay": "learning_rate=lambda step: rate / (1 + decay * step)",
    "init": "kernel_initializer",
    "inner_init": "recurrent_initializer",
    "inner_activation": "recurrent_activation",
    "W_regularizer": "kernel_regularizer",
    "U_regularizer": "recurrent_regularizer",
    "b_regularizer": "bias_regularizer",
    "W_constraint": "kernel_constraint",
    "b_constraint": "bias_constraint",
    "bias": "use_bias",
    "border_mode": "padding",
    "subsample": "strides",
    "subsample_length": "strides",
    "nb_filter": "filters",
    "filter_length": "kernel_size",
    "pool_length": "pool_size",
    "stride": "strides",
    "output_dim": "units, or filters of a convolution",
    "dim_ordering": "data_format",
    "p": "rate",
    "dropout_W": "dropout",
    "dropout_U": "recurrent_dropout",
    "input": "inputs",
    "output": "outputs",
    "batch_input_shape": "batch_shape of an Input",
    "samples_per_epoch": "steps_per_epoch, which counts batches",
    "nb_val_samples": "validation_steps, which counts batches",
    "show_accuracy": "metrics=['accuracy'] of compile",
    "class_mode": "the loss: binary_crossentropy or categorical_crossentropy",
}
METHODS = {
    "fit_generator": "fit, which takes generators",
    "evaluate_generator": "evaluate, which takes generators",
    "predict_generator": "predict, which takes generators",
    "predict_classes": "predict(x).argmax(-1), or predict(x) > 0.5 for one output",
    "predict_proba": "predict",
    "reset_states": "reset_state",
    "lr": "learning_rate",
    "nodes": "model.program.steps",
}
NAMES = {
    "TimeDistributedDense": "TimeDistributed(Dense(...))",
    "Merge": "Concatenate, Add and the other merging layers",
    "merge": "concatenate, add and the other merging functions",
    "CuDNNLSTM": "LSTM",
    "CuDNNGRU": "GRU",
    "Graph": "Model(inputs, outputs)",
    "learning_phase": "training, an argument of calls",
    "set_learning_phase": "training, an argument of calls",
    "function": "jax.jit",
    "gradients": "jax.grad",
    "int_shape": "x.shape",
    "pow": "jkeras.ops.power",
    "permute_dimensions": "jkeras.ops.transpose",
    "l2_normalize": "jkeras.utils.normalize",
    "random_normal": "jkeras.random.normal",
    "random_uniform": "jkeras.random.uniform",
}
_UTILS = ("conv", "data", "generic", "io", "layer", "np", "test", "vis")
_LAYERS = ("advanced_activations", "convolutional", "convolutional_recurrent", "embeddings", "local", "merge", "noise")
MODULES = {  # by their path inside the package
    "objectives": "jkeras.losses",
    "initializations": "jkeras.initializers",
    "engine": "jkeras.models and jkeras.layers",
    "np_utils": "jkeras.utils",
    "layers.containers": "jkeras.models",
    "layers.experimental": "jkeras.layers",
    **{f"layers.{name}": "jkeras.layers" for name in _LAYERS},
    **{f"utils.{name}_utils": "jkeras.utils" for name in _UTILS},
}
ABSENT = {  # names in modules, and modules by their path
    name: sentence
    for sentence, names in {
        "Nothing is downloaded: load data with scikit-learn, tensorflow_datasets or NumPy.": "datasets get_file",
        "Nothing is downloaded, trained weights neither: build the model and set_weights.": "applications",
        "Arrays lie where jax.device_put puts them, on a jax.sharding.Mesh too, and training follows.": "distribution device",
        "JAX is the only backend.": "set_backend",
        "Names are counted by the models that layers are in.": "get_uid",
        "jax.numpy has it: dtype(x).name, issubdtype, result_type.": "standardize_dtype is_float_dtype is_int_dtype result_type",
        "It is jkeras.__version__.": "version",
        "There is no wrapper for scikit-learn, and TimeDistributed is in jkeras.layers.": "wrappers",
        "fit takes epochs= and steps_per_epoch=.": ("max_epochs set_max_epochs max_steps_per_epoch set_max_steps_per_epoch"),
        "There is no switch: XLA decides how attention is computed.": (
            "enable_flash_attention disable_flash_attention is_flash_attention_enabled"
        ),
        "There is none to switch on: jkeras.saving reads data, never code.": "enable_unsafe_deserialization",
        "A layer made by @jkeras.layer is found by its name; from_json takes custom_objects=.": (
            "custom_object_scope CustomObjectScope get_custom_objects register_keras_serializable get_registered_name "
            "get_registered_object serialize_keras_object deserialize_keras_object"
        ),
        "model.summary() shows layers and what each is connected to.": "plot_model model_to_dot",
        "Read images with Pillow or imageio; numpy.asarray(image) is what layers take.": (
            "preprocessing.image array_to_img img_to_array load_img save_img smart_resize"
        ),
        "fit takes any iterable of batches: of tensorflow_datasets, grain, PyTorch, or a jkeras.utils.PyDataset.": (
            "image_dataset_from_directory text_dataset_from_directory audio_dataset_from_directory "
            "timeseries_dataset_from_array TimeseriesGenerator ImageDataGenerator split_dataset"
        ),
        "Turn words into numbers with a tokenizer of your choice; Embedding takes the numbers.": "preprocessing.text Tokenizer",
        "A bar of one's own is rich.progress.track(batches).": "Progbar",
    }.items()
    for name in names.split()
}


def older(name: str, table: dict[str, str]) -> str:
    """Return a sentence that says what an old name is called now, or nothing.

    Example:
      >>> older("nb_epoch", ARGUMENTS)
      " 'nb_epoch' is an older name: it is called epochs now."
    """
    return f" {name!r} is an older name: it is called {table[name]} now." if name in table else ""

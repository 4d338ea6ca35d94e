"""What Keras 1 and 2 called otherwise, and what it is called now: one table, for arguments, attributes and names in modules."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from jkeras.core.errors import nearest

ARGUMENTS = {
    "nb_epoch": "epochs",
    "lr": "learning_rate",
    "decay": "learning_rate, as a schedule of optax; weight_decay is something else",
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
    "np_utils": "jkeras.utils",
    "Convolution1D": "Conv1D",
    "TimeDistributedDense": "TimeDistributed(Dense(...))",
    "Merge": "Concatenate, Add and the other merging layers",
    "merge": "concatenate, add and the other merging functions",
    "CuDNNLSTM": "LSTM",
    "CuDNNGRU": "GRU",
    "objectives": "jkeras.losses",
    "Graph": "Model(inputs, outputs)",
    "containers": "jkeras.models",
    "wrappers": "jkeras.layers.TimeDistributed, and no wrapper for scikit-learn yet",
    "engine": "jkeras.models and jkeras.layers",
    "preprocessing": "jkeras.utils, which has pad_sequences",
}


def older(name: str, table: dict[str, str]) -> str:
    """Return a sentence that says what an old name is called now, or nothing.

    Example:
      >>> older("nb_epoch", ARGUMENTS)
      " 'nb_epoch' is an older name: it is called epochs now."
    """
    return f" {name!r} is an older name: it is called {table[name]} now." if name in table else ""


def unknown_name(module: str) -> Callable[[str], Any]:
    """Make a module's ``__getattr__``, which says what an unknown name may have meant.

    Raises:
      AttributeError: by the function returned; ``from module import name`` turns it into an ImportError with Python's words.
    """

    def __getattr__(name: str) -> Any:  # noqa: N807, it becomes the module's
        hint = "" if name.startswith("_") else older(name, NAMES) or nearest(name, vars(sys.modules[module]).get("__all__", ()))
        raise AttributeError(f"{module} has no {name!r}.{hint}")

    return __getattr__

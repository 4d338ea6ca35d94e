"""Print for every name of Keras's tables whether jkeras has it, whether the arguments agree, and why not.

Usage::

    python tests/catalogue.py            # what is missing or differs
    python tests/catalogue.py --all      # every name
"""

import inspect
import operator
import os
import sys
import warnings

os.environ["KERAS_BACKEND"] = "jax"
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import keras

import jkeras

MODULES = (
    "layers",
    "activations",
    "initializers",
    "regularizers",
    "constraints",
    "random",
    "ops",
    "ops.image",
    "ops.linalg",
    "ops.nn",
    "ops.numpy",
    "losses",
    "metrics",
    "optimizers",
    "optimizers.schedules",
    "callbacks",
)
COMMON = {"name", "dtype", "trainable", "autocast", "activity_regularizer"}  # which every layer takes
RARE = "a rarer augmentation of images or sound, which the catalogue leaves out"
CLASSES = "a class of Keras's; layers are functions here"
FOREIGN = "layers of other libraries come through jkeras.core's adapters, by names of their own"
REASONS = {  # of names that jkeras leaves out
    "layers": {
        **dict.fromkeys(
            """
            AugMix AutoContrast ContrastLimitedAdaptiveHistogramEqualization CutMix Equalization
            MaxNumBoundingBoxes MelSpectrogram MixUp RandAugment RandomColorDegeneration
            RandomColorJitter RandomElasticTransform RandomErasing RandomGaussianBlur
            RandomGrayscale RandomHue RandomInvert RandomPerspective RandomPosterization
            RandomSaturation RandomSharpness RandomShear STFTSpectrogram Solarization
            """.split(),  # noqa: SIM905, a list of quoted names is harder to read
            RARE,
        ),
        **dict.fromkeys(["InputSpec", "Wrapper"], CLASSES),
        **dict.fromkeys(["FlaxLayer", "JaxLayer", "TFSMLayer", "TorchModuleWrapper"], FOREIGN),
    },
    "optimizers": {
        **dict.fromkeys(["MultiOptimizer", "OptimizerMap"], "PathOptimizer: by patterns of paths instead of by layers"),
        "legacy": "Keras 2's, which Keras 3 refuses as well",
    },
    "callbacks": {
        **dict.fromkeys(["BackupAndRestore", "ModelCheckpoint", "OrbaxCheckpoint"], "models are not written to files yet"),
        "RemoteMonitor": "what is sent to a server is a LambdaCallback's to send",
        "TensorBoard": "not offered yet",
    },
}
BASES = {  # whose arguments are other ones
    "losses": {"Loss": "takes the function; a class of Keras's is written by overriding call"},
    "metrics": {"Metric": "takes the three functions; a class of Keras's is written by overriding its methods"},
    "optimizers": {"Optimizer": "takes an Optax transformation; a class of Keras's is written by overriding update_step"},
    "optimizers.schedules": {"LearningRateSchedule": "takes the function; a class of Keras's is written by overriding __call__"},
    "callbacks": {"CallbackList": "what fit and evaluate show is no callback, so that none is added for it"},
}
LAST = {  # arguments of Keras's that nothing here reads, by name
    "lora_rank": "low-rank training of whole models is not offered yet",
    "lora_alpha": "as lora_rank",
    "quantization_config": "nothing is quantized",
    "gptq_unpacked_column_size": "nothing is quantized",
    "sparse": "there are no sparse tensors",
    "ragged": "there are no ragged tensors",
    "tensor": "a symbolic tensor needs no other one",
    "optional": "every input is needed",
    "input_tensor": "a symbolic tensor needs no other one",
}


def parameters(thing, common=()):
    """Return (name, default) of a callable's arguments, without those that all of its kind have and what is never used."""
    try:
        given = inspect.signature(thing).parameters.values()
    except (TypeError, ValueError):
        return None
    named = [p for p in given if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL) and p.name != "self"]
    return [(p.name, p.default) for p in named if p.name not in common and p.name not in LAST]


def same(a, b):
    return a is b or (not isinstance(a, type) and str(a).lower() == str(b).lower())


def within(library, module):
    return operator.attrgetter(module)(library)


def judged(module, name):
    """Return a word, "yes", "differs" or "missing", and what there is to say."""
    theirs = getattr(within(keras, module), name)
    if not hasattr(within(jkeras, module), name):
        return "missing", REASONS.get(module, {}).get(name, "NO REASON")
    ours = getattr(within(jkeras, module), name)
    common = () if module.split(".")[0] in BASES else COMMON
    wanted, got = parameters(theirs, common), parameters(ours, common)
    if name in BASES.get(module, {}):
        return "yes", BASES[module][name]
    if not callable(theirs) or inspect.ismodule(theirs) or wanted is None or got is None:
        return "yes", ""
    for i, (argument, default) in enumerate(wanted):
        if i >= len(got) or got[i][0] != argument:
            return "differs", f"argument {i} is {argument!r} in Keras, {got[i][0]!r} here" if i < len(got) else f"no {argument!r}"
        if not same(default, got[i][1]):
            return "differs", f"default of {argument!r} is {default!r} in Keras, {got[i][1]!r} here"
    return "yes", ""


def names(module):
    return [name for name in dir(within(keras, module)) if not name.startswith("_")]


def main():
    for module in MODULES:
        found = {name: judged(module, name) for name in names(module)}
        counts = {word: sum(1 for said, _ in found.values() if said == word) for word in ("yes", "differs", "missing")}
        print(f"keras.{module}: {len(found)} names, " + ", ".join(f"{count} {word}" for word, count in counts.items()))
        for name, (word, why) in found.items():
            if word != "yes" or "--all" in sys.argv:
                print(f"    {name:32}{word:9}{why}")


if __name__ == "__main__":
    main()

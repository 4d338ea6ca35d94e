"""Keras's layers, one family a file; every one is a pure ``init``/``apply`` pair."""

from jkeras.core import Definition, Input, InputLayer, Layer, Masked, layer
from jkeras.layers.convolution import Conv1D
from jkeras.layers.core import Activation, Dense, Embedding, Flatten, Masking
from jkeras.layers.merging import Add, Concatenate, add, concatenate
from jkeras.layers.normalization import BatchNormalization
from jkeras.layers.pooling import GlobalMaxPooling1D, MaxPooling1D
from jkeras.layers.recurrent import LSTM
from jkeras.layers.regularization import Dropout
from jkeras.layers.wrappers import TimeDistributed

Convolution1D = Conv1D
MaxPool1D = MaxPooling1D
GlobalMaxPool1D = GlobalMaxPooling1D

__all__ = [
    "LSTM",
    "Activation",
    "Add",
    "BatchNormalization",
    "Concatenate",
    "Conv1D",
    "Convolution1D",
    "Definition",
    "Dense",
    "Dropout",
    "Embedding",
    "Flatten",
    "GlobalMaxPool1D",
    "GlobalMaxPooling1D",
    "Input",
    "InputLayer",
    "Layer",
    "Masked",
    "Masking",
    "MaxPool1D",
    "MaxPooling1D",
    "TimeDistributed",
    "add",
    "concatenate",
    "layer",
]

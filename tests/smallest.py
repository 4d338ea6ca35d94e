"""The smallest models, layers, data and callbacks that several tests share."""

import numpy as np

import jkeras
from jkeras import Input, Sequential
from jkeras.layers import Dense

ONE, ZERO = np.ones((4, 1), "float32"), np.zeros((4, 1), "float32")


def one_weight(name="w", start=1.0):
    """A layer that multiplies by one number."""
    return Dense(1, use_bias=False, kernel_initializer=jkeras.initializers.Constant(start), name=name)


def squaring(optimizer):
    """A model of one weight w, 1 at first, whose loss on ONE against ZERO is w squared."""
    model = Sequential([Input((1,)), one_weight()])
    model.compile(optimizer, "mse")
    return model


class Doing(jkeras.callbacks.Callback):
    """Do something in one hook, whenever it is called, or at its n-th call alone."""

    def __init__(self, hook, action, at=None):
        self.calls = 0

        def method(*place_and_logs):
            self.calls += 1
            if at in (None, self.calls):
                action(self.model, *place_and_logs)

        setattr(self, hook, method)


def aligned(shape, value):
    """An array that JAX could share in place of copying it, as it begins at a multiple of 64 bytes."""
    raw = np.empty(4 * int(np.prod(shape)) + 64, np.uint8)
    array = raw[-raw.ctypes.data % 64 :][: raw.size - 64].view("float32").reshape(shape)
    array[...] = value
    return array

"""Fourier transforms and windows of signals, by Keras's names; complex numbers are pairs of real and imaginary parts."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import jax.scipy.signal
import numpy as np

from jkeras.core.arguments import whole_number
from jkeras.core.errors import ShapeError
from jkeras.core.operation import op
from jkeras.core.shapes import is_float, shape_of


def _complex(x: Any) -> Any:
    if not isinstance(x, (list, tuple)) or len(x) != 2:
        raise ValueError("x must be a pair, the real and the imaginary parts.")
    real, imaginary = map(jnp.asarray, x)
    if real.shape != imaginary.shape:
        raise ShapeError(f"real and imaginary parts differ in shape, {shape_of(real)} and {shape_of(imaginary)}.")
    if not (is_float(real) and is_float(imaginary)):
        raise ValueError(f"real and imaginary parts must be floating numbers, but are {real.dtype} and {imaginary.dtype}.")
    return jax.lax.complex(real, imaginary)


def _pair(x: Any) -> tuple[Any, Any]:
    return jnp.real(x), jnp.imag(x)


@op
def fft(x: Any) -> tuple[Any, Any]:
    """Return the discrete Fourier transform along the last axis: a pair ``(real, imaginary)`` to another."""
    return _pair(jnp.fft.fft(_complex(x)))


@op
def fft2(x: Any) -> tuple[Any, Any]:
    """Return the discrete Fourier transform along the last two axes: a pair ``(real, imaginary)`` to another."""
    return _pair(jnp.fft.fft2(_complex(x)))


@op
def ifft2(x: Any) -> tuple[Any, Any]:
    """Undo :func:`fft2`."""
    return _pair(jnp.fft.ifft2(_complex(x)))


@op
def rfft(x: Any, fft_length: int | None = None) -> tuple[Any, Any]:
    """Return the half of a real signal's Fourier transform that tells all: ``(..., n)`` to a pair ``(..., n // 2 + 1)``."""
    return _pair(jnp.fft.rfft(jnp.asarray(x), fft_length))


@op
def irfft(x: Any, fft_length: int | None = None) -> Any:
    """Undo :func:`rfft`; ``fft_length`` is the signal's length, even by default."""
    return jnp.fft.irfft(_complex(x), fft_length)


@op
def extract_sequences(x: Any, sequence_length: int, sequence_stride: int) -> Any:
    """Return windows of a signal: ``(..., n)`` to ``(..., floor((n - length) / stride) + 1, length)``."""
    x = jnp.asarray(x)
    length, stride = whole_number("sequence_length", sequence_length), whole_number("sequence_stride", sequence_stride)
    if isinstance(x.shape[-1], int) and x.shape[-1] < length:
        raise ShapeError(f"a signal of {x.shape[-1]} numbers is shorter than sequence_length={length}.")
    count = (x.shape[-1] - length) // stride + 1
    return x[..., jnp.arange(count)[:, None] * stride + np.arange(length)]  # (..., count, length)


def _window(window: Any, length: int, whole: int, dtype: Any) -> Any:
    """Return ``length`` weights, in the middle of ``whole`` numbers."""
    if whole < length:
        raise ValueError(f"fft_length must be at least sequence_length, but {whole} is less than {length}.")
    before = (whole - length) // 2
    if window is None:
        return jnp.ones(whole, dtype)
    if isinstance(window, str):
        if window not in ("hann", "hamming"):
            raise ValueError(f"window must be 'hann', 'hamming', None or an array, but got {window!r}.")
        # One more than is kept: a period's last number is the next one's first.
        window = {"hann": np.hanning, "hamming": np.hamming}[window](length + 1)[:-1]
    window = jnp.asarray(window, dtype)
    if window.shape != (length,):
        raise ShapeError(f"window must have shape ({length},), sequence_length, but has {shape_of(window)}.")
    return jnp.pad(window, (before, whole - length - before))


@op
def stft(x: Any, sequence_length: int, sequence_stride: int, fft_length: int, window: Any = "hann", center: bool = True) -> Any:
    """Return the Fourier transforms of windows of a signal, as a pair ``(..., windows, fft_length // 2 + 1)``.

    Args:
      x: ``(..., n)``.
      sequence_length, sequence_stride: the windows' length and distance.
      fft_length: how long each is made by zeros on both sides.
      window: weights by name, ``"hann"`` or ``"hamming"``, an array ``(sequence_length,)``, or None.
      center: whether the signal is reflected at its ends, so that windows are centred on its numbers.
    """
    x = jnp.asarray(x)
    if not is_float(x):
        raise TypeError(f"stft needs floating numbers, but got {x.dtype}.")
    weights = _window(window, sequence_length, fft_length, x.dtype)
    if center:
        x = jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(fft_length // 2,) * 2], "reflect")
    return _pair(jnp.fft.rfft(extract_sequences(x, fft_length, sequence_stride) * weights))


@op
def istft(
    x: Any,
    sequence_length: int,
    sequence_stride: int,
    fft_length: int,
    length: int | None = None,
    window: Any = "hann",
    center: bool = True,
) -> Any:
    """Undo :func:`stft` with the same arguments; ``length`` is the signal's. Without a window too, which Keras 3.15.1 scales."""
    x = _complex(x)
    weights = _window(window, sequence_length, fft_length, jnp.real(x).dtype)
    _, y = jax.scipy.signal.istft(
        x, 1.0, weights, fft_length, fft_length - sequence_stride, fft_length, boundary=False, time_axis=-2, freq_axis=-1
    )
    start = fft_length // 2 if center else 0
    end = start + length if length is not None else y.shape[-1] - start
    return y[..., start:end] / weights.sum()

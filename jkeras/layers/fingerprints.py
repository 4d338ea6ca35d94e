"""64-bit fingerprints of bytes, in 32-bit arithmetic: FarmHash64, SipHash-2-4, and TensorFlow's way to chain fingerprints.

A 64-bit word is a pair of unsigned 32-bit arrays, NumPy's on the host and JAX's inside ``jit``, where there are no 64-bit numbers
by default. Every function takes a whole array of words, or of byte strings of one length, at once.

Sources: FarmHash (Pike, https://github.com/google/farmhash, ``farmhashna::Hash64``), SipHash (Aumasson and Bernstein, 2012), and
``tensorflow/core/platform/fingerprint.h``. They are those of Keras's ``Hashing``, ``HashedCrossing`` and lookups.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

_HALF, _NONE = np.uint32(0xFFFF), np.uint32(0)


class Word(NamedTuple):
    """An array of 64-bit words."""

    high: Any
    low: Any

    def __add__(self, other: Any) -> Word:  # type: ignore[override]
        low = self.low + other.low
        return Word(self.high + other.high + (low < self.low).astype(np.uint32), low)

    def __mul__(self, other: Any) -> Word:  # type: ignore[override]
        high, low = _product(self.low, other.low)
        return Word(high + self.high * other.low + self.low * other.high, low)

    def __xor__(self, other: Word) -> Word:
        return Word(self.high ^ other.high, self.low ^ other.low)

    def __rshift__(self, n: int) -> Word:
        if n >= 32:
            return Word(self.high & _NONE, self.high >> np.uint32(n - 32))
        return Word(self.high >> np.uint32(n), (self.low >> np.uint32(n)) | (self.high << np.uint32(32 - n)))

    def rotated(self, n: int) -> Word:
        """Rotate to the right by n bits, from 1 to 63."""
        high, low = (self.high, self.low) if n < 32 else (self.low, self.high)
        n %= 32
        if n == 0:
            return Word(high, low)
        right, left = np.uint32(n), np.uint32(32 - n)
        return Word((high >> right) | (low << left), (low >> right) | (high << left))

    def modulo(self, n: int) -> Any:
        """Return the remainder of the division by n, below 2**31: a bit at a time, since nothing here is wider than 32 bits."""
        rest, divisor = self.low & _NONE, np.uint32(n)
        for part in (self.high, self.low):
            for bit in range(31, -1, -1):
                rest = (rest << np.uint32(1)) | ((part >> np.uint32(bit)) & np.uint32(1))
                rest = rest - divisor * (rest >= divisor).astype(np.uint32)
        return rest


def _product(a: Any, b: Any) -> tuple[Any, Any]:
    """Multiply 32-bit numbers; return the upper and the lower 32 bits."""
    a0, a1, b0, b1 = a & _HALF, a >> np.uint32(16), b & _HALF, b >> np.uint32(16)
    low, across, back = a0 * b0, a0 * b1, a1 * b0
    middle = (low >> np.uint32(16)) + (across & _HALF) + (back & _HALF)
    high = a1 * b1 + (across >> np.uint32(16)) + (back >> np.uint32(16)) + (middle >> np.uint32(16))
    return high, (low & _HALF) | (middle << np.uint32(16))


def word(value: int) -> Word:
    """Return one number, modulo 2**64, as a word that goes with words of any shape."""
    value %= 1 << 64
    return Word(np.full(1, value >> 32, np.uint32), np.full(1, value & 0xFFFFFFFF, np.uint32))


_K0, _K1, _K2 = word(0xC3A5C85C97CB3127), word(0xB492B66FBE98F273), word(0x9AE16A3B2F90404F)

Bytes = list[Any]  # one array of unsigned 32-bit numbers, from 0 to 255, per position


def _four(s: Bytes, at: int) -> Any:
    return s[at] | (s[at + 1] << np.uint32(8)) | (s[at + 2] << np.uint32(16)) | (s[at + 3] << np.uint32(24))


def _eight(s: Bytes, at: int) -> Word:
    return Word(_four(s, at + 4), _four(s, at))


def _small(value: Any) -> Word:
    return Word(value & _NONE, value)


def _mixed(w: Word) -> Word:
    return w ^ (w >> 47)


def _joined(u: Word, v: Word, multiplier: Word) -> Word:
    a = _mixed((u ^ v) * multiplier)
    return _mixed((v ^ a) * multiplier) * multiplier


def farmhash(s: Bytes) -> Word:
    """Return FarmHash's 64-bit fingerprints of byte strings of one length."""
    n = len(s)
    if n == 0:
        return _K2
    if n < 4:
        start = _small(s[0] + (s[n >> 1] << np.uint32(8)))
        end = _small(np.uint32(n) + (s[n - 1] << np.uint32(2)))
        return _mixed((start * _K2) ^ (end * _K0)) * _K2
    multiplier = word(0x9AE16A3B2F90404F + 2 * n)
    if n < 8:
        first = _small(_four(s, 0))
        eighth = Word(first.low >> np.uint32(29), first.low << np.uint32(3))
        return _joined(word(n) + eighth, _small(_four(s, n - 4)), multiplier)
    if n <= 16:
        a, b = _eight(s, 0) + _K2, _eight(s, n - 8)
        return _joined(b.rotated(37) * multiplier + a, (a.rotated(25) + b) * multiplier, multiplier)
    if n <= 32:
        return _joined(*_ends(s, _K1, multiplier)[:2], multiplier)
    return _up_to_64(s, multiplier) if n <= 64 else _long(s)


def _ends(s: Bytes, first: Word, multiplier: Word) -> tuple[Word, Word, Word]:
    n = len(s)
    a, b, c, d = _eight(s, 0) * first, _eight(s, 8), _eight(s, n - 8) * multiplier, _eight(s, n - 16) * _K2
    return (a + b).rotated(43) + c.rotated(30) + d, a + (b + _K2).rotated(18) + c, a


def _up_to_64(s: Bytes, multiplier: Word) -> Word:
    n = len(s)
    y, other, a = _ends(s, _K2, multiplier)
    z = _joined(y, other, multiplier)
    e, f = _eight(s, 16) * multiplier, _eight(s, 24)
    g, h = (y + _eight(s, n - 32)) * multiplier, (z + _eight(s, n - 24)) * multiplier
    return _joined((e + f).rotated(43) + g.rotated(30) + h, e + (f + a).rotated(18) + g, multiplier)


def _folded(s: Bytes, at: int, a: Word, b: Word) -> tuple[Word, Word]:
    w, x, y, z = (_eight(s, at + 8 * i) for i in range(4))
    a = a + w
    b = (b + a + z).rotated(21)
    c, a = a, a + x + y
    return a + z, b + a.rotated(44) + c


def _long(s: Bytes) -> Word:
    n = len(s)
    x, y = word(81), word(81 * 0xB492B66FBE98F273 + 113)
    z = _mixed(y * _K2 + word(113)) * _K2
    v, w = (word(0), word(0)), (word(0), word(0))
    x = x * _K2 + _eight(s, 0)

    def turn(at: int, m: Word, nine: Word, x: Word, y: Word, z: Word, v: Any, w: Any) -> Any:
        x = (x + y + v[0] + _eight(s, at + 8)).rotated(37) * m
        y = (y + v[1] + _eight(s, at + 48)).rotated(42) * m
        x, y = x ^ (w[1] * nine), y + v[0] * nine + _eight(s, at + 40)
        z = (z + w[0]).rotated(33) * m
        v, w = _folded(s, at, v[1] * m, x + w[0]), _folded(s, at + 32, z + w[1], y + _eight(s, at + 16))
        return z, y, x, v, w

    for at in range(0, (n - 1) // 64 * 64, 64):
        x, y, z, v, w = turn(at, _K1, word(1), x, y, z, v, w)
    last = _small((z.low & np.uint32(0xFF)) << np.uint32(1))
    multiplier = last + _K1
    w = (w[0] + word((n - 1) & 63), w[1])
    v = (v[0] + w[0], v[1])
    w = (w[0] + v[0], w[1])
    x, y, z, v, w = turn(n - 64, multiplier, word(9), x, y, z, v, w)
    first = _joined(v[0], w[0], multiplier) + _mixed(y) * _K0 + z
    return _joined(first, _joined(v[1], w[1], multiplier) + x, multiplier)


def siphash(s: Bytes, key: tuple[int, int]) -> Word:
    """Return SipHash-2-4's 64-bit fingerprints of byte strings of one length, under a key of two numbers."""
    k0, k1 = word(key[0]), word(key[1])
    v = [k0 ^ word(0x736F6D6570736575), k1 ^ word(0x646F72616E646F6D)]
    v += [k0 ^ word(0x6C7967656E657261), k1 ^ word(0x7465646279746573)]

    def rounds(v: list[Word], many: int) -> list[Word]:
        v0, v1, v2, v3 = v
        for _ in range(many):
            v0, v2 = v0 + v1, v2 + v3
            v1, v3 = v1.rotated(64 - 13) ^ v0, v3.rotated(64 - 16) ^ v2
            v0 = v0.rotated(32)
            v2, v0 = v2 + v1, v0 + v3
            v1, v3 = v1.rotated(64 - 17) ^ v2, v3.rotated(64 - 21) ^ v0
            v2 = v2.rotated(32)
        return [v0, v1, v2, v3]

    none = s[0] & _NONE if s else np.zeros(1, np.uint32)
    whole = len(s) // 8 * 8
    rest = [*s[whole:], *[none] * (7 - len(s) % 8), none + np.uint32(len(s) & 0xFF)]
    for block in [*(_eight(s, at) for at in range(0, whole, 8)), _eight(rest, 0)]:
        v = rounds([*v[:3], v[3] ^ block], 2)
        v[0] = v[0] ^ block
    v = rounds([v[0], v[1], v[2] ^ word(0xFF), v[3]], 4)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def chained(so_far: Word, more: Word) -> Word:
    """Return the fingerprint of a fingerprint and one more."""
    k = word(0xC6A4A7935BD1E995)
    result = (so_far ^ k) ^ (_mixed(more * k) * k)
    return _mixed(_mixed(result * k) * k)

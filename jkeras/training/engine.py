"""Compiled programs of one trainer, and the pace at which they are dispatched.

A program runs any number of steps of an epoch: how many is an argument, not part of the program, so one compilation serves
every stretch of every epoch, and how the steps are divided into dispatches changes no bit of the result.
"""

from __future__ import annotations

import collections
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from jkeras.core.compilation import jit_quickly
from jkeras.core.context import Context
from jkeras.core.describe import variables
from jkeras.core.masks import unmask
from jkeras.core.shapes import is_key, traceable
from jkeras.training.step import Batch, Trainer, TrainState, pick

_CONFIG: Any = jax.config  # whose attributes the type checker does not know


class Segment(NamedTuple):
    """A stretch of steps that one program can run.

    Attributes:
      data: arrays on the device; with no order, one batch as it is.
      order: int32, the examples in the order of use, or None.
      n: how many of these are real; the others fill up the last batch.
      steps, batch_size: how many steps, of how many examples.
      padded: whether there may be filling.
    """

    data: Batch
    order: jax.Array | None
    n: Any
    steps: int
    batch_size: int
    padded: bool


class Engine:
    """The compiled programs of a trainer.

    A program takes a carry, ``(TrainState, totals)`` to train and ``(state, totals)`` to evaluate, and returns the carry
    after the stretch with the logs so far. No carry is donated: who holds the arrays of an earlier one keeps them, and an error
    inside a program loses nothing (:class:`Spare` is what keeps this fast).

    Attributes:
      trainer: the pure functions.
      eager: whether steps run operation by operation, uncompiled, so that a debugger can follow them.
      compilations: how many programs were compiled so far.
      compile_seconds: how long that took.
    """

    KEPT = 64  # programs, the least recently used one is dropped first

    def __init__(self, trainer: Trainer, eager: bool = False):
        self.trainer = trainer
        self._eager = eager
        self.compilations = 0
        self.compile_seconds = 0.0
        self.spare = Spare()
        self.sizes: dict[str, Sizes] = collections.defaultdict(Sizes)
        self._programs: collections.OrderedDict[Any, Callable[..., Any]] = collections.OrderedDict()
        self._checked: set[Any] = set()
        self._bits = self._timed(jit_quickly(trainer.shuffle_bits, static_argnums=(1,)))
        self._empty: Any = None
        self.predict = jax.jit(self._predict)

    @property
    def eager(self) -> bool:
        """Whether nothing is compiled: by ``run_eagerly=True``, or inside ``jax.disable_jit()``."""
        return self._eager or _CONFIG.jax_disable_jit

    def train(self, segment: Segment, like: Any, known: Any = None) -> Callable[[Any, int, int], Any]:
        """Return a function ``(carry, start, stop) -> (carry, logs)`` that trains; carry is (TrainState, totals).

        ``known`` is ``signature(like)``, where the caller has it already.
        """
        return self._stretch("train", lambda _, *given: self.trainer.train_step(*given), segment, (), like, known)

    def test(self, segment: Segment, params: Any, like: Any, known: Any = None) -> Callable[[Any, int, int], Any]:
        """Return a function ``(carry, start, stop) -> (carry, logs)`` that evaluates; carry is (state, totals)."""

        def test(params: Any, state: Any, totals: Any, batch: Batch) -> Any:
            totals, state = self.trainer.test_step(params, state, totals, batch)
            return state, totals

        return self._stretch("test", test, segment, params, like, known)

    def check_batch(self, batch: Batch, rows: int) -> None:
        """Trace the objective on specs of a batch of so many rows, so that a wrong shape is refused before anything runs."""
        specs = jax.tree.map(lambda a: traceable(jax.ShapeDtypeStruct((rows, *a.shape[1:]), a.dtype)), batch)
        known = signature(specs)
        if known in self._checked or self.eager:  # a debugger is to meet numbers, not shapes
            return
        params, state = variables(self.trainer.layer, self.trainer.input_spec)
        jax.eval_shape(lambda p, s, b: self.trainer.test_step(p, s, self.trainer.empty(), b), params, state, specs)
        self._checked.add(known)

    def order(self, state: TrainState, n: int, total: int) -> jax.Array:
        """Return the order of an epoch, filled up with 0 to ``total``; the same numbers as ``trainer.order``.

        The shuffle bits are sorted on the host, several times as fast as XLA sorts on a CPU: they and the example's number make
        one number of 64 bits, so that equal ones stay in order.
        """
        bits = np.asarray(self._bits(state, total if _bits_are_counted(state.key) else n))[:n]
        numbered = bits.astype(np.uint64) << np.uint64(32) | np.arange(n, dtype=np.uint64)
        order = (np.sort(numbered) & np.uint64(0xFFFFFFFF)).astype(np.int32)
        return jax.device_put(np.pad(order, (0, total - n)))

    def _timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Count a function's first call, nearly all of it compilation, as such."""
        called: list[bool] = []

        def call(*args: Any) -> Any:
            if called:
                return function(*args)
            started = time.perf_counter()
            result = jax.block_until_ready(function(*args))
            self.compile_seconds += time.perf_counter() - started
            called.append(True)
            return result

        return call

    def empty(self) -> Any:
        """Return the totals of an epoch that has not begun."""
        if self._empty is None:
            self._empty = jax.device_get(self.trainer.empty())
        return self._empty

    def _predict(self, params: Any, state: Any, x: Any, key: Any, i: Any) -> Any:
        ctx = Context(key=jax.random.fold_in(key, i), frozen=self.trainer.frozen)
        y, state = self.trainer.layer.apply(params, state, x, ctx)
        return unmask(y), state

    def _stretch(
        self, kind: str, step: Callable[..., Any], segment: Segment, constant: Any, like: Any, known: Any
    ) -> Callable[..., Any]:
        fixed = (constant, segment.data, segment.order, np.int32(segment.n))
        if self.eager:
            one, _ = _bodies(step, segment.batch_size, segment.padded, segment.order is None)
            return lambda carry, start, stop: self._run_eagerly(one, carry, fixed, range(start, stop))
        key = (kind, segment.batch_size, segment.padded, known or signature(like), signature(fixed[:3]))
        program = self._programs.get(key)
        if program is None:
            bodies = _bodies(step, segment.batch_size, segment.padded, segment.order is None)
            program = self._programs[key] = self._compile(*bodies, (like, *fixed))
            if len(self._programs) > self.KEPT:
                self._programs.popitem(last=False)
        else:
            self._programs.move_to_end(key)
        return lambda carry, start, stop: program(carry, *fixed, start, stop)

    def _compile(self, one: Any, many: Any, args: Any) -> Callable[..., Any]:
        started = time.perf_counter()
        zero, results, spare = np.int32(0), self.trainer.objective.results, self.spare
        kept = _kept(args[0])
        options: Any = {} if kept is None else {"out_shardings": (kept, None)}

        def told(function: Any) -> Any:
            def with_logs(room: Any, *args: Any) -> Any:
                carry = function(*args)
                return carry, results(carry[-1])

            return jax.jit(with_logs, donate_argnums=0, keep_unused=True, **options)

        places = spare.places(args[0])
        room = spare.take(args[0], places)
        traced = None if many is None else told(many).trace(room, *args, zero, zero)
        singly = traced is None or not loops_well(traced.jaxpr.jaxpr)
        if singly:
            traced = told(one).trace(room, *args, zero)
        assert traced is not None
        compiled = traced.lower().compile()
        self.compilations += 1
        self.compile_seconds += time.perf_counter() - started

        def run(carry: Any, constant: Any, data: Any, order: Any, n: Any, start: int, stop: int) -> Any:
            bounds = [(np.int32(i),) for i in range(start, stop)] if singly else [(np.int32(start), np.int32(stop))]
            logs = None
            for bound in bounds:
                room, before = spare.take(carry, places), carry
                carry, logs = compiled(room, carry, constant, data, order, n, *bound)
                spare.keep(before, places)
                del before
            return carry, logs

        return run

    def _run_eagerly(self, one: Any, carry: Any, fixed: Any, steps: range) -> Any:
        with jax.disable_jit():
            for i in steps:
                carry = one(carry, *fixed, np.int32(i))
            return carry, self.trainer.objective.results(carry[-1])


def _bodies(step: Callable[..., Any], size: int, padded: bool, single: bool) -> tuple[Any, Any]:
    """Return the functions for one step and for a stretch of steps; None for the latter where there is but one batch."""

    def one(carry: Any, constant: Any, data: Any, order: Any, n: Any, i: Any) -> Any:
        if single:
            return step(constant, *carry, data._replace(valid=jnp.arange(size) < n if padded else None))
        return step(constant, *carry, pick(data, order, n, i, size, padded))

    def many(carry: Any, constant: Any, data: Any, order: Any, n: Any, start: Any, stop: Any) -> Any:
        return jax.lax.fori_loop(start, stop, lambda i, c: one(c, constant, data, order, n, i), carry)

    return one, None if single else many


class Spare:
    """The memory of a carry that is out of date, in which the next one is written: two sets of arrays, used in turn.

    On a CPU, memory that is new to the process costs more than a step: training a matrix of 8 million numbers took 25 to 150 ms a
    step in new memory and 10 ms in used. Donating the carry itself would be as fast, but an error would take it along, and the
    model or a user may hold it; what is given away here is nobody's. That is seen from the number of references to an array.
    """

    LEAST = 1 << 16  # bytes; smaller arrays come from memory that the process keeps

    def __init__(self) -> None:
        self._arrays: list[Any] = []

    def places(self, carry: Any) -> tuple[int, ...]:
        """Return which leaves of a carry are large: none where a device has memory of its own, or there are several."""
        leaves = jax.tree.leaves(carry)
        arrays = [leaf for leaf in leaves if isinstance(leaf, jax.Array)]
        alone = all(not leaf.committed or len(leaf.sharding.device_set) == 1 for leaf in arrays)
        if jax.default_backend() != "cpu" or not alone:
            return ()
        return tuple(i for i, a in enumerate(leaves) if not is_key(a) and a.nbytes >= self.LEAST)

    def take(self, carry: Any, places: tuple[int, ...]) -> tuple[jax.Array, ...]:
        """Return arrays to be donated, like those at some places of a carry."""
        free: list[Any] = self._arrays
        self._arrays = []
        if not places:
            return ()
        leaves, taken = jax.tree.leaves(carry), []
        free = free if len(free) == len(places) else [None] * len(places)
        for i in reversed(places):
            like: Any = leaves[i]
            array = cast(Any, free.pop())
            # one reference by this name, and one for the question
            if array is None or sys.getrefcount(array) > 2 or array.is_deleted() or not _alike(array, like):
                array = jax.device_put(np.empty(like.shape, like.dtype))
            taken.append(array)
        return tuple(taken[::-1])

    def keep(self, carry: Any, places: tuple[int, ...]) -> None:
        """Keep the arrays of a carry that is out of date."""
        leaves = jax.tree.leaves(carry) if places else []
        self._arrays = [leaves[i] for i in places]

    def drop(self) -> None:
        """Free the memory."""
        self._arrays = []


def _alike(a: Any, b: Any) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype


class Sizes:
    """To how many examples batches that come one by one are filled up, so that few sizes are compiled.

    The first batch keeps its size; another is filled up to a size known already, if that is less than twice its own, else to the
    next power of two.
    """

    def __init__(self) -> None:
        self._known: set[int] = set()

    def fit(self, n: int) -> int:
        """Return the size for a batch of n examples."""
        near = [size for size in self._known if n <= size < 2 * n]
        size = min(near) if near else bucket(n, 2 * n) if self._known else n
        self._known.add(size)
        return size


def signature(tree: Any) -> Any:
    """Return what a compiled program depends on."""
    leaves, structure = jax.tree.flatten(tree)
    return structure, tuple((leaf.shape, leaf.dtype, getattr(leaf, "weak_type", False), _laid(leaf)) for leaf in leaves)


def _bits_are_counted(key: Any) -> bool:
    """Whether random bits depend on the key and their place alone, so that those for n examples begin those for more."""
    typed = jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
    named = str(jax.random.key_impl(key)) if typed else str(_CONFIG.jax_default_prng_impl)
    return "threefry" in named and bool(_CONFIG.jax_threefry_partitionable)


def _laid(leaf: Any) -> Any:
    """Return the sharding of an array that is bound to it; others go where the program wants them."""
    return leaf.sharding if getattr(leaf, "committed", False) else None


def _kept(carry: Any) -> Any:
    """Return the shardings that a carry must come back with: its own, where it lies on a mesh; None leaves them to XLA."""
    mesh = next((laid.mesh for laid in map(_laid, jax.tree.leaves(carry)) if isinstance(laid, NamedSharding)), None)
    return None if mesh is None else jax.tree.map(lambda leaf: _laid(leaf) or NamedSharding(mesh, PartitionSpec()), carry)


def loops_well(jaxpr: Any) -> bool:
    """Whether a program may run inside a loop: on a CPU, XLA's convolution is some twenty times slower there."""
    return jax.default_backend() != "cpu" or not _contains(jaxpr, "conv_general_dilated")


def _contains(jaxpr: Any, primitive: str) -> bool:
    return any(
        equation.primitive.name == primitive or any(_contains(inner, primitive) for inner in _inner_jaxprs(equation.params))
        for equation in jaxpr.eqns
    )


def _inner_jaxprs(params: Any) -> Iterator[Any]:
    for value in jax.tree.leaves(list(params.values()), is_leaf=lambda v: hasattr(v, "jaxpr") or hasattr(v, "eqns")):
        inner = getattr(value, "jaxpr", value)
        if hasattr(inner, "eqns"):
            yield inner


class Pace:
    """How many steps go into one dispatch: about a tenth of a second's worth, so that a user can look on and interrupt."""

    SECONDS = 0.1

    def __init__(self, by_batch: bool):
        self._by_batch = by_batch
        self._per_step: float | None = None
        self._looked = time.perf_counter()

    def size(self) -> int:
        """Return how many steps to dispatch next."""
        if self._by_batch or self._per_step is None:
            return 1
        return max(1, min(int(self.SECONDS / max(self._per_step, 1e-7)), 1_000_000))

    def is_due(self) -> bool:
        """Whether a tenth of a second has gone by since this last said so: time to wait for what was dispatched."""
        now = time.perf_counter()
        due = self._by_batch or now - self._looked > self.SECONDS
        if due:
            self._looked = now
        return due

    def note(self, steps: int, seconds: float) -> None:
        """Learn from how long a dispatch took; the first one of a program says little, the next ones correct it."""
        self._per_step = seconds / steps


def bucket(n: int, batch_size: int) -> int:
    """Return the size to which n examples are filled up: a power of two, at most a full batch."""
    return min(batch_size, 1 << (n - 1).bit_length())


def fill_up(tree: Any, size: int) -> Any:
    """Repeat the first example at the end of every array until there are ``size``; a real example keeps numbers finite."""
    return jax.tree.map(lambda a: np.concatenate([a, np.repeat(np.asarray(a[:1]), size - a.shape[0], 0)]), tree)

"""Connectionist temporal classification (Graves et al., 2006): its loss, and labels from its outputs."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jkeras.core.operation import op


def _beyond(lengths: Any, size: int) -> Any:
    return jnp.arange(size) >= jnp.asarray(lengths, jnp.int32)[:, None]  # (batch, size)


@op
def ctc_loss(target: Any, output: Any, target_length: Any, output_length: Any, mask_index: int = 0) -> Any:
    """Return minus the log-probability of all ways to write each target: ``optax.ctc_loss``.

    Args:
      target: class numbers ``(batch, labels)``.
      output: logits ``(batch, time, classes)``.
      target_length, output_length: how many of each count, ``(batch,)``.
      mask_index: the class that stands for nothing.

    Returns:
      ``(batch,)``.
    """
    output, target = jnp.asarray(output), jnp.asarray(target, jnp.int32)
    output = output.astype(jnp.promote_types(output.dtype, jnp.float32))
    steps, labels = _beyond(output_length, output.shape[1]), _beyond(target_length, target.shape[1])
    return optax.ctc_loss(output, steps.astype(output.dtype), target, labels.astype(output.dtype), blank_id=mask_index)


@op
def ctc_decode(
    inputs: Any,
    sequence_lengths: Any,
    strategy: str = "greedy",
    beam_width: int = 100,
    top_paths: int = 1,
    merge_repeated: bool = True,
    mask_index: int = 0,
) -> tuple[Any, Any]:
    """Return the labels that outputs over time most probably write.

    Args:
      inputs: logits ``(batch, time, classes)``.
      sequence_lengths: how many steps count, ``(batch,)``.
      strategy: ``"greedy"`` takes the largest class of each step; ``"beam_search"`` sums over all ways to write each of
        ``beam_width`` prefixes.
      beam_width, top_paths: for beam search, how many prefixes are followed, and how many are returned.
      merge_repeated: for greedy, whether equal neighbours are one label.
      mask_index: the class that stands for nothing; None for the last.

    Returns:
      labels ``(paths, batch, time)``, -1 behind the last one, and scores ``(batch, paths)``: for greedy, minus the sum of the
      largest logits, for beam search the log-probability.
    """
    inputs, lengths = jnp.asarray(inputs), jnp.asarray(sequence_lengths, jnp.int32)
    inputs = inputs.astype(jnp.promote_types(inputs.dtype, jnp.float32))
    blank = inputs.shape[-1] - 1 if mask_index is None else mask_index
    if strategy == "greedy":
        return _greedy(inputs, lengths, merge_repeated, blank)
    if strategy != "beam_search":
        raise ValueError(f"strategy must be 'greedy' or 'beam_search', but got {strategy!r}.")
    search = jax.vmap(lambda logits, length: _search(jax.nn.log_softmax(logits), length, beam_width, top_paths, blank))
    paths, scores = search(inputs, lengths)
    return jnp.moveaxis(paths, 1, 0), scores


def _greedy(inputs: Any, lengths: Any, merge_repeated: bool, blank: int) -> tuple[Any, Any]:
    over = _beyond(lengths, inputs.shape[1])
    best = jnp.where(over, blank, inputs.argmax(-1))  # (batch, time)
    score = -jnp.where(over, 0, inputs.max(-1)).sum(1, keepdims=True)
    dropped = best == blank
    if merge_repeated:
        dropped |= jnp.pad(best[:, 1:] == best[:, :-1], ((0, 0), (1, 0)))
    order = jnp.argsort(dropped, axis=1, stable=True)  # labels first, as they come
    return jnp.take_along_axis(jnp.where(dropped, -1, best), order, 1)[None], score


def _search(log_probs: Any, length: Any, width: int, top: int, blank: int) -> tuple[Any, Any]:
    """Follow the ``width`` most probable prefixes through ``(time, classes)`` log-probabilities.

    A prefix has two scores: of the ways to write it that end with nothing, and of those that end with its last label, which
    said again is still the same label.
    """
    time, classes = log_probs.shape
    none = -jnp.inf

    def step(carry: Any, at: Any) -> tuple[Any, None]:
        paths, sizes, ended, open_ = carry  # (width, time), then (width,) each
        t, now = at
        last = jnp.where(sizes > 0, paths[jnp.arange(width), sizes - 1], -1)
        either = jnp.logaddexp(ended, open_)
        grown = jnp.where(jnp.arange(classes) == last[:, None], ended[:, None], either[:, None]) + now  # (width, classes)
        grown = grown.at[:, blank].set(none)
        # A prefix that is another one and one label more is that one grown: what both say belongs to one of them.
        begins = (paths[:, None] == paths[None]) | (jnp.arange(time) >= sizes[:, None, None])
        child = begins.all(-1) & (sizes[None] == sizes[:, None] + 1)  # (width, width): the second is a child of the first
        given = jnp.where(child, grown[:, jnp.maximum(last, 0)], none)
        taken = jnp.zeros((width, classes), bool).at[:, jnp.maximum(last, 0)].max(child)
        stay_ended = either + now[blank]
        stay_open = jnp.logaddexp(jnp.where(last >= 0, open_ + now[last], none), jax.nn.logsumexp(given, 0))
        grown = jnp.where(taken, none, grown)
        scores = jnp.concatenate([jnp.logaddexp(stay_ended, stay_open), grown.ravel()])
        best, index = jax.lax.top_k(scores, width)
        parent, label = jnp.where(index < width, index, (index - width) // classes), (index - width) % classes
        grows = index >= width
        new_paths, new_sizes = paths[parent], sizes[parent]
        new_paths = jnp.where(grows[:, None] & (jnp.arange(time) == new_sizes[:, None]), label[:, None], new_paths)
        # What has no probability is nobody's child and nobody's parent.
        new_sizes = jnp.where(jnp.isneginf(best), -time - 2, new_sizes + grows)
        new = new_paths, new_sizes, jnp.where(grows, none, stay_ended[parent]), jnp.where(grows, best, stay_open[parent])
        return jax.tree.map(lambda a, b: jnp.where(t < length, a, b), new, carry), None

    start = (
        jnp.full((width, time), -1),
        jnp.full(width, -time - 2).at[0].set(0),
        jnp.full(width, none, log_probs.dtype).at[0].set(0.0),
        jnp.full(width, none, log_probs.dtype),
    )
    (paths, sizes, ended, open_), _ = jax.lax.scan(step, start, (np.arange(time), log_probs))
    scores, index = jax.lax.top_k(jnp.logaddexp(ended, open_), top)
    return jnp.where(jnp.arange(time) < sizes[index][:, None], paths[index], -1), scores

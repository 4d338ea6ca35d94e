"""Training over several devices, on meshes of the host."""

import os
import subprocess
import sys
import textwrap

import pytest

_MESHES = """
    import jax, numpy as np, optax
    from jax.sharding import AxisType, NamedSharding, PartitionSpec as P
    import jkeras
    from jkeras.layers import BatchNormalization, Dense, Dropout

    x = np.random.default_rng(0).random((62, 6)).astype("float32")
    y = np.arange(62) % 3

    def model(optimizer="sgd"):
        layers = [Dense(8, "relu"), BatchNormalization(), Dropout(0.3), Dense(3, "softmax")]
        made = jkeras.Sequential([jkeras.Input((6,)), *layers])
        made.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"], seed=1)
        return made

    def run(kind, function, n=60):
        trainer = model().trainer
        state, data = trainer.init(jax.random.key(0)), trainer.named((x[:n], y[:n]))
        if kind is None:
            return getattr(trainer, function)(state, data)
        mesh = jax.make_mesh((4,), ("data",), axis_types=(kind,))
        state = jax.device_put(state, NamedSharding(mesh, P()))
        data = jax.device_put(data, NamedSharding(mesh, P("data")))
        with jax.set_mesh(mesh):
            return jax.jit(getattr(trainer, function))(state, data)

    for function in ("step", "epoch"):
        wanted = run(None, function)
        for kind in (AxisType.Auto, AxisType.Explicit):
            got = run(kind, function)
            for a, b in zip(jax.tree.leaves((got[0].params, got[1])), jax.tree.leaves((wanted[0].params, wanted[1]))):
                np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)

    # psum inside optax, under shard_map: each device has a part of the batch, and all take the same step
    averaged = optax.chain(optax.stateless(lambda g, _: jax.lax.pmean(g, "data")), optax.sgd(0.1))
    plain = jkeras.Sequential([jkeras.Input((6,)), Dense(3, "softmax")])
    plain.compile(averaged, "sparse_categorical_crossentropy", seed=1)
    trainer, mesh = plain.trainer, jax.make_mesh((4,), ("data",), axis_types=(AxisType.Auto,))
    state, data = trainer.init(jax.random.key(0)), trainer.named((x[:60], y[:60]))
    specs = {"in_specs": (P(), P("data")), "out_specs": P(), "check_vma": False}
    mapped = jax.shard_map(lambda s, d: trainer.step(s, d)[0].params, mesh=mesh, **specs)
    plain.compile(optax.sgd(0.1), "sparse_categorical_crossentropy", seed=1)
    alone = plain.trainer.step(plain.trainer.init(jax.random.key(0)), data)[0].params
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), jax.jit(mapped)(state, data), alone)

    # a state that is held with another sharding gets a program of its own
    spread, still = model(), model()
    for made in (spread, still):
        made.fit(x, y, verbose=0)
    spread.hold(jax.device_put(spread.train_state(), NamedSharding(mesh, P())))
    got, wanted = (made.fit(x, y, epochs=2, verbose=0).history["loss"] for made in (spread, still))
    np.testing.assert_allclose(got, wanted, rtol=1e-5)

    # parameters divided over devices stay so from one dispatch to the next
    divided = model()
    divided.fit(x, y, verbose=0)
    lay = lambda a: NamedSharding(mesh, P(None, "data") if a.shape == (6, 8) else P())
    divided.hold(jax.tree.map(lambda a: jax.device_put(a, lay(a)), divided.train_state()))
    still = model()
    still.fit(x, y, verbose=0)
    got, wanted = (made.fit(x, y, epochs=2, batch_size=16, verbose=0).history["loss"] for made in (divided, still))
    np.testing.assert_allclose(got, wanted, rtol=1e-4)
    print("all of it")
"""


@pytest.mark.slow
def test_meshes_automatic_and_explicit_shard_map_and_held_shardings_give_the_numbers_of_one_device():
    env = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=4 --xla_backend_optimization_level=0"}
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(_MESHES)], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.strip() == "all of it"

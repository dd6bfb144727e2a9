"""The chunked cross-entropy under JAX's transformations: values and gradients of the plain one without them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from rnnjax.training import batch_mesh, softmax_loss
from rnnjax.training.devices import AXIS

# Problems that are mapped over, targets, features and words.
PROBLEMS, NUMBER, FEATURES, WORDS = 4, 6, 3, 5
RANDOM = np.random.default_rng(0)
FLOATS = {
    "features": RANDOM.normal(size=(PROBLEMS, NUMBER, FEATURES)).astype(np.float32),
    "kernel": RANDOM.normal(size=(PROBLEMS, FEATURES, WORDS)).astype(np.float32),
    "bias": RANDOM.normal(size=(PROBLEMS, WORDS)).astype(np.float32),
}
TARGETS = RANDOM.integers(0, WORDS, (PROBLEMS, NUMBER)).astype(np.int32)
WEIGHTS = RANDOM.random((PROBLEMS, NUMBER)).astype(np.float32)
# The loss's own gradient, another one for each problem.
COTANGENTS = np.array([1.0, -2.0, 0.5, 3.0], np.float32)
# Relative to an array's largest number. Largest error measured: 3e-7.
RELATIVE_TOLERANCE = 2e-6


def chunked(features, kernel, bias, targets, weights):
    return softmax_loss(features, kernel, bias, targets, weights, chunk=4)[0]


def plain(features, kernel, bias, targets, weights):
    return (optax.softmax_cross_entropy_with_integer_labels(features @ kernel + bias, targets) * weights).sum()


def scanned(function):
    """The sum of two halves' losses."""

    def sum_of_halves(features, kernel, bias, targets, weights):
        halves = jax.tree.map(lambda leaf: leaf.reshape(2, NUMBER // 2, *leaf.shape[1:]), (features, targets, weights))

        def half(total, xs):
            return total + function(xs[0], kernel, bias, *xs[1:]), None

        return jax.lax.scan(half, jnp.float32(0), halves)[0]

    return sum_of_halves


def chosen(function):
    """The loss in one branch, taken where the targets' weights say so: here, always."""

    def choose(*arguments):
        return jax.lax.cond(arguments[-1].sum() > 0, function, lambda *_: jnp.float32(0), *arguments)

    return choose


def over_problems(function, axes):
    """Problem after problem by a scan, whatever the axes."""

    def scan(*arguments):
        moved = [
            leaf if axis is None else jnp.moveaxis(leaf, axis, 0) for leaf, axis in zip(arguments, axes, strict=True)
        ]

        def one(_, index):
            return _, function(*(leaf if a is None else leaf[index] for leaf, a in zip(moved, axes, strict=True)))

        return jax.lax.scan(one, None, jnp.arange(PROBLEMS))[1]

    return scan


def over_devices(function, axes, check):
    """Half of the problems on each of two devices."""
    mesh = batch_mesh(2)
    specs = tuple(jax.P() if axis is None else jax.P(*[None] * axis, AXIS) for axis in axes)
    return jax.shard_map(jax.vmap(function, axes), mesh=mesh, in_specs=specs, out_specs=jax.P(AXIS), check_vma=check)


MAPS = {
    "vmap": jax.vmap,
    "vmap of jit": lambda function, axes: jax.vmap(jax.jit(function), axes),
    "vmap of checkpoint": lambda function, axes: jax.vmap(jax.checkpoint(function), axes),
    "vmap of scan": lambda function, axes: jax.vmap(scanned(function), axes),
    "vmap of cond": lambda function, axes: jax.vmap(chosen(function), axes),
    "scan": over_problems,
    "shard_map": functools.partial(over_devices, check=True),
    "shard_map unchecked": functools.partial(over_devices, check=False),
}
# Where each argument has its axis of problems; None: all problems share it.
AXES = {
    "first": (0, 0, 0, 0, 0),
    "last": (2, 2, 1, 1, 1),
    "shared kernel": (0, None, None, 0, 0),
    "own kernel": (None, 2, 0, None, None),
    "own bias": (None, None, 1, None, None),
    "own weights": (None, None, None, None, 0),
}


def laid_out(axes):
    """The arguments with their problems where the axes say; of what is shared, the first problem's."""
    arrays = (*FLOATS.values(), TARGETS, WEIGHTS)
    return [
        jnp.asarray(a[0] if axis is None else np.moveaxis(a, 0, axis)) for a, axis in zip(arrays, axes, strict=True)
    ]


@functools.cache
def expected(name):
    """Losses, and the gradient of their sum weighted by the cotangents, problem by problem."""
    axes, arguments = AXES[name], laid_out(AXES[name])

    def losses(floats):
        given = [*floats, *arguments[3:]]
        return jnp.stack(
            [
                plain(*(leaf if a is None else jnp.take(leaf, p, axis=a) for leaf, a in zip(given, axes, strict=True)))
                for p in range(PROBLEMS)
            ]
        )

    floats = arguments[:3]
    return jax.jit(losses)(floats), jax.jit(jax.grad(lambda floats: losses(floats) @ COTANGENTS))(floats)


def assert_alike(got, want):
    def alike(got, want):
        got, want = np.asarray(got, np.float64), np.asarray(want, np.float64)
        assert got.shape == want.shape
        np.testing.assert_allclose(got, want, rtol=0, atol=RELATIVE_TOLERANCE * np.abs(want).max())

    jax.tree.map(alike, got, want)


# Every place of the axis where JAX puts it into a program by itself, a few elsewhere.
CASES = [(mapped, axes) for mapped in ("vmap of jit", "shard_map") for axes in AXES]
CASES += [(mapped, axes) for mapped in MAPS for axes in ("last", "shared kernel") if (mapped, axes) not in CASES]


@pytest.mark.quick("vmap of jit-*", "vmap of scan-shared kernel", "shard_map-first")
@pytest.mark.parametrize(("mapped", "axes"), CASES)
def test_with_the_gradient_outside(mapped, axes):
    arguments = laid_out(AXES[axes])
    function = MAPS[mapped](chunked, AXES[axes])

    @jax.jit
    @functools.partial(jax.value_and_grad, has_aux=True)
    def differentiated(floats):
        losses = function(*floats, *arguments[3:])
        return losses @ COTANGENTS, losses

    (_, losses), gradient = differentiated(arguments[:3])
    assert_alike((losses, gradient), expected(axes))


INNER = {
    "vmap": chunked,
    "vmap of jit": jax.jit(chunked),
    "vmap of checkpoint": jax.checkpoint(chunked),
    "vmap of scan": scanned(chunked),
    "vmap of cond": chosen(chunked),
    "shard_map": chunked,
}


@pytest.mark.parametrize("mapped", INNER)
def test_with_the_gradient_inside(mapped):
    slope = jax.grad(INNER[mapped], argnums=(0, 1, 2))
    function = over_devices(slope, AXES["first"], True) if mapped == "shard_map" else jax.vmap(slope)
    got = jax.jit(function)(*laid_out(AXES["first"]))
    got = [COTANGENTS.reshape(-1, *[1] * (leaf.ndim - 1)) * leaf for leaf in got]
    assert_alike(got, expected("first")[1])


@pytest.mark.quick("True")
@pytest.mark.parametrize("check", [True, False])
def test_rows_that_devices_share(check):
    """One problem's rows on two devices, with the gradient outside."""
    features, kernel, bias, targets, weights = laid_out((None,) * 5)
    rows, whole = jax.P(AXIS), jax.P()

    def local(features, kernel, bias, targets, weights):
        return jax.lax.psum(chunked(features, kernel, bias, targets, weights), AXIS)

    specs = {"in_specs": (rows, whole, whole, rows, rows), "out_specs": whole, "check_vma": check}
    split = jax.shard_map(local, mesh=batch_mesh(2), **specs)
    got = jax.jit(jax.value_and_grad(split, argnums=(0, 1, 2)))(features, kernel, bias, targets, weights)
    assert_alike(got, jax.value_and_grad(plain, argnums=(0, 1, 2))(features, kernel, bias, targets, weights))


@pytest.mark.quick("vmap of checkpoint")
@pytest.mark.parametrize("mapped", ["vmap of jit", "vmap of checkpoint"])
def test_second_gradients(mapped):
    """Of the loss with respect to everything, times a vector: reverse over reverse, and forward over reverse."""
    arguments = laid_out(AXES["first"])
    direction = [jnp.asarray(np.random.default_rng(1).normal(size=leaf.shape), jnp.float32) for leaf in arguments[:3]]

    def reverse(function, floats):
        def slope(floats):
            gradient = jax.grad(lambda floats: function(*floats, *arguments[3:]) @ COTANGENTS)(floats)
            return sum((g * d).sum() for g, d in zip(gradient, direction, strict=True))

        return jax.grad(slope)(floats)

    def forward(function, floats):
        gradient = jax.grad(lambda floats: function(*floats, *arguments[3:]) @ COTANGENTS)
        return jax.jvp(gradient, (floats,), (direction,))[1]

    want = jax.jit(functools.partial(reverse, jax.vmap(plain)))(arguments[:3])
    function = MAPS[mapped](chunked, AXES["first"])
    for second in (reverse, forward):
        assert_alike(jax.jit(functools.partial(second, function))(arguments[:3]), want)


def test_forward_mode_alone_is_refused():
    arguments = laid_out((None,) * 5)
    with pytest.raises(TypeError, match="forward-mode"):
        jax.jvp(lambda kernel: chunked(arguments[0], kernel, *arguments[2:]), arguments[1:2], arguments[1:2])

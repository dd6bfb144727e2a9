"""Memory tasks: the answers are what the sequences say, and chance and known solution are what they are said to be."""

import functools
import math
from typing import Any

import jax
import numpy as np
import pytest
from sklearn.svm import SVC

from rnnjax.data.digits import TEST, Digits, digits
from rnnjax.data.memory_task import Levels
from rnnjax.data.memory_tasks import Adding, Copy, Order, Parity, Recall

MANY = 4000
TASKS = {task.__class__.__name__: task for task in (Adding(30), Copy(7), Recall(9), Parity(11), Order(30), Digits())}
GENERATED = {name: task for name, task in TASKS.items() if name != "Digits"}
each_task = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS.keys())
each_generated = pytest.mark.parametrize("task", GENERATED.values(), ids=GENERATED.keys())


@pytest.fixture(scope="module", autouse=True)
def compile_quickly(quick_compile):
    """Compiling is most of these tests' time."""


@functools.partial(jax.jit, static_argnums=(0, 2))
def draw(task, key, count):
    return task.sample(key, count)


@functools.partial(jax.jit, static_argnums=0)
def measure(task, outputs, targets):
    return task.measure(outputs, targets)


@functools.cache
def many(task, seed=1):
    """A large sample in NumPy."""
    return jax.tree.map(np.asarray, draw(task, jax.random.key(seed), MANY))


def chosen(classes, count):
    """Outputs that are sure of these classes."""
    return 100.0 * np.eye(count)[classes]


def solution(task: Any, inputs: np.ndarray) -> np.ndarray:
    """Answers from the inputs alone, by a program that does what the task asks."""
    symbols = inputs.argmax(axis=-1)
    match task:
        case Adding():
            return (inputs[..., 0] * inputs[..., 1]).sum(axis=1)[:, None, None]
        case Copy():
            blanks = np.full((len(inputs), task.time + 10), task.blank)
            return chosen(np.concatenate([blanks, symbols[:, :10]], axis=1), 9)
        case Recall():
            return chosen(inputs[:, 0, :8].argmax(axis=-1)[:, None], 8)
        case Parity():
            return chosen(np.cumsum(inputs[..., 0] > 0, axis=1) % 2, 2)
        case Order():
            pairs = [row[(row == task.x) | (row == task.x + 1)] - task.x for row in symbols]
            return chosen(np.array([[2 * first + second] for first, second in pairs]), 4)
    raise AssertionError(task)


def by_chance(task, targets):
    """Answers that look at nothing."""
    match task:
        case Adding():
            return np.ones((*targets.shape, 1))
        case Copy():
            outputs = chosen(np.full(targets.shape, task.blank), 9)
            outputs[:, -10:] = np.append(np.zeros(8), -100)
            return outputs
    return np.zeros((*targets.shape, task.outputs))


@each_task
def test_shapes_are_what_the_task_says(task):
    sample = jax.eval_shape(lambda key: task.sample(key, 3), jax.random.key(0))
    assert sample.inputs.shape == (3, task.steps, task.features)
    assert sample.targets.shape == (3, task.answers)


@each_task
def test_a_sample_depends_on_its_key_alone(task):
    one, other, same = many(task), many(task, 2), draw(task, jax.random.key(1), MANY)
    np.testing.assert_array_equal(one.inputs, same.inputs)
    np.testing.assert_array_equal(one.targets, same.targets)
    assert (one.inputs != other.inputs).any(axis=(1, 2)).mean() > 0.9


@each_generated
def test_the_known_solution_is_in_the_inputs(task):
    sample = many(task)
    loss, score = measure(task, solution(task, sample.inputs), sample.targets)
    known = task.known_solution
    assert (abs(loss - known.loss) < 1e-6, float(score)) == (True, known.score)
    assert task.is_solved(float(loss), float(score))


@each_task
def test_chance_is_what_a_constant_answer_has(task):
    targets = many(task).targets
    loss, score = measure(task, by_chance(task, targets), targets)
    # Four standard errors and more; a score of ties counts the first class only, of about a share of 1 in O.
    np.testing.assert_allclose(loss, task.chance.loss, rtol=0.05)
    np.testing.assert_allclose(score, task.chance.score, atol=0.035)
    assert not task.is_solved(float(loss), float(score))


@each_task
def test_the_loss_of_outputs_of_0(task):
    targets = many(task).targets
    loss, _ = measure(task, np.zeros((*targets.shape, task.outputs), np.float32), targets)
    np.testing.assert_allclose(loss, task.zero_loss, rtol=0.02)


def test_levels_by_hand():
    assert Adding().chance.loss == 2 / 12
    # P(|x + y - 1| < a) for uniform x, y.
    numbers = np.random.default_rng(0).random((2, 100_000)).sum(axis=0)
    np.testing.assert_allclose(Adding().chance.score, np.mean(np.abs(numbers - 1) < 0.08), atol=0.005)
    assert Copy(100).chance == Levels(10 * math.log(8) / 120, 1 / 8)
    assert [task.chance.loss for task in (Recall(), Parity(), Order())] == [math.log(8), math.log(2), math.log(4)]


def test_adding_marks_one_number_in_each_half():
    marks = many(Adding(30)).inputs[..., 1]
    np.testing.assert_array_equal(marks[:, :15].sum(axis=1), 1)
    np.testing.assert_array_equal(marks[:, 15:].sum(axis=1), 1)
    assert (marks.sum(axis=0) > 0.5 * MANY / 15).all()  # every step is marked as often as the next


def test_copy_has_blanks_where_they_belong():
    task, symbols = Copy(7), many(Copy(7)).inputs.argmax(axis=-1)
    assert set(np.unique(symbols[:, :10])) == set(range(8))
    np.testing.assert_array_equal(
        symbols[:, 10:], np.tile([*[task.blank] * 6, task.delimiter, *[task.blank] * 10], (MANY, 1))
    )


def test_recall_draws_what_distracts_from_the_same_symbols():
    inputs = many(Recall(9)).inputs
    np.testing.assert_array_equal(inputs[..., -1], np.tile(np.arange(9) == 0, (MANY, 1)))
    np.testing.assert_array_equal(inputs[..., :8].sum(axis=-1), 1)
    np.testing.assert_allclose(inputs[..., :8].mean(axis=0), 1 / 8, atol=0.03)


def test_order_puts_its_symbols_into_their_tenths():
    task, symbols = Order(30), many(Order(30)).inputs.argmax(axis=-1)
    relevant = (symbols == task.x) | (symbols == task.x + 1)
    assert set(np.flatnonzero(relevant.any(axis=0))) == {3, 4, 5, 15, 16, 17}
    assert (set(symbols[:, 0]), set(symbols[:, -1])) == ({task.start}, {task.end})
    assert set(np.unique(symbols[:, 1:-1])) == set(range(6))


def test_adding_is_correct_near_the_sum():
    loss, score = measure(Adding(), np.array([[[1.0]], [[1.05]], [[0.9]], [[1.2]]]), np.ones((4, 1)))
    np.testing.assert_allclose([loss, score], [(0.05**2 + 0.1**2 + 0.2**2) / 4, 0.5], rtol=1e-5)
    assert [Adding().is_solved(loss, 0.0) for loss in (0.00099, 0.001, math.nan)] == [True, False, False]


def test_copy_is_solved_by_loss_and_score():
    limit = Copy(100).chance.loss / 10
    pairs = [(0.99 * limit, 0.991), (limit, 0.991), (0.99 * limit, 0.99), (math.nan, 1.0)]
    assert [Copy(100).is_solved(*pair) for pair in pairs] == [True, False, False, False]


def test_scores_are_of_the_steps_that_count():
    parity, targets = Parity(4), np.array([[1, 0, 0, 1], [1, 1, 0, 0]])
    outputs = chosen(np.array([[0, 1, 1, 1], [1, 1, 0, 0]]), 2)
    loss, score = measure(parity, outputs, targets)
    np.testing.assert_allclose([loss, score], [100 * 3 / 8, 1])
    sample = many(Copy(7))
    outputs = solution(Copy(7), sample.inputs)
    outputs[:, :17] = 0  # blanks are not what is recalled
    assert measure(Copy(7), outputs, sample.targets)[1] == 1


@pytest.mark.parametrize("task", [Adding, Copy, Recall, Parity, Order], ids=lambda task: task.__name__)
def test_the_least_time_is_one_that_can_be_drawn(task):
    least = task(task.least_time)
    sample = jax.tree.map(np.asarray, draw(least, jax.random.key(0), 50))
    answers = solution(least, sample.inputs)
    picked = answers[..., 0] if task is Adding else answers.argmax(axis=-1)
    np.testing.assert_allclose(picked, sample.targets, rtol=1e-6)
    message = f"time: expected at least {task.least_time} for {task.__name__.lower()}, got {task.least_time - 1}"
    with pytest.raises(ValueError, match=message):
        task(task.least_time - 1)


def test_digits_are_drawn_from_the_training_part_only():
    images, labels = digits()
    assert (images.shape, labels.shape, images.min(), images.max()) == ((1797, 64, 1), (1797, 1), 0, 1)
    held_out = Digits().held_out(jax.random.key(0), 5)
    np.testing.assert_array_equal(held_out.inputs, images[-TEST:])
    np.testing.assert_array_equal(held_out.targets, labels[-TEST:])
    place = {image.tobytes(): row for row, image in enumerate(images)}
    assert len(place) == len(images)  # no image is in both parts
    sample = many(Digits())
    rows = np.array([place[image.tobytes()] for image in sample.inputs])
    np.testing.assert_array_equal(sample.targets, labels[rows])
    assert set(np.unique(rows)) <= set(range(1797 - TEST))
    assert len(np.unique(rows)) > 1300


def test_the_known_solution_of_digits_is_measured():
    images, labels = digits()
    pixels, classes = 16 * images[..., 0], labels[:, 0]
    machine: Any = SVC  # whose annotations know no number for gamma
    vectors = machine(gamma=0.001).fit(pixels[:-TEST], classes[:-TEST])
    assert vectors.score(pixels[-TEST:], classes[-TEST:]) == Digits().known_solution.score


def test_digits_have_one_time():
    for time, message in ((63, "at least 64 for digits, got 63"), (65, "64, the number of pixels of a digit, got 65")):
        with pytest.raises(ValueError, match=f"time: expected {message}"):
            Digits(time)

"""The small labelled file, a run folder trained on it once for all tests, and runs that are stopped."""

import contextlib
import io
import shutil

import compiling
import pytest
from complaints import end_of
from small_runs import STOPPED_AT, act_after, new, terminate
from tiny_reviews import TINY, write_reviews

from experiments.sentiment import __main__ as sentiment
from experiments.sentiment import evidence
from experiments.sentiment import train as training
from rnnjax.runs import Session


@pytest.fixture(scope="module", autouse=True)
def compile_quickly(quick_compile):
    """For every test of this folder."""


@pytest.fixture(scope="session")
def reviews(tmp_path_factory):
    return write_reviews(tmp_path_factory.mktemp("data") / "reviews.csv")


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory, reviews):
    path = tmp_path_factory.mktemp("runs") / "tiny"
    options = ["--source", str(reviews), "--epochs", "12", "--learning-rate", "0.02", "--run-folder", str(path)]
    with compiling.quickly():  # a fixture of the session is set up before those of a module
        sentiment.main(["bilstm-max", *TINY, *options])
    return path


@contextlib.contextmanager
def without_figures():
    """They take a second each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "draw", lambda *_: None)
        patch.setattr(Session, "draw_curves", lambda *_: None)
        yield patch


@pytest.fixture(scope="module")
def quick_runs():
    with without_figures():
        yield


@pytest.fixture(scope="session")
def unbroken(tmp_path_factory, reviews):
    """A run of three epochs that nothing stopped: no test writes to it."""
    path = tmp_path_factory.mktemp("resume") / "unbroken"
    with without_figures(), compiling.quickly():
        sentiment.main(new(reviews, path))
    return path


@pytest.fixture(scope="session")
def stopped_run(tmp_path_factory, reviews):
    """(The run folder, the status, what was said) of a run that got a SIGTERM; tests take a copy: `stopped`."""
    path = tmp_path_factory.mktemp("resume") / "stopped run"
    with without_figures() as patch, compiling.quickly(), contextlib.redirect_stderr(io.StringIO()) as said:
        act_after(patch, STOPPED_AT, terminate)
        status = end_of(sentiment, *new(reviews, path))
    return path, status, said.getvalue()


@pytest.fixture
def stopped(tmp_path, stopped_run):
    """A copy of the stopped run."""
    return shutil.copytree(stopped_run[0], tmp_path / "stopped run")


@pytest.fixture(scope="module")
def few_updates():
    """A linear model of a few words is learnt in less than users' thousand updates."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evidence, "LEAST_UPDATES", 30)
        yield

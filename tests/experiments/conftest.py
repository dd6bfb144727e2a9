"""The small labelled file, and a run folder trained on it once for all tests."""

import pytest
from tiny_reviews import TINY, write_reviews

from experiments import sentiment


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
    sentiment.main(["bilstm-max", *TINY, *options])
    return path

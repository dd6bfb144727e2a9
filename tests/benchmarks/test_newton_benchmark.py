"""`benchmarks.newton`: the exponent against a known one, and a small run with its rows."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from complaints import complaint_of

from benchmarks import newton
from benchmarks.newton_work import Case, contestants, largest_exponent, with_gain
from rnnjax import GRU, LSTM, Elman, MinGRU, ParaGRU

pytestmark = pytest.mark.usefixtures("quick_compile")


@pytest.mark.parametrize("gain", [0.5, 2.0])
def test_the_exponent_of_a_scaled_rotation_is_the_logarithm_of_its_scale(gain):
    cell, hidden = Elman(), 6
    params = with_gain(cell, cell.init_params(jax.random.key(0), 2, hidden), gain)
    # At zero, the slope of tanh is 1: every Jacobian is the orthogonal kernel times the gain.
    got = largest_exponent(cell, params, jnp.zeros((20, 3, 2)), cell.init_state(3, hidden), jax.random.key(1))
    np.testing.assert_allclose(got, np.log(gain), rtol=1e-5)


def test_the_gain_scales_what_reads_the_state():
    params = ParaGRU().init_params(jax.random.key(0), 2, 3)
    scaled = with_gain(ParaGRU(), params, 2.0)
    np.testing.assert_array_equal(scaled.extras.reset_weight, 2 * params.extras.reset_weight)
    np.testing.assert_array_equal(scaled.input.kernel, params.input.kernel)
    params = MinGRU().init_params(jax.random.key(0), 2, 3)
    assert with_gain(MinGRU(), params, 2.0) is params


def test_each_cell_meets_the_recurrences_that_run_it():
    case = Case("", 1.0, 100, 4, 2, 16)
    names = {type(cell): list(contestants(cell, case))[2:] for cell in (GRU(), ParaGRU(), MinGRU())}
    dense, diagonal = "Newton(method='dense')", "Newton(method='diagonal')"
    assert names == {GRU: [dense, diagonal], ParaGRU: ["Newton()"], MinGRU: ["Associative()"]}
    long = Case("", 1.0, 1_000_000, 4, 2, 16)
    assert list(contestants(LSTM(), long))[2:] == [diagonal]


def test_a_small_run_prints_and_writes_its_rows(tmp_path, capsys):
    options = ["--cells", "para-gru", "min-gru", "--gains", "0.5", "--times", "5", "--batches", "2", "--input", "2"]
    newton.main([*options, "--hidden", "2", "--rounds", "1", "--rows", str(tmp_path / "rows")])
    first, second = (json.loads(line) for line in (tmp_path / "rows").read_text().splitlines())
    assert first["exponent"] < 0
    found = first["recurrences"]["Newton()"]
    assert found["converged"]
    assert 0 < found["iterations"] <= 5
    assert found["deviation"] < 1e-5
    assert set(second["recurrences"]) == {"Scan()", "Chunked()", "Associative()"}
    assert all(result["seconds"][1] > 0 for result in second["recurrences"].values())
    assert "| min-gru | 0.5 | 5 | 2 |" in capsys.readouterr().out


def test_options_out_of_range_are_named(capsys):
    status, error = complaint_of(newton, capsys, "--gains", "0")
    assert (status, "gains: expected" in error) == (2, True), error

"""A run that was stopped goes on, on as many devices as there are then."""

import numpy as np
import pytest
from toy import make_batch, make_model, make_objective, make_state

from rnnjax.runs import Checkpoints
from rnnjax.training import Optimizer, batch_mesh, eval_step, fit, train_step

MODEL = make_model()
OPTIMIZER = Optimizer(learning_rate=3e-2, schedule="linear").transformation(20)


class Stop(Exception):
    """In place of a signal."""


@pytest.mark.slow
@pytest.mark.parametrize("devices", [1, 2])
def test_a_run_goes_on_on_another_number_of_devices(devices, tmp_path):
    def losses(path, devices, stop_at=None, resume=False):
        objective, mesh = make_objective(MODEL), batch_mesh(devices)
        step, evaluation = train_step(objective, OPTIMIZER, mesh, clip=1.0), eval_step(objective, mesh)
        state, position, found = make_state(MODEL, OPTIMIZER, step), None, {}
        with Checkpoints(path, steps=3) as checkpoints:
            if resume:
                state, position = checkpoints.restore(state)

            def watch(report):
                found[report.step] = report.loss
                if report.step == stop_at:
                    raise Stop

            batches = lambda epoch, first: (make_batch(10 * epoch + i) for i in range(first, 5))  # noqa: E731
            reports = fit(
                *(state, step, evaluation, batches, lambda: [make_batch(90)], 2, watch),
                position=position,
                checkpoints=checkpoints,
            )
            try:
                found |= {f"epoch {report.epoch}": report.train.loss for _, report in reports}
            except Stop:
                checkpoints.wait()
        return found

    whole = losses(tmp_path / "whole", 2)
    losses(tmp_path / "broken", 2, stop_at=5)
    rest = losses(tmp_path / "broken", devices, resume=True)
    assert set(rest) == {4, 5, 6, 7, 8, 9, 10, "epoch 1", "epoch 2"}
    for name, loss in rest.items():
        # One device and two sum in another order (measured: 2.4e-7); the same two give the same bits.
        np.testing.assert_allclose(loss, whole[name], rtol=0 if devices == 2 else 2e-6)

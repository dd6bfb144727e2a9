"""The mesh over the batch; the tests' process has two CPU devices."""

import jax
import pytest

from rnnjax.training import batch_mesh, devices, use_cpu_cores


def test_the_mesh_has_all_devices_or_the_first_few():
    assert list(batch_mesh().devices.flat) == jax.devices()
    assert list(batch_mesh(1).devices.flat) == jax.devices()[:1]


@pytest.mark.parametrize("count", [0, 3])
def test_devices_that_are_not_there_are_named(count):
    with pytest.raises(ValueError, match=f"devices: expected 1 to 2, which this machine has, got {count}"):
        batch_mesh(count)


def test_the_number_of_cpu_devices_is_fixed_by_the_first_computation(monkeypatch):
    monkeypatch.setattr(devices, "_usable_cores", lambda: 4)
    use_cpu_cores(2)  # as it is
    with pytest.raises(RuntimeError, match="num_cpu_devices"):
        use_cpu_cores(3)
    with pytest.raises(ValueError, match="devices: expected at least 1, got 0"):
        use_cpu_cores(0)


def test_there_are_no_more_cpu_devices_than_cores_unless_flags_of_xla_say_so(monkeypatch):
    monkeypatch.setattr(devices, "_usable_cores", lambda: 2)
    with pytest.raises(ValueError, match="devices: expected 1 to 2, which this machine has, got 99"):
        use_cpu_cores(99)
    monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=99")
    with pytest.raises(RuntimeError, match="num_cpu_devices"):  # JAX has started; otherwise it would be right
        use_cpu_cores(99)

"""Processes that do not fit together hear of it, all of them, before JAX does: here they are threads."""

import concurrent.futures
import re
import socket
import time

import pytest

from rnnjax.training import processes as meeting
from rnnjax.training.roll_call import call_roll, difference


@pytest.fixture
def port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def outcomes(port, cards, seconds=20):
    """What each process, given as (process, processes, facts), was told."""

    def one(card):
        process, processes, facts = card
        try:
            return call_roll(f"127.0.0.1:{port}", processes, process, facts, seconds)
        except (ValueError, ConnectionError) as error:
            return f"{type(error).__name__}: {error}"

    with concurrent.futures.ThreadPoolExecutor(len(cards)) as pool:
        return list(pool.map(one, cards))


def test_processes_that_fit_meet(port):
    for _ in range(2):  # the port is free again at once
        assert outcomes(port, [(2, 3, {"seed": 1}), (0, 3, {"seed": 1}), (1, 3, {"seed": 1})]) == [None] * 3


@pytest.mark.parametrize(
    ("cards", "said"),
    [
        (
            [(0, 3, {"seed": 1}), (1, 3, {"seed": 1}), (2, 3, {"seed": 2})],
            "ValueError: seed: expected the same in every process, got 1 in process 0, 2 in 2",
        ),
        (
            [(0, 2, {"seed": 1}), (1, 2, {"seed": 1, "clip": 0.5})],
            "ValueError: clip: expected the same in every process, got not there in process 0, 0.5 in 1",
        ),
        (
            [(0, 2, {}), (1, 3, {})],
            "ValueError: processes: expected the same in every process, got 2 in process 0, 3 in 1",
        ),
        (
            [(0, 3, {}), (1, 3, {}), (1, 3, {})],
            "ValueError: process: expected a different number in every process, got 1 twice",
        ),
    ],
)
def test_what_does_not_fit_is_named_in_every_process(cards, said, port):
    assert outcomes(port, cards) == [said] * len(cards)


def test_a_process_that_is_missing_is_named(port):
    said = "ConnectionError: expected all processes within 1 s, got no connection from 2"
    assert outcomes(port, [(0, 3, {}), (1, 3, {})], seconds=1) == [said] * 2


def test_a_stranger_on_the_port_is_no_process(port):
    def strangers():
        time.sleep(0.2)
        for words in (b"GET / HTTP/1.1\r\n\r\n\n", b"[1]\n", b'{"process": [], "processes": 2, "facts": {}}\n', b""):
            with socket.create_connection(("127.0.0.1", port)) as line:
                line.sendall(words)
        time.sleep(0.2)
        return outcomes(port, [(1, 2, {})])

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        later = pool.submit(strangers)
        assert outcomes(port, [(0, 2, {})]) == [None]
        assert later.result() == [None]


def test_a_port_that_is_taken_is_named():
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConnectionError, match=rf":{port}: expected a free port for process 0, got: Address"):
            meeting.join(f"127.0.0.1:{port}", 2, 0)

        def answer():
            line, _ = taken.accept()
            line.recv(100)
            line.sendall(b"HTTP/1.1 400 Bad Request\r\n")
            line.close()

        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            pool.submit(answer)
            expected = re.escape(f"expected process 0 at 127.0.0.1:{port}, got another program")
            with pytest.raises(ConnectionError, match=expected):
                meeting.join(f"127.0.0.1:{port}", 2, 1)


def test_differences_are_between_any_two():
    assert difference([{"a": 1}, {"a": 1}, {"a": 1}]) is None
    assert difference([{"a": 1}, {}]) == "a: expected the same in every process, got 1 in process 0, not there in 1"

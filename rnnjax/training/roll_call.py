"""Checks the processes of a run before JAX connects them, because JAX reports problems by ending them with a signal."""

import contextlib
import json
import socket
import time
from collections.abc import Mapping, Sequence
from typing import Any

# The most bytes of a message of a process; longer messages are from other programs.
MOST_BYTES = 1 << 20
# The longest wait for a message from a program that has connected.
PATIENCE_SECONDS = 5


def call_roll(coordinator: str, processes: int, process: int, facts: Mapping[str, Any], seconds: float) -> None:
    """Returns when every process has connected, all with different numbers and the same facts.

    Raises ConnectionError if a process is missing after so many seconds, or if the port is taken; ValueError, in every
    connected process, if numbers are inconsistent or facts differ.
    """
    card = {"process": process, "processes": processes, "facts": dict(facts)}
    if process == 0:
        _listen(coordinator, card, time.monotonic() + seconds, seconds)
    else:
        _answer(coordinator, card, time.monotonic() + seconds, seconds)


def difference(everyone: Sequence[Mapping[str, Any]]) -> str | None:
    """A message with the first fact in which two processes differ; None if there is none."""
    for process, facts in enumerate(everyone):
        for name in dict.fromkeys([*everyone[0], *facts]):
            first, other = (found.get(name, "not there") for found in (everyone[0], facts))
            if first != other:
                return f"{name}: expected the same in every process, got {first} in process 0, {other} in {process}"
    return None


def _listen(coordinator: str, card: dict[str, Any], end: float, seconds: float) -> None:
    """Process 0: reads the message of every other process, and answers each with an error message or None."""
    port = int(coordinator.rpartition(":")[2])
    cards, lines = {0: card}, []
    try:
        # The port that JAX will use: if it is taken, JAX ends by SIGSEGV.
        listening = _server(port)
    except OSError as error:
        raise ConnectionError(f"{coordinator}: expected a free port for process 0, got: {error.strerror}") from error
    with listening:
        wrong = None
        while wrong is None and len(cards) < card["processes"]:
            listening.settimeout(max(end - time.monotonic(), 0.01))
            try:
                line, _ = listening.accept()
            except TimeoutError:
                missing = ", ".join(str(n) for n in range(card["processes"]) if n not in cards)
                wrong = f"expected all processes within {seconds} s, got no connection from {missing}"
                break
            lines.append(line)
            other = _read(line)
            if not _is_card(other):
                lines.pop().close()
                continue
            wrong = _misfit(card, other, cards)
            cards[other["process"]] = other
        if wrong is None:
            wrong = difference([cards[number]["facts"] for number in range(len(cards))])
        for line in lines:
            _send(line, wrong)
            line.close()
    if wrong is not None:
        raise _error(wrong)


def _server(port: int) -> socket.socket:
    if socket.has_dualstack_ipv6():
        return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server(("", port))


def _is_card(value: Any) -> bool:
    """Whether a message is from a process of a run, not from another program."""
    kinds = {"process": int, "processes": int, "facts": dict}
    return isinstance(value, dict) and all(isinstance(value.get(name), kind) for name, kind in kinds.items())


def _misfit(card: dict[str, Any], other: dict[str, Any], cards: dict[int, Any]) -> str | None:
    if other["processes"] != card["processes"]:
        return (
            f"processes: expected the same in every process, got {card['processes']} in process 0, "
            f"{other['processes']} in {other['process']}"
        )
    if other["process"] in cards:
        return f"process: expected a different number in every process, got {other['process']} twice"
    return None


def _answer(coordinator: str, card: dict[str, Any], end: float, seconds: float) -> None:
    """Every other process: sends its message to process 0, and reads the answer."""
    host, _, port = coordinator.rpartition(":")
    while True:
        try:
            line = socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE_SECONDS)
            break
        except OSError as error:
            if time.monotonic() > end:
                raise ConnectionError(
                    f"{coordinator}: expected process 0 within {seconds} s, got no answer ({error})"
                ) from error
            time.sleep(0.1)
    with line:
        _send(line, card)
        line.settimeout(seconds + PATIENCE_SECONDS)  # process 0 waits for the others
        wrong = _read(line)
    if wrong is not None:
        raise _error(wrong if isinstance(wrong, str) else f"expected process 0 at {coordinator}, got another program")


def _error(wrong: str) -> Exception:
    return (ConnectionError if wrong.startswith("expected") else ValueError)(wrong)


def _send(line: socket.socket, value: Any) -> None:
    with contextlib.suppress(OSError):  # the other process may have ended
        line.sendall(json.dumps(value).encode() + b"\n")


def _read(line: socket.socket) -> Any:
    """A line of JSON; an empty dict, which is neither a message nor an answer, for anything else."""
    if line.gettimeout() is None:
        line.settimeout(PATIENCE_SECONDS)
    said = b""
    try:
        while not said.endswith(b"\n") and len(said) < MOST_BYTES:
            block = line.recv(1 << 16)
            if not block:
                return {}
            said += block
        return json.loads(said)
    except (OSError, ValueError, RecursionError):
        return {}

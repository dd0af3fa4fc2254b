"""A cluster's door that fails for a moment is tried once more, quietly; one that stays shut is told with Ray's reason.

Mutations that turn these red: try as often as it fails; try again where versions differ; tell the head of a traceback.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterator

import pytest

from search.errors import SurroundingsError
from search.tuner.joining import join
from search.tuner.taming import silence

BUSY = "Initialization failure from server:\nTraceback (most recent call last):\n  File x\nRuntimeError: no one came\n"
SLOW = "Initialization failure from server:\nTraceback:\nRuntimeError: Proxy failed to Connect to backend! Check `x`.\n"
GONE = "Request can't be sent because the Ray client has already been disconnected due to an error. Last exception: x"


@pytest.fixture
def door() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"ray://127.0.0.1:{server.getsockname()[1]}"


def failing(*errors: Exception, tried: list[str]) -> Callable[[], None]:
    """Return what fails so many times, and succeeds from then on."""
    left = [*errors]

    def begin() -> None:
        tried.append("begin")
        if left:
            raise left.pop(0)

    return begin


def test_a_door_that_fails_once_is_tried_again(door: str) -> None:
    tried: list[str] = []
    join(door, failing(ConnectionAbortedError(BUSY), tried=tried), lambda: tried.append("clear"))
    assert tried == ["begin", "clear", "begin"]


@pytest.mark.parametrize(
    ("error", "tries", "said"),
    [
        (ConnectionAbortedError(BUSY), 2, "cannot be joined: RuntimeError: no one came; try again"),
        (
            ConnectionAbortedError(SLOW),
            2,
            "cannot be joined: its head took too long to start a server for us; try again",
        ),
        (
            ConnectionAbortedError("Initialization failure from server:\n"),
            2,
            "Initialization failure from server; try again",
        ),
        (ConnectionError(GONE), 2, "was lost while the cluster was being joined; try again"),
        (ConnectionError("word " * 90), 2, "word word ...; try again"),
        (ConnectionError(), 2, "cannot be joined: ConnectionError; try again"),
        (RuntimeError("Version mismatch: Python"), 1, "runs other versions than"),
        (ValueError("no such thing"), 1, "cannot be joined: no such thing"),
        (Exception("The node timed out"), 1, "cannot be joined: The node timed out"),
    ],
)
def test_a_door_that_stays_shut_is_told_with_the_reason(door: str, error: Exception, tries: int, said: str) -> None:
    tried: list[str] = []
    with pytest.raises(SurroundingsError) as caught:
        join(door, failing(error, error, tried=tried), lambda: None)
    assert said in caught.value.sentence()
    assert len(tried) == tries


def test_a_ray_of_our_own_that_does_not_start_is_told_with_the_reason() -> None:
    tried: list[str] = []
    late = Exception("The current node timed out during startup.")  # plain, as Ray raises it
    with pytest.raises(SurroundingsError, match=r"Ray does not start on this machine: The current node timed out"):
        join(None, failing(late, tried=tried), lambda: None)
    assert tried == ["begin"]


def test_a_head_that_has_gone_meanwhile_is_told(door: str) -> None:
    with pytest.raises(SurroundingsError, match="no Ray cluster answers at"):
        join("ray://127.0.0.1:1", failing(ConnectionError(GONE), tried=[]), lambda: None)


def test_rays_own_words_about_its_log_channel_reach_nobody(capfd: pytest.CaptureFixture[str]) -> None:
    import ray.util.client.logsclient as theirs

    silence()
    theirs.logger.setLevel(logging.INFO)  # as it does itself
    theirs.logger.warning("Log channel is reconnecting.")
    assert capfd.readouterr().err == ""

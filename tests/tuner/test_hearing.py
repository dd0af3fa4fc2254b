"""Signals are heard whatever the main thread does, taken in order, and put off where something is half done."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from search.tuner.signals import listening

BUSY = """
import hashlib
from search.tuner.signals import listening
with listening() as interruption:
    interruption.can_pause = True
    print("ready", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 100_000_000)
"""


def test_the_second_signal_ends_a_process_whose_main_thread_is_in_native_code() -> None:
    """Turns red when the handler in the main thread takes the signals, and not the thread that hears them."""
    with subprocess.Popen([sys.executable, "-c", BUSY], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        time.sleep(0.5)  # two that wait at the same time are heard in any order
        begun = time.monotonic()
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 143
    assert time.monotonic() - begun < 2
    assert err == b"ended at once; what was reported is stored\n"


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_has_been_taken_when_the_next_line_runs_and_waits_for_what_is_half_done(sent: signal.Signals) -> None:
    before = [signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)]
    with listening() as interruption:
        interruption.can_pause = True
        with interruption.put_off():
            os.kill(os.getpid(), sent)
            time.sleep(0.1)
            assert not interruption.asked.is_set()
        assert interruption.asked.is_set()
    assert interruption.signum == sent
    assert [signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)] == before
    assert signal.set_wakeup_fd(-1) == -1


def test_a_signal_is_not_lost_where_somebody_else_took_the_pipe_that_tells_of_it() -> None:
    other = os.pipe()
    os.set_blocking(other[1], False)
    with listening() as interruption:
        interruption.can_pause = True
        signal.set_wakeup_fd(other[1])
        os.kill(os.getpid(), signal.SIGINT)
        assert interruption.asked.wait(1)
    for fd in other:
        os.close(fd)


ENDING = """
import threading, time
from search.tuner.signals import listening
with listening() as interruption:
    interruption.last_acts.append(lambda: time.sleep(0.5 if threading.current_thread().name == "first" else 0.0))
    for name, code in (("first", 130), ("Ray is gone", 3)):
        threading.Thread(target=interruption.end_now, name=name, args=(code, name), daemon=True).start()
        time.sleep(0.1)
    raise SystemExit(3)  # as the main thread does, when it sees that Ray is gone
"""


def test_whoever_ends_it_first_says_how_it_ended() -> None:
    """Turns red when nobody waits for an end that has begun."""
    told = subprocess.run([sys.executable, "-c", ENDING], capture_output=True, timeout=60)
    assert (told.returncode, told.stderr) == (130, b"first\n")

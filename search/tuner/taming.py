"""Keeps Ray out of our terminal, our signals and other machines' reach, by private parts of it."""

from __future__ import annotations

import logging
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def silence() -> None:
    """Keep the terminal ours: Ray's and Tune's own lines go nowhere, their errors come back as exceptions."""
    import ray._private.worker as worker

    if hasattr(worker, "listen_error_messages"):  # private: prints "(raylet) A worker died" whatever the log level is
        worker.listen_error_messages = lambda *_: None
    for name in ("ray", "ray.tune", "ray.train", "ray.air", "ray.data"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    logging.getLogger("ray.util.client.logsclient").disabled = True  # which passes nothing on, and sets its own level
    warnings.filterwarnings("ignore", "Ray Client connection timed out", UserWarning)  # said with the error, too


@contextmanager
def on_loopback() -> Iterator[None]:
    """Have all servers of a Ray that is started inside listen on loopback, as on macOS and Windows.

    Elsewhere Ray takes an address that others reach, even if it is asked for 127.0.0.1.
    """
    from ray._private import ray_constants

    before = getattr(ray_constants, "ENABLE_RAY_CLUSTER", None)  # private: whether more machines may join
    if before is None:
        yield
        return
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


@contextmanager
def signals_kept() -> Iterator[None]:
    """Keep Ray from taking SIGTERM from us: its Python part sets a handler, its C++ part one that prints a trace."""
    import ray._private.utils as utils
    from ray import _raylet

    native: Any = _raylet
    if hasattr(utils, "set_sigterm_handler"):  # private, and called by `ray.init` alone in this process
        utils.set_sigterm_handler = lambda _: None
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ours, make = signal.getsignal(signal.SIGTERM), native.CoreWorker

    def make_and_listen(*args: Any, **named: Any) -> Any:
        """Make Ray's native part, whose threads leave SIGTERM to this one, and take the signal back."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        try:
            return make(*args, **named)
        finally:
            signal.signal(signal.SIGTERM, ours)
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    native.CoreWorker = make_and_listen
    try:
        yield
    finally:
        native.CoreWorker = make

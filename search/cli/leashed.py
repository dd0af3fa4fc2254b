"""The command `sweep` on a leash: `python -m search.cli.leashed ...` is ended by SIGTERM when its standard input ends.

Whoever starts it so holds the other end of a pipe, and takes it along however it dies, `kill -9` included.
"""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress

from search.cli.main import main


def _hold() -> None:
    with suppress(OSError):
        while os.read(0, 1024):
            pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    threading.Thread(target=_hold, name="leash", daemon=True).start()
    raise SystemExit(main())

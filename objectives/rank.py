"""The process of one rank: takes the paths and packages of the trial's process, then does what `ddp.serve` says.

It is run as a file, so that it can be started where the names of modules are known to the trial's process alone.
"""

import importlib
import os
import signal
import sys
import threading
from importlib.machinery import ModuleSpec
from multiprocessing import current_process
from multiprocessing.connection import Connection
from types import ModuleType


def main(connection: Connection, life: int) -> None:
    """Serve a trial's process.

    Args:
        connection: To it.
        life: Descriptor of a pipe that it holds open for as long as it lives.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all: the trial's process decides
    threading.Thread(target=_die_with, args=(life,), daemon=True).start()
    sys.path[:], packages, name, current_process().authkey = connection.recv()  # the key: torch hands over memory by it
    for package, paths in packages.items():
        module = ModuleType(package)
        module.__path__ = paths
        module.__spec__ = ModuleSpec(package, None, is_package=True)
        sys.modules[package] = module
    importlib.import_module(name).serve(connection)


def _die_with(life: int) -> None:
    os.read(life, 1)  # nothing is ever written: it returns when the other end is closed
    os._exit(1)


if __name__ == "__main__":
    main(Connection(int(sys.argv[1])), int(sys.argv[2]))

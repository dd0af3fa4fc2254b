"""One process writes the log of a model that keeps learning, and one learns from it."""

from __future__ import annotations

from search.data.collect.place import cannot_write
from search.errors import RefusedError
from search.paths import OnlineFolder
from search.pidlock import PidLock


def hold(folder: OnlineFolder) -> PidLock:
    """Become the one server of a model, which writes its log; its folder is made if it is missing.

    Raises:
        RefusedError: A living process is.
        SurroundingsError: The folder cannot be written.
    """
    return _hold(folder, learning=False)


def hold_learning(folder: OnlineFolder) -> PidLock:
    """Become the one process that learns for a model.

    Raises:
        RefusedError: A living process is.
        SurroundingsError: The folder cannot be written.
    """
    return _hold(folder, learning=True)


def _hold(folder: OnlineFolder, *, learning: bool) -> PidLock:
    def refusal(holder: str) -> RefusedError:
        said = f"{folder.name} is being {'learnt' if learning else 'served online'} by pid {holder}"
        return RefusedError(said, field="MODEL", hint="send requests there, or stop that one first")

    path = folder.learner_lock if learning else folder.lock
    try:
        folder.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        return PidLock(path, refusal)
    except OSError as error:
        raise cannot_write(path, error) from error

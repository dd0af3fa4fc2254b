"""What no file holds, on its way to the workers: it travels in the driver's orders, in Ray's own form."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from search.byvalue import Brought
from search.errors import InputError


@contextmanager
def told(brought: Brought) -> Iterator[None]:
    """Say in a sentence that something which is brought along cannot be sent, or cannot be made on the other side.

    Raises:
        InputError: In place of Ray's own errors: it holds an open file, say, or needs a module that is not there.
    """
    import ray

    names = " and ".join(sorted({one.file.name for one in brought.values()}))
    try:
        yield
    except (ray.exceptions.ActorDiedError, ray.exceptions.RaySystemError) as error:
        if not brought:
            raise
        said = f"{names} cannot be made in a worker: {_last(error)}"
        raise InputError(said, field="objective", hint="put it into a file, and import it") from error
    except TypeError as error:
        if not brought or "serialize" not in str(error):
            raise
        cause = _last(error.__cause__ or error)
        said = f"{names} cannot be sent to workers: {cause}"
        raise InputError(said, field="objective", hint="put it into a file, and import it") from error


def _last(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:80] if lines else type(error).__name__

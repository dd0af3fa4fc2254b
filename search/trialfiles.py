"""What a trial leaves in its folder: checkpoints (safetensors + JSON), its log, its error."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Container, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import numpy as np

from search.checkpoint import Checkpoint, CheckpointDamaged, CheckpointKind
from search.contract import REPLAY, Replay, State
from search.errors import InputError
from search.evaluation import Evaluation, evaluation_in
from search.flat import PIECE_BYTES, Bytes, arrays_in
from search.paths import StudyFolder, inside, sync_folder, write_atomic
from search.study.disk import cannot_read, cannot_write

EVALUATION: Final = "evaluation"
"""Where a checkpoint's JSON says how its state does on the validation rows: an `Evaluation`."""

LOG_LIMIT_BYTES: Final = 10_000_000
"""Longest log of one trial; what comes later is dropped, and said so."""

_SYNC_BYTES: Final = 64 << 20
"""How much of a checkpoint that comes in pieces may be written and not yet on the disk."""


def encode(checkpoint: Checkpoint) -> tuple[bytes, str]:
    """Return a checkpoint as the bytes of a safetensors file and the JSON beside it."""
    from safetensors.numpy import save

    state = State({}) if isinstance(checkpoint.state, Replay) else checkpoint.state
    arrays = save({name: _contiguous(array) for name, array in state.arrays.items()})
    return arrays, vouched(checkpoint, hashlib.sha256(arrays))


def vouched(checkpoint: Checkpoint, arrays: Any) -> str:
    """Return the JSON beside a checkpoint's arrays.

    Args:
        checkpoint: What it tells of.
        arrays: Their SHA-256, as an object of hashlib's.
    """
    replayed = isinstance(checkpoint.state, Replay)
    meta = {
        "step": checkpoint.step,
        "units": checkpoint.units,
        "replay": replayed,
        "learner": {} if isinstance(checkpoint.state, Replay) else dict(checkpoint.state.meta),
        "memory": dict(checkpoint.memory),
        **({} if checkpoint.evaluation is None else {EVALUATION: checkpoint.evaluation.to_json()}),
    }
    read = json.loads(json.dumps(meta, allow_nan=False))  # as a reader will find it
    return json.dumps({**read, "sha256": _with(arrays, read)})


def decode(parts: tuple[bytes | Bytes, str] | None) -> Checkpoint | None:
    """Return the checkpoint that `encode` wrote, None if there is none; of bytes in an array, it is a view of them.

    Raises:
        CheckpointDamaged: It cannot be read, or its two parts do not belong together.
    """
    from safetensors.numpy import load

    if parts is None:
        return None
    arrays, meta = parts
    try:
        read: dict[str, Any] = dict(json.loads(meta))
    except (ValueError, TypeError, RecursionError) as error:
        raise CheckpointDamaged from error
    if read.pop("sha256", None) != _digest(arrays, {key: value for key, value in read.items() if key != "arrays"}):
        raise CheckpointDamaged
    held = arrays_in(arrays) if isinstance(arrays, np.ndarray) else load(arrays)
    state = REPLAY if read["replay"] else State(held, read["learner"])
    return Checkpoint(read["step"], read["units"], state, read["memory"], evaluation_in(read.get(EVALUATION)))


def evaluation_of(folder: StudyFolder, number: int) -> Evaluation | None:
    """Return how a trial does on the validation rows, kept with its best checkpoint.

    None where none was kept, or what is there cannot be read.
    """
    try:
        found = json.loads((folder.trial(number).checkpoint / "best.json").read_text(encoding="utf-8"))
        return evaluation_in(found[EVALUATION])
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def _digest(arrays: bytes | Bytes, meta: dict[str, Any]) -> str:
    """Return the SHA-256 over both parts of a checkpoint."""
    return _with(hashlib.sha256(memoryview(arrays)), meta)  # type: ignore[arg-type]  # of arrays, too


def _with(arrays: Any, meta: dict[str, Any]) -> str:
    digest = arrays.copy()
    digest.update(json.dumps(meta, sort_keys=True).encode())
    return str(digest.hexdigest())


def _contiguous(array: Any) -> Any:
    import numpy as np

    return np.asarray(array, order="C")  # unlike ascontiguousarray, it leaves a single number one


class TrialFiles:
    """Writes and reads the files of a study's trials; plain, so that an actor can be made of it.

    A disk that is full, or cannot be written or read, is a `SurroundingsError`.

    Args:
        root: The study's folder.
    """

    def __init__(self, root: Path) -> None:
        self._folder = StudyFolder(root)

    def save(self, number: int, kind: CheckpointKind, arrays: bytes, meta: str) -> None:
        """Write one checkpoint: the arrays under a name of their own, then the JSON that names and vouches for them.

        The JSON's rename is the moment at which the new checkpoint replaces the one before.
        """
        folder = self._folder.trial(number).checkpoint
        named = f"{kind}-{hashlib.sha256(arrays).hexdigest()[:16]}.safetensors"
        with self._writing():
            write_atomic(folder / named, arrays)
            self._replace(folder, kind, named, meta)

    def save_piece(self, number: int, kind: CheckpointKind, transfer: str, at: int, piece: Bytes) -> None:
        """Write a piece of a checkpoint's arrays at its place; it may come twice.

        Args:
            number: The trial.
            kind: Of checkpoint.
            transfer: A name for this sending of it.
            at: How many bytes come before it.
            piece: The bytes.
        """
        path = self._coming(number, kind, transfer)
        with self._writing():
            if at and not path.exists():
                return  # what came before is gone: it is not whole, and `save_pieces` says so
            path.parent.mkdir(parents=True, exist_ok=True)
            fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
            try:
                view = memoryview(piece)  # type: ignore[arg-type]
                while len(view):
                    written = os.pwrite(fd, view, at)
                    view, at = view[written:], at + written
                if at // _SYNC_BYTES != (at - len(piece)) // _SYNC_BYTES:
                    os.fdatasync(fd)  # the study's own records are not to wait for all of them at once
            finally:
                os.close(fd)

    def save_pieces(self, number: int, kind: CheckpointKind, transfer: str, size: int, digest: str, meta: str) -> bool:
        """Put a checkpoint in place whose pieces have all been written; tell whether it is whole.

        Args:
            number: As for `save_piece`, like `kind` and `transfer`.
            size: Of the arrays' file, in bytes.
            digest: Its SHA-256.
            meta: The JSON beside it.
        """
        coming, folder = self._coming(number, kind, transfer), self._folder.trial(number).checkpoint
        named = f"{kind}-{digest[:16]}.safetensors"
        with self._writing():
            if coming.exists():
                if coming.stat().st_size != size:
                    return False
                with coming.open("rb") as file:
                    os.fsync(file.fileno())
                coming.replace(folder / named)
                sync_folder(folder)
            elif not (folder / named).exists():  # else it was put in place before, and who asked did not hear of it
                return False
            self._replace(folder, kind, named, meta)
            for old in folder.glob(f".{kind}-*.coming"):  # of a worker that was lost
                old.unlink(missing_ok=True)
        return True

    def _replace(self, folder: Path, kind: CheckpointKind, named: str, meta: str) -> None:
        write_atomic(folder / f"{kind}.json", json.dumps({**json.loads(meta), "arrays": named}, indent=1))
        for old in folder.glob(f"{kind}-*.safetensors"):
            if old.name != named:
                old.unlink()

    def _coming(self, number: int, kind: CheckpointKind, transfer: str) -> Path:
        return self._folder.trial(number).checkpoint / f".{kind}-{transfer}.coming"

    def _meta(self, number: int, kind: CheckpointKind) -> str | None:
        """Return a checkpoint's JSON as it is; None if there is none."""
        folder = self._folder.trial(number).checkpoint
        try:
            return (folder / f"{kind}.json").read_text(errors="replace")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise cannot_read(folder, error) from error

    def look(self, number: int, kind: CheckpointKind) -> tuple[str, int, str] | None:
        """Return of a checkpoint the name and size of the arrays' file, and its JSON; None if there is none.

        The name is "" where the file is missing, or the JSON damaged.
        """
        folder, meta = self._folder.trial(number).checkpoint, self._meta(number, kind)
        if meta is None:
            return None
        try:
            named = str(json.loads(meta)["arrays"])
            return named, inside(folder, named).stat().st_size, meta
        except (FileNotFoundError, ValueError, KeyError, TypeError, RecursionError, InputError):
            return "", 0, meta
        except OSError as error:
            raise cannot_read(folder, error) from error

    def load_piece(self, number: int, named: str, at: int) -> Bytes:
        """Return a piece of an arrays' file, from its byte `at` on; none at its end, or where it is gone."""
        folder = self._folder.trial(number).checkpoint
        try:
            return np.fromfile(inside(folder, named), np.uint8, PIECE_BYTES, offset=at)
        except (FileNotFoundError, InputError):
            return np.empty(0, np.uint8)
        except OSError as error:
            raise cannot_read(folder, error) from error

    def load(self, number: int, kind: CheckpointKind) -> tuple[bytes, str] | None:
        """Return the two parts of a checkpoint as they are, b"" for what is missing; None if there is none."""
        folder, meta = self._folder.trial(number).checkpoint, self._meta(number, kind)
        if meta is None:
            return None
        try:
            return inside(folder, json.loads(meta)["arrays"]).read_bytes(), meta
        except (FileNotFoundError, IsADirectoryError, ValueError, KeyError, TypeError, RecursionError, InputError):
            return b"", meta
        except OSError as error:
            raise cannot_read(folder, error) from error

    def step_kept(self, number: int) -> int:
        """Return the step of the last checkpoint of a trial, 0 if there is none."""
        steps = [0]
        for path in self._folder.trial(number).checkpoint.glob("*.json"):
            with suppress(OSError, ValueError, KeyError, TypeError):
                steps.append(int(json.loads(path.read_text(errors="replace"))["step"]))
        return max(steps)

    def drop(self, numbers: Iterable[int]) -> None:
        """Delete the checkpoints of these trials."""
        for number in numbers:
            shutil.rmtree(self._folder.trial(number).checkpoint, ignore_errors=True)

    def keep_only(self, numbers: Container[int]) -> None:
        """Delete the checkpoints of all other trials, which a crash may have left."""
        names = (path.parent.name for path in self._folder.trials.glob("*/checkpoint"))
        there = (int(name) for name in names if name.isascii() and name.isdecimal())  # what else is there is not ours
        self.drop([number for number in there if number not in numbers])

    def log(self, number: int, text: str) -> None:
        """Add to a trial's log."""
        path = self._folder.trial(number).log
        with self._writing():
            path.parent.mkdir(parents=True, exist_ok=True)
        with self._writing(), path.open("ab") as file:
            room = LOG_LIMIT_BYTES - file.tell()
            data = text.encode(errors="replace")
            if room > 0:
                file.write(data if len(data) <= room else data[:room] + b"\n[the log is full: the rest is dropped]\n")

    def error(self, number: int, trace: str) -> None:
        """Write the traceback of a failed trial."""
        with self._writing():
            write_atomic(self._folder.trial(number).error, trace)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise cannot_write(self._folder.trials, error) from error

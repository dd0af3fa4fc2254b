"""Large checkpoints on their way: in pieces, one at a time for each trial, while its training goes on."""

from __future__ import annotations

import hashlib
import os
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

from search.checkpoint import Checkpoint, CheckpointDamaged, CheckpointKind
from search.contract import Replay
from search.flat import PIECE_BYTES, Bytes, Flat, is_large
from search.trialfiles import TrialFiles, decode, encode, vouched
from search.tuner.calls import call

LARGE_BYTES: Final = 1 << 20
"""Checkpoints up to this size are sent at once, and whole."""

AT_ONCE: Final = 4
"""Checkpoints that may be on their way at once: so many pieces are in the memory of the driver's machine."""

NICENESS: Final = 5
"""The actor yields to the study's, which stands on the same machine."""

_FORGOTTEN_S: Final = 60.0
"""After how long without a piece a worker is taken for lost."""

_ASK_EVERY_S: Final = 0.05
_TRIES: Final = 2


class Blobs:
    """An actor beside the study's: writes and reads large checkpoints, several at once.

    What it knows of transfers is only who may send now: one that is started anew lets them go on where they are.

    Args:
        root: The study's folder.
        niceness: Added to its process's.
    """

    def __init__(self, root: Path, niceness: int = 0) -> None:
        os.nice(niceness)
        self._files = TrialFiles(root)
        self._coming: dict[str, float] = {}  # by transfer, when its last piece came
        self._lock = threading.Lock()

    def admit(self, transfer: str) -> bool:
        """Tell whether a checkpoint may be sent now."""
        now = time.monotonic()
        with self._lock:
            self._coming = {one: last for one, last in self._coming.items() if now - last < _FORGOTTEN_S}
            if transfer not in self._coming and len(self._coming) >= AT_ONCE:
                return False
            self._coming[transfer] = now
        return True

    def take(self, number: int, kind: CheckpointKind, transfer: str, at: int, piece: Bytes) -> None:
        """Write one piece."""
        self._files.save_piece(number, kind, transfer, at, piece)
        with self._lock:
            self._coming[transfer] = time.monotonic()

    def keep(self, number: int, kind: CheckpointKind, transfer: str, size: int, digest: str, meta: str) -> bool:
        """Put a checkpoint in place; tell whether all of it has come."""
        try:
            return self._files.save_pieces(number, kind, transfer, size, digest, meta)
        finally:
            with self._lock:
                self._coming.pop(transfer, None)

    def look(self, number: int, kind: CheckpointKind) -> tuple[str, int, str] | None:
        """Return what `TrialFiles.look` does."""
        return self._files.look(number, kind)

    def give(self, number: int, named: str, at: int) -> Bytes:
        """Return one piece."""
        return self._files.load_piece(number, named, at)


class Parcels:
    """The checkpoints of one trial, between its worker and the actors.

    Args:
        number: The trial.
        files: Handle of the actor that takes small ones.
        blobs: Of the one that takes large ones.
        call: How both are called.

    Attributes:
        notes: What was lost, a sentence each.
    """

    def __init__(self, number: int, files: Any, blobs: Any, call: Callable[..., Any] = call) -> None:
        self._number, self._files, self._blobs, self._call = number, files, blobs, call
        self._thread: threading.Thread | None = None
        self._trouble: BaseException | None = None
        self.notes: list[str] = []

    def send(self, kind: CheckpointKind, checkpoint: Checkpoint) -> None:
        """Send a checkpoint; a large one is on its way when this returns.

        It waits for the one before, so that they arrive in order, and at most one is held in memory beside the state.

        Raises:
            SessionLost: The actor is gone; or it was, when the one before was sent.
        """
        self.settle()
        state = checkpoint.state
        if isinstance(state, Replay) or not is_large(state.arrays.values(), LARGE_BYTES):
            self._call(self._files.save, self._number, kind, *encode(checkpoint))
            return
        flat = Flat(state.arrays, copies=kind != "best")  # the engine has copied the best state, when it was reached
        self._thread = threading.Thread(target=self._carry, args=(kind, checkpoint, flat), daemon=True)
        self._thread.start()

    def settle(self) -> None:
        """Wait for what is on its way.

        Raises:
            SessionLost: It did not arrive, since the actor is gone.
        """
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if (trouble := self._trouble) is not None:
            self._trouble = None
            raise trouble

    def fetch(self, kind: CheckpointKind) -> Checkpoint | None:
        """Return the trial's checkpoint, None if there is none.

        Raises:
            CheckpointDamaged: It cannot be read.
            SessionLost: The actor is gone.
        """
        self.settle()
        found = self._call(self._blobs.look, self._number, kind)
        if found is None:
            return None
        named, size, meta = found
        if not named:
            raise CheckpointDamaged
        content, at = np.empty(size, np.uint8), 0
        while at < size:
            piece = self._call(self._blobs.give, self._number, named, at)
            if not len(piece) or at + len(piece) > size:
                raise CheckpointDamaged
            content[at : at + len(piece)] = piece
            at += len(piece)
        return decode((content, meta))

    def _carry(self, kind: CheckpointKind, checkpoint: Checkpoint, flat: Flat) -> None:
        try:
            for _ in range(_TRIES):
                if self._arrives(kind, checkpoint, flat):
                    return
            self.notes.append(f"its {kind} checkpoint of step {checkpoint.step} was lost on its way")
        except BaseException as error:  # told where the trial is, at its next checkpoint or its end
            self._trouble = error

    def _arrives(self, kind: CheckpointKind, checkpoint: Checkpoint, flat: Flat) -> bool:
        transfer, digest, at = uuid.uuid4().hex, hashlib.sha256(), 0
        while not self._call(self._blobs.admit, transfer):
            time.sleep(_ASK_EVERY_S)
        for piece in flat.pieces(PIECE_BYTES):
            self._call(self._blobs.take, self._number, kind, transfer, at, piece)
            digest.update(piece)  # type: ignore[arg-type]
            at += len(piece)
        meta = vouched(checkpoint, digest)
        whole = self._call(self._blobs.keep, self._number, kind, transfer, flat.size, digest.hexdigest(), meta)
        return bool(whole)

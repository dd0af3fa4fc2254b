"""Every file name under the results folder, and how files are written there."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from search.errors import InputError

ARRIVING, ASKED, HOMES = ".arriving", ".asked", ".homes"
"""Folders in the results of a cluster's home: studies on their way, what commands say, who looks after drivers."""

_TAKEN = ("data", "models", "online")
_MOST_NAME, _MOST_PATH = 255, 4_000  # bytes that a name, and a path, may have on Linux
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def check_name(name: str, *, what: str = "a study name", field: str = "study") -> str:
    """Return `name` if it may name a folder.

    Args:
        name: What the user wrote.
        what: It is, for people.
        field: Where it was written.

    Raises:
        InputError: It may not.
    """
    if not _NAME.fullmatch(name):
        raise InputError(
            f"{what} is 1-100 of letters, digits, . _ -, starting with a letter or digit; got {name[:120]!r}",
            field=field,
        )
    return name


def check_study_name(name: str) -> str:
    """Return `name` if it may name a study.

    Raises:
        InputError: It may not: other things of the results folder lie there.
    """
    if name in _TAKEN:
        raise InputError(f"no study is called {name!r}: that folder of the results holds other things", field="study")
    return check_name(name)


def inside(root: Path, path: str | Path) -> Path:
    """Return `root / path`, resolved.

    Raises:
        InputError: The resolved path is not below `root`.
    """
    try:
        if max(map(len, os.fsencode(path).split(b"/"))) > _MOST_NAME or len(os.fsencode(path)) > _MOST_PATH:
            raise ValueError("too long")
        whole = (root / path).resolve()
    except (ValueError, OSError, RuntimeError) as error:  # a NUL, a name that is too long, links in a circle
        why = str(error).partition(" from ")[0]
        raise InputError(f"{str(path)[:120]!r} is no path in {root}: {why}", field="path") from error
    if not whole.is_relative_to(root.resolve()):
        raise InputError(f"{str(path)[:120]!r} leads out of {root}", field="path")
    return whole


def write_atomic(path: Path, content: bytes | str, *, new: bool = False) -> None:
    """Write `path` whole or not at all: to a temporary name, synced, then renamed.

    Args:
        path: Its folder is made, too.
        content: Of the file.
        new: Leave a file alone that is there already.

    Raises:
        FileExistsError: It is there already, and `new` was asked for.
    """
    data = content.encode() if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if new:
            os.link(temporary, path)  # unlike a rename, it never replaces
            temporary.unlink()
        else:
            temporary.replace(path)
        sync_folder(path.parent)  # or a power cut could take the name away
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@dataclass(frozen=True, slots=True)
class StudyFolder:
    """The folder of one study: `results/<study>/`."""

    root: Path

    @classmethod
    def of(cls, results: Path, study: str) -> StudyFolder:
        return cls(inside(results, check_study_name(study)))

    @property
    def name(self) -> str:
        return self.root.name

    @property
    def plan(self) -> Path:
        """The sweep as launched: every choice, where it came from, versions, hashes."""
        return self.root / "plan.json"

    @property
    def journal(self) -> Path:
        """The Optuna storage (absent with `--storage URL`)."""
        return self.root / "study.journal"

    @property
    def trials_table(self) -> Path:
        """The trials as a table, derived from the journal; can be made again at any time."""
        return self.root / "trials.parquet"

    @property
    def reports_table(self) -> Path:
        """Their reports as a table, derived as well."""
        return self.root / "reports.parquet"

    @property
    def report(self) -> Path:
        """The page that shows all of the study."""
        return self.root / "report.html"

    @property
    def promotion(self) -> Path:
        """What came of promoting its best, each time: JSON."""
        return self.root / "promotion.json"

    @property
    def split(self) -> Path:
        """Which rows of the data are train, validation and test."""
        return self.root / "split.npz"

    @property
    def rows(self) -> Path:
        """Store of the rows of a study that was sent here, where nobody else has its data."""
        return self.root / "rows"

    @property
    def trials(self) -> Path:
        return self.root / "trials"

    def trial(self, number: int) -> TrialFolder:
        return TrialFolder(self.trials / f"{number:05d}")

    @property
    def wishes(self) -> Path:
        """What the user asks of a study, a file each until it is granted."""
        return self.root / "wishes"

    @property
    def held(self) -> Path:
        """The driver that a cluster's home runs, or is about to; gone when it has ended."""
        return self.root / "held.json"

    @property
    def ended(self) -> Path:
        """How the last driver ended that a cluster's home ran, and what it said."""
        return self.root / "ended.json"

    @property
    def driver_log(self) -> Path:
        """What that driver said, and what its home says of it."""
        return self.root / "driver.log"

    @property
    def fetched(self) -> Path:
        """Of a copy of a study on a cluster: the names of the files that came from there, as JSON."""
        return self.root / ".fetched.json"

    @property
    def coming(self) -> Path:
        """The folder beside it that a copy comes to, until it is whole."""
        return self.root.with_name(f".coming-{self.name}")

    @property
    def old(self) -> Path:
        """The folder beside it that the copy before goes to, for a moment."""
        return self.root.with_name(f".old-{self.name}")

    def exists(self) -> bool:
        return self.plan.exists()


@dataclass(frozen=True, slots=True)
class TrialFolder:
    """The folder of one trial: `results/<study>/trials/00042/`."""

    root: Path

    @property
    def log(self) -> Path:
        """What the trial printed."""
        return self.root / "log.txt"

    @property
    def error(self) -> Path:
        """The traceback of a failed trial."""
        return self.root / "error.txt"

    @property
    def checkpoint(self) -> Path:
        return self.root / "checkpoint"


@dataclass(frozen=True, slots=True)
class DataFolder:
    """The folder of one fetched or collected data set: `results/data/<name>/`."""

    root: Path

    @classmethod
    def of(cls, results: Path, name: str) -> DataFolder:
        return cls(inside(results / "data", check_name(name)))

    @property
    def name(self) -> str:
        return self.root.name

    @property
    def state(self) -> Path:
        """Where it came from, and how far an unfinished pull has come: JSON."""
        return self.root / "state.json"

    @property
    def partial(self) -> Path:
        """What has come so far of an unfinished pull; gone when it is whole."""
        return self.root / "partial"

    @property
    def lock(self) -> Path:
        """Held by the process that fetches into the folder."""
        return self.root / ".fetching"

    def snapshot(self, digest: str, suffix: str) -> Path:
        """Return where the content with this sha256 lies, once it is whole; it never changes again."""
        return self.root / f"{digest}{suffix}"


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """The folder of one promoted model: `results/models/<name>/`."""

    root: Path

    @classmethod
    def of(cls, results: Path, name: str) -> ModelFolder:
        return cls(inside(results / "models", check_name(name, what="a model name", field="model")))

    @property
    def name(self) -> str:
        return self.root.name

    @property
    def registry(self) -> Path:
        """Its versions, what their aliases point at, and the history of that: JSON."""
        return self.root / "registry.json"

    @property
    def lock(self) -> Path:
        """Held by the process that changes the registry."""
        return self.root / ".lock"

    @property
    def adding(self) -> Path:
        """Which version is being added; there as long as that takes."""
        return self.root / ".adding.json"

    def version(self, number: int) -> Path:
        """Return the bundle of a version; it never changes."""
        return self.root / str(number)


@dataclass(frozen=True, slots=True)
class OnlineFolder:
    """The folder of a model that keeps learning: `results/online/<name>/`."""

    root: Path

    @classmethod
    def of(cls, results: Path, name: str) -> OnlineFolder:
        return cls(inside(results / "online", check_name(name, what="a model name", field="model")))

    @property
    def name(self) -> str:
        return self.root.name

    @property
    def lock(self) -> Path:
        """Held by the server that writes the log."""
        return self.root / ".lock"

    @property
    def learner_lock(self) -> Path:
        """Held by the process that learns."""
        return self.root / ".learner-lock"

    @property
    def log(self) -> Path:
        """What was predicted and what labels came, in segments that are only appended to."""
        return self.root / "log"

    def segment(self, number: int) -> Path:
        return self.log / f"{number:08d}.log"

    @property
    def log_identity(self) -> Path:
        """Tells this log from any that was in its place before."""
        return self.log / "identity"

    @property
    def state(self) -> Path:
        """Snapshots of what was learnt, a file each, named by the event and its row after which it was made."""
        return self.root / "state"

    @property
    def audit(self) -> Path:
        """Alarms, take-overs, rollbacks and what an administrator did: a line of JSON each."""
        return self.root / "audit.jsonl"

    @property
    def aside(self) -> Path:
        """Labelled rows that were not learnt, with the reason: a line of JSON each."""
        return self.root / "aside.jsonl"

    @property
    def older_aside(self) -> Path:
        """The rows of this kind before those."""
        return self.root / "aside.1.jsonl"

    @property
    def status(self) -> Path:
        """How it stands, as of a moment ago: JSON."""
        return self.root / "status.json"

    @property
    def learner_log(self) -> Path:
        """What the process that learns printed."""
        return self.root / "learner.log"

    @property
    def data(self) -> Path:
        """Tables of the newest labelled rows, that sweeps over them read."""
        return self.root / "data"

    @property
    def resweep(self) -> Path:
        """The last sweep over the newest rows, and what came of it: JSON."""
        return self.root / "resweep.json"

    @property
    def resweep_log(self) -> Path:
        """What the commands of that sweep printed."""
        return self.root / "resweep.log"


def store_folder(results: Path) -> Path:
    """Return where frozen and prepared data lie, by their keys: a cache that can be deleted at any time."""
    return results / "data" / ".store"

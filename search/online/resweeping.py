"""Sweeps over the newest rows of a model, one at a time, that outlive whoever started them: the `Sweeps`.

Each is two commands that a user could type, `sweep run` and `sweep promote --candidate`, one after the other in a
process of its own. What has come of them is in a file, and where that is silent, in the study and the registry; so a
sweep goes on after a restart, and a winner that nobody has taken waits.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from search.data.fetch import Say
from search.errors import ExitCode, SurroundingsError, SweepError
from search.online.buffer import Buffer
from search.online.newest import as_parquet, reference, table_of, why_not
from search.online.resweep_commands import Commands, SweepOptions, free_name
from search.paths import OnlineFolder, StudyFolder, write_atomic
from search.records.study import read_launch
from search.registry.entries import PRODUCTION
from search.registry.registry import Registry
from search.serve.backend import Served
from search.study.holder import start_of
from search.tuner.cluster import is_outside

_GRACE_S: Final = 30.0
"""Seconds in which a sweep that is told to end has to: its trials get eight of them to pause."""

_MOST_SAID: Final = 300
"""Characters of what went wrong."""

_MOST_LOG: Final = 8_192
"""Bytes at the end of the log in which that stands."""


_NONE: Final = Commands((), (), (), (), ())


@dataclass(frozen=True, slots=True)
class Resweep:
    """The last sweep over the newest rows.

    Attributes:
        number: Of it.
        study: Its study.
        why: It was started.
        state: `running`, `finished` or `failed`.
        commands: Of `sweep`, as `Commands` has them.
        data_hash: Of the rows that the champion's study had.
        begun: Whether the sweep was launched.
        swept: Whether it is over, and its winner is being promoted.
        tried: Whether a promotion has begun.
        pid, started: The process of the step that was begun last, and when it was, as `start_of` tells it.
        used_s: Seconds that its processes have run.
        version: Of the winner.
        taken: Whether somebody has the winner.
        said: What went wrong.
    """

    number: int
    study: str
    why: str
    state: str
    commands: Commands
    data_hash: str
    begun: bool = False
    swept: bool = False
    tried: bool = False
    pid: int = 0
    started: float = 0.0
    used_s: float = 0.0
    version: int | None = None
    taken: bool = False
    said: str = ""

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Resweep:
        """Return the sweep that `asdict` described."""
        commands = Commands(**{name: tuple(one) for name, one in values["commands"].items()})
        return cls(**{**values, "commands": commands})


class Sweeps:
    """Starts sweeps over the newest rows of a model, and finds what won.

    Args:
        results: The results folder.
        name: Of the model.
        options: What a sweep may take.
        say: Gets a sentence for each thing that happens.
    """

    def __init__(self, results: Path, name: str, options: SweepOptions, say: Say) -> None:
        self._results, self._options, self._say = results.resolve(), options, say
        self._folder, self._registry = OnlineFolder.of(results, name), Registry.of(results, name)
        self._process: subprocess.Popen[bytes] | None = None
        self._since_s = time.monotonic()
        self._handed = False
        self._last = _read(self._folder)

    @property
    def found(self) -> bool:
        """Whether a winner waits to be taken."""
        last = self._last
        return last is not None and last.version is not None and not (last.taken or self._handed)

    def start(self, buffer: Buffer, served: Served, why: str) -> None:
        """Start a sweep over the newest rows, unless one runs or its winner waits; what goes wrong is told.

        Args:
            buffer: Of rows.
            served: The champion.
            why: For people.
        """
        last = self._last
        if self.found or (last is not None and last.state == "running"):
            return
        manifest, number = served.bundle.manifest, 1 if last is None else last.number + 1
        number, study = free_name(self._results, manifest.study, number)
        begun = Resweep(number, study, why, "running", _NONE, manifest.data_hash)
        try:
            commands = self._prepared(buffer, served, number, study)
            self._put(replace(begun, commands=commands))
            self._handed = False
            self._go_on()
        except SweepError as error:
            self._fail(begun, error.sentence())
        except OSError as error:
            self._fail(begun, f"{error.filename or 'a process'}: {error.strerror}")

    def look(self) -> None:
        """See how it stands, and take the next step where one has ended; cheap while one runs."""
        last = self._last
        if last is None or last.state != "running":
            self._settle()
            return
        try:
            if self._process is None:
                self._go_on()
            elif (code := self._process.poll()) is not None:
                self._let_go()
                self._ended(code)
        except SweepError as error:
            self._fail(self._last or last, error.sentence())
        except OSError as error:
            self._fail(self._last or last, f"{error.filename or 'a process'}: {error.strerror}")

    def take_winner(self, known: Collection[int] = ()) -> int | None:
        """Return the version that won, once; None where there is none.

        It counts as taken from the next `look` on, by when who took it has written so down; until then, whoever comes
        after a crash gets it again.

        Args:
            known: Versions that the caller has already: such a one was taken before a crash.
        """
        last = self._last
        if not self.found or last is None:
            return None
        self._handed = True
        if last.version in known:
            self._settle()
            return None
        return last.version

    def to_json(self) -> dict[str, Any]:
        """Return how it stands, for people."""
        last = self._last
        if last is None:
            return {"state": "none", "study": "", "why": "", "used_s": 0.0}
        why = f"{last.why}; {last.said}" if last.said else last.why
        return {"state": last.state, "study": last.study, "why": why, "used_s": round(self._timed(last).used_s, 1)}

    def close(self) -> None:
        """End what runs; it goes on when somebody looks again."""
        if self._process is None:
            return
        assert self._process.stdin is not None
        self._process.stdin.close()  # the leash sends SIGTERM, once: a second one would end it at once
        try:
            self._process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        with suppress(SweepError):
            self._let_go()

    # --- the order of the work ---

    def _prepared(self, buffer: Buffer, served: Served, number: int, study: str) -> Commands:
        """Write the rows, and return what is to be run."""
        signature = served.bundle.signature
        table = table_of(buffer.rows(min(buffer.new, self._options.rows)), signature)
        manifest = served.bundle.manifest
        _, plan = read_launch(StudyFolder.of(self._results, manifest.study))
        path = self._folder.data.resolve() / f"{number}.parquet"
        plan = replace(plan, results=str(self._results), study=manifest.study)
        data, target = reference(str(path), signature), signature.target
        commands = Commands.of(plan, manifest, study, self._folder.name, data, target, self._options)
        write_atomic(path, as_parquet(table))
        self._say(f"{study} sweeps over the {len(table):,} newest rows")
        return commands

    def _go_on(self) -> None:
        """Take the next step of a sweep that nobody runs."""
        last = self._last
        assert last is not None
        if self._find() is not None:
            return
        if last.pid and start_of(last.pid) == last.started:  # from before a crash: its leash is off, so it is ending
            return
        if last.swept:
            again, last = last.tried, replace(last, tried=True)
            self._run(last, last.commands.promote_again if again else last.commands.promote)
            return
        is_there = StudyFolder.of(self._results, last.study).exists()
        is_away = last.begun and self._is_left
        self._run(replace(last, begun=True), last.commands.resume if is_there or is_away else last.commands.run)

    @property
    def _is_left(self) -> bool:
        """Whether sweeps run at the home of a cluster, and come here when they are over."""
        return is_outside(self._options.address)

    def _ended(self, code: int) -> None:
        """Look at what a step has come to."""
        last = self._last
        assert last is not None
        if self._find() is not None:
            return
        if code in (ExitCode.TERMINATED, -signal.SIGTERM):  # with the whole machine, say
            return
        if code:
            self._fail(last, self._why_failed(code))
            return
        if last.swept:
            self._fail(last, "its winner was promoted, and is not in the registry")
            return
        folder = StudyFolder.of(self._results, last.study)
        if self._is_left and not folder.exists():
            self._run(last, last.commands.fetch)
            return
        launch, _ = read_launch(folder)
        if launch.get("data_hash") == last.data_hash:
            self._fail(last, "its objective reads rows of its own, and not the newest ones")
            return
        self._put(replace(last, swept=True))
        self._go_on()

    def _find(self) -> int | None:
        """Return the version that came of it, if one has, and see whether it can stand for election."""
        last = self._last
        assert last is not None
        contents = self._registry.read()
        version = next((one for one, facts in contents.versions.items() if facts.study == last.study), None)
        if version is None:
            return None
        production = contents.aliases.get(PRODUCTION)
        if version == production:  # somebody was faster
            self._put(replace(last, state="finished", version=version, taken=True))
            return version
        if production is not None:
            theirs, ours = self._registry.bundle(version), self._registry.bundle(production)
            if why := why_not(theirs.signature, ours.signature):
                self._fail(last, f"version {version} won it, and cannot stand in for the champion: {why}")
                return version
        self._put(replace(last, state="finished", version=version))
        self._say(f"version {version} won {last.study}")
        return version

    def _run(self, last: Resweep, command: Sequence[str]) -> None:
        """Begin a step; what is known of the sweep by then is written down."""
        self._put(last)
        environment = {name: value for name, value in os.environ.items() if not _is_secret(name)}
        with self._folder.resweep_log.open("ab") as log:
            log.write(f"$ sweep {' '.join(command)}\n".encode(errors="replace"))
            log.flush()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "search.cli.leashed", *command],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
            )
        self._since_s = time.monotonic()
        pid = self._process.pid
        self._put(replace(last, pid=pid, started=start_of(pid) or 0.0))

    def _let_go(self) -> None:
        """Take notice of the end of a step's process."""
        assert self._last is not None
        assert self._process is not None
        timed = self._timed(self._last)
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process = None
        self._put(timed)

    def _timed(self, last: Resweep) -> Resweep:
        """Return it with the time that its process has taken so far."""
        if self._process is None:
            return last
        return replace(last, used_s=last.used_s + time.monotonic() - self._since_s)

    def _why_failed(self, code: int) -> str:
        if code < 0:
            return f"it was ended by signal {-code}"
        if code == ExitCode.INTERRUPTED:
            return "somebody has stopped it"
        with suppress(OSError):
            content = self._folder.resweep_log.read_bytes()[-_MOST_LOG:].decode(errors="replace")
            lines = [line.strip() for line in content.splitlines() if line.strip()]
            errors = [line for line in lines if line.startswith("error:")]
            if lines:
                return (errors or lines)[-1].removeprefix("error:").strip()[:_MOST_SAID]
        return f"it ended with code {code}"

    def _fail(self, last: Resweep, said: str) -> None:
        failed = replace(last, state="failed", said=said[:_MOST_SAID])
        self._say(f"{last.study} failed: {failed.said}")
        try:
            self._put(failed)
        except SurroundingsError:
            self._last = failed  # the disk is full, which is told by what cannot go on without it

    def _settle(self) -> None:
        """Write down that the winner was taken."""
        if self._handed and self._last is not None and not self._last.taken:
            with suppress(SurroundingsError):
                self._put(replace(self._last, taken=True))

    def _put(self, last: Resweep) -> None:
        path = self._folder.resweep
        try:
            write_atomic(path, json.dumps(asdict(last), indent=1))
        except OSError as error:
            raise SurroundingsError(f"{path} cannot be written: {error.strerror}", field="results") from error
        self._last = last


def _read(folder: OnlineFolder) -> Resweep | None:
    """Return the last sweep; of a file that is damaged, one that failed: learning goes on, and so do later sweeps."""
    try:
        return Resweep.from_json(json.loads(folder.resweep.read_bytes()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        said = f"{folder.resweep} cannot be read: {type(error).__name__}: {error}"[:_MOST_SAID]
        return Resweep(0, "", "what came of the last one is lost", "failed", _NONE, "", said=said)


def _is_secret(name: str) -> bool:
    """Tell whether a variable of the environment holds what only the server may know."""
    return name.startswith("SWEEP_") and name.endswith(("_TOKEN", "_KEY"))

"""An engine with what it reads and writes: the log, snapshots, the registry, the status: the `Reading`."""

from __future__ import annotations

import json
import secrets
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Self

from search.contract import State as Arrays
from search.errors import RefusedError
from search.online import log
from search.online.base import base_of
from search.online.buffer import Buffer
from search.online.challenger import Challenger
from search.online.choices import Choices
from search.online.competitor import Fixed
from search.online.contest import CHALLENGER
from search.online.decoding import Decoder
from search.online.engine import Engine
from search.online.events import Event
from search.online.newest import why_not
from search.online.packing import prefixed, under
from search.online.records import Foreign
from search.online.registering import Registering, Sweeping
from search.online.state import fresh
from search.online.storing import Snapshot, Snapshots
from search.online.telling import status_of
from search.paths import OnlineFolder, write_atomic
from search.registry.entries import PRODUCTION
from search.registry.registry import Registry
from search.serve.backend import Served

_LABELS: Final = 2_000
"""Labels after which a snapshot is due, whatever the clock says."""


class Reading:
    """Reads the log of one model on.

    Attributes:
        engine: Learns and decides.
        changed: Whether so much has happened since the last snapshot that one is due.
    """

    def __init__(
        self,
        folder: OnlineFolder,
        registry: Registry,
        engine: Engine,
        publisher: Registering,
        choices: Choices,
        told: dict[str, Any],
        sweeping: Sweeping,
    ) -> None:
        self.engine, self.changed = engine, False
        self._folder, self._registry, self._publisher, self._choices = folder, registry, publisher, choices
        self._told, self._sweeping = told, sweeping
        self._snapshots = Snapshots(folder)
        self._decoder = Decoder(engine.challenger.base.signature)
        for rival in engine.state.rivals.values():  # they may have been champion when rows were shown
            if isinstance(rival.model, Fixed):
                self._decoder.add(rival.model.served.bundle.signature)
        self._labelled, self._written = engine.state.counts["labelled"], engine.state.sequence
        self._read = engine.state.sequence - 1  # the event that the state stands in is read again, as far as it is new
        self._state: object = None  # not looked at yet: it may have changed while nobody read
        self._foreign = 0

    @classmethod
    def open(cls, results: Path, name: str, choices: Choices, sweeping: Sweeping) -> Self:
        """Go on from the newest snapshot, or begin.

        Raises:
            InputError: The study of the model cannot be had, or it cannot learn on.
            RefusedError: Code or data are not those of its study any more.
            SurroundingsError: Registry, log or state cannot be read.
        """
        folder, registry = OnlineFolder.of(results, name), Registry.of(results, name)
        found = Snapshots(folder, say).newest()
        told = dict(found.told) if found is not None else _begun(folder, registry, choices)
        told["choices"] = replace(Choices.from_json(told["choices"]), **_may_change(choices)).to_json()
        choices = Choices.from_json(told["choices"])
        _check_log(folder, told)
        models = {role: _fixed(registry, version) for role, version in told["versions"].items()}
        champion = models.pop("champion")
        changes = choices.accept_changes
        base = base_of(results, champion.served, say=say, accept_changes=changes, old=choices.learn.old)
        challenger = Challenger(base, Buffer(choices.learn.capacity), choices.learn, choices.seed)
        classes = base.signature.classes
        state = fresh(base.signature, choices, challenger, base.old.columns)
        state.salt = told["salt"]
        if found is not None:
            challenger.load_state(Arrays(under("challenger", found.arrays), told["challenger"]))
            state.load(told["state"], under("state", found.arrays), {CHALLENGER: challenger, **models})
        publisher = Registering(
            results,
            name,
            told["identity"],
            champion,
            choices=choices,
            sweeping=sweeping,
            target=lambda target: classes[int(target)] if classes else target,
            say=say,
        )
        engine = Engine(classes, champion, challenger, choices, publisher, state)
        reading = cls(folder, registry, engine, publisher, choices, told, sweeping)
        if found is None:
            reading.snapshot()  # so that what is decided has its mark, whatever comes
        return reading

    def events(self, most: int) -> Iterator[list[Event]]:
        """Yield what has come, up to so many events at once; [] where nothing has."""
        events: list[Event] = []
        count = 0
        for record in log.tail(self._folder, max(0, self._read)):
            if record is not None:
                count += 1
                try:
                    events.append(self._decoder(record))
                except Foreign as fault:
                    self._skip(fault)
            if record is None or count == most:
                yield events
                events, count = [], 0

    def _skip(self, fault: Foreign) -> None:
        """Leave out a record of a model with other columns or classes, and say so of the first."""
        if not self._foreign:
            say(f"records of another model are left out: {fault}")
        self._foreign += 1

    def take(self, events: Sequence[Event]) -> None:
        """Learn from events.

        Raises:
            SweepError: What was decided cannot be carried out.
        """
        self.engine.take(events)
        self._read = events[-1].sequence
        if self._publisher.changed:
            self._decoder.add(self._champion.served.bundle.signature)
        self.changed |= self._publisher.changed or self.engine.state.counts["labelled"] - self._labelled >= _LABELS

    def look(self) -> None:
        """See whether somebody else has put another version into production, or a sweep has found a winner.

        Only once all is read that there is: what the engine has decided by then, it has also carried out.

        Raises:
            SweepError: The version, or its study, cannot be had.
        """
        state = self._registry.state()
        if self._choices.resweep:  # one that was interrupted goes on only where it is wanted
            self._sweeping.look()
        if state == self._state and not self._sweeping.found:
            return
        contents = self._registry.read()
        version = contents.aliases.get(PRODUCTION)
        if version is not None and version != self._champion.served.version:
            why = next((move.why for move in reversed(contents.history) if move.alias == PRODUCTION), "")
            self._succeed(version, why)
        if (winner := self._sweeping.take_winner(self._versions().values())) is not None:
            self._bring(winner)
        if self.changed:
            self.snapshot()  # the log knows nothing of it
        self._state = state

    def snapshot(self) -> None:
        """Write down all that is known.

        Raises:
            SurroundingsError: It cannot be written.
        """
        engine = self.engine
        self._told["log"] = self._told["log"] or log.identity(self._folder)
        log.make_durable(self._folder)  # what is learnt must not be forgotten by the log
        own, challenger = engine.state.save(), engine.challenger.state()
        told = {
            **self._told,
            "state": own[0],
            "challenger": dict(challenger.meta),
            "versions": self._versions(),
        }
        arrays = {**prefixed("state", own[1]), **prefixed("challenger", challenger.arrays)}
        self._snapshots.write(Snapshot(told, arrays), engine.state.sequence, engine.state.done)
        self._labelled, self._written = engine.state.counts["labelled"], engine.state.sequence
        self.changed = self._publisher.changed = False

    @property
    def is_ahead(self) -> bool:
        """Whether anything was read since the last snapshot."""
        return self.engine.state.sequence != self._written

    def tell(self) -> None:
        """Write how it stands.

        Raises:
            SurroundingsError: It cannot be written.
        """
        state, champion = self.engine.state, self._champion
        since = state.swaps[-1]["at_s"] if state.swaps else self._told["since_s"]
        told = status_of(
            self.engine,
            self._choices,
            {"label": champion.label, "version": champion.served.version, "since_s": since},
            name=self._folder.name,
            behind=max(0, log.newest(self._folder) - max(0, self._read)),
            at_s=time.time(),
            resweep=self._sweeping.to_json(),
        )
        write_atomic(self._folder.status, json.dumps(told, ensure_ascii=False, allow_nan=False))

    def close(self) -> None:
        """End what it has started."""
        self._sweeping.close()

    @property
    def _champion(self) -> Fixed:
        champion = self.engine.champion
        assert isinstance(champion, Fixed)
        return champion

    def _why_not(self, other: Fixed) -> str:
        """Return why a model cannot stand in for the champion; "" where it can."""
        return why_not(other.served.bundle.signature, self._champion.served.bundle.signature)

    def _bring(self, version: int) -> None:
        """Have the winner of a sweep stand for election, if it is a model of the same kind of rows."""
        winner = _fixed(self._registry, version)
        if why := self._why_not(winner):
            say(f"version {version} won a sweep and does not stand for election: {why}")
            return
        self.engine.bring(winner, f"version {version} won a sweep over the newest rows")
        self.changed = True

    def _versions(self) -> dict[str, int]:
        models = {role: rival.model for role, rival in self.engine.state.rivals.items() if role != CHALLENGER}
        models["champion"] = self.engine.champion
        return {
            role: model.served.version
            for role, model in models.items()
            if isinstance(model, Fixed) and model.served.version is not None
        }

    def _succeed(self, version: int, why: str) -> None:
        champion = _fixed(self._registry, version)
        if other := self._why_not(champion):
            said = f"{champion.label} is in production by now, and is another kind of model: {other}"
            raise RefusedError(said, field="MODEL", hint=f"move {self._folder.root} away, and learning begins anew")
        self._publisher.succeeded(champion)
        self.engine.succeed(champion, why, at_s=time.time())
        self._decoder.add(champion.served.bundle.signature)
        self.changed = True


def _begun(folder: OnlineFolder, registry: Registry, choices: Choices) -> dict[str, Any]:
    """Return what a snapshot tells of a model that has learnt nothing yet.

    Raises:
        RefusedError: It has, and what it has learnt is gone: its log would be held against another champion.
    """
    if folder.audit.exists():
        said = f"{folder.audit} tells of what was learnt, and {folder.state} has nothing of it"
        raise RefusedError(said, field="MODEL", hint=f"put it back, or move {folder.root} away to begin anew")
    version = registry.read().aliases[PRODUCTION]
    return {
        "identity": secrets.token_hex(4),
        "salt": secrets.token_hex(8),
        "choices": choices.to_json(),
        "versions": {"champion": version},
        "since_s": time.time(),
    }


def _check_log(folder: OnlineFolder, told: dict[str, Any]) -> None:
    """Make sure that a snapshot is of the log that is there; one from before there was a log takes it for its own.

    Raises:
        RefusedError: It is of another.
    """
    found, known = log.identity(folder), told.get("log", "")
    if known and found and known != found:
        said = f"what was learnt by {folder.log} is of another log than the one that is there"
        raise RefusedError(said, field="MODEL", hint=f"put that log back, or move {folder.root} away to begin anew")
    told["log"] = known or found


def _may_change(choices: Choices) -> dict[str, Any]:
    """Return what a later start may choose otherwise."""
    return {name: getattr(choices, name) for name in ("wait_s", "most_waiting", "accept_changes", "resweep")}


def _fixed(registry: Registry, version: int) -> Fixed:
    return Fixed(Served(registry.bundle(version), registry.name, version))


def say(text: str) -> None:
    """Write a sentence where the server keeps it."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()

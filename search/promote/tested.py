"""From a model that is made to a version: the test rows come out, it is scored, packed, gated and registered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from search.bundle.bundle import Bundle, write_bundle
from search.bundle.manifest import Manifest
from search.bundle.model import Model
from search.contract import Part
from search.data.fetch import Say
from search.errors import RefusedError, SurroundingsError, SweepError
from search.promote import parity, seal
from search.promote.card import card
from search.promote.choices import Promotion
from search.promote.confirmation import Confirmation
from search.promote.feeding import answers_of
from search.promote.gate import Facts as GateFacts
from search.promote.gate import judge
from search.promote.groups import Groups, by_column
from search.promote.loading import Loaded
from search.promote.making import Made
from search.promote.measures import Judged
from search.promote.opening import Opened
from search.promote.opponent import Incumbent, Opponent, face, in_production
from search.promote.parity import Parity
from search.promote.promoted import Promoted, note
from search.promote.scores import Scores, score
from search.promote.seal import Opened as OpenedTest
from search.promote.threshold import mean_cost
from search.records.study import StoredStudy, status
from search.registry.entries import CANDIDATE, PRODUCTION, Facts, Score
from search.registry.registry import Registry

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Untested:
    """A model before its test, with all that it comes from.

    Attributes:
        stored: The study.
        study: Its problem, whose test part is sealed.
        choices: What was asked for.
        confirmation: Who won; None where a trial was named.
        made: The model.
        manifest: Of its bundle, without the hashes of files.
        model: The same graph, as a bundle will run it.
        loaded: How it does in a clean process.
    """

    stored: StoredStudy
    study: Opened
    choices: Promotion
    confirmation: Confirmation | None
    made: Made
    manifest: Manifest
    model: Model
    loaded: Loaded

    @property
    def scale(self) -> float:
        """Deviation of a regression's training target; 1 of classes."""
        return self.study.problem.target_variance**0.5 or 1.0

    def agrees(self, features: Any) -> Parity:
        """Compare the graph with the pipelines that it was made from.

        Raises:
            RefusedError: They differ.
        """
        return parity.check(self.made.members, self.made.head, self.model, features, scale=self.scale)


def tested(untested: Untested, say: Say) -> Promoted:
    """Open the test part, and do all that follows from it; however it ends, the ledger and the study's folder say so.

    Raises:
        RefusedError: The test rows were used before, something differs, or the gate is not passed.
    """
    stored, choices = untested.stored, untested.choices
    results = stored.folder.root.resolve().parent
    aliases = Registry.of(results, choices.name).read().aliases
    theirs = in_production(results, choices, untested.study.problem)  # by now it may be another version
    test = seal.open_test(results, untested.study.problem, stored.folder.name, choices.name, choices.again)
    say(f"{len(test.part.target):,} test rows are out" + (f": {test.sentence}" if test.sentence else ""))
    try:
        promoted = _scored(untested, test, aliases, theirs, say)
    except BaseException as error:
        outcome = "refused" if isinstance(error, RefusedError) else "failed"
        if not isinstance(error, SweepError):
            say("the test rows are used: another promotion from them takes --again and a reason")
        with _going_on(say):
            seal.ended(results, test.opening, outcome=outcome)
            note(stored, {"model": choices.name, "outcome": outcome, "why": str(error)[:500]})
        raise
    with _going_on(say):
        seal.ended(results, test.opening, version=promoted.version)
        note(stored, promoted.to_json())
    return promoted


@contextmanager
def _going_on(say: Say) -> Iterator[None]:
    """Write down how it ended; where that fails, it has ended like that all the same."""
    try:
        yield
    except SurroundingsError as error:
        say(f"how this ended is not written down: {error.sentence()}")


def _scored(
    untested: Untested, test: OpenedTest, aliases: Mapping[str, int], theirs: Incumbent | None, say: Say
) -> Promoted:
    """Score the model, pack it, hold it against its bounds, and register it."""
    choices, made, part = untested.choices, untested.made, test.part
    agreed = untested.agrees(part.features)
    say(agreed.sentence)
    task, threshold = untested.study.problem.task, made.head.threshold
    said = answers_of(untested.model, part.features).astype(np.float64)
    judged = Judged(said, part.target, task, untested.scale**2, threshold)
    scores = _scores(untested, judged, part)
    cost = "" if choices.costs is None else mean_cost(choices.costs, judged).sentence
    registry = Registry.of(untested.stored.folder.root.resolve().parent, choices.name)
    with registry.staging() as staged:
        digest = write_bundle(staged, untested.manifest, _files(untested, scores, test))
        manifest = Bundle.open(staged, digest=digest).manifest
        size = sum(path.stat().st_size for path in staged.iterdir())
        facts = GateFacts(
            scores,
            untested.loaded.p95_ms,
            size,
            None if theirs is None else _opponent(untested, theirs, judged, scores, part),
            _worst_group(choices, judged, part),
        )
        verdict = judge(choices.bounds, facts)
        for check in verdict.checks:
            say(check.sentence)
        verdict.refuse()
        alias = CANDIDATE if choices.candidate else PRODUCTION
        kept = Facts(_shown(scores), untested.loaded.p50_ms)
        version = registry.add(staged, kept, {alias: aliases.get(alias)}, choices.why or "promoted")
    return Promoted(
        name=choices.name,
        version=version,
        production=not choices.candidate,
        folder=registry.folder.version(version),
        manifest=manifest,
        confirmation=untested.confirmation,
        scores=scores,
        verdict=verdict,
        parity=agreed,
        loaded=untested.loaded,
        size_bytes=size,
        tests_before=len(test.before),
        notes=tuple(text for text in (*made.notes, cost, test.sentence, *verdict.notes) if text),
    )


def _files(untested: Untested, scores: Scores, test: OpenedTest) -> dict[str, bytes]:
    """Return the content of each file of the bundle but its manifest."""
    made, problem, confirmation = untested.made, untested.study.problem, untested.confirmation
    told = card(
        untested.manifest,
        made.signature,
        scores,
        confirmation=None if confirmation is None else confirmation.to_json(),
        rows={
            "train": len(problem.train.target),
            "validation": len(problem.validation.target),
            "test": len(test.part.target),
        },
        openings=test.sentence,
        notes=made.notes,
    )
    return made.files(card=told)


def _scores(untested: Untested, judged: Judged, part: Part) -> Scores:
    problem, group = untested.study.problem, untested.choices.group
    best = status(untested.stored).best
    return score(
        judged,
        problem.train.target,
        classes=problem.classes,
        searched=None if best is None else (untested.manifest.metric, best.values[0]),
        by=None if group is None else (group, _column(part, group)),
    )


def _column(part: Part, name: str) -> Any:
    return next(column for one, column in part.features.items() if str(one) == name)


def _opponent(untested: Untested, theirs: Incumbent, judged: Judged, scores: Scores, part: Part) -> Opponent:
    """Return how the model does against what is in production."""
    return face(
        theirs,
        problem=untested.study.problem,
        part=part,
        ours=judged.prediction,
        metric=scores.main,
        threshold=judged.threshold,
    )


def _worst_group(choices: Promotion, judged: Judged, part: Part) -> Groups | None:
    bound = choices.bounds.worst_group
    if bound is None:
        return None
    return by_column(judged, bound.column, _column(part, bound.column), bound.floor.metric)


def _shown(scores: Scores) -> tuple[Score, ...]:
    """Return the scores as a registry keeps them, the one that counts first."""
    names = sorted(scores.metrics, key=lambda name: name != scores.main)
    found = [(name, scores.metrics[name]) for name in names]
    return tuple(Score(name, one.value, one.low, one.high) for name, one in found)

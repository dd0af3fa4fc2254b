"""What came of training the best trials of a study again: the `Confirmation`, read from the study that did it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from search.checkpoint import CheckpointDamaged
from search.contract import Replay
from search.errors import SurroundingsError
from search.promote.candidates import NoCandidate
from search.promote.standings import Sample, Standings, standings
from search.records.study import StoredStudy, status
from search.study import attributes
from search.study.record import TrialRecord
from search.trialfiles import TrialFiles, decode


@dataclass(frozen=True, slots=True)
class Confirmation:
    """How the best trials of a study do with fresh seeds.

    Attributes:
        study: Whose trials they are.
        confirmation: The study that trained them again.
        metric: That decides: the first of those searched.
        seeds: Trainings of each.
        standings: Who wins, and how surely.
        metrics: Means of all metrics over the trainings, by trial.
        left_out: Why a candidate is not among them, by its number.
        seconds: That the confirmation took.
        notes: What people should know besides, a sentence each.
    """

    study: str
    confirmation: str
    metric: str
    seeds: int
    standings: Standings
    metrics: Mapping[int, Mapping[str, float]]
    left_out: Mapping[int, str]
    seconds: float
    notes: tuple[str, ...] = ()

    @property
    def winner(self) -> int:
        """The number of the trial that wins."""
        return self.standings.winner.number

    def sentences(self) -> list[str]:
        """Return what people should know, a sentence each."""
        gone = [f"trial {number} is left out: {why}" for number, why in self.left_out.items()]
        return [*self.standings.sentences(self.metric), *gone, *self.notes]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON-ready values."""
        return {
            "study": self.study,
            "confirmation": self.confirmation,
            "metric": self.metric,
            "seeds": self.seeds,
            "winner": self.winner,
            "equal": [row.number for row in self.standings.equal],
            "cheaper": [row.number for row in self.standings.cheaper],
            **self.standings.to_json(),
            "metrics": {str(number): dict(means) for number, means in self.metrics.items()},
            "left_out": {str(number): why for number, why in self.left_out.items()},
            "seconds": self.seconds,
            "notes": list(self.notes),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Confirmation:
        """Return the confirmation that `to_json` described."""
        return cls(
            values["study"],
            values["confirmation"],
            values["metric"],
            values["seeds"],
            Standings.from_json(values),
            {int(number): dict(means) for number, means in values["metrics"].items()},
            {int(number): why for number, why in values["left_out"].items()},
            values["seconds"],
            tuple(values["notes"]),
        )


def is_over(again: StoredStudy) -> bool:
    """Tell whether every candidate of a confirmation has been trained, or has failed."""
    count = len(again.plan.enqueued)
    ends = ("complete", "pruned", "fail")
    return len(again.records) >= count and all(record.state in ends for record in again.records[:count])


def read_confirmation(again: StoredStudy, candidates: Sequence[TrialRecord], *, top: int) -> Confirmation:
    """Read what a confirmation came to.

    Args:
        again: The study that trained the candidates again.
        candidates: In the order of its points.
        top: How many candidates were asked for.

    Raises:
        NoCandidate: None could be trained again.
        SurroundingsError: It is not over, so nothing is known of who was not trained yet; or a checkpoint, which holds
            what each training came to, is gone.
    """
    if not is_over(again):
        said = f"the confirmation ended before all were trained: {status(again).why_stopped or 'nobody knows why'}"
        raise SurroundingsError(said, field="study", hint="the same command goes on with it")
    plan, files = again.plan, TrialFiles(again.folder.root)
    seeds = len(plan.enqueued) // len(candidates) * plan.replicates
    samples: list[Sample] = []
    metrics: dict[int, dict[str, float]] = {}
    left_out: dict[int, str] = {}
    whole = len(again.attributes.get(attributes.RUNS, [])) < 2  # else the seconds of its stages are of the last run
    for place, candidate in enumerate(candidates):
        records = again.records[place : len(plan.enqueued) : len(candidates)]
        if (why := _unfit(records, candidate)) is not None:
            left_out[candidate.number] = why
            continue
        if plan.replicates == 1:
            values = tuple(record.values[0] for record in records)
        else:
            values = _of_each(again, records[0], files)
        costs = [_cost_s(record, whole=whole) for record in records]
        known = [cost for cost in costs if cost is not None]
        samples.append(
            Sample(
                candidate.number,
                candidate.values[0],
                values,
                cost_s=sum(known) / seeds if len(known) == len(costs) else None,
                feasible=not any(excess > 0 for record in records for excess in record.constraints.values()),
            )
        )
        metrics[candidate.number] = _means(records, plan.metrics)
    if not samples:
        number, why = next(iter(left_out.items()))
        said = f"no candidate could be trained again: trial {number}: {why:.100}"
        raise NoCandidate(said, field="study", hint=f"`sweep show {again.folder.name}` shows how they ended")
    found = standings(samples, plan.directions[0])
    if samples[0].number != candidates[0].number:
        found = replace(found, optimism=None)
    return Confirmation(
        study=plan.confirms or "",
        confirmation=again.folder.name,
        metric=plan.metrics[0],
        seeds=seeds,
        standings=found,
        metrics=metrics,
        left_out=left_out,
        seconds=round(status(again).seconds, 3),
        notes=tuple(_notes(again, candidates, top)),
    )


def _unfit(records: Sequence[TrialRecord], candidate: TrialRecord) -> str | None:
    """Say why trials of a confirmation say nothing of a candidate, if they do not."""
    for record in records:
        if record.state != "complete":
            return str(record.end.get("text") or "it did not come to its end")
        if record.params != candidate.params:
            other = sorted(record.params.keys() ^ candidate.params.keys()) or ["its parameters"]
            return f"its space has changed in {other[0]}"
    return None


def _of_each(again: StoredStudy, record: TrialRecord, files: TrialFiles) -> tuple[float, ...]:
    """Return what each training of a trial came to, as its checkpoint holds it to the last bit; with folds the means.

    Raises:
        SurroundingsError: The checkpoint cannot be read.
    """
    metric, count = again.plan.metrics[0], again.plan.replicates
    try:
        kept = decode(files.load(record.number, "best"))
    except CheckpointDamaged:
        kept = None
    if kept is None or isinstance(kept.state, Replay) or len(kept.state.meta.get("folds", [])) % count:
        said = f"the checkpoint of trial {record.number} of {again.folder.name!r} is gone or damaged"
        name = again.folder.name
        raise SurroundingsError(said, field="study", hint=f"`sweep rm {name}`, then confirm once more")
    scores = [float(unit[metric]) for unit in kept.state.meta["folds"]]
    each = len(scores) // count
    return tuple(sum(scores[one * each : (one + 1) * each]) / each for one in range(count))


def _cost_s(record: TrialRecord, *, whole: bool) -> float | None:
    """Return the seconds that a trial trained; of one that was cut short, or says nothing of it, those it was held."""
    stages = record.end.get("stage_s") or {}
    if whole and not record.lost and stages.get("train"):
        return float(stages["train"])
    return record.seconds


def _means(records: Sequence[TrialRecord], searched: Sequence[str]) -> dict[str, float]:
    """Return the mean of each metric that all of these trials have; each of them is a mean over its trainings."""
    told = [{**record.end.get("metrics", {}), **dict(zip(searched, record.values, strict=True))} for record in records]
    shared = [name for name in told[0] if all(name in one for one in told)]
    return {name: sum(one[name] for one in told) / len(told) for name in shared}


def _notes(again: StoredStudy, candidates: Sequence[TrialRecord], top: int) -> list[str]:
    said = []
    metrics = again.plan.metrics
    if len(metrics) > 1:
        said.append(f"of {len(metrics)} metrics the first, {metrics[0]}, decides; candidates are trials of the front")
    if len(candidates) < top:
        said.append(f"{top} candidates were asked for, and the study has {len(candidates)}")
    return said

"""One trial in words and as JSON: parameters, curve, log, error, why it was pruned, how to repeat it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from search.cli import console, why, words
from search.cli.options import Common
from search.durations import duration
from search.records.reasons import suggested
from search.study.constraints import missed
from search.study.packing import Need, tried
from search.study.record import TrialRecord, told

if TYPE_CHECKING:
    from search.records.study import StoredStudy

LOG_LINES: Final = 10
_TAIL_BYTES: Final = 64_000
_TABLE_ROWS: Final = 12


@dataclass(frozen=True, slots=True)
class Described:
    """A trial with what its folder holds.

    Attributes:
        log: The last lines of its log.
        error: The last lines of its traceback.
        checkpoint: The folder of its checkpoints, "" if it has none.
        directions: Of the searched metrics.
        standings: How it stands at each rung of the study's pruner that it came to, as of now.
        unit: What a report is of: an epoch, or a step where replicates, folds or the objective itself number them.
        sampler: Of the study; "" of an imported one, whose plan does not know it.
    """

    study: str
    metrics: tuple[str, ...]
    record: TrialRecord
    log: tuple[str, ...]
    error: tuple[str, ...]
    checkpoint: str
    directions: tuple[str, ...]
    standings: tuple[Mapping[str, Any], ...] = ()
    unit: str = "epoch"
    sampler: str = ""

    @property
    def reports(self) -> dict[int, float]:
        """The reports of the first searched metric, by step."""
        by_step, metric = told(self.record, self.metrics[0]), self.metrics[0]
        return {step: values[metric] for step, values in by_step.items() if metric in values}

    @property
    def suggested(self) -> list[str]:
        """Why it was suggested, and when it was taken on, a sentence each."""
        known = {"metric": self.metrics[0], "unit": self.unit, "sampler": self.sampler}
        return suggested(self.record.origin, self.reports, **known)

    @property
    def repeat(self) -> str:
        """The command that runs this trial again, alone."""
        return f"run --repeat {self.study}:{self.record.number}"

    def to_json(self) -> dict[str, Any]:
        """Return all that is known of the trial."""
        record = self.record
        return {
            "study": self.study,
            "number": record.number,
            "state": record.state,
            "metrics": list(self.metrics),
            "values": list(record.values),
            "params": dict(record.params),
            "reports": [{"step": step, "metrics": values} for step, values in curve(record, self.metrics).items()],
            "end": dict(record.end),
            "pruning": dict(record.pruning) or None,
            "rungs": [dict(standing) for standing in self.standings],
            "suggested": {
                **record.origin.to_json(self.reports),
                "sampler": self.sampler or None,
                "why": self.suggested,
            },
            "why": why.why(record, self.metrics, self.directions, self.standings, self.unit),
            "attempts_lost": record.lost,
            "peak_mb": record.end.get("peak_mb"),
            "gpu_idle": record.end.get("gpu_idle"),
            "gpu_peak_mb": record.end.get("gpu_peak_mb"),
            "gpus": record.end.get("gpus"),
            "worker": record.worker,
            "started": record.started.isoformat() if record.started else None,
            "ended": record.ended.isoformat() if record.ended else None,
            "seconds": record.seconds,
            "log": list(self.log),
            "error": list(self.error),
            "checkpoint": self.checkpoint or None,
            "repeat": f"sweep {self.repeat}",
        }


def describe(stored: StoredStudy, record: TrialRecord) -> Described:
    """Read what a trial left in its folder, and reckon how it stands."""
    from search.records.standing import standings  # which reads all trials

    folder = stored.folder.trial(record.number)
    return Described(
        study=stored.folder.name,
        metrics=stored.plan.metrics,
        record=record,
        log=_tail(folder.log, LOG_LINES),
        error=_tail(folder.error, 3 * LOG_LINES),
        checkpoint=str(folder.checkpoint) if folder.checkpoint.is_dir() else "",
        directions=stored.plan.directions,
        standings=standings(stored, record),
        unit="step" if stored.plan.replicates > 1 or stored.plan.folds or stored.plan.by_hand else "epoch",
        sampler="" if stored.launch.get("imported") else stored.plan.sampler.partition(":")[0],
    )


def curve(record: TrialRecord, metrics: tuple[str, ...]) -> dict[int, dict[str, float]]:
    """Return every metric by step; of a trial that measured one only, that is its reports."""
    by_step: dict[int, dict[str, float]] = {step: {metrics[0]: value} for step, value in record.reports.items()}
    for step, values in record.metrics.items():
        by_step[step] = {**by_step.get(step, {}), **values}
    return dict(sorted(by_step.items()))


def lines(described: Described, shared: Common) -> list[str]:
    """Return the trial for people."""
    record = described.record
    took = f"   {duration(record.seconds)}" if record.seconds is not None else ""
    said = [f"trial {record.number} of {described.study}: {record.state}{took}"]
    values = zip(described.metrics, record.values, strict=False)
    said += [f"  {name} {words.number(value)}" for name, value in values]
    reasons = why.why(record, described.metrics, described.directions, described.standings, described.unit)
    said += [f"  {line}" for line in (*described.suggested, *reasons, *_why(record, described.unit))]
    said += ["", "parameters", *(f"  {name} = {words.param(value)}" for name, value in record.params.items())]
    said += _curve_lines(curve(record, described.metrics), described.metrics[0], described.unit)
    for title, text in (("log", described.log), ("error", described.error)):
        if text:
            said += ["", title, *(f"  {line}" for line in text)]
    if described.checkpoint:
        said += ["", f"checkpoint  {described.checkpoint}"]
    return [*said, "", f"again, alone:  {shared.command(described.repeat)}"]


def _why(record: TrialRecord, unit: str) -> list[str]:
    """Say why a trial ended as it did, but for its pruner."""
    said = []
    end = record.end
    if record.state == "fail":
        said.append(f"failed ({end.get('reason') or 'unknown'}): {end.get('text') or 'no word was left'}")
    elif record.same_as is not None:
        said.append(end["text"])
    elif end.get("text") and record.state == "complete":
        said.append(f"ended by {end['text']}, best at {unit} {end.get('step')}")
    if misses := missed(record.constraints, end.get("metrics", {})):
        said.append(f"misses {misses}")
    if record.lost:
        said.append(f"its worker was lost {record.lost} time{'s'[: record.lost > 1]}")
    if (peak_mb := end.get("peak_mb")) is not None:
        said.append(f"its worker took up to {peak_mb:.0f} MB of memory")
    said += _gpu_lines(record)
    if (idle := end.get("gpu_idle")) is not None:
        said.append(f"its GPU waited {idle:.0%} of the training")
    return [*said, *end.get("notes", ())]


def _gpu_lines(record: TrialRecord) -> list[str]:
    """Say what a trial had of GPUs, where, and what it took of their memory."""
    end, (machine, gpu) = record.end, record.place
    if "gpus" not in end:
        return []
    needs = [Need.from_json(one) for one in end.get("short", ())]
    had = f"it had {tried([Need(end['gpus'], end.get('micro_batches', 1))])}"
    said = [f"{had}: GPU {gpu} of {machine}" if gpu else had]
    if needs and record.state != "fail":  # a failed one says so in its text
        said.append(f"before, it ran out of GPU memory with {tried(needs)}")
    if (peak := end.get("gpu_peak_mb")) is not None:
        of = f" of {end['gpu_mb']:.0f}" if end.get("gpu_mb") else ""
        said.append(f"it took up to {peak:.0f}{of} MB of its GPU's memory")
    return said


def _curve_lines(by_step: Mapping[int, Mapping[str, float]], searched: str, unit: str) -> list[str]:
    if not by_step:
        return []
    names = list(dict.fromkeys(name for values in by_step.values() for name in values))
    main = [values[searched] for values in by_step.values() if searched in values]
    every = max(1, -(-len(by_step) // _TABLE_ROWS))
    steps = [*by_step][::every]
    last = [*by_step][-1]
    steps += [] if last in steps else [last]
    rows = [[step, *(words.number(by_step[step].get(name)) for name in names)] for step in steps]
    table = console.table([unit, *names], rows)
    return ["", f"curve of {searched}  {words.spark(main)}", *(f"  {line}" for line in table)]


def _tail(path: Path, count: int) -> tuple[str, ...]:
    """Return the last lines of a file, read from its end; nothing if it is missing."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return ()
    return tuple(text.splitlines()[-count:])

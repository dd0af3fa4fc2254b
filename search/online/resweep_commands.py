"""What a user would type for a sweep over other rows with all that a study had: the `Commands`."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from search.bundle.manifest import Manifest
from search.errors import InputError
from search.loading import BY_VALUE
from search.paths import StudyFolder
from search.plan import SweepPlan
from search.report.commands import as_typed, value_of

TRIALS: Final = 30
TIME_S: Final = 900.0
"""Budget of a sweep that is given none."""

_KEPT: Final = (
    *("space", "split", "folds", "max-epochs", "metric", "direction", "constraint", "sampler", "pruner", "seed"),
    *("replicates", "cpus", "gpus", "precision", "compile", "patience", "trial-timeout", "memory", "concurrency"),
    *("retries", "set", "cache", "priority"),
)
"""Options of the study that the sweep has as well: what is searched, and how. Who hears of it, and its end, are not."""

_ALWAYS: Final = ("space", "seed")
"""Of those, what is named though nobody chose it."""

_AGAIN: Final = "a promotion of the same study was interrupted"
_LONGEST: Final = 70
"""Characters of a study's name that are kept in that of a sweep over newer rows."""


@dataclass(frozen=True, slots=True)
class SweepOptions:
    """What a sweep over the newest rows may take.

    Attributes:
        trials: At most; None: `TRIALS`, where no time is given either.
        time_s: Seconds at most; None: `TIME_S`, where no number of trials is given either.
        address: Of a Ray cluster; None: this machine.
        rows: The newest so many.
        confirm: What `sweep promote` is told of how the winner is confirmed.
    """

    trials: int | None = None
    time_s: float | None = None
    address: str | None = None
    rows: int = 20_000
    confirm: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Commands:
    """Arguments of `sweep`, for each step.

    Attributes:
        run: Launches the sweep.
        resume: Goes on with it.
        fetch: Brings it home from a cluster.
        promote: Makes its winner a candidate.
        promote_again: The same, where a promotion had begun.
    """

    run: tuple[str, ...]
    resume: tuple[str, ...]
    fetch: tuple[str, ...]
    promote: tuple[str, ...]
    promote_again: tuple[str, ...]

    @classmethod
    def of(
        cls, plan: SweepPlan, manifest: Manifest, study: str, name: str, data: str, target: str, options: SweepOptions
    ) -> Self:
        """Return the commands of a sweep.

        Args:
            plan: Of the study that the champion comes from; the sweep begins from its good trials.
            manifest: Of the champion.
            study: Name of the new study.
            name: Of the model.
            data: Reference of its rows.
            target: Column that is predicted.
            options: What it may take.

        Raises:
            InputError: No command can name its objective.
        """
        if any(one.partition(":")[0] == BY_VALUE for one in (plan.objective, plan.space)):
            said = f"the study {plan.study!r} was launched from Python, with objects that no command can name"
            raise InputError(said, field="model")
        where = ("--results", plan.results)
        place = () if options.address is None else ("--address", options.address)
        alike = ("--warm-start", plan.study) if len(plan.metrics) == 1 else ()
        found = ("--study", study, "--data", data, "--target", target, *alike)
        run = ("run", plan.objective, *_kept(plan), *found, *_budget(options), *place, *where, "--quiet")
        promote = ("promote", study, "--as", name, "--candidate", *_made(manifest), *options.confirm, *where, "--quiet")
        resume, fetch = ("resume", study, *place, *where, "--quiet"), ("fetch", study, *place, *where)
        return cls(run, resume, fetch, promote, (*promote, "--again", _AGAIN))


def free_name(results: Path, study: str, first: int) -> tuple[int, str]:
    """Return the number and the name of a new study: the first from `first` on that is free.

    Args:
        results: The results folder.
        study: That the champion comes from; may be such a one itself.
        first: Number.
    """
    stem = re.sub(r"-online-\d+\Z", "", study)[:_LONGEST]
    for number in itertools.count(first):
        name = f"{stem}-online-{number}"
        if not StudyFolder.of(results, name).root.exists():
            return number, name
    raise AssertionError  # for mypy: it counts without end


def _kept(plan: SweepPlan) -> list[str]:
    told: list[str] = []
    for option in _KEPT:
        if option not in _ALWAYS and plan.origins.get(option, "default") in ("default", "environment"):
            continue
        value: Any = value_of(plan, option)
        if option == "split" and ":" in str(value):  # a column that there may not be any more
            continue
        for text in as_typed(option, value):
            told += [f"--{option}", text]
    return told


def _budget(options: SweepOptions) -> list[str]:
    trials, time_s = options.trials, options.time_s
    if trials is None and time_s is None:
        trials, time_s = TRIALS, TIME_S
    given = (("trials", trials), ("time", time_s))
    return [text for name, value in given for one in as_typed(name, value) for text in (f"--{name}", one)]


def _made(manifest: Manifest) -> list[str]:
    """Return how the champion was made of its trial, but that several voted."""
    told = [f"--{name}" for name in ("refit", "calibrate") if manifest.options.get(name)]
    return [*told, "--cost", manifest.options["cost"]] if "cost" in manifest.options else told

"""A study in the hands of a Python program: the `Sweep`, and its figures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search.byvalue import Brought
from search.errors import InputError
from search.opening import NOTHING
from search.output import page_file, write_output
from search.paths import StudyFolder
from search.records import find, tables
from search.records.study import StoredStudy, read
from search.records.study import status as status_of
from search.spoken import spoken
from search.status import Status, TrialScore
from search.study import wishes
from search.trial import ParamValue

if TYPE_CHECKING:
    import pandas as pd

    from search.promote.promoted import Promoted
    from search.records.history import History
    from search.report.catalogue import Figures
    from search.study.lookup import OptunaStudy


@dataclass(frozen=True, slots=True)
class BestTrial:
    """A trial that is the best, or one of the best where several metrics are searched.

    Attributes:
        number: In the study.
        values: Of the searched metrics.
        params: As suggested, by full name.
        metrics: Every metric at its best step.
        step: That step.
        checkpoint: Folder of its checkpoint; None if none is kept.
    """

    number: int
    values: tuple[float, ...]
    params: Mapping[str, ParamValue]
    metrics: Mapping[str, float]
    step: int
    checkpoint: Path | None

    @property
    def value(self) -> float:
        """Value of the first searched metric."""
        return self.values[0]


class Sweep:
    """One study: where it stands and what it found, read anew from its folder at each look, also while it runs.

    Args:
        folder: Of the study.
        brought: What of its objective and space no file holds.
    """

    def __init__(self, folder: StudyFolder, brought: Brought = NOTHING) -> None:
        self._folder, self._brought = folder, brought

    @property
    def name(self) -> str:
        return self._folder.name

    @property
    def folder(self) -> Path:
        return self._folder.root

    @property
    def status(self) -> Status:
        """Where it stands: its state, counts of trials, seconds, why it stopped."""
        return status_of(self._read())

    @property
    def best(self) -> BestTrial | None:
        """The best completed trial, with several metrics the first of the front; None if there is none."""
        best = self.status.best
        return self._best(best) if best is not None else None

    @property
    def best_trials(self) -> list[BestTrial]:
        """The Pareto front; with one metric the best trial alone."""
        status = self.status
        scores = status.front or ((status.best,) if status.best is not None else ())
        return [self._best(score) for score in scores]

    @property
    def trials(self) -> pd.DataFrame:
        """One row per trial, with the columns of `sweep table`."""
        return tables.trials(self._read())

    @property
    def reports(self) -> pd.DataFrame:
        """One row per report: `number`, `step` and `metrics.NAME`."""
        return tables.reports(self._read())

    @property
    def study(self) -> OptunaStudy:
        """The study as Optuna's own, as it stands now; nothing can be written through it."""
        from search.study.lookup import optuna_study

        return optuna_study(self._folder, self._read().plan)

    @property
    def figures(self) -> Figures:
        """The figures of its report by their keys, as plotly's own; a notebook shows them all."""
        return study_figures(self)

    def report(self, path: str | Path | None = None) -> Path:
        """Write the page that `sweep report` writes.

        Args:
            path: Where to; `report.html` in the study's folder if left out.

        Returns:
            The file.

        Raises:
            InputError: It is no `.html` file.
            SurroundingsError: It cannot be written.
        """
        from search.report import page

        target = self._folder.report if path is None else page_file(path, "report()", field="path")
        write_output(target, page.html(page.payload(_history(self))), field="path")
        return target

    def promote(self, name: str, *, accept_changes: bool = False, **options: Any) -> Promoted:
        """Make its best a version of a model, as `sweep promote` does.

        Args:
            name: Of the model.
            accept_changes: Go on though code or data changed since the study's last run.
            options: Every option of `sweep promote`, with `_` for `-`: `top=5`, `refit=True`, `max_latency="30ms"`,
                `floor={"accuracy": 0.9}`, `cost={"fn": 5, "fp": 1}`, `worst_group={"town": {"accuracy": 0.7}}`,
                `again="why"`.

        Returns:
            The version, its scores on test rows, and the verdict of the gate.

        Raises:
            InputError: An option is wrong, or the objective cannot be promoted.
            RefusedError: The test rows were used before, or the gate is not passed.
            SurroundingsError: The cluster, the disk or a library is not as needed.
        """
        from search.extras import check_promotion

        check_promotion()  # one of them is imported with the next lines
        from search.promote.choices import OPTIONS, Promotion
        from search.promote.confirm import Manner
        from search.promote.natural import natural
        from search.promote.promoting import promote

        manner = Manner(accept_changes=accept_changes, brought=self._brought)
        with spoken({*(option.replace("_", "-") for option in OPTIONS), "accept-changes"}):
            return promote(self._read(), Promotion.of(name, natural(options)), manner)

    def stop(self, *, now: bool = False) -> None:
        """Ask the process that runs it to pause its trials and end, as `sweep stop` does.

        Args:
            now: Whether it is to end at once, without waiting for trials to pause.

        Raises:
            InputError: Nobody runs it.
        """
        if self._read().holder is None:
            raise InputError(f"study {self.name!r} is not running", field="study", hint="there is nothing to stop")
        wishes.post(self._folder, "stop", now=now)

    def __repr__(self) -> str:
        status = self.status
        ended = sum(status.trials.get(state, 0) for state in ("complete", "pruned", "fail"))
        best = f", best {status.metrics[0]} {status.best.values[0]:.5g}" if status.best is not None else ""
        return f"<Sweep {self.name!r}: {status.state}, {ended} trials ended{best}>"

    def _repr_html_(self) -> str:
        status = self.status
        counts = ", ".join(f"{count} {state}" for state, count in status.trials.items() if count)
        rows = [("study", self.name), ("state", status.state), ("trials", counts), ("stopped", status.why_stopped)]
        if status.best is not None:
            best = status.best
            measured = zip(status.metrics, best.values, strict=True)
            rows += [(f"best {name}", f"{value:.5g} (trial {best.number})") for name, value in measured]
            for name, value in best.params.items():
                rows.append((name, f"{value:.5g}" if isinstance(value, float) else str(value)))
        cells = "".join(f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in rows if text)
        return f"<table>{cells}</table>"

    def _read(self) -> StoredStudy:
        return read(self._folder)

    def _best(self, score: TrialScore) -> BestTrial:
        place = self._folder.trial(score.number).checkpoint
        kept = place if place.exists() else None
        return BestTrial(score.number, score.values, dict(score.params), dict(score.metrics), score.step, kept)


def load(study: str, *, results: str | Path = "results") -> Sweep:
    """Return the sweep of a study that is there already.

    Args:
        study: Its name, a prefix that fits no other, or its folder.
        results: The results folder.

    Raises:
        InputError: There is no such study.
    """
    return Sweep(find.study_folder(Path(results), study))


def study_figures(
    study: str | Path | Sweep | History, keys: str | Iterable[str] | None = None, *, results: str | Path = "results"
) -> Figures:
    """Return the figures of a study's report, those that have something to show, as plotly's own.

    Asked for another one by its key, what comes back says why there is nothing to show.

    Args:
        study: Its name, a prefix that fits no other, its folder, or its `Sweep`.
        keys: Which figures, or which one; all if left out.
        results: The results folder, where a name is given.

    Raises:
        InputError: There is no such study, or no such figure.
    """
    from search.report import catalogue

    given = load(str(study), results=results) if isinstance(study, str | Path) else study
    return catalogue.study_figures(_history(given) if isinstance(given, Sweep) else given, keys)


def _history(sweep: Sweep) -> History:
    from search.records.history import History

    return History.of(read(StudyFolder(sweep.folder)))

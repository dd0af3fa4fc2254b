"""From a place that holds trials to a study of ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from search import loading
from search.adopt.importing import into, optuna_storage, tune_folder
from search.adopt.importing.source import SourceStudy
from search.choosing import BY_NAME, choose
from search.data.fetch import Say, quiet
from search.errors import InputError
from search.launch import prepare, versions
from search.paths import StudyFolder
from search.plan import SweepPlan
from search.study import attributes
from search.study.space import describe

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

ACCEPTED: Final = (
    "SOURCE is a journal or SQLite file of Optuna's, a storage URL, a folder of Ray Tune's, or a file with a space"
)
_PICKLE: Final = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the user wants of an import.

    Attributes:
        name: Of the study here; None for its own.
        study: Which one of a storage.
        objective: To go on with; None for none.
        space: Of the objective, or of the trials.
        options: Raw values of further options of `sweep run`, by name.
    """

    name: str | None = None
    study: str | None = None
    objective: str | None = None
    space: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


def take_over(
    source: str, wanted: Wanted, results: Path, folder: Path, *, say: Say = quiet
) -> tuple[StudyFolder, tuple[str, ...]]:
    """Copy a study of another tool into the results folder; the source stays as it is.

    Args:
        source: A file, a folder or a URL.
        wanted: What of it, and as what.
        results: The results folder.
        folder: What references are relative to.
        say: Hears of data that is fetched.

    Returns:
        The study's folder, and what was left out or changed, a sentence each.

    Raises:
        InputError: There is no study, or it is not clear which.
        RefusedError: It exists here already.
        SurroundingsError: The source or the results folder cannot be used.
    """
    choose({name: value for name, value in wanted.options.items() if value is not None})  # all faults at once
    if wanted.name is not None:
        into.refuse_existing(StudyFolder.of(results, wanted.name))
    if wanted.objective is None:
        _refuse_without_objective(wanted)
    read = _read(source, wanted, folder)
    name = into.name_of(read, wanted.name)
    target = StudyFolder.of(results, name)
    into.refuse_existing(target)
    record = _record(read, wanted, target, folder, say) if wanted.objective else _bare(read, wanted, target)
    record["imported"] = {"tool": read.tool, "study": read.name, "source": _shown(source)}
    into.write(read, target, record, SweepPlan.from_json(record["plan"]))
    return target, read.notes


def _refuse_without_objective(wanted: Wanted) -> None:
    """Refuse options that would have no effect."""
    given = [f"--{name}" for name, value in wanted.options.items() if value and name not in ("metric", "direction")]
    if given:
        raise InputError(
            f"{', '.join(given)} say how an objective is searched, and none was given",
            field=given[0],
            hint="add --objective FILE.py:NAME",
        )


def _read(source: str, wanted: Wanted, folder: Path) -> SourceStudy:
    metrics, directions = _given(wanted, "metric"), _given(wanted, "direction")
    if "://" in source:
        return _renamed(optuna_storage.read(source, wanted.study), metrics, directions)
    path = Path(source).expanduser()
    if not path.exists():
        raise InputError(f"{source} does not exist", field="SOURCE", hint=ACCEPTED)
    if path.is_dir():
        if (path / "study.journal").is_file():
            return _renamed(optuna_storage.read(path / "study.journal", wanted.study), metrics, directions)
        if not tune_folder.is_experiment(path):
            raise InputError(f"{source} is no folder of a Ray Tune experiment or of a study", field="SOURCE")
        if wanted.study is not None:
            raise InputError("--study-name is for a storage of several studies", field="--study-name", hint="use --as")
        one = (metrics or (None,))[0], (directions or (None,))[0]
        return tune_folder.read(path, metric=one[0], direction=one[1], known=_known(wanted, folder))
    with path.open("rb") as file:
        head = file.read(16)
    if head.startswith(_PICKLE):
        raise InputError(
            f"{source} is a pickle, which runs code when it is opened",
            field="SOURCE",
            hint="load it where it was made, and optuna.copy_study it to sqlite:///FILE",
        )
    if head != optuna_storage.SQLITE_HEAD and not head.lstrip().startswith(b"{"):
        raise InputError(f"{source} is nothing to import", field="SOURCE", hint=ACCEPTED)
    return _renamed(optuna_storage.read(path, wanted.study), metrics, directions)


def _known(wanted: Wanted, folder: Path) -> Mapping[str, BaseDistribution]:
    """Return the ranges of the parameters, as the space has them that was given or is the objective's own."""
    if wanted.objective is not None:
        objective = loading.load(wanted.objective, kind="objective", folder=folder)
        return describe(loading.load_space(objective, wanted.space, folder=folder).value, seed=0)
    if wanted.space is not None:
        return describe(loading.load(wanted.space, kind="space", folder=folder).value, seed=0)
    return {}


def _given(wanted: Wanted, name: str) -> tuple[str, ...]:
    values = wanted.options.get(name) or ()
    return tuple(BY_NAME[name].parse(f"--{name}", value) for value in values)


def _renamed(study: SourceStudy, metrics: tuple[str, ...], directions: tuple[str, ...]) -> SourceStudy:
    """Return a study of Optuna's with names for its values: given ones, its own, or `value`.

    Raises:
        InputError: There are more or fewer names than values, or a direction is another one.
    """
    count = len(study.directions)
    if directions and directions != study.directions:
        raise InputError(
            f"the study was told to {' and '.join(study.directions)}, got {' and '.join(directions)}",
            field="--direction",
            hint="leave it out",
        )
    if metrics and len(metrics) != count:
        raise InputError(f"the study has {count} values, got {len(metrics)} names", field="--metric")
    unnamed = ("value",) if count == 1 else tuple(f"value_{index}" for index in range(count))
    return replace(study, metrics=metrics or study.metrics or unnamed)


def _record(study: SourceStudy, wanted: Wanted, target: StudyFolder, folder: Path, say: Say) -> dict[str, Any]:
    """Return what `plan.json` holds of a study that can be gone on with."""
    given = {name: value for name, value in wanted.options.items() if value}
    given |= {"study": target.name, "metric": study.metrics, "direction": study.directions, "trials": _counted(study)}
    if wanted.space is not None:
        given["space"] = wanted.space
    if study.last_step > 1:
        given.setdefault("max-epochs", str(study.last_step))
    assert wanted.objective is not None
    given["trials"] = str(max(1, given["trials"]))
    launch = prepare(wanted.objective, choose(given), results=target.root.parent, folder=folder, say=say)
    return launch.record()


def _bare(study: SourceStudy, wanted: Wanted, target: StudyFolder) -> dict[str, Any]:
    """Return what `plan.json` holds of a study to look at, and to start others from."""
    plan = SweepPlan(
        objective="",
        space="",
        study=target.name,
        results=str(target.root.parent.resolve()),
        metrics=study.metrics,
        directions=study.directions,
        seed=0,
        max_epochs=study.last_step,
        pruner="none",
        origins={"metric": "flag" if wanted.options.get("metric") else "default"},
    )
    ranges = {name: one for trial in study.trials for name, one in trial.distributions.items()}
    return {
        "schema": 1,
        "launched": datetime.now().astimezone().isoformat(timespec="seconds"),
        "plan": plan.to_json(),
        "code_hash": "",
        "data_hash": "",
        "versions": versions(),
        "parameters": {name: str(one) for name, one in ranges.items()},
    }


def _counted(study: SourceStudy) -> int:
    """Return how many trials count towards a budget: ended ones that were not lost."""
    ended = [trial for trial in study.trials if trial.state.is_finished()]
    return sum(trial.system_attrs.get(attributes.END, {}).get("reason") != "worker_lost" for trial in ended)


def _shown(source: str) -> str:
    return optuna_storage.shown_place(source) if "://" in source else str(Path(source).expanduser().absolute())

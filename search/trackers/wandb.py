"""Weights & Biases: a run for each trial and one for the study, in one group; offline unless a key is there."""

from __future__ import annotations

import hashlib
import netrc
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from search.status import Status
from search.study.record import TrialRecord
from search.trackers.tracker import Report, Tracked
from search.trial import ParamValue

_PROJECT: Final = "sweep"
_URL: Final = "https://api.wandb.ai"
_STUDY: Final = "study"
_PATIENCE_S: Final = 30.0


class WandB:
    """Writes runs below the study's folder, `wandb/`; W&B sends them on where it has a key, `wandb sync` does later.

    Args:
        where: `PROJECT` or `ENTITY/PROJECT`; "" for `WANDB_PROJECT`, or else `sweep`.
    """

    def __init__(self, where: str) -> None:
        self._entity, _, self._project = where.rpartition("/")
        self._open: dict[str, Any] = {}
        self._study: Tracked | None = None
        self._run = ""
        self._before: set[Any] = set()

    def begin(self, study: Tracked, run: str) -> str:
        import psutil

        self._before = set(psutil.Process().children(recursive=True))
        self._study = study
        self._run = run or _id(study, _STUDY)
        self._init(self._run, study.name, _STUDY, study.choices())
        return self._run

    def start(self, number: int, params: Mapping[str, ParamValue], run: str, at: datetime | None) -> str:
        assert self._study is not None
        named = run or _id(self._study, str(number))
        if named not in self._open:
            self._init(named, f"{self._study.name} #{number}", "trial", {**params, "trial": number})
        return named

    def report(self, run: str, reports: Sequence[Report]) -> None:
        for report in reports:
            self._open[run].log(dict(report.metrics), step=report.step)

    def end(self, run: str, record: TrialRecord) -> None:
        summary = {"state": record.state, **{name: record.end.get(name) for name in ("reason", "text")}}
        summary |= {f"pruning.{name}": value for name, value in record.pruning.items()}
        summary |= {name: value for name, value in record.end.get("metrics", {}).items() if record.state == "complete"}
        ended = self._open.pop(run)
        ended.summary.update({name: value for name, value in summary.items() if value is not None})
        ended.finish(exit_code=int(record.state == "fail"))

    def finish(self, run: str, status: Status) -> None:
        told: dict[str, Any] = {"state": status.state, "why_stopped": status.why_stopped, **_counts(status)}
        if status.best is not None:
            told |= {"best.trial": status.best.number}
            told |= {f"best.{name}": value for name, value in zip(status.metrics, status.best.values, strict=True)}
            told |= {f"best.{name}": value for name, value in status.best.params.items()}
        self._open[run].summary.update(told)
        for one in [*self._open.values()]:  # trials that are paused go on in the same run
            one.finish(exit_code=int(status.state == "failed"))
        self._open.clear()
        import wandb

        wandb.teardown()

    def abandon(self) -> None:
        """End W&B's own process, for which Python would wait at its exit, unless it is somebody else's, too."""
        import psutil

        for process in set(psutil.Process().children(recursive=True)) - self._before:
            with suppress(psutil.Error):
                if process.name().startswith("wandb"):
                    process.kill()
        told = sys.unraisablehook

        def tell(what: Any) -> None:
            if not str(getattr(what.object, "__module__", "")).startswith("wandb."):  # it misses that process
                told(what)

        sys.unraisablehook = tell

    def _init(self, run: str, name: str, job: str, config: Mapping[str, Any]) -> None:
        import wandb

        assert self._study is not None
        settings = wandb.Settings(
            mode=_mode(),
            silent=True,
            console="off",
            disable_git=True,
            save_code=False,
            root_dir=str(self._study.folder.root),
            init_timeout=_PATIENCE_S,
            x_disable_stats=True,
            x_disable_machine_info=True,
        )
        self._open[run] = wandb.init(
            entity=self._entity or None,
            project=self._project or os.environ.get("WANDB_PROJECT") or _PROJECT,
            group=self._study.name,
            job_type=job,
            name=name,
            id=run,
            resume="allow",
            reinit="create_new",
            config=dict(config),
            settings=settings,
        )


def _mode() -> Any:
    """Return W&B's mode: as its own variable says, else offline where there is no key; it never asks for a login."""
    given = os.environ.get("WANDB_MODE")
    if given:
        return given
    return "online" if os.environ.get("WANDB_API_KEY") or _noted() else "offline"


def _noted() -> bool:
    """Tell whether `wandb login` has left a key for the server that is asked."""
    path = Path(os.environ.get("NETRC") or Path.home() / ".netrc")
    try:
        host = urlsplit(os.environ.get("WANDB_BASE_URL") or _URL).netloc
        return path.exists() and netrc.netrc(str(path)).authenticators(host) is not None
    except (OSError, ValueError, netrc.NetrcParseError):
        return False


def _id(study: Tracked, of: str) -> str:
    """Return the id of a run, the same each time: what goes on is written to the run that was begun."""
    return hashlib.sha256(f"{study.mark}:{of}".encode()).hexdigest()[:16]


def _counts(status: Status) -> dict[str, int]:
    return {f"trials.{state}": count for state, count in status.trials.items() if count}

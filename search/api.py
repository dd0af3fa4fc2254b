"""Sweeps from Python: `sweep(...)` does what `sweep run` and `sweep resume` do, with objects where those take names."""

from __future__ import annotations

import inspect
import os
import signal
import sys
from collections.abc import Iterable, Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search import byvalue
from search.adopt.starting import stop_if_loading
from search.callbacks import Callback, Callbacks
from search.choosing import BY_NAME, OPTIONS, RESUMABLE, Choices, choose
from search.errors import InputError, RefusedError, did_you_mean
from search.paths import StudyFolder
from search.reloading import forget_changed
from search.spoken import spoken
from search.sweeps import Sweep

if TYPE_CHECKING:
    from search.candidates import Kind
    from search.launch import Launch
    from search.loading import Loaded
    from search.plan import SweepPlan


def sweep(
    objective: object,
    space: object = None,
    *,
    data: object = None,
    study: str | None = None,
    results: str | Path = "results",
    resume: bool = False,
    accept_changes: bool = False,
    callbacks: Callback | Iterable[Callback] = (),
    show: bool | None = None,
    **options: Any,
) -> Sweep:
    """Run a sweep to its end.

    A first Ctrl-C pauses it, and the call returns; a second one raises KeyboardInterrupt.

    Args:
        objective: A reference as of `sweep run`, or the object itself: a class or an instance with the four stages, a
            generator marked with `@objective`, an Optuna objective, a scikit-learn estimator, a Ray trainable.
        space: A reference, a function of a trial, or a `param_space`; the objective's own if it is left out.
        data: A reference, a data frame, or `(X, y)`.
        study: Its name; made from the objective's and the time if it is left out.
        results: The results folder.
        resume: Go on with the study where there is one; what may change, `trials` or `time` say, is a new total then.
        accept_changes: Go on although code or data change.
        callbacks: Called in this process, in another thread, while the sweep runs (`search.callbacks`).
        show: Show it on stderr while it runs; if left out, in a notebook and on a terminal.
        options: Every option of `sweep run`, with `_` for `-`: `trials=50`, `time="30m"`, `sampler="tpe"`,
            `set={"train.lr": 0.1}`, `enqueue=[{"train.lr": 0.1}]`.

    Returns:
        The sweep, also where it was interrupted or no trial completed: its `status` says how it ended.

    Raises:
        InputError: Something that was given is wrong.
        SurroundingsError: The machine, the cluster or the disk is not as needed.
        RefusedError: The study exists, somebody runs it, or its code or data changed.
    """
    stop_if_loading()
    with spoken({*BY_NAME, "accept-changes"}):
        forget_changed()
        heard = tuple(callbacks) if isinstance(callbacks, Iterable) else (callbacks,)
        folder, given = Path(results), {**options, "study": study}
        _refuse_unknown(given)
        points = given.pop("enqueue", None)
        if isinstance(points, (str, type(None))):
            given["enqueue"], points = points, ()
        tried = _points(points)
        choices = choose({option.name: given.get(option.key) for option in OPTIONS if option.key != "space"})
        there = StudyFolder.of(folder, study) if study is not None and resume else None
        if resume and study is None:
            raise InputError("resume=True needs the name of the study", field="study", hint="give study=NAME")
        if there is not None and there.exists():
            launch = _gone_on_with(there, choices, given, tried, objective, space, data, accept_changes=accept_changes)
            if launch is None:
                return Sweep(there)  # of what stands in files, that is
            return _run(launch, Callbacks(heard, resumed=there), show=show)
        launch = _new(objective, space, data, choices, tried, folder, accept_changes=accept_changes)
        return _run(launch, Callbacks(heard), show=show)


def _signature() -> inspect.Signature:
    """Return the signature of `sweep` with every option by name, for people who look it up."""
    own = inspect.signature(sweep)
    named = [one for one in own.parameters.values() if one.kind is not one.VAR_KEYWORD]
    keyword = inspect.Parameter.KEYWORD_ONLY
    options = [
        inspect.Parameter(option.key, keyword, default=None, annotation=Any)
        for option in OPTIONS
        if option.key not in own.parameters
    ]
    return own.replace(parameters=[*named, *options])


sweep.__signature__ = _signature()  # type: ignore[attr-defined]


def _refuse_unknown(given: Mapping[str, object]) -> None:
    options, known = {option.key for option in OPTIONS}, inspect.signature(sweep).parameters
    for name in given:
        if name not in options:
            raise InputError(f"sweep() has no option {name!r}", field=name, hint=did_you_mean(name, known))


def _points(given: Any) -> tuple[dict[str, object], ...]:
    points = (given,) if isinstance(given, Mapping) else tuple(given)
    for point in points:
        if not isinstance(point, Mapping):
            said = f"enqueue is a list of points, or a file of them, got {type(point).__name__} in it"
            raise InputError(said, field="enqueue", hint='try [{"train.lr": 0.1}]')
    return tuple(dict(point) for point in points)


def _new(
    objective: object,
    space: object,
    data: object,
    choices: Choices,
    points: tuple[dict[str, object], ...],
    results: Path,
    *,
    accept_changes: bool,
) -> Launch:
    from search.launch import prepare

    choices = _with_data(data, choices, results)
    if isinstance(space, str):
        choices, space = choices.having(space=space), None
    with redirect_stdout(sys.stderr):  # what the user's code prints is talk
        return prepare(
            objective,
            choices,
            results=results,
            folder=Path.cwd(),
            accept_changes=accept_changes,
            own_space=space,
            points=points,
        )


def _with_data(data: object, choices: Choices, results: Path) -> Choices:
    """Return the choices with the data that was given: by its reference, or by that of a file that keeps it."""
    if data is None:
        return choices
    if isinstance(data, str):
        return choices.having(data=data)
    from search.data import frames

    reference, target = frames.keep(data, choices["target"], results)
    return choices.having(data=reference, target=target)


def _gone_on_with(
    folder: StudyFolder,
    choices: Choices,
    given: Mapping[str, object],
    points: tuple[dict[str, object], ...],
    objective: object,
    space: object,
    data: object,
    *,
    accept_changes: bool,
) -> Launch | None:
    """Return the launch that goes on with a study; None if nothing is left to do."""
    from search.plan import SweepPlan
    from search.records.study import read
    from search.resume import changed, prepare, settle, with_edits
    from search.study.lock import refuse_running
    from search.study.spending import why_exhausted
    from search.unchanged import refuse_other

    refuse_running(folder.root, study=folder.name)
    stored = with_edits(read(folder))
    plans = (SweepPlan.from_json(stored.launch["plan"]), stored.plan)
    choices, results = _with_data(data, choices, folder.root.parent), folder.root.parent
    found, own = _found(plans, objective, space)
    kept = data is not None and not isinstance(data, str)
    refuse_other(plans, choices, points, found, own, results=results, kept=kept)
    plan = changed(stored.plan, {name: given.get(BY_NAME[name].key) for name in RESUMABLE})
    brought = byvalue.brought(("objective", found), ("space", own))
    if own.reference != stored.plan.space:  # an edit gave it another
        brought.pop("space", None)
    if why_exhausted(folder, plan) is not None:
        settle(stored, plan, brought)
        return None
    with redirect_stdout(sys.stderr):
        return prepare(stored, plan, accept_changes=accept_changes, brought=brought)


def _found(plans: tuple[SweepPlan, SweepPlan], objective: object, space: object) -> tuple[Loaded, Loaded]:
    """Return the objective and the space that were given, which have to be the study's.

    Raises:
        RefusedError: They are others.
    """
    from search.loading import load_space

    here = Path.cwd()
    found = byvalue.loaded(objective, "objective", folder=here, space=space)
    _refuse_another("objective", found.reference, plans)
    if space is None or isinstance(space, str):
        own = load_space(found, space, folder=here)
    else:
        own = byvalue.loaded(space, "space", folder=here)
    if space is not None:
        _refuse_another("space", own.reference, plans)
    return found, own


def _refuse_another(kind: Kind, got: str, plans: tuple[SweepPlan, SweepPlan]) -> None:
    has = [getattr(plan, kind) for plan in plans]
    if got not in has:
        said = f"study {plans[-1].study!r} is of {has[-1]}, got {got}"
        raise RefusedError(said, field=kind, hint="choose another study")


def _run(launch: Launch, callbacks: Callbacks, *, show: bool | None) -> Sweep:
    from search.showing import shown
    from search.tuner.driver import sweep as run

    with shown(launch, show) as update:

        def view(status: Any) -> None:
            update(status)
            callbacks.hear(StudyFolder.of(Path(launch.plan.results), status.study), status)

        ended = run(launch, view=view, embedded=True)
    callbacks.finish(ended.folder)
    if ended.signum not in (0, signal.SIGINT):
        os.kill(os.getpid(), ended.signum)  # it was meant for the whole program
    return Sweep(ended.folder, launch.brought)

"""What a journal loses with the records behind a cut, told by trials: the `Loss`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from optuna.storages.journal import JournalStorage
from optuna.storages.journal._storage import JournalOperation

from search.study import journal_file

_OF_A_TRIAL: Final = {
    JournalOperation.SET_TRIAL_PARAM,
    JournalOperation.SET_TRIAL_STATE_VALUES,
    JournalOperation.SET_TRIAL_INTERMEDIATE_VALUE,
    JournalOperation.SET_TRIAL_USER_ATTR,
    JournalOperation.SET_TRIAL_SYSTEM_ATTR,
}

_MAKES_A_TRIAL: Final = b'"op_code":4,'
"""What a damaged line that made a trial may still show."""


@dataclass(frozen=True, slots=True)
class Loss:
    """What stood behind a cut, as far as its lines can still be read.

    Attributes:
        records: That were read.
        kept: How many trials the study still has.
        gone: Numbers of trials that are no longer in it.
        shortened: Numbers of trials that lost some of what was stored of them.
        study: Whether the study itself is no longer in it.
    """

    records: int
    kept: int
    gone: tuple[int, ...]
    shortened: tuple[int, ...]
    study: bool

    def sentence(self) -> str:
        """Return what was lost, without the trials that were not touched."""
        told = ["the study itself is no longer in it"] if self.study else []
        if self.gone:
            told.append(f"{numbers(self.gone)} {'are' if len(self.gone) > 1 else 'is'} no longer in it")
        if self.shortened:
            told.append(f"{numbers(self.shortened)} lost what was stored last")
        return ", ".join(told) or "no trial lost anything"


def between(kept: JournalStorage, study: str, lines: Iterable[bytes]) -> Loss:
    """Compare what is kept with the lines behind it.

    Args:
        kept: The study as the kept records make it.
        study: Its name.
        lines: That were cut off; some of them may be damaged.
    """
    ids = {one.study_name: one._study_id for one in kept.get_all_studies()}
    study_id = ids.get(study)
    running, count, next_id = {}, 0, 0
    for one in ids.values():
        trials = kept.get_all_trials(one, deepcopy=False)
        next_id += len(trials)
        if one == study_id:
            count = len(trials)
            running = {trial._trial_id: trial.number for trial in trials if not trial.state.is_finished()}
    first, shortened, behind = count, set(), [*lines]
    whole = [journal_file.parse(line) for line in behind]
    for line, record in zip(behind, whole, strict=True):
        trial_id = _trial_id(record)
        if record is None and _MAKES_A_TRIAL in line:
            count, next_id = count + 1, next_id + 1
        elif record is not None and record["op_code"] == JournalOperation.CREATE_TRIAL:
            count += study_id is None or record.get("study_id") == study_id
            next_id += 1
        elif trial_id in running:
            shortened.add(running[trial_id])
        elif next_id <= trial_id < next_id + len(behind):  # the record that made it cannot be read
            count += trial_id + 1 - next_id
            next_id = trial_id + 1
    records = sum(record is not None for record in whole)
    return Loss(records, first, tuple(range(first, count)), tuple(sorted(shortened)), study_id is None and records > 0)


def numbers(trials: tuple[int, ...]) -> str:
    """Return numbers of trials for people, as `trials 3, 5 to 9 and 12`."""
    runs: list[list[int]] = []
    for number in trials:
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    parts = [f"{low} to {high}" if low < high else str(low) for low, high in runs]
    listed = f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else parts[0]
    return f"trial{'s'[: len(trials) > 1]} {listed}"


def _trial_id(record: dict[str, Any] | None) -> int:
    found = record.get("trial_id", -1) if record is not None and record["op_code"] in _OF_A_TRIAL else -1
    return found if type(found) is int else -1

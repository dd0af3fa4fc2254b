"""Makes `trials.parquet` and `reports.parquet` of a study, from those there are and what its journal gained since.

    python -m search.records.derived results/STUDY

They are derived: whoever reads a study checks that they fit its journal, and does without them otherwise. The journal
is only read, also while a sweep writes it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from search.errors import ExitCode, SweepError
from search.paths import StudyFolder
from search.plan import SweepPlan
from search.records import importances
from search.records.columns import Columns, table, widened
from search.records.live import ODD, Live
from search.records.study import read_launch
from search.records.table_file import FAULTS, GROUP, RECORD, Table, facts_of, open_table, read_facts, write_facts
from search.records.tables import report_rows, trial_row
from search.study.attributes import SCHEMA
from search.study.internal import UnsupportedError
from search.study.record import TrialRecord

_TRIAL: Final = {
    "number": "int",
    "state": "text",
    "reason": "text",
    "text": "text",
    "started": "time",
    "ended": "time",
    "seconds": "float",
    "epochs": "int",
    "units": "int",
    "attempts_lost": "int",
    "peak_mb": "float",
    "machine": "text",
    "gpu": "text",
    "gpus": "float",
    "gpu_peak_mb": "float",
    "gpu_idle": "float",
    "pruned.rule": "text",
    "pruned.step": "int",
    "pruned.cutoff": "float",
    RECORD: "text",
}
_REPORT: Final = {"number": "int", "step": "int"}
_MakeRows: TypeAlias = Callable[[TrialRecord], list[dict[str, Any]]]
_SECTIONS: Final = ("values.", "metrics.", "pruned.", "suggested.", "params.", RECORD)


def refresh(folder: StudyFolder) -> bool:
    """Bring both tables up to the end of the journal; tell whether they were written.

    They are not where they would be the same, where a database holds the study, and where only Optuna can read it.

    Raises:
        SurroundingsError: The plan is damaged.
        OSError: They cannot be written.
    """
    _, plan = read_launch(folder)
    if plan.storage is not None or not folder.journal.exists():
        return False
    known = open_table(folder.trials_table, plan) if folder.trials_table.exists() else None
    for start in (known, None) if known is not None else (None,):
        try:
            live = Live(folder, plan, start)
            live.catch_up()
            if start is not None and start.mark == live.mark and _reports(folder, start) is not None:
                return False
            _write(folder, plan, live)
        except (UnsupportedError, *ODD):
            continue
        return True
    return False


def tail_bytes(folder: StudyFolder) -> int:
    """Return how many bytes of the journal are not in the tables yet; all of them where there are no tables.

    Reads sizes and metadata alone: that the tables are of this very journal is not checked.
    """
    try:
        size = folder.journal.stat().st_size
    except OSError:
        return 0
    try:
        offset: int = read_facts(pq.read_metadata(folder.trials_table).metadata)["mark"][0]
    except FAULTS:
        return size
    return size - offset if offset <= size else size


class _Side:
    """One of the two tables, group by group.

    Args:
        kinds: Columns that it has in any case.
        old: The table as it was before, whose settled groups are copied.
        rows: Makes the rows of a trial.
        texts: Gives the trials of a group as texts, where the table holds them whole.
    """

    def __init__(
        self,
        kinds: Mapping[str, str],
        old: pq.ParquetFile | None,
        rows: _MakeRows,
        texts: Callable[[int], list[str]] | None = None,
    ) -> None:
        self._old, self._rows, self._texts = old, rows, texts
        self._columns = Columns(kinds, _SECTIONS) if old is None else Columns.of(old.schema_arrow, _SECTIONS)
        self._made: dict[int, pa.Table] = {}

    def make(self, group: int, records: Sequence[TrialRecord]) -> None:
        """Make the rows of a group."""
        rows = [row for record in records for row in self._rows(record)]
        for row in rows:
            self._columns.learn(row)
        self._made[group] = table(rows, self._columns.schema)

    @property
    def schema(self) -> pa.Schema:
        """The columns, once every group is made that is not copied."""
        return self._columns.schema

    def groups(self, count: int, again: Callable[[int], Sequence[TrialRecord]]) -> Iterator[pa.Table]:
        """Yield all groups; one that was made before a column changed its type is made again."""
        schema = self.schema
        for group in range(count):
            found = self._made.pop(group, None)
            is_whole = found is None or self._texts is None
            if found is None:
                assert self._old is not None
                found = self._old.read_row_group(group, use_threads=False)
            fitting = widened(found, schema)
            if fitting is None:
                is_whole = self._texts is None
                fitting = table((row for record in again(group) for row in self._rows(record)), schema)
            if not is_whole:
                assert self._texts is not None  # not kept with what was made, to hold them once only
                texts = pa.array(self._texts(group), pa.string())
                fitting = fitting.set_column(schema.get_field_index(RECORD), RECORD, texts)
            yield fitting


def _write(folder: StudyFolder, plan: SweepPlan, live: Live) -> None:
    count, first = live.replay.count, plan.metrics[0]
    old = _reports(folder, live.table)
    old_trials = live.table.file if live.table is not None and old is not None else None
    trials = _Side(
        _TRIAL | {f"values.{name}": "float" for name in plan.metrics},
        old_trials,
        lambda record: [trial_row(record, plan.metrics)],
        lambda group: [live.packed(number) for number in _numbers(group, count)],
    )
    reports = _Side(_REPORT | {f"metrics.{first}": "float"}, old, lambda record: report_rows(record, first))
    open_before = {number // GROUP for number in live.table.facts["open"]} if live.table is not None else set()
    settled = range(live.table.count // GROUP) if live.table is not None and old is not None else range(0)
    groups = -(-count // GROUP)
    for group in range(groups):
        if group not in settled or group in open_before:
            members = _members(live, group)
            trials.make(group, members)
            reports.make(group, members)
    mark = [live.mark.offset, live.mark.crc32, live.mark.records]
    again = partial(_members, live)
    _write_table(folder.reports_table, reports, groups, again, {"schema": SCHEMA, "mark": mark})
    facts = facts_of(live.replay, live.mark, live.totals, live.packer.texts, plan.study)
    if (important := importances.of_live(live, plan, live.unended())).of:
        facts["importances"] = important.to_json()
    _write_table(folder.trials_table, trials, groups, again, facts)


def _members(live: Live, group: int) -> list[TrialRecord]:
    """Return the trials of a group."""
    unended = live.replay.open
    return [
        unended[number].record() if number in unended else live.record(number)
        for number in _numbers(group, live.replay.count)
    ]


def _numbers(group: int, count: int) -> range:
    return range(group * GROUP, min(count, (group + 1) * GROUP))


def _reports(folder: StudyFolder, known: Table | None) -> pq.ParquetFile | None:
    """Return the reports' table if it was written together with the trials' table that is known."""
    if known is None:
        return None
    try:
        file = pq.ParquetFile(folder.reports_table, page_checksum_verification=True)
        facts = read_facts(file.metadata.metadata)
    except FAULTS:
        return None
    fits = facts["mark"] == known.facts["mark"] and file.num_row_groups == known.file.num_row_groups
    return file if fits else None


def _write_table(
    path: Path, side: _Side, groups: int, again: Callable[[int], Sequence[TrialRecord]], facts: dict[str, Any]
) -> None:
    repeating = [name for name in side.schema.names if name != RECORD]
    with (
        _replacing(path) as temporary,
        pq.ParquetWriter(
            temporary, side.schema, compression="zstd", write_page_checksum=True, use_dictionary=repeating
        ) as writer,
    ):
        for found in side.groups(groups, again):
            writer.write_table(found, row_group_size=max(1, len(found)))
        writer.add_key_value_metadata(write_facts(facts))


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """Let a file be written under another name, and give it its own once it is whole and on disk."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def main(arguments: Sequence[str]) -> int:
    """Refresh the tables of the study folder that is named."""
    try:
        refresh(StudyFolder(Path(arguments[0])))
    except SweepError as fault:
        return int(fault.code)
    except OSError:
        return int(ExitCode.SURROUNDINGS)
    return int(ExitCode.DONE)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

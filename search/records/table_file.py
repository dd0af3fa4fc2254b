"""`trials.parquet` opened: the trials that a study had at some point of its journal, and what they came to.

Beside the columns that people read, each row holds its trial whole, as text; the file's metadata says up to which byte
of the journal it goes. Pages and metadata carry checksums, so a damaged file is known as one.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from search.plan import SweepPlan
from search.records import rows
from search.records.totals import Totals, basis
from search.study import attributes
from search.study.internal import UnsupportedError
from search.study.replay import RawTrial, Replay
from search.study.tail import Mark

FORMAT: Final = 5
"""Of the file; raise it whenever rows, metadata or `Totals` change their meaning. Files of another one are not used."""

GROUP: Final = 4096
"""Trials in a row group."""

RECORD: Final = "record"
"""The column that holds trials whole."""

_METADATA: Final = b"sweep"

FAULTS: Final = (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError, pa.lib.ArrowException)
"""What a damaged file may raise."""


class Table:
    """The file, kept open, so that a newer one that takes its name changes nothing here.

    Attributes:
        mark: How far into the journal it goes.
        count: Trials in it.
    """

    def __init__(self, path: Path) -> None:
        """Open the file and read its metadata.

        Raises:
            ValueError: It is damaged, or of another format. So may be any of `FAULTS`.
        """
        self.file = pq.ParquetFile(path, page_checksum_verification=True)
        self.facts = read_facts(self.file.metadata.metadata)
        self.mark = Mark(*self.facts["mark"])
        self.count: int = self.facts["count"]
        self._texts: list[str] = self.facts["distributions"]
        self._group: tuple[int, Any] = (-1, None)
        if self.file.metadata.num_rows != self.count or self.file.num_row_groups != -(-self.count // GROUP):
            raise ValueError(f"{path} does not hold the {self.count} trials it should")

    @property
    def texts(self) -> list[str]:
        """What rows have in common."""
        return self._texts

    def replay(self) -> Replay:
        """Return the state from which the journal is read on."""
        facts = self.facts
        return Replay(
            facts["study"],
            count=self.count,
            open_trials=[self.trial(number) for number in facts["open"]],
            attributes=facts["attributes"],
            first=facts["first"],
            exists=facts["exists"],
        )

    def totals(self, plan: SweepPlan) -> Totals | None:
        """Return what the ended trials came to; None where it was reckoned otherwise than `plan` asks for."""
        found = self.facts["totals"]
        return Totals.from_json(plan, found) if found["basis"] == basis(plan) else None

    def trial(self, number: int) -> RawTrial:
        """Return one trial."""
        return rows.unpack(self.packed(number), self._texts, number)

    def packed(self, number: int) -> str:
        """Return one row as it stands.

        Raises:
            UnsupportedError: The file is damaged there.
        """
        group, index = divmod(number, GROUP)
        try:
            if self._group[0] != group:
                self._group = (group, self.file.read_row_group(group, columns=[RECORD], use_threads=False).column(0))
            text: str = self._group[1][index].as_py()
        except FAULTS as error:
            raise UnsupportedError(f"row {number} of the table") from error
        return text


def open_table(path: Path, plan: SweepPlan) -> Table | None:
    """Return a study's table; None if there is none that can be used."""
    try:
        table = Table(path)
    except FAULTS:
        return None
    return table if table.facts["study"] == plan.study else None


def write_facts(facts: dict[str, Any]) -> dict[bytes, bytes]:
    """Return the metadata that says this of a file."""
    text = json.dumps(facts, separators=(",", ":")).encode()
    return {_METADATA: b"%d %d %s" % (FORMAT, zlib.crc32(text), text)}


def read_facts(metadata: dict[bytes, bytes] | None) -> dict[str, Any]:
    """Return what a file's metadata says of it.

    Raises:
        ValueError: It is damaged, of another format, or of no file of ours.
    """
    form, crc32, text = (metadata or {}).get(_METADATA, b"").split(b" ", 2)
    if int(form) != FORMAT or int(crc32) != zlib.crc32(text):
        raise ValueError("a file of another format, or a damaged one")
    facts: dict[str, Any] = json.loads(text)
    if facts["schema"] != attributes.SCHEMA:
        raise ValueError("a file of another version")
    return facts


def facts_of(replay: Replay, mark: Mark, totals: Totals, texts: list[str], study: str) -> dict[str, Any]:
    """Return what is kept of a study beside its rows."""
    return {
        "schema": attributes.SCHEMA,
        "study": study,
        "mark": [mark.offset, mark.crc32, mark.records],
        "count": replay.count,
        "open": sorted(replay.open),
        "attributes": replay.attributes,
        "first": replay.first,
        "exists": replay.exists,
        "distributions": texts,
        "totals": totals.to_json(),
    }

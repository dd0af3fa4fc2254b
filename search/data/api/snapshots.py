"""`Snapshots`: the Parquet files of one data set, by their content, and `state.json`, which says what they are."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from search.data.fetch import Fetched
from search.data.reference import Reference
from search.data.web import keep
from search.errors import SurroundingsError
from search.paths import DataFolder, write_atomic

if TYPE_CHECKING:
    import pyarrow as pa

_SUFFIX: Final = ".parquet"
_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is known of a snapshot.

    Attributes:
        sha256: Of the file.
        rows: In it.
        when: The pull began, as ISO text in UTC.
        whole: The hash of the description.
        pull: The id of the pull that it came from.
        base: The snapshot that it extends, or "".
        since: The greatest value of the column that later pulls start from, or None.
        notes: One sentence each.
    """

    sha256: str
    rows: int
    when: str
    whole: str
    pull: str
    base: str = ""
    since: str | int | float | None = None
    notes: tuple[str, ...] = ()


class Snapshots:
    """The snapshots of one data set, oldest first."""

    def __init__(self, place: DataFolder) -> None:
        self._place = place
        self.known = self._read()

    def latest(self, whole: str) -> Snapshot | None:
        """Return the last that was made of a description with this hash, if its file is still there.

        Raises:
            RefusedError: The file was changed.
        """
        last = next((one for one in reversed(self.known) if one.whole == whole), None)
        return last if last and keep.find_whole(self._place, last.sha256) else None

    def table(self, snapshot: Snapshot) -> pa.Table:
        """Return the rows of a snapshot."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = self._place.snapshot(snapshot.sha256, _SUFFIX)
        try:
            return pq.read_table(path, memory_map=False)
        except (pa.ArrowException, OSError) as error:
            raise SurroundingsError(f"snapshot {path.name[:12]} is damaged; delete {path}", field="data") from error

    def write(self, table: pa.Table) -> str:
        """Write rows as a snapshot and return the sha256 of the file; the same rows always make the same file."""
        import pyarrow.parquet as pq

        keep.prepare(self._place)
        temporary = keep.temporary(self._place, "snapshot")
        try:
            pq.write_table(table.combine_chunks(), temporary, compression="zstd", row_group_size=1 << 17)
            digest = keep.digest_of(temporary)
            keep.keep(self._place, temporary, digest, _SUFFIX)
        finally:
            temporary.unlink(missing_ok=True)
        return digest

    def add(self, snapshot: Snapshot, asked_of: str) -> None:
        """Note a snapshot whose file is there.

        Args:
            snapshot: The newest.
            asked_of: Where it came from, for people.
        """
        mine = (snapshot.sha256, snapshot.whole)
        self.known = [one for one in self.known if (one.sha256, one.whole) != mine] + [snapshot]
        state = {"version": _VERSION, "from": asked_of, "snapshots": [asdict(one) for one in self.known]}
        write_atomic(self._place.state, json.dumps(state, indent=2, ensure_ascii=False) + "\n")

    def _read(self) -> list[Snapshot]:
        try:
            found: Any = json.loads(self._place.state.read_bytes())
            return [Snapshot(**{**one, "notes": tuple(one["notes"])}) for one in found["snapshots"]]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise SurroundingsError(f"{self._place.state} cannot be read: {error.strerror}", field="results") from error
        except (ValueError, TypeError, KeyError) as error:
            raise SurroundingsError(
                f"{self._place.state} is damaged", field="data", hint="delete it to pull the data anew"
            ) from error


def pinned(reference: Reference, place: DataFolder, notes: tuple[str, ...] = ()) -> Fetched | None:
    """Return the snapshot that a reference names, or None where it names none.

    Raises:
        InputError: It is not here.
        RefusedError: Its content is not what it was.
    """
    digest = reference.option("snapshot")
    if digest is None:
        return None
    path = keep.snapshot(reference, place, digest, hint="leave snapshot= out for the newest")
    return Fetched(path, reference.with_options(snapshot=digest), None, notes)

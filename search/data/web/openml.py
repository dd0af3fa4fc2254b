"""`openml:ID` or `openml:NAME`: a data set of OpenML, by the description that its server gives."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from search.data.fetch import Fetched, Say
from search.data.reference import Reference
from search.data.web import keep
from search.data.web.client import Web
from search.data.web.download import MAX_BYTES, Progress
from search.errors import InputError, SurroundingsError
from search.paths import DataFolder

if TYPE_CHECKING:
    import pandas as pd

_NAME: Final = re.compile(r"[A-Za-z0-9_.()+,-]{1,128}")
_NONE_FOUND: Final = (404, 412)  # OpenML says 412 for whatever it does not have


def fetch(reference: Reference, folder: Path, place: DataFolder, *, refresh: bool, say: Say) -> Fetched:
    """Fetch a data set; its own target is what is predicted, and columns that it calls no features are left out.

    The server is at `OPENML_SERVER`, or www.openml.org.
    """
    server = os.environ.get("OPENML_SERVER", "").rstrip("/") or "https://www.openml.org"

    def make() -> keep.Made:
        with Web(server, allow=reference.listed("allow"), say=say, stay=False, max_bytes=MAX_BYTES) as web:
            number, notes = _number(web, server, str(reference.location))
            description = _describe(web, server, number)
            frame = _read(web, description, place, reference.name, say)
        target, more = _target(description)
        frame, left_out = _without_ignored(frame, description, target)
        finished = keep.temporary(place, "parquet")
        frame.to_parquet(finished, index=False)
        return keep.Made(finished, ".parquet", target, (*notes, *more, *left_out))

    return keep.find_or_make(reference, place, make, refresh=refresh)


def _number(web: Web, server: str, location: str) -> tuple[int, tuple[str, ...]]:
    """Return the number of a data set, of which the name may be given."""
    if location.isascii() and location.isdigit():
        return int(location[:12]), ()
    if not _NAME.fullmatch(location):
        raise InputError(f"openml: takes a number or a name, got {location[:60]!r}", field="data")
    url = f"{server}/api/v1/json/data/list/data_name/{location}/limit/10/status/active"
    answer = web.get(url, accept=_NONE_FOUND)
    found = _inner(answer.json(), "data", "dataset") if answer.status < 300 else []
    listed = [str(one.get("did")) for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    numbers = [int(number) for number in listed if number.isdigit()]
    if not numbers:
        raise InputError(f"OpenML has no active data set {location[:60]!r}", field="data")
    if len(numbers) == 1:
        return numbers[0], ()
    others = ", ".join(f"openml:{number}" for number in numbers[1:5])
    return numbers[0], (f"openml:{location} is openml:{numbers[0]}; there is also {others}",)


def _describe(web: Web, server: str, number: int) -> Mapping[str, Any]:
    answer = web.get(f"{server}/api/v1/json/data/{number}", accept=_NONE_FOUND)
    if answer.status in _NONE_FOUND:
        raise InputError(f"OpenML has no data set {number}", field="data")
    description = _inner(answer.json(), "data_set_description")
    if not isinstance(description, dict):
        raise SurroundingsError(f"OpenML sent no description of data set {number}", field="data")
    return description


def _read(web: Web, description: Mapping[str, Any], place: DataFolder, name: str, say: Say) -> pd.DataFrame:
    """Return the table, from Parquet where there is that, and from ARFF otherwise."""
    parquet, arff = description.get("parquet_url"), description.get("url")
    place.partial.unlink(missing_ok=True)
    try:
        if isinstance(parquet, str) and parquet:
            try:
                web.stream_to(parquet, place.partial, from_response=True, progress=Progress(name, say))
                return _read_parquet(place.partial)
            except SurroundingsError as error:
                if not isinstance(arff, str) or not arff:
                    raise
                say(f"{error.message}; trying ARFF instead")
        if not isinstance(arff, str) or not arff:
            raise SurroundingsError(f"{name}: OpenML names no file of it", field="data")
        web.stream_to(arff, place.partial, from_response=True, progress=Progress(name, say))
        return _read_arff(place.partial, name, description)
    finally:
        place.partial.unlink(missing_ok=True)


def _read_parquet(path: Path) -> pd.DataFrame:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(path).to_pandas(ignore_metadata=True)  # type: ignore[no-any-return]
    except (pa.ArrowException, OSError, ValueError) as error:
        raise SurroundingsError("OpenML sent a damaged Parquet file", field="data") from error


def _read_arff(path: Path, name: str, description: Mapping[str, Any]) -> pd.DataFrame:
    import pandas as pd
    from scipy.io import arff

    with path.open("rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if description.get("md5_checksum") not in (None, "", digest):
        raise SurroundingsError(
            f"{name}: its ARFF file is damaged: it has another checksum than OpenML says", field="data"
        )
    try:
        with path.open(encoding="utf-8", errors="replace") as text:
            values, meta = arff.loadarff(text)
    except NotImplementedError as error:
        raise SurroundingsError(f"{name}: its ARFF file holds free text, which is not read", field="data") from error
    except Exception as error:  # scipy has many ways to say it
        raise SurroundingsError(f"{name}: OpenML sent what is no ARFF file", field="data") from error
    frame = pd.DataFrame(values)
    for column, kind in zip(meta.names(), meta.types(), strict=True):
        if kind == "nominal":
            texts = frame[column].str.decode("utf-8")
            frame[column] = texts.mask(texts == "?")
    return frame


def _target(description: Mapping[str, Any]) -> tuple[str | None, tuple[str, ...]]:
    named = _names(description.get("default_target_attribute"))
    if len(named) > 1:
        return None, (f"it has several targets, {', '.join(named)[:80]}: choose one by --target",)
    return (named[0] if named else None), ()


def _without_ignored(
    frame: pd.DataFrame, description: Mapping[str, Any], target: str | None
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    ignored = [*_names(description.get("row_id_attribute")), *_names(description.get("ignore_attribute"))]
    gone = [name for name in dict.fromkeys(ignored) if name in frame.columns and name != target]
    if not gone:
        return frame, ()
    return frame.drop(columns=gone), (f"columns that OpenML calls no features are left out: {', '.join(gone)[:80]}",)


def _names(value: object) -> list[str]:
    """Return names that OpenML gives as one, as several with commas, or as a list."""
    items: Sequence[object] = value if isinstance(value, list) else str(value or "").split(",")
    return [str(item).strip().strip('"') for item in items if str(item).strip()]


def _inner(value: Any, *keys: str) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value

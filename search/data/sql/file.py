"""A `.sql` file as the reference that it stands for: its query, and the database that its first lines name."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Final
from urllib.parse import quote_plus

from search.data.reference import Reference, parse_reference
from search.errors import InputError

_URL_LINE: Final = re.compile(r"--\s*url:(.*)", re.IGNORECASE)
_MOST_BYTES: Final = 1 << 20


def as_query(file: Reference) -> Reference:
    """Return the `sql:` reference that a `.sql` file stands for.

    The database is named by a line `-- url: postgresql://me@host/db` before the query, else by SWEEP_SQL_URL. A SQLite
    file is looked for from the folder of the `.sql` file.

    Raises:
        InputError: The file cannot be read, has no query, or names its database wrongly.
    """
    path = Path(file.location)
    try:
        if not path.is_file() or path.stat().st_size > _MOST_BYTES:
            raise InputError(f"{path.name} is no file of a query, which is text of at most 1 MB", field="data")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", field="data") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path.name} is not UTF-8 (byte {error.start})", field="data") from error
    urls = [found[1].strip() for line in _opening(text) if (found := _URL_LINE.match(line))]
    if len(urls) > 1:
        raise InputError(f"{path.name} has {len(urls)} lines '-- url:'; it needs one", field="data")
    url = urls[0] if urls else ""
    if urls and "://" not in url:
        raise InputError(f"{path.name}: '-- url:' needs a URL, as in postgresql://me@host/db", field="data")
    query = "\n".join(line for line in text.splitlines() if not _URL_LINE.match(line.strip())).strip()
    if not re.sub(r"--[^\n]*|/\*.*?\*/|[\s;]", "", query, flags=re.DOTALL):
        raise InputError(f"{path.name} has no query", field="data")
    mark = "&" if "?" in url else "?"
    stands_for = parse_reference(f"sql:{url}{mark}query={quote_plus(query)}", path.parent)
    return replace(stands_for, text=file.text, options={**stands_for.options, **file.options})


def _opening(text: str) -> list[str]:
    """Return the lines of comment before the query."""
    lines = []
    for line in map(str.strip, text.splitlines()):
        if line and not line.startswith("--"):
            break
        lines.append(line)
    return lines

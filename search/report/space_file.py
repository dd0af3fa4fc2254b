"""Where in a space's file a parameter stands: `place_of`."""

from __future__ import annotations

import re
from pathlib import Path

from search.usermodules import library


def place_of(reference: str, name: str) -> str:
    """Return the line of a space that names a parameter, in words: "line 12 of steel.py".

    Args:
        reference: Of the space, as the plan has it: `/path/to/file.py:name`.
        name: Of the parameter.

    Returns:
        The file alone where no line or several name it; "the space's file" where that is not here to be read.
    """
    path = Path(reference.rpartition(":")[0])
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, ValueError):
        return "the space's file"
    named = re.compile(f"[\"']{re.escape(name)}[\"']")
    found = [number for number, line in enumerate(lines, 1) if named.search(line) and "suggest" in line]
    file = f"a copy of {path.name}, which --space takes" if is_library(reference) else path.name
    return f"line {found[0]} of {file}" if len(found) == 1 else file


def is_library(reference: str) -> bool:
    """Tell whether a space is one of the library's: nobody changes it in its place."""
    return library() in Path(reference.rpartition(":")[0]).parents

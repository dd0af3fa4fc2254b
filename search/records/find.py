"""From what a user types as STUDY to its folder."""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Final

from search.errors import InputError
from search.paths import StudyFolder

_MOST_STEM: Final = 85  # characters of a study's name, so that its confirmations' are below 100
_CONFIRMATION: Final = re.compile(r"(.+)-confirm(-[0-9]+)?")


def all_studies(results: Path) -> list[StudyFolder]:
    """Return every study in the results folder, in order of names; none if the folder is missing."""
    try:
        folders = [StudyFolder(path) for path in results.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted((folder for folder in folders if folder.exists()), key=lambda folder: folder.name)


def study_folder(results: Path, text: str) -> StudyFolder:
    """Return the study that `text` means: a name, a prefix that fits one study only, or a folder.

    A prefix that fits a study and its confirmations means the study.

    Raises:
        InputError: It means none, or several.
    """
    names = [folder.name for folder in all_studies(results)]
    if text in names:
        return StudyFolder(results / text)
    fitting = _searches([name for name in names if text and name.startswith(text)])
    if len(fitting) == 1:
        return StudyFolder(results / fitting[0])
    if fitting:
        listed = f"{', '.join(fitting[:-1])} and {fitting[-1]}" if len(fitting) < 6 else f"{len(fitting)} studies"
        raise InputError(f"{text!r} fits {listed}; write more of it", field="study")
    if "\0" not in text and _is_study(Path(text)):
        return StudyFolder(Path(text))
    close = difflib.get_close_matches(text, names, n=1, cutoff=0.4)
    if close:
        raise InputError(
            f"no study {text!r} in {results}; nearest: {close[0]!r} (`sweep list` shows all)", field="study"
        )
    raise InputError(f"no study {text!r} in {results}", field="study", hint="`sweep list` shows all")


def confirmation_stem(study: str) -> str:
    """Return how the names of a study's confirmations begin; from the second on a number follows."""
    return f"{study[:_MOST_STEM]}-confirm"


def _searches(names: list[str]) -> list[str]:
    """Leave out the confirmations of studies that are among these names."""
    stems = {name[:_MOST_STEM] for name in names}
    return [name for name in names if (found := _CONFIRMATION.fullmatch(name)) is None or found[1] not in stems]


def _is_study(path: Path) -> bool:
    try:
        return StudyFolder(path).exists()
    except OSError:  # a name too long for any file
        return False

"""From what a user types as STUDY to its folder."""

from __future__ import annotations

import difflib
from pathlib import Path

from search.errors import InputError
from search.paths import StudyFolder


def all_studies(results: Path) -> list[StudyFolder]:
    """Return every study in the results folder, in order of names; none if the folder is missing."""
    try:
        folders = [StudyFolder(path) for path in results.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted((folder for folder in folders if folder.exists()), key=lambda folder: folder.name)


def study_folder(results: Path, text: str) -> StudyFolder:
    """Return the study that `text` means: a name, a prefix that fits one study only, or a folder.

    Raises:
        InputError: It means none, or several.
    """
    names = [folder.name for folder in all_studies(results)]
    if text in names:
        return StudyFolder(results / text)
    fitting = [name for name in names if text and name.startswith(text)]
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


def _is_study(path: Path) -> bool:
    try:
        return StudyFolder(path).exists()
    except OSError:  # a name too long for any file
        return False

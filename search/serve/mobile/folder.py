"""All that a phone needs, as one folder: models, signature and apps."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from search.errors import InputError, RefusedError, SurroundingsError
from search.serve.mobile import android, ios, naming, webapp
from search.serve.mobile.app import App, template
from search.serve.mobile.variants import Choice

PROGRAMS: Final = "executorch"
"""There where it was asked for."""

PARTS: Final = (
    "model.ort",
    "required_operators.config",
    "signature.json",
    "README.md",
    "web",
    "android",
    "ios",
    PROGRAMS,
)
"""What stands in the folder."""

MARKER: Final = ".sweep-mobile"
_MARK: Final = b"Written by `sweep mobile`: with --force it replaces what it wrote here.\n"
"""The marker is written last, and tells our folders from those of others."""


def files_of(app: App, choice: Choice) -> dict[str, bytes]:
    """Return all files by their paths."""
    made = {
        "model.ort": app.model,
        "required_operators.config": choice.file.operators.encode(),
        "signature.json": app.signature,
        "README.md": _readme(app),
    }
    parts = (("web", webapp.web_files), ("android", android.android_files), ("ios", ios.ios_files))
    for folder, maker in parts:
        made |= {f"{folder}/{path}": content for path, content in maker(app).items()}
    return made


def check(target: Path, *, force: bool) -> None:
    """Make sure that a folder may be written.

    Raises:
        InputError: It is none.
        RefusedError: There is something in it that is no app of ours, or nobody has forced us to replace that.
    """
    if "\0" in str(target) or (target.exists() and not target.is_dir()):
        raise InputError(f"--output takes a folder, got {str(target)!r}", field="--output")
    if not target.is_dir() or not any(target.iterdir()):
        return
    if not _is_ours(target):
        raise RefusedError(
            f"{target} is not empty, and holds no app of sweep mobile", field="--output", hint="choose a new folder"
        )
    if not force:
        raise RefusedError(
            f"{target} is not empty", field="--output", hint="choose a new folder, or replace the app in it by --force"
        )


def write(target: Path, files: Mapping[str, bytes]) -> None:
    """Write a folder; of one of ours that is there already only `PARTS` are replaced, each whole.

    Raises:
        RefusedError: It is not empty, and none of ours.
        SurroundingsError: It cannot be written.
    """
    check(target, force=True)  # once more: it took a while to make the files
    try:
        target.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".mobile-", dir=target) as made:
            for path, content in files.items():
                place = Path(made) / path
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(content)
            for part in PARTS:
                _remove(target / part)
                if (Path(made) / part).exists():
                    (Path(made) / part).rename(target / part)
        (target / MARKER).write_bytes(_MARK)
    except OSError as error:
        raise SurroundingsError(f"{target} cannot be written: {error.strerror}", field="--output") from error


def _is_ours(target: Path) -> bool:
    marker = target / MARKER
    return marker.is_file() and marker.stat().st_size == len(_MARK) and marker.read_bytes() == _MARK


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif os.path.lexists(path):
        path.unlink()


def _readme(app: App) -> bytes:
    signature = app.bundle.signature
    used = [f"`{one.name}`" for one in signature.inputs if one.used]
    takes = f"It takes {', '.join(used)}." if len(used) <= 30 else f"It takes {len(used)} columns."
    values = {
        "title": naming.in_markdown(app.title),
        "origin": naming.in_markdown(app.origin),
        "takes": "It takes a picture." if signature.takes_images else naming.in_markdown(takes),
        "target": naming.in_markdown(signature.target or "its target"),
        "precision": app.precision,
        "bytes": str(len(app.model)),
        "web": webapp.RUNTIME,
        "android": android.RUNTIME,
        "ios": ios.RUNTIME,
    }
    return naming.filled(template("README.md").read_text(encoding="utf-8"), values).encode()

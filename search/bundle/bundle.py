"""A bundle on disk: read once, every byte checked, then believed: the `Bundle`."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from search.bundle.manifest import Manifest
from search.bundle.signature import Signature
from search.errors import InputError, RefusedError
from search.paths import sync_folder

MANIFEST: Final = "manifest.json"
MODEL: Final = "model.onnx"
WEIGHTS: Final = "weights.safetensors"
SIGNATURE: Final = "signature.json"
CARD: Final = "card.md"
FILES: Final = (MODEL, WEIGHTS, SIGNATURE, CARD)
"""What the manifest has the hash of; nothing else may lie beside them."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A promoted model, as checked.

    Attributes:
        root: Its folder.
        manifest: Where it comes from.
        signature: What it takes and gives.
        card: What people should know, as Markdown.
        model: The graph, serialized: the very bytes that were checked.
        digest: sha256 of the manifest, which speaks for all files.
    """

    root: Path
    manifest: Manifest
    signature: Signature
    card: str
    model: bytes
    digest: str

    @classmethod
    def open(cls, root: Path, *, digest: str | None = None) -> Bundle:
        """Read a bundle.

        Args:
            root: Its folder.
            digest: Of its manifest, where that is known from elsewhere.

        Raises:
            InputError: There is no bundle.
            RefusedError: A file is missing, is not as its hash says, or should not be there.
        """
        if not (root / MANIFEST).is_file():
            raise InputError(f"{root} is no bundle: it has no {MANIFEST}", field="model")
        _check_names(root)
        told = _read(root / MANIFEST)
        found = hashlib.sha256(told).hexdigest()
        if digest is not None and digest != found:
            raise _differs(root / MANIFEST, digest, found, "the registry")
        try:
            manifest = Manifest.from_json(json.loads(told))
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise RefusedError(f"{root / MANIFEST} cannot be read: {str(error)[:80]}", field="model") from error
        if set(manifest.files) != set(FILES):
            raise RefusedError(f"{root / MANIFEST} names {', '.join(sorted(manifest.files))[:100]}", field="model")
        content = {}
        for name in FILES:
            content[name] = _read(root / name)
            hashed = hashlib.sha256(content[name]).hexdigest()
            if hashed != manifest.files[name]:
                raise _differs(root / name, manifest.files[name], hashed, "its manifest")
        try:
            signature = Signature.from_json(json.loads(content[SIGNATURE]))
            card = content[CARD].decode()
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise RefusedError(f"{root / SIGNATURE} cannot be read: {str(error)[:80]}", field="model") from error
        return cls(root, manifest, signature, card, content[MODEL], found)


def write_bundle(root: Path, manifest: Manifest, files: Mapping[str, bytes]) -> str:
    """Write a bundle into a folder that is not there yet, and return the digest of its manifest.

    Args:
        root: Its folder to be.
        manifest: Without the hashes of the files.
        files: Content of each of `FILES`.
    """
    root.mkdir(parents=True)
    hashes = {name: hashlib.sha256(files[name]).hexdigest() for name in FILES}
    told = as_json(replace(manifest, files=hashes).to_json())
    for name, content in {**files, MANIFEST: told}.items():
        with (root / name).open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    sync_folder(root)
    return hashlib.sha256(told).hexdigest()


def as_json(values: Any) -> bytes:
    """Return JSON that is the same for the same values."""
    return (json.dumps(values, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _check_names(root: Path) -> None:
    for path in sorted(root.iterdir()):
        if path.name not in (*FILES, MANIFEST):
            raise RefusedError(f"{path} does not belong to the bundle", field="model", hint="promote the model again")
    for name in (*FILES, MANIFEST):
        path = root / name
        if not os.path.lexists(path):
            raise RefusedError(f"{path} is missing", field="model", hint="promote the model again")
        if not stat.S_ISREG(path.lstat().st_mode):
            raise RefusedError(f"{path} is not a plain file", field="model", hint="promote the model again")


def _read(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    with os.fdopen(descriptor, "rb") as file:
        return file.read()


def _differs(path: Path, expected: str, found: str, who: str) -> RefusedError:
    return RefusedError(
        f"{path} is not as {who} says: sha256 {found[:12]} in place of {expected[:12]}",
        field="model",
        hint="promote the model again, or take the bundle anew from where it came",
    )

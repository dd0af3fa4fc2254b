"""A bundle on disk: read once, every byte checked, then believed: the `Bundle`."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeVar

from search.bundle import strict
from search.bundle.agreeing import check_graph, check_manifest, check_signature
from search.bundle.manifest import Manifest
from search.bundle.onnxfile import look_through
from search.bundle.reading import AGAIN, check_names, opened, read
from search.bundle.signature import Signature
from search.bundle.weightsfile import check_weights
from search.errors import InputError, RefusedError
from search.paths import sync_folder

MANIFEST: Final = "manifest.json"
MODEL: Final = "model.onnx"
WEIGHTS: Final = "weights.safetensors"
SIGNATURE: Final = "signature.json"
CARD: Final = "card.md"
FILES: Final = (MODEL, WEIGHTS, SIGNATURE, CARD)
"""What the manifest has the hash of; nothing else may lie beside them."""

LARGEST: Final = {MANIFEST: 2**24, SIGNATURE: 2**24, CARD: 2**22, MODEL: 2**31 - 1, WEIGHTS: 2**34}
"""Bytes that each file may have; a graph, as much as protobuf can read."""

CHECKSUM: Final = "checksum"
"""Key of the manifest: sha256 of all else that it says, so that a flipped byte shows without a registry."""

_Value = TypeVar("_Value")


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
            RefusedError: A file is missing, is not as its hash says, should not be there, or holds what no bundle of
                ours does.
            SurroundingsError: A file cannot be read.
        """
        if not is_bundle(root):
            if digest is not None:
                raise RefusedError(f"{root} is not there any more, or has no {MANIFEST}", field="model", hint=AGAIN)
            raise InputError(f"{root} is no bundle: it has no {MANIFEST}", field="model")
        with opened(root) as folder:
            check_names(folder, root, LARGEST)
            told = read(folder, root, MANIFEST, LARGEST[MANIFEST])
            found = hashlib.sha256(told).hexdigest()
            if digest is not None and digest != found:
                raise _differs(root / MANIFEST, digest, found, "the registry")
            manifest = _told(root / MANIFEST, lambda: _manifest(told))
            content = {name: _hashed(folder, root, name, manifest.files[name]) for name in FILES}
        signature = _told(root / SIGNATURE, lambda: _signature(content[SIGNATURE]))
        _told(root / MODEL, lambda: check_graph(look_through(content[MODEL]), signature))
        _told(root / WEIGHTS, lambda: check_weights(content[WEIGHTS]))
        card = _told(root / CARD, content[CARD].decode)
        return cls(root, manifest, signature, card, content[MODEL], found)


def is_bundle(root: Path) -> bool:
    """Tell whether a folder has a manifest, whatever that says."""
    return "\0" not in str(root) and os.path.lexists(root / MANIFEST)


def write_bundle(root: Path, manifest: Manifest, files: Mapping[str, bytes]) -> str:
    """Write a bundle into a folder that is not there yet, and return the digest of its manifest.

    Args:
        root: Its folder to be.
        manifest: Without the hashes of the files.
        files: Content of each of `FILES`.
    """
    root.mkdir(parents=True)
    hashes = {name: hashlib.sha256(files[name]).hexdigest() for name in FILES}
    values = replace(manifest, files=hashes).to_json()
    told = as_json({**values, CHECKSUM: hashlib.sha256(as_json(values)).hexdigest()})
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


def _manifest(told: bytes) -> Manifest:
    """Return the manifest that a file tells of, which has to be the very bytes that `write_bundle` writes."""
    values = strict.parse(told)
    if not isinstance(values, dict):
        raise ValueError("it is no object")
    checksum = values.pop(CHECKSUM, "none")
    own = hashlib.sha256(as_json(values)).hexdigest()
    if checksum != own or as_json({**values, CHECKSUM: own}) != told:
        raise ValueError(f"its own checksum is {str(checksum)[:12]}, and what it says has {own[:12]}")
    strict.check(values.get("format"), int, "format")
    strict.check({name: value for name, value in values.items() if name != "format"}, Manifest)
    manifest = Manifest.from_json(values)
    check_manifest(manifest, FILES)
    return manifest


def _signature(told: bytes) -> Signature:
    values = strict.parse(told)
    strict.check(values, Signature)
    signature = Signature.from_json(values)
    check_signature(signature)
    return signature


def _hashed(folder: int, root: Path, name: str, expected: str) -> bytes:
    content = read(folder, root, name, LARGEST[name])
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise _differs(root / name, expected, found, "its manifest")
    return content


def _told(path: Path, read_it: Callable[[], _Value]) -> _Value:
    """Return what a file says, with every way not to understand it told as a refusal."""
    try:
        return read_it()
    except (ValueError, TypeError, KeyError) as error:
        said = " ".join(str(error).split())[:110]
        raise RefusedError(f"{path} is none that we load: {said}", field="model", hint=AGAIN) from error


def _differs(path: Path, expected: str, found: str, who: str) -> RefusedError:
    said = f"{path} is not as {who} says: sha256 {found[:12]} in place of {expected[:12]}"
    return RefusedError(said, field="model", hint=AGAIN)

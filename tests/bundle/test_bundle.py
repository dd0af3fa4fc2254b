"""A bundle opens as it was written; anything else about it is refused, with the file's name, and nothing is written."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search.bundle import bundle
from search.bundle.bundle import CARD, CHECKSUM, FILES, MANIFEST, MODEL, SIGNATURE, WEIGHTS, Bundle, as_json
from search.bundle.bundle import write_bundle as write
from search.bundle.model import Model
from search.errors import InputError, RefusedError, SweepError
from tests.bundle.bundles import contents, exported, manifest_of, signature_of, tiny, whole_graph

EVERY = (*FILES, MANIFEST)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("made") / "bundle"
    tiny(root)
    return root


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "there" / "bundle")
    return tmp_path / "there" / "bundle"


def resealed(root: Path, **files: bytes) -> None:
    """Change files as somebody does who knows the format: with all hashes put right."""
    values = json.loads((root / MANIFEST).read_bytes())
    values.pop(CHECKSUM)
    for name, content in files.items():
        path = root / {"model": MODEL, "weights": WEIGHTS, "signature": SIGNATURE, "card": CARD}[name]
        path.write_bytes(content)
        values["files"][path.name] = hashlib.sha256(content).hexdigest()
    remade(root, values)


def remade(root: Path, values: Any) -> None:
    """Write a manifest of these values, with the checksum that they need."""
    sealed = {**values, CHECKSUM: hashlib.sha256(as_json(values)).hexdigest()} if isinstance(values, dict) else values
    (root / MANIFEST).write_bytes(as_json(sealed))


def test_a_bundle_opens_as_it_was_written(tmp_path: Path) -> None:
    digest = tiny(tmp_path / "a", threshold=0.75, number=9)
    found = Bundle.open(tmp_path / "a", digest=digest)
    assert found.digest == digest
    assert found.manifest.members[0].number == 9
    assert found.manifest.members[0].params == {"model.kind": "linear", "train.lr": 0.1, "preprocess.scale": True}
    assert found.signature == signature_of(threshold=0.75)
    assert found.model == (tmp_path / "a" / MODEL).read_bytes()
    assert "½ < 1" in found.card


def test_the_same_values_give_the_same_bytes(tmp_path: Path) -> None:
    assert tiny(tmp_path / "a") == tiny(tmp_path / "b")
    assert tiny(tmp_path / "c", shift=1.0) != tiny(tmp_path / "d")


def test_a_bundle_predicts(tmp_path: Path) -> None:
    tiny(tmp_path / "a", task="regression", numbers=("x",), texts=(), shift=2.0)
    model = Model(Bundle.open(tmp_path / "a"))
    found = model.run({"x": np.array([np.nan, 2.0], np.float32)})
    assert found.value is not None
    assert found.value.tolist() == pytest.approx([2.0, 1.9])


@pytest.mark.parametrize("name", [MANIFEST, SIGNATURE])
def test_every_flipped_byte_is_refused(root: Path, name: str) -> None:
    """Without the registry's digest, too: the manifest speaks for the others, and its checksum for itself."""
    whole = (root / name).read_bytes()
    for at in range(len(whole)):
        (root / name).write_bytes(whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :])
        with pytest.raises(RefusedError, match=name):
            Bundle.open(root)


@pytest.mark.parametrize("name", [MODEL, WEIGHTS, CARD])
def test_flipped_cut_and_longer_files_are_refused_with_both_hashes(root: Path, name: str) -> None:
    whole, draw = (root / name).read_bytes(), random.Random(name)
    wrong = [whole[:-1], b"", whole + b"\0", *(whole[:at] for at in draw.sample(range(len(whole)), 10))]
    for _ in range(500):
        at = draw.randrange(len(whole))
        wrong.append(whole[:at] + bytes([whole[at] ^ draw.randrange(1, 256)]) + whole[at + 1 :])
    expected = hashlib.sha256(whole).hexdigest()[:12]
    for content in wrong:
        (root / name).write_bytes(content)
        with pytest.raises(RefusedError, match=name) as refused:
            Bundle.open(root)
        assert expected in refused.value.message
        assert hashlib.sha256(content).hexdigest()[:12] in refused.value.message


def test_a_bundle_of_another_digest_is_refused(root: Path) -> None:
    with pytest.raises(RefusedError, match=r"not as the registry says.*000000000000"):
        Bundle.open(root, digest="0" * 64)


@pytest.mark.parametrize("digest", [None, "0" * 64])
def test_what_is_no_bundle_is_an_input_and_a_version_that_is_gone_a_refusal(tmp_path: Path, digest: str | None) -> None:
    with pytest.raises(InputError if digest is None else RefusedError):
        Bundle.open(tmp_path / "nowhere", digest=digest)


def link_to(target: str) -> Callable[[Path], None]:
    def attack(path: Path) -> None:
        path.rename(path.parents[1] / "elsewhere")
        path.symlink_to(target)

    return attack


def hard_link(path: Path) -> None:
    os.link(path, path.parents[1] / "elsewhere")


def fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def listening(path: Path) -> None:
    path.unlink()
    with socket.socket(socket.AF_UNIX) as bound:
        here = Path.cwd()
        os.chdir(path.parent)  # a socket's path is short
        try:
            bound.bind(path.name)
        finally:
            os.chdir(here)


def huge(path: Path) -> None:
    """A file without blocks: it must not be read to be refused."""
    os.truncate(path, bundle.LARGEST[path.name] + 1)


KINDS = [
    Path.unlink,
    link_to("../elsewhere"),
    link_to("/etc/passwd"),
    link_to("nowhere"),
    hard_link,
    fifo,
    folder,
    device,
    listening,
    huge,
]


@pytest.mark.parametrize("attack", KINDS)
@pytest.mark.parametrize("name", EVERY)
def test_what_is_no_plain_file_of_its_own_is_refused(root: Path, name: str, attack: Callable[[Path], None]) -> None:
    """Fifty ways, all of which would hang, read something else, or fill the memory."""
    attack(root / name)
    before = listing(root.parent)
    refusals = (RefusedError, InputError) if (attack, name) == (Path.unlink, MANIFEST) else RefusedError
    with pytest.raises(refusals, match=str(root)):
        Bundle.open(root)
    assert listing(root.parent) == before


@pytest.mark.parametrize("name", ["weights.bin", "..data", "model.onnx.data", "a\nb", "ü", ".hidden", "__pycache__"])
def test_what_does_not_belong_to_a_bundle_is_refused(root: Path, name: str) -> None:
    (root / name).write_bytes(b"")
    with pytest.raises(RefusedError, match="does not belong"):
        Bundle.open(root)


def test_the_folder_itself_may_be_reached_by_a_link(root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root)
    assert Bundle.open(tmp_path / "link").digest == Bundle.open(root).digest


def listing(root: Path) -> list[tuple[str, int]]:
    return sorted((str(path), path.lstat().st_mtime_ns) for path in root.rglob("*"))


def manifest_with(**changed: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda values: {**values, **changed}


def files_with(**changed: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda values: {**values, "files": {**values["files"], **changed}}


def member_with(**changed: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda values: {**values, "members": [{**values["members"][0], **changed}]}


MANIFESTS: list[tuple[Callable[[dict[str, Any]], Any], str]] = [
    (files_with(**{"../outside": "0" * 64}), "it names"),
    (files_with(**{"/etc/passwd": "0" * 64}), "it names"),
    (files_with(**{"a\\..\\b": "0" * 64}), "it names"),
    (files_with(**{MODEL: "no hash"}), "no sha256"),
    (files_with(**{MODEL: 5}), r"files\.model.onnx is 5, expected a text"),
    (lambda values: {**values, "files": {}}, "it names no file"),
    (manifest_with(members=[]), "no trial"),
    (manifest_with(members={}), "members is {}, expected a list"),
    (manifest_with(format=2), "format 2"),
    (manifest_with(format=True), "format"),
    (manifest_with(owner="me"), "owner is not known"),
    (manifest_with(study=None), "study is null, expected a text"),
    (manifest_with(versions=[]), r"versions is \[\], expected an object"),
    (manifest_with(versions={"onnx": 1}), r"versions\.onnx is 1"),
    (member_with(number="7"), r"members\[0\]\.number"),
    (member_with(number=True), r"members\[0\]\.number"),
    (member_with(units=1.5), "units is 1.5, expected a whole number"),
    (member_with(more=1), "more is not known"),
    (lambda values: {name: value for name, value in values.items() if name != "metric"}, "metric is missing"),
    (lambda values: [values], "no object"),
    (lambda values: "text", "no object"),
    (lambda values: None, "no object"),
]


@pytest.mark.parametrize(("change", "said"), MANIFESTS)
def test_a_manifest_that_ours_never_writes_is_refused(root: Path, change: Callable[[Any], Any], said: str) -> None:
    """Somebody has put its checksum right."""
    values = json.loads((root / MANIFEST).read_bytes())
    values.pop(CHECKSUM)
    remade(root, change(values))
    with pytest.raises(RefusedError, match=said):
        Bundle.open(root)


def test_another_spelling_of_the_same_manifest_is_refused(root: Path) -> None:
    values = json.loads((root / MANIFEST).read_bytes())
    (root / MANIFEST).write_bytes(json.dumps(values).encode())
    with pytest.raises(RefusedError, match="checksum"):
        Bundle.open(root)


def signature_with(**changed: Any) -> dict[str, Any]:
    return {**json.loads(as_json(signature_of().to_json())), **changed}


def input_with(**changed: Any) -> dict[str, Any]:
    values = signature_with()
    values["inputs"][0].update(changed)
    return values


SIGNATURES = [
    (signature_with(task="ranking"), "task 'ranking'"),
    (signature_with(inputs=[]), "its inputs"),
    (signature_with(classes=["yes", "yes"]), "classes"),
    (signature_with(classes=[]), "0 classes"),
    (signature_with(classes=["one", 2]), r"classes\[1\]"),
    (signature_with(threshold=1.5), "threshold 1.5"),
    (signature_with(threshold="0.5"), "threshold"),
    (signature_with(more=1), "more is not known"),
    (signature_with(task="regression"), "regression does not go with 2 classes"),
    (input_with(kind="date"), "kind"),
    (input_with(name="town"), "its inputs"),
    (input_with(name=""), "its inputs"),
    (input_with(name=5), "name is 5"),
    (input_with(low=100.0, high=0.0), "impossible"),
    (input_with(missing=2), "impossible"),
    (input_with(shape=[3, 8, 8]), "impossible"),
    (input_with(used=1), "used is 1, expected true or false"),
    (input_with(example=[1]), "example"),
    (input_with(name="years"), "what it takes differs from the signature at 'age'"),
    (input_with(kind="text"), "what it takes differs from the signature at 'age'"),
    (input_with(used=False), "what it takes differs from the signature at 'age'"),
    (signature_with(task="regression", classes=[]), "what it gives differs"),
]


@pytest.mark.parametrize(("values", "said"), SIGNATURES)
def test_a_signature_that_does_not_fit_is_refused(root: Path, values: Any, said: str) -> None:
    resealed(root, signature=as_json(values))
    with pytest.raises(RefusedError, match=said):
        Bundle.open(root)


HOSTILE = [
    ("signature", b'{"task": "binary", "task": "regression"}', "'task' is there twice"),
    ("signature", b'{"threshold": NaN}', "NaN is no number"),
    ("signature", b'{"threshold": 1e999}', "too large"),
    ("signature", b"[" * 100_000 + b"]" * 100_000, "nested too deep"),
    ("signature", b"\xff\xfe{\0}\0", "utf-8"),
    ("signature", b"", SIGNATURE),
    ("card", b"\xff", CARD),
    ("weights", b"", "safetensors"),
    ("weights", b"\xff" * 100, "safetensors"),
    ("model", b"", "no graph"),
    ("model", b"PK\x03\x04", MODEL),
]


@pytest.mark.parametrize(("name", "content", "said"), HOSTILE)
def test_files_that_cannot_be_read_are_refused_however_well_they_are_sealed(
    root: Path, name: str, content: bytes, said: str
) -> None:
    resealed(root, **{name: content})
    with pytest.raises(RefusedError, match=said) as refused:
        Bundle.open(root)
    assert len(refused.value.message) <= 200 + len(str(root))


def test_a_graph_that_onnxruntime_does_not_load_is_refused(tmp_path: Path) -> None:
    graph = whole_graph(exported())
    graph.graph.node[0].op_type = "NoSuchOperator"
    write(tmp_path / "a", manifest_of(), contents(graph, signature_of(), {"bias": np.zeros(1, np.float32)}))
    found = Bundle.open(tmp_path / "a")
    with pytest.raises(RefusedError, match="cannot be loaded"):
        Model(found)


def test_every_refusal_ends_with_exit_code_4(root: Path) -> None:
    (root / CARD).write_bytes(b"")
    with pytest.raises(SweepError) as refused:
        Bundle.open(root)
    assert refused.value.code == 4

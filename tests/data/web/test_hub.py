from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from search.data.fetch import Fetched, fetch
from search.data.reference import parse_reference
from search.data.source import FileSource
from search.errors import InputError, RefusedError, SurroundingsError, SweepError

from .servers import Server, file_of, reply, serve


def shard(start: int, rows: int = 40, *, classes: bool = False) -> bytes:
    table = pa.table(
        {
            "a": list(range(start, start + rows)),
            "label": [-1 if row == 3 and classes else row % 2 for row in range(rows)],
        }
    )
    if classes:
        features = {"a": {"_type": "Value"}, "label": {"_type": "ClassLabel", "names": ["no", "yes"]}}
        table = table.replace_schema_metadata({b"huggingface": json.dumps({"info": {"features": features}}).encode()})
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


def offer(server: Server, name: str, listing: dict[str, dict[str, list[bytes]]]) -> None:
    """Answer as the hub does: a listing of URLs by configuration and split, and a file at each."""
    listed: dict[str, dict[str, list[str]]] = {}
    for config, splits in listing.items():
        for split, files in splits.items():
            paths = [f"/api/datasets/{name}/parquet/{config}/{split}/{number}.parquet" for number in range(len(files))]
            listed.setdefault(config, {})[split] = [server.url + path for path in paths]
            server.script.update({path: [file_of(content)] for path, content in zip(paths, files, strict=True)})
    server.script[f"/api/datasets/{name}/parquet"] = [reply(200, json.dumps(listed).encode())]


def get(text: str, root: Path, **options: Any) -> Fetched:
    return fetch(parse_reference(text, root), root, root / "results", **options)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Any:
    with serve(rest=reply(404, b'{"error": "not found"}')) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setenv("HF_TOKEN", "hf_CANARY")
        yield server


def test_the_files_of_a_split_become_one_table(tmp_path: Path, hub: Server) -> None:
    offer(hub, "me/set", {"default": {"train": [shard(0), shard(40), shard(80)], "test": [shard(900)]}})
    first = get("hf:me/set", tmp_path)
    frame = pd.read_parquet(first.path)
    assert frame["a"].tolist() == list(range(120))
    assert first.notes == ("hf:me/set: its split 'train' is taken; there is also test",)
    asked = len(hub.asked)
    assert get("hf:me/set", tmp_path) == first
    assert get(first.pinned, tmp_path).path == first.path
    assert len(hub.asked) == asked
    assert not (first.path.parent / "partial").exists()


def test_a_set_of_the_hub_is_a_data_set_and_its_classes_are_the_target(tmp_path: Path, hub: Server) -> None:
    offer(hub, "me/set", {"default": {"train": [shard(0, classes=True)]}})
    dataset = FileSource("hf:me/set", None, tmp_path, results=tmp_path / "results").table("sklearn:wine")
    assert (dataset.name, len(dataset.target), dataset.classes) == ("hf:me/set", 39, ("no", "yes"))
    again = get("hf:me/set", tmp_path)
    assert again.target == "label"


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("hf:me/set/b", 200),
        ("hf:me/set/b/train", 200),
        ("hf:me/set/a/test", 100),
        ("hf:old/b/train", 200),
        ("hf:old/a/test", 100),
    ],
)
def test_configuration_and_split_can_be_chosen(tmp_path: Path, hub: Server, text: str, first: int) -> None:
    both = {"a": {"train": [shard(0)], "test": [shard(100)]}, "b": {"train": [shard(200)]}}
    offer(hub, "me/set", both)
    offer(hub, "old", both)
    assert pd.read_parquet(get(text, tmp_path).path)["a"][0] == first


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("hf:me/set", r"hf:me/set has several configurations; add one of a, b"),
        ("hf:me/set/c", r"hf:me/set/c: there is no configuration 'c'; it has a, b"),
        ("hf:me/set/a/train", r"there is no split 'train'; it has x, y"),
        ("hf:me/set/a", r"has several splits; add one of x, y"),
        ("hf:a/b/c/d/e", r"hf: takes OWNER/NAME, .*, got 'a/b/c/d/e'"),
        ("hf:me/../../x", r"hf: takes OWNER/NAME"),
        ("hf:me/set%2f..", r"hf: takes OWNER/NAME"),
    ],
)
def test_a_choice_that_there_is_not_lists_those_there_are(tmp_path: Path, hub: Server, text: str, said: str) -> None:
    offer(hub, "me/set", {"a": {"x": [shard(0)], "y": [shard(0)]}, "b": {"train": [shard(0)]}})
    with pytest.raises(InputError, match=said):
        get(text, tmp_path)


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_set_that_is_not_there_or_hidden_is_told(tmp_path: Path, hub: Server, status: int) -> None:
    hub.script["/rest"] = [reply(status)]
    with pytest.raises(SurroundingsError, match=r"no data set 'me/none' in Parquet, or hides it") as trouble:
        get("hf:me/none", tmp_path)
    assert "HF_TOKEN" in trouble.value.hint


@pytest.mark.parametrize(
    "body", [b"[]", b"{}", b'{"a": []}', b'{"a": {"b": []}}', b'{"a": {"b": [1]}}', b"<html>", b"{"]
)
def test_a_listing_that_is_none_is_told(tmp_path: Path, hub: Server, body: bytes) -> None:
    hub.script["/api/datasets/me/set/parquet"] = [reply(200, body)]
    with pytest.raises(SurroundingsError, match=r"lists no Parquet files|not JSON"):
        get("hf:me/set", tmp_path)


def test_files_that_are_damaged_or_unequal_are_told(tmp_path: Path, hub: Server) -> None:
    other = io.BytesIO()
    pq.write_table(pa.table({"z": ["x"]}), other)
    for files in ([b"<html>"], [shard(0), other.getvalue()], [shard(0)[:-20], shard(0)]):
        offer(hub, "me/set", {"default": {"train": files}})
        with pytest.raises(SurroundingsError, match="the hub sent damaged or unequal files"):
            get("hf:me/set", tmp_path)


def test_the_token_goes_to_the_hub_only_and_is_nowhere_written(tmp_path: Path, hub: Server) -> None:
    with serve(f=file_of(shard(0))) as mirror:
        offer(hub, "me/set", {"default": {"train": [shard(0)]}})
        hub.script["/api/datasets/me/set/parquet/default/train/0.parquet"] = [reply(302, location=f"{mirror.url}/f")]
        with pytest.raises(RefusedError, match="not on the public internet"):
            get("hf:me/set", tmp_path)
        assert mirror.asked == []
    assert all(request.headers["authorization"] == "Bearer hf_CANARY" for request in hub.asked)
    written = [path.read_bytes() for path in (tmp_path / "results").rglob("*") if path.is_file()]
    assert not [content for content in written if b"CANARY" in content]


def test_a_listing_that_leads_elsewhere_is_refused(tmp_path: Path, hub: Server) -> None:
    listing = {"default": {"train": ["http://169.254.169.254/latest/meta-data"]}}
    hub.script["/api/datasets/me/set/parquet"] = [reply(200, json.dumps(listing).encode())]
    with pytest.raises(RefusedError):
        get("hf:me/set", tmp_path)


def test_files_that_were_finished_are_not_asked_for_again(tmp_path: Path, hub: Server) -> None:
    offer(hub, "me/set", {"default": {"train": [shard(0), shard(40)]}})
    second = "/api/datasets/me/set/parquet/default/train/1.parquet"
    good = hub.script[second]
    hub.script[second] = [reply(404)]
    with pytest.raises(SweepError):
        get("hf:me/set", tmp_path)
    hub.script[second] = good
    assert len(pd.read_parquet(get("hf:me/set", tmp_path).path)) == 80
    assert hub.times("/api/datasets/me/set/parquet/default/train/0.parquet") == 1


def test_a_set_that_changed_is_taken_anew_when_asked_and_the_old_one_stays(tmp_path: Path, hub: Server) -> None:
    offer(hub, "me/set", {"default": {"train": [shard(0)]}})
    first = get("hf:me/set", tmp_path)
    offer(hub, "me/set", {"default": {"train": [shard(5)]}})
    assert get("hf:me/set", tmp_path).path == first.path
    second = get("hf:me/set", tmp_path, refresh=True)
    assert second.notes == ("hf:me/set has changed since it was last fetched",)
    assert get(first.pinned, tmp_path).path == first.path
    first.path.unlink()
    with pytest.raises(SurroundingsError, match="is no longer what it was"):
        get(first.pinned, tmp_path)


def test_damaged_files_are_asked_for_again_the_next_time(tmp_path: Path, hub: Server) -> None:
    offer(hub, "me/set", {"default": {"train": [shard(0), b"no Parquet"]}})
    with pytest.raises(SurroundingsError, match="damaged or unequal files"):
        get("hf:me/set", tmp_path)
    offer(hub, "me/set", {"default": {"train": [shard(0), shard(40)]}})
    assert len(pd.read_parquet(get("hf:me/set", tmp_path).path)) == 80

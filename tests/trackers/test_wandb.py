"""W&B's offline runs, read back from the files that `wandb sync` would send."""

from __future__ import annotations

import json
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from search.errors import FailReason
from search.trackers.wandb import _mode
from search.trial import Ending
from tests.trackers.tracked import Study, tracking

_BLOCK = 32768


@pytest.fixture(autouse=True)
def _no_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_PROJECT", "WANDB_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))


def records(content: bytes) -> Iterator[bytes]:
    """Yield the records of a file of W&B's: LevelDB's log format behind a header of 7 bytes."""
    place, whole = 7, b""
    while place + 7 <= len(content):
        left = _BLOCK - place % _BLOCK
        if left < 7:
            place += left
            continue
        length, part = struct.unpack("<HB", content[place + 4 : place + 7])
        whole += content[place + 7 : place + 7 + length]
        place += 7 + length
        if part in (1, 4):  # whole, or the last part
            yield whole
            whole = b""


def runs(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Return what each file of a folder holds, by the run's name: its run, its config, its history, its summary."""
    from wandb.proto import wandb_internal_pb2

    found: dict[str, list[dict[str, Any]]] = {}
    for path in sorted(folder.glob("wandb/offline-run-*/run-*.wandb")):
        told: dict[str, Any] = {"history": [], "summary": {}, "config": {}}
        for data in records(path.read_bytes()):
            record = wandb_internal_pb2.Record.FromString(data)
            if record.HasField("run"):
                run = record.run
                told |= {"name": run.display_name, "id": run.run_id, "group": run.run_group, "job": run.job_type}
                told["project"] = run.project
                told["config"] |= {one.key: json.loads(one.value_json) for one in run.config.update}
            if record.HasField("history"):
                items = {(one.key or one.nested_key[0]): json.loads(one.value_json) for one in record.history.item}
                told["history"].append({name: value for name, value in items.items() if not name.startswith("_")})
            if record.HasField("summary"):
                for one in record.summary.update:
                    told["summary"][one.key or ".".join(one.nested_key)] = json.loads(one.value_json)
            if record.HasField("exit"):
                told["exit"] = record.exit.exit_code
        found.setdefault(told["name"], []).append(told)
    return found


HANGING = """
import time
from pathlib import Path
from search.records.study import read, status
from tests.trackers.tracked import Study, tracking, until

study, said = Study(Path({folder!r})), []
with tracking(study, "wandb", hangs_s=3) as (thread, said):
    status = study.close()
    until(lambda: not time.sleep(0.2) and (thread.look_after() or said))
    began = time.monotonic()
assert said == ["tracker wandb is off: it has not answered for 3 s; a resume tries again"], said
"""


def test_a_server_that_never_answers_holds_up_neither_the_sweep_nor_the_end_of_its_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        code = HANGING.format(folder=str(tmp_path))
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr


@pytest.mark.parametrize(
    ("asked", "mode"),
    [
        (None, "online"),
        ("https://own.example:8080/x", "online"),
        ("https://own.example", "offline"),
        ("http://[x", "offline"),
    ],
)
def test_it_is_online_where_a_login_has_left_a_key_for_its_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str | None, mode: str
) -> None:
    names = ("api.wandb.ai", "own.example:8080")
    (tmp_path / "keys").write_text("".join(f"machine {name} login user password {'0' * 40}\n" for name in names))
    monkeypatch.setenv("NETRC", str(tmp_path / "keys"))
    monkeypatch.delenv("WANDB_BASE_URL", raising=False)
    if asked is not None:
        monkeypatch.setenv("WANDB_BASE_URL", asked)
    assert _mode() == mode


def test_trials_are_runs_of_one_group_without_a_key_or_a_network(tmp_path: Path) -> None:
    for run, losses, ending in (("one", [0.5, 0.25], Ending.COMPLETE), ("two", [0.5], Ending.FAIL)):
        study = Study(tmp_path, run)
        with tracking(study, "wandb", "team/rain") as (_, said):
            failed = {"reason": FailReason.NAN, "text": "nan"} if ending is Ending.FAIL else {}
            study.trial(losses, ending, **failed)
            status = study.close()
        assert said == []
    found = runs(study.folder.root)
    assert {name: len(told) for name, told in found.items()} == {"t": 2, "t #0": 1, "t #1": 1}
    assert len({told["id"] for told in found["t"]}) == 1  # a resume goes on in the run that was begun
    (first,), (failed_run,) = found["t #0"], found["t #1"]
    assert (first["group"], first["job"], first["project"]) == ("t", "trial", "rain")
    assert [one["val_loss"] for one in first["history"]] == [0.5, 0.25]
    assert status.best is not None
    assert first["config"].items() >= dict(status.best.params).items()
    assert (first["summary"]["state"], first["exit"]) == ("complete", 0)
    assert (failed_run["summary"]["reason"], failed_run["exit"]) == ("nan", 1)
    assert found["t"][-1]["summary"]["best.val_loss"] == 0.25

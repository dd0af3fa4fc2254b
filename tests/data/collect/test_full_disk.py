"""A disk that fills up: 507, nothing acknowledged is lost, and with room again it goes on by itself.

The disk is real: a tmpfs of a few hundred kilobytes in a mount namespace of the test's own.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.data.collect.servers import ROOT, ids, serving

NOTE = "x" * 20


def main(place: str) -> None:
    """Fill a disk that is mounted at `place` twice, and free it twice, while a collector runs on it."""
    folder = Path(place)
    filler = folder / "filler"
    acknowledged: list[str] = []
    seen: dict[str, Any] = {"statuses": [], "trouble": [], "acknowledged": acknowledged}
    flags = ["--segment-mb", "0.02"]
    with serving(folder, *flags) as server, server.client() as client:
        number = 0
        for _ in range(2):
            filler.write_bytes(b"")
            while True:
                rows = [{"id": f"{number}-{row}{NOTE}"} for row in range(20)]
                told = client.post("/rows", json={"rows": rows}, headers={"Idempotency-Key": f"k{number}"})
                seen["statuses"].append(told.status_code)
                if told.status_code != 200:
                    break
                acknowledged += [row["id"] for row in rows]
                number += 1
                if number % 20 == 0:
                    with contextlib.suppress(OSError), filler.open("ab", buffering=0) as file:
                        file.write(b"x" * 60_000)
            seen["trouble"].append(client.get("/stats").json()["trouble"])
            seen["said"] = told.json()["error"]["message"]
            filler.unlink()
            again = client.post("/rows", json={"rows": rows}, headers={"Idempotency-Key": f"k{number}"})
            seen["statuses"].append(again.status_code)
            acknowledged += [row["id"] for row in rows]
            number += 1
        for extra in range(20):  # the next segment that is closed is compacted, and those before it
            rows = [{"id": f"extra {extra}-{row}{NOTE}"} for row in range(20)]
            client.post("/rows", json={"rows": rows}).raise_for_status()
            acknowledged += [row["id"] for row in rows]
        deadline_s = time.monotonic() + 8
        while client.get("/stats").json()["trouble"] and time.monotonic() < deadline_s:
            time.sleep(0.05)
        seen["trouble"].append(client.get("/stats").json()["trouble"])
        seen["code"] = server.end()
    seen["ids"] = ids(folder)
    sys.stdout.write(json.dumps(seen))


@pytest.fixture(scope="module")
def mounts() -> None:
    probe = subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True)
    if probe.returncode:
        pytest.skip("this machine does not let us mount a small disk")


@pytest.mark.usefixtures("mounts")
def test_a_full_disk_is_told_and_loses_nothing_and_room_is_used_again(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    script = 'mount -t tmpfs -o size=600k tmpfs "$0" && exec "$@"'
    command = ["unshare", "-m", "sh", "-c", script, str(disk)]
    command += [sys.executable, "-m", "tests.data.collect.test_full_disk", str(disk)]
    ended = subprocess.run(command, text=True, capture_output=True, cwd=ROOT, timeout=100)
    assert ended.returncode == 0, ended.stderr
    seen = json.loads(ended.stdout)
    assert seen["statuses"].count(507) == 2
    assert set(seen["statuses"]) == {200, 507}
    assert seen["said"] == "the disk is full; nothing of this request is stored"
    assert [one[:13] for one in seen["trouble"]] == ["no space left", "no space left", ""]
    assert seen["code"] == 143
    assert seen["ids"] == seen["acknowledged"]


if __name__ == "__main__":
    main(sys.argv[1])

"""`doctor` names what there is, what is missing, and how to get it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from search.cli import doctor
from search.cli.main import main

MOUNTS = """/dev/sda1 / ext4 rw 0 0
server:/home /home nfs4 rw 0 0
tmpfs /home/ann/my\\040disk tmpfs rw 0 0
//win/share /mnt/share cifs rw 0 0
"""


@pytest.mark.parametrize(
    ("path", "kind", "network"),
    [
        ("/var/results", "ext4", False),
        ("/home/ann/results", "nfs4", True),
        ("/home/ann/my disk/results", "tmpfs", False),
        ("/mnt/share", "cifs", True),
        ("/homely", "ext4", False),
    ],
)
def test_the_file_system_is_that_of_the_nearest_mount(path: str, kind: str, network: bool) -> None:
    assert doctor.file_system(Path(path), MOUNTS) == kind
    assert doctor.is_network(kind) is network


def test_what_is_missing_comes_with_the_command_that_gets_it(tmp_path: Path) -> None:
    found = doctor.examine(tmp_path / "results")
    versions = dict.fromkeys(found["versions"])
    disk = {"results": "/r", "free_mb": 10, "file_system": "nfs", "writable": False}
    machine = found["machine"] | {"memory_free_mb": 5}
    told = list(doctor._problems(versions, machine, disk))
    assert {one["problem"]: one["remedy"] for one in told}["ray is not installed"] == "pip install sweep-search"
    assert "pip install 'sweep-search[cmaes]'" in {one["remedy"] for one in told}
    assert {one["problem"] for one in told if one["needed"]} >= {"ray is not installed", "/r cannot be written"}
    assert sum("/r" in one["problem"] for one in told) == 3


def test_doctor_prints_this_machine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--results", str(tmp_path / "not" / "yet")]) == 0
    assert "CPUs" in capsys.readouterr().out
    assert main(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["machine"]["cpus"] >= 1
    assert found["versions"]["ray"]

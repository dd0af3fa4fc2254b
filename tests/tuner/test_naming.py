"""A sweep that does not begin gives its name back, whatever it had written by then.

Mutation that turns these red: let `give_name_back` leave a folder that holds more than the plan.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from search.tuner.naming import give_name_back, take_name

from .sweeps import SLOW, launch_of, write


@pytest.mark.parametrize("names", [(), ("split.npz",), ("split.npz", "rows/0a/entry.json")])
def test_what_was_written_before_the_study_opened_goes_with_its_name(tmp_path: Path, names: tuple[str, ...]) -> None:
    launch = take_name(launch_of(write(tmp_path, SLOW), tmp_path / "results"))
    for name in names:
        path = launch.folder.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    give_name_back(launch)
    assert not launch.folder.root.exists()
    take_name(launch)


def test_a_study_that_has_opened_keeps_its_folder(tmp_path: Path) -> None:
    launch = take_name(launch_of(write(tmp_path, SLOW), tmp_path / "results"))
    launch.folder.split.touch()
    launch.folder.journal.touch()
    give_name_back(launch)
    assert launch.folder.plan.exists()
    assert launch.folder.split.exists()

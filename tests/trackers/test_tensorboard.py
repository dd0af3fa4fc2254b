"""TensorBoard's event files, read back record by record."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tensorboardX.proto import event_pb2, plugin_hparams_pb2

from search.errors import FailReason
from search.trial import Ending
from tests.trackers.tracked import Study, tracking


def events(folder: Path) -> Iterator[Any]:
    """Yield the events of a folder's files: each is a length, its checksum, the event, its checksum."""
    for path in sorted(folder.iterdir()):
        content = path.read_bytes()
        while content:
            (length,) = struct.unpack("<Q", content[:8])
            event = event_pb2.Event()
            event.ParseFromString(content[12 : 12 + length])
            content = content[16 + length :]
            yield event


def scalars(folder: Path) -> list[tuple[str, int, float]]:
    return [
        (value.tag, event.step, round(value.simple_value, 4))
        for event in events(folder)
        for value in event.summary.value
        if value.WhichOneof("value") == "simple_value" and not value.tag.startswith("_hparams_")
    ]


@pytest.mark.parametrize("where", ["", "board"])
def test_each_trial_has_a_folder_with_its_curve(tmp_path: Path, where: str) -> None:
    place = str(tmp_path / where) if where else ""
    study = Study(tmp_path / "r")
    with tracking(study, "tensorboard", place) as (_, said):
        study.trial([0.5, 0.25])
        study.trial([0.75], Ending.FAIL, reason=FailReason.NAN, text="nan")
        study.close()
    root = tmp_path / "board" / "t" if where else study.folder.root / "tensorboard"
    assert sorted(path.name for path in root.iterdir()) == ["study", "trial-00000", "trial-00001"]
    curve = [one for one in scalars(root / "trial-00000") if one[0] == "val_loss"]
    assert curve[:2] == [("val_loss", 1, 0.5), ("val_loss", 2, 0.25)]
    assert ("trials/val_loss", 0, 0.25) in scalars(root / "study")
    assert said == []


def test_parameters_are_hyperparameters_beside_the_result(tmp_path: Path) -> None:
    study = Study(tmp_path)
    with tracking(study, "tensorboard"):
        study.trial([0.5])
        status = study.close()
    assert status.best is not None
    found: dict[str, float] = {}
    for event in events(study.folder.root / "tensorboard" / "trial-00000"):
        for value in event.summary.value:
            if value.tag == "_hparams_/session_start_info":
                told = plugin_hparams_pb2.HParamsPluginData.FromString(value.metadata.plugin_data.content)
                found = {name: one.number_value for name, one in told.session_start_info.hparams.items()}
    numbers = {name: value for name, value in status.best.params.items() if isinstance(value, float)}
    assert {name: found[name] for name in numbers} == pytest.approx(numbers)


def test_a_resume_adds_to_the_folders_and_repeats_nothing(tmp_path: Path) -> None:
    for run, losses in (("one", [0.5]), ("two", [0.25])):
        study = Study(tmp_path, run)
        with tracking(study, "tensorboard"):
            study.trial(losses)
            study.close()
    root = study.folder.root / "tensorboard"
    assert [one[2] for one in scalars(root / "trial-00000") if one[0] == "val_accuracy"] == [0.5]
    assert scalars(root / "study") == [("trials/val_loss", 0, 0.5), ("trials/val_loss", 1, 0.25)]

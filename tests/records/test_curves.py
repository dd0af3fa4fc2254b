"""What a running trial reported last, and how the best moved: the same from the owner and from what is stored."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from search.records import derived
from search.records.study import read, status
from search.status import CURVE
from search.study.owner import StudyOwner
from search.study.record import from_frozen, latest
from search.study.runs import Run
from search.trial import Ending, Outcome, Progress
from tests.records import studies
from tests.records.owners import folder_of
from tests.study.studies import flat_space

LOSSES = (0.9, 0.5, 0.7, 0.4)


@pytest.mark.parametrize("table", [False, True], ids=["journal", "table"])
def test_owner_and_records_tell_the_same_curves_and_moves(tmp_path: Path, table: bool) -> None:
    folder, plan = folder_of(tmp_path, "w", max_epochs=99)
    owner = StudyOwner.open(plan, folder.root, flat_space, slots=4, run=Run("run"))
    for place, loss in enumerate(LOSSES):
        number = asked(owner, place)
        owner.report(number, f"t{place}", Progress(1, {"val_loss": loss}, 1))
        end = (Ending.PRUNED, 1) if place == 2 else (Ending.COMPLETE, 1, {"val_loss": loss})
        owner.tell(number, f"t{place}", Outcome(*end))
    if table:
        derived.refresh(folder)
    number = asked(owner, 4)
    curve = [1 / step for step in range(1, CURVE + 5)]
    for step, value in enumerate(curve, 1):
        owner.report(number, "t4", Progress(step, {"val_loss": value}, step))
    shown, stored = owner.status(), status(read(folder))
    owner.close()
    again = StudyOwner.open(plan, folder.root, flat_space, slots=4, run=Run("run"))
    reopened = again.status()
    again.close()
    for found in (shown, stored, reopened):
        assert found.moves == ((1, 0.9), (2, 0.5), (4, 0.4))
        assert [one.curve for one in found.running] == [tuple(curve[-CURVE:])]


def asked(owner: StudyOwner, place: int) -> int:
    spec = owner.ask(f"slot:{place}").spec
    assert spec is not None
    owner.begin(spec.number, f"t{place}", worker="here")
    return spec.number


def test_values_that_are_no_finite_numbers_are_left_out_of_a_curve() -> None:
    trial = studies.trial("running")
    trial.intermediate_values = {1: 0.5, 2: math.nan, 3: math.inf, 4: 0.25}
    assert latest(from_frozen(trial), "val_loss") == (0.5, 0.25)

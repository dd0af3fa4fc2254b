"""A short run of the proof that kill -9 takes no label, and has none learnt twice: `benchmarks/online_kills.py`.

Mutations that turn it red: a server that starts knows nothing of its log (`recording.remember`); a learner that begins
behind the step at which its snapshot was made, or before it (`State.done`); a snapshot that is read without the rows
that wait (`State.load`), or without what the challenger has learnt (`Reading.open`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.online_kills import proved
from benchmarks.online_kills_check import Checks
from benchmarks.online_kills_site import write_table
from search.promote.choices import Promotion
from search.promote.promoting import promote
from tests.promote import confirmed


def test_labels_that_were_acknowledged_count_once_whatever_is_killed(tmp_path: Path) -> None:
    results = tmp_path / "results"
    table = write_table(results)
    family: dict[str, Any] = {"set": ("model.family=linear",), "space": "tabular"}
    stored = confirmed.study("tabular", results, data=str(table), target="answer", trials=1, **family)
    promote(stored, Promotion.of("rain", {"trial": "0"}))
    checks = Checks()
    done = proved(results, kills=3, seed=4, phases=("learn", "start", "serve"), checks=checks, turn=300)
    assert sum(done.values()) == 3
    assert checks.faults == []

"""What must be so after all kills: the log has what was acknowledged, and alone gives the state that there is."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.online_kills_client import Client
from benchmarks.online_kills_site import NAME, ROOT, Site, hurry
from search.online import records
from search.online.log import tail
from search.online.storing import Snapshot, Snapshots
from search.paths import ModelFolder, OnlineFolder

CATCH_UP_S: Final = 900.0


@dataclass
class Checks:
    """What was looked at."""

    passed: int = 0
    faults: list[str] = field(default_factory=list)

    def that(self, truth: bool, said: str) -> None:
        """Count one look; `said` is the fault where it is not so."""
        if truth:
            self.passed += 1
            return
        self.faults.append(said)
        print(f"FAULT: {said}", flush=True)


def labels_of(folder: OnlineFolder, checks: Checks) -> dict[str, str]:
    """Return all labels in the log by id, and look whether an id comes twice."""
    labels: dict[str, str] = {}
    shown: set[str] = set()
    twice = []
    for record in tail(folder, 0):
        if record is None:
            break
        head = records.head(record)
        if head.kind in ("shown", "rows"):
            twice += [name for name in head.ids if name in shown]
            shown.update(head.ids)
        if head.kind in ("labels", "rows"):
            twice += [name for name in head.ids if name in labels]
            labels |= {name: str(label) for name, label in zip(head.ids, head.labels, strict=True)}
    checks.that(not twice, f"ids come twice in the log: {twice[:5]}")
    return labels


def compared(site: Site, pristine: Path, client: Client, checks: Checks) -> None:
    """Hold the log against what was acknowledged, and the state against what the log alone gives."""
    labels = labels_of(site.folder, checks)
    lost = [name for name, label in client.acknowledged.items() if labels.get(name) != label]
    checks.that(not lost, f"{len(lost)} acknowledged labels are not in the log as they were, such as {lost[:5]}")
    strange = [name for name in labels if name not in client.acknowledged and name not in client.unsure]
    checks.that(not strange, f"{len(strange)} labels are in the log that nobody sent, such as {strange[:5]}")
    again = OnlineFolder.of(pristine, NAME)
    shutil.copytree(site.folder.log, again.log)
    found = Snapshots(site.folder).newest()
    assert found is not None
    folded(pristine, found, checks)
    anew = Snapshots(again).newest()
    assert anew is not None
    for part in ("state", "challenger", "versions", "choices"):
        checks.that(_same(found.told[part], anew.told[part]), f"{part} is another one: {_where(found, anew, part)}")
    unequal = [
        name
        for name in {*found.arrays, *anew.arrays}
        if name not in found.arrays or name not in anew.arrays or not _equal(found.arrays[name], anew.arrays[name])
    ]
    checks.that(not unequal, f"these arrays are others: {sorted(unequal)[:8]}")
    for one, other in ((site.folder.audit, again.audit), (site.folder.aside, again.aside)):
        same = (one.read_bytes() if one.exists() else b"") == (other.read_bytes() if other.exists() else b"")
        checks.that(same, f"{one.name} says another thing than the log gives")
    for version in sorted(int(path.name) for path in ModelFolder.of(site.results, NAME).root.glob("[0-9]*")):
        files = [ModelFolder.of(root, NAME).version(version) / "model.onnx" for root in (site.results, pristine)]
        same = all(path.exists() for path in files) and files[0].read_bytes() == files[1].read_bytes()
        checks.that(same, f"version {version} is another one than the log gives")


def folded(results: Path, until: Snapshot, checks: Checks) -> None:
    """Have a learner read the log from its start, as far as another one has."""
    folder = OnlineFolder.of(results, NAME)
    command = [sys.executable, "-m", "search.online.learner", "--results", str(results), "--name", NAME]
    given = json.dumps({key: until.told["choices"][key] for key in ("wait_s", "most_waiting")})
    with (results.parent / "again.txt").open("ab") as said:
        learner = subprocess.Popen(
            [*command, "--choices", given], cwd=ROOT, stdin=subprocess.PIPE, stdout=said, stderr=said
        )
        wanted, deadline_s = until.told["state"]["counts"]["labelled"], time.monotonic() + CATCH_UP_S
        while learner.poll() is None and time.monotonic() < deadline_s:
            hurry(learner.pid)
            with suppress(OSError, ValueError):
                if json.loads(folder.status.read_bytes())["rows"]["labelled"] == wanted:
                    break
            time.sleep(0.1)
        assert learner.stdin is not None
        learner.stdin.close()
        checks.that(learner.wait(timeout=120) == 0, f"who reads the log anew ends with {learner.returncode}")


def _same(one: Any, other: Any) -> bool:
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _where(one: Snapshot, other: Snapshot, part: str) -> list[str]:
    """Return the names under which two snapshots differ."""
    return [name for name in one.told[part] if not _same(one.told[part][name], other.told[part].get(name))]


def _equal(one: Any, other: Any) -> bool:
    return one.dtype == other.dtype and one.shape == other.shape and np.array_equal(one, other, equal_nan=True)

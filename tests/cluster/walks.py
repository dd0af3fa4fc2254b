"""An objective whose trials say where each of their epochs ran, and sweeps of it that are started on a machine."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import optuna

from search.paths import StudyFolder
from search.study.record import from_frozen
from tests.cluster.nodes import CHECKOUT, Machine, Network, until
from tests.faults.test_full_disk import LEARNS
from tests.tuner.sweeps import stored

PROJECT: Final = "/tmp/project"
RESULTS: Final = "/tmp/results"

_SAYS: Final = """        if os.path.exists("/tmp/enough"):
            raise StopIteration
        time.sleep(0.2)
        self.epoch += 1
        print("epoch", self.epoch, "on", socket.gethostname(), flush=True)
"""


@dataclass(slots=True, eq=False)
class Sweep:
    """A sweep that a command on a machine drives.

    Attributes:
        machine: Where it is driven, and where its results lie.
        study: Its name.
        process: The command.
    """

    machine: Machine
    study: str
    process: subprocess.Popen[str]

    @property
    def folder(self) -> StudyFolder:
        return StudyFolder(self.machine.path(f"{RESULTS}/{self.study}"))

    def trials(self) -> list[optuna.trial.FrozenTrial]:
        """Return its trials as plain Optuna reads them, none before it has any."""
        return stored(self.machine.path(RESULTS), self.study) if self.folder.journal.exists() else []

    def has_checkpoint(self, number: int) -> bool:
        return (self.folder.trial(number).checkpoint / "latest.json").exists()

    @property
    def has_lost_a_machine(self) -> bool:
        """Whether the study has been told so."""
        return '"sweep:nodes:' in self.folder.journal.read_text()

    def epochs(self, number: int) -> list[tuple[int, str]]:
        """Return the epochs that a trial says it ran, in order, each with the name of its machine."""
        path = self.folder.trial(number).log
        said = re.findall(r"epoch (\d+) on (\S+)", path.read_text()) if path.exists() else []
        return [(int(epoch), machine) for epoch, machine in said]

    def on(self, machine: Machine, *, epochs: int = 0) -> list[int]:
        """Return the trials that have reported so many epochs and run on a machine now."""
        return [
            trial.number
            for trial in self.trials()
            if from_frozen(trial).state == "running"
            and len(trial.intermediate_values) >= epochs
            and trial.system_attrs.get("sweep:attempt", {}).get("worker", "").startswith(f"{machine.address}:")
        ]

    def wait(self, true: Callable[[], object], what: str) -> None:
        """Wait until something holds while the sweep runs."""

        def holds() -> bool:
            assert self.process.poll() is None, self.process.communicate()
            return bool(true())

        until(holds, what, seconds=180)

    def end(self, code: int = 0) -> tuple[dict[str, Any], str]:
        """Wait for its end; return what it printed: the status as JSON, and what was shown meanwhile."""
        out, err = self.process.communicate(timeout=300)
        assert self.process.returncode == code, err
        assert "Traceback" not in err
        return json.loads(out), err


def walk(network: Network, study: str, *flags: str, epochs: int = 2000, extra: str = "") -> Sweep:
    """Start a sweep on the head, of trials that run so many epochs, if they are not told before that it is `enough`."""
    head = network.head
    for machine in network.machines:
        machine.path("/tmp/enough").unlink(missing_ok=True)
    code = LEARNS.replace("    budget = 9\n", f"    budget = {epochs}\n").replace("        self.epoch += 1\n", _SAYS)
    assert "socket.gethostname" in code
    folder = head.path(PROJECT)
    folder.mkdir(exist_ok=True)
    (folder / "walks.py").write_text(f"import os, socket, time\n{code}{extra}")
    own = ("--study", study, "--max-epochs", str(epochs), "--pruner", "none", "--patience", "0", "--seed", "1")
    return command(head, study, "run", "walks.py", "--address", network.address, *own, *flags)


def enough(network: Network) -> None:
    """Let each trial end that runs now."""
    for machine in network.machines:
        if machine.first.is_running():
            machine.path("/tmp/enough").touch()


def command(machine: Machine, study: str, *arguments: str) -> Sweep:
    """Start a command of `sweep` that drives a study on a machine."""
    words = (sys.executable, "-m", "search", *arguments, "--results", RESULTS, "--json")
    return Sweep(machine, study, machine.start(*words, folder=PROJECT, env={"PYTHONPATH": str(CHECKOUT)}))

"""`from search import sweep`: objects in place of names, from scripts, notebooks and threads.

Mutations that turn these red: load a script's objective by its file (`search.byvalue._reference`); tell a callback of
trials that ended before a resume; let the second call make a study of its own; leave signals to the sweep afterwards.
"""

from __future__ import annotations

import inspect
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import search
from search import byvalue
from search.bytecode import code_of
from search.choosing import OPTIONS
from search.cli.main import main
from search.data import frames
from search.data.formats import read_table
from search.data.reference import parse_reference
from search.errors import InputError, RefusedError
from search.showing import Line
from search.status import Status
from tests.records import studies
from tests.together import together
from tests.tuner.sweeps import stored

pytestmark = pytest.mark.timeout(600)  # the first test waits for three scripts, each with a Ray of its own

ROOT = Path(__file__).resolve().parent.parent
DOCS = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")

A_RAY = 'import ray\nray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="CRITICAL")'
"""Which the sweeps of a script share: each would start one otherwise."""

CELLS = """
import signal, time
from pathlib import Path
from search import sweep
from search.contract import objective

def space(trial):
    trial.suggest_float("train.x", 0.0, 1.0)

@objective(space=space, metrics={"val_loss": "minimize"})
def slow(run):
    for epoch in run.epochs:
        time.sleep(0.2 * (not Path("fast").exists()))
        yield {"val_loss": run.params["train.x"] + 1 / epoch}

before = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)]
found = sweep(slow, study="slow", trials=2, max_epochs=500, pruner="none", patience=0)
assert [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)] == before
print(found.status.state, found.status.trials["paused"] > 0, found.status.trials["running"])
Path("fast").touch()
found = sweep(slow, study="slow", resume=True)
print(found.status.state, found.status.trials["complete"])
"""


def as_a_script(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the cases, in a project with a file beside them."""
    folder.mkdir()
    shutil.copy(ROOT / "tests" / "apicases.py", folder / "cases.py")
    (folder / "helper.py").write_text("SCALE = 2.0\n")
    return subprocess.run([sys.executable, "cases.py"], cwd=folder, capture_output=True, text=True, timeout=500)


def as_cells(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run code that stands in no file, and send it Ctrl-C once a trial has reported."""
    folder.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-"],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    process.stdin.write(CELLS)
    process.stdin.close()
    process.stdin = None
    journal = folder / "results" / "slow" / "study.journal"
    deadline = time.monotonic() + 90
    while not (journal.exists() and '"intermediate_value"' in journal.read_text()):
        if time.monotonic() > deadline or process.poll() is not None:
            process.kill()
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def as_documented(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the examples of the page, one after the other in one script."""
    folder.mkdir()
    blocks = re.findall(r"^```python\n(.*?)^```", DOCS, re.MULTILINE | re.DOTALL)
    (folder / "page.py").write_text("\n".join([A_RAY, *blocks]))
    return subprocess.run([sys.executable, "page.py"], cwd=folder, capture_output=True, text=True, timeout=500)


WAYS: dict[str, Callable[[Path], subprocess.CompletedProcess[str]]] = {
    "script": as_a_script,
    "cells": as_cells,
    "page": as_documented,
}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, subprocess.CompletedProcess[str]]]:
    folder = tmp_path_factory.mktemp("ran")
    told = together({name: partial(way, folder / name) for name, way in WAYS.items()})
    return {name: (folder / name, told[name]) for name in WAYS}


@pytest.fixture(scope="module")
def noted(ran: dict[str, tuple[Path, subprocess.CompletedProcess[str]]]) -> dict[str, Any]:
    folder, told = ran["script"]
    assert told.returncode == 0, told.stderr[-3000:]
    return dict(json.loads((folder / "noted.json").read_text()))


def test_a_script_without_a_main_guard_runs_once(
    ran: dict[str, tuple[Path, subprocess.CompletedProcess[str]]], noted: dict[str, Any]
) -> None:
    assert (ran["script"][0] / "runs").read_text() == "the script ran\n"
    assert noted


def test_a_generator_of_a_script_is_swept_and_each_trial_is_told_once_when_it_ends(noted: dict[str, Any]) -> None:
    falls = noted["falls"]
    assert sorted(falls["heard"]) == falls["rows"] == [0, 1, 2, 3]
    assert "running" in falls["states"]
    assert falls["first"] == 0.25
    assert falls["reports"] == 12
    number, value, x, scale = falls["best"]
    assert value == scale * x + 1 / 3
    assert falls["optuna"] == 4
    assert number in falls["rows"]


def test_the_same_call_goes_on_and_tells_only_what_is_new(noted: dict[str, Any]) -> None:
    resumed = noted["resumed"]
    assert sorted(resumed["heard"]) == [4, 5]
    assert (resumed["state"], resumed["again"]) == ("finished", 6)


def test_an_instance_keeps_its_arguments_and_sees_the_data_frame(noted: dict[str, Any]) -> None:
    full = noted["full"]
    assert full["factor"] == pytest.approx(100 / 2)
    assert 25 < full["highest"] <= 29.5
    assert Path(full["checkpoint"]).name == "checkpoint"


def test_an_estimator_learns_from_arrays(noted: dict[str, Any]) -> None:
    assert noted["fitted"]["params"] == ["C"]
    assert noted["fitted"]["best"]


def test_an_optuna_objective_runs_in_a_thread(noted: dict[str, Any]) -> None:
    assert noted["parabola"] == {"trials": 3, "params": ["x"]}


def test_a_callback_that_raises_or_says_no_stops_the_sweep(noted: dict[str, Any]) -> None:
    assert re.fullmatch(r"trial \d", noted["raises"])
    state, complete = noted["enough"]
    assert state == "stopped"
    assert 1 <= complete < 20


def test_what_cannot_be_sent_is_one_sentence(noted: dict[str, Any]) -> None:
    kind, said = noted["locked"]
    assert kind == "InputError"
    assert said.startswith("locked cannot be sent to workers: ")
    assert "\n" not in said


def test_nothing_of_python_is_written_to_the_study(
    ran: dict[str, tuple[Path, subprocess.CompletedProcess[str]]], noted: dict[str, Any]
) -> None:
    folder = ran["script"][0] / "results" / "falls"
    plan = json.loads((folder / "plan.json").read_text())
    assert (plan["plan"]["objective"], plan["plan"]["space"]) == ("__main__:falls", "__main__:falls.space")
    assert plan["plan"]["enqueued"] == [{"train.x": 0.25}]
    assert len(plan["code_hash"]) == 64
    assert not [path for path in folder.rglob("*") if b"cloudpickle" in (path.read_bytes() if path.is_file() else b"")]


def test_the_command_line_says_who_can_go_on(
    ran: dict[str, tuple[Path, subprocess.CompletedProcess[str]]],
    noted: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    results = ran["script"][0] / "results"
    assert main(["resume", "falls", "--trials", "9", "--results", str(results)]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith(
        "error: objective falls stands in a Python script or notebook, which alone can go on with it"
    )
    assert main(["show", "falls", "--results", str(results)]) == 0


def test_ctrl_c_pauses_the_sweep_of_a_cell_and_the_next_call_goes_on(
    ran: dict[str, tuple[Path, subprocess.CompletedProcess[str]]],
) -> None:
    folder, told = ran["cells"]
    assert told.returncode == 0, told.stderr[-3000:]
    assert told.stdout.splitlines() == ["interrupted True 0", "finished 2"]
    assert "Traceback" not in told.stderr
    assert stored(folder / "results", "slow")[0].intermediate_values


def test_the_examples_of_the_page_run(ran: dict[str, tuple[Path, subprocess.CompletedProcess[str]]]) -> None:
    told = ran["page"][1]
    assert told.returncode == 0, told.stderr[-3000:]
    assert told.stdout.splitlines()[-1] == "15 of 15 trials"


# --- without Ray ---


def space(trial: Any) -> None:
    trial.suggest_float("train.x", 0.0, 1.0)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"trials": "many"}, "trials must be a whole number >= 1, got 'many'"),
        ({"max_epochs": 0}, "max_epochs must be a whole number >= 1, got '0'"),
        ({"time": 60}, "time needs a unit, got '60'; try 60s, 60m or 2h"),
        ({"trails": 3}, "sweep() has no option 'trails'; did you mean 'trials'?"),
        ({"accept_change": True}, "sweep() has no option 'accept_change'; did you mean 'accept_changes'?"),
        ({"track": 3}, "track takes mlflow, tensorboard, wandb or none, got 3; known: mlflow, tensorboard, wandb"),
        ({"set": {"train.y": 1}}, "no parameter 'train.y'; did you mean train.x?"),
        ({"enqueue": [3]}, 'enqueue is a list of points, or a file of them, got int in it; try [{"train.lr": 0.1}]'),
        ({"enqueue": [{"y": 3}]}, "no parameter 'y'; known: train.x"),
        ({"callbacks": 3}, "a callback is a function, or has on_trial or on_status, got int"),
        ({"trials": np.int64(0)}, "trials must be a whole number >= 1, got '0'"),
        ({"callbacks": [3]}, "a callback is a function, or has on_trial or on_status, got int"),
        ({"resume": True}, "resume=True needs the name of the study; give study=NAME"),
        (
            {"data": 3},
            "data must be a reference, a data frame or (X, y), got int; a file is named by its path, as text",
        ),
        ({"data": ([[1.0]], [1, 2])}, "X has 1 rows and y has 2; give as many of both"),
    ],
)
def test_what_is_wrong_is_the_sentence_of_the_command_line(tmp_path: Path, given: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as caught:
        search.sweep(f"{write(tmp_path)}", results=tmp_path, **given)
    assert str(caught.value) == said
    assert not list(tmp_path.glob("*/plan.json"))


@pytest.mark.parametrize("given", [None, 3, b"x", Path("x.py"), [1]])
def test_an_objective_is_a_reference_or_an_object(tmp_path: Path, given: object) -> None:
    with pytest.raises(InputError, match=r"objective must be a reference such as .* or the object itself, got "):
        search.sweep(given, results=tmp_path)


def test_a_study_that_is_there_is_refused_unless_it_is_to_be_gone_on_with(tmp_path: Path) -> None:
    studies.store(tmp_path, "m", studies.MIXED)
    path = write(tmp_path)
    with pytest.raises(RefusedError, match="study 'm' exists already"):
        search.sweep(str(path), study="m", results=tmp_path)
    with pytest.raises(RefusedError, match=r"study 'm' is of /o.py:O, got "):
        search.sweep(str(path), study="m", results=tmp_path, resume=True)


def write(folder: Path) -> Path:
    (path := folder / "problem.py").write_text(
        "from search.contract import objective\n"
        "def space(trial):\n    trial.suggest_float('train.x', 0.0, 1.0)\n"
        "@objective(space=space, metrics={'val_loss': 'minimize'})\n"
        "def short(run):\n    yield {'val_loss': 1.0}\n"
    )
    return path


EDITED = """
from search.contract import objective
from limits import LOW, HIGH
def space(trial):
    trial.suggest_float("x", LOW, HIGH)
@objective(space=space, metrics={"loss": "minimize"})
def quick(run):
    yield {"loss": run.params["x"]}
"""


def test_a_file_that_changed_between_two_calls_is_read_again(tmp_path: Path) -> None:
    (tmp_path / "edited.py").write_text(EDITED)
    for low, high in ((0, 1), (8, 9), (6, 7)):  # of one length, within one second
        (tmp_path / "limits.py").write_text(f"LOW, HIGH = {low}, {high}\n")
        with pytest.raises(InputError, match=f"{low}.* {high}"):
            search.sweep(f"{tmp_path}/edited.py:quick", results=tmp_path, enqueue=[{"x": 99}])


def test_every_option_of_the_command_line_is_a_keyword() -> None:
    assert {option.key for option in OPTIONS} <= set(inspect.signature(search.sweep).parameters)


# --- by reference, by value ---


def test_what_a_file_holds_travels_by_its_name() -> None:
    found = byvalue.loaded(space, "space", folder=ROOT)
    assert (found.reference, found.code) == (f"{Path(__file__).resolve()}:space", "")


def test_what_no_file_holds_travels_by_value() -> None:
    def inside(trial: Any) -> None:
        trial.suggest_float("x", 0, 1)

    found = byvalue.loaded(inside, "space", folder=ROOT)
    assert (found.value, found.reference) == (inside, "__main__:inside")
    assert len(found.code) == 64


def compiled(text: str) -> Any:
    scope: dict[str, Any] = {"__name__": "__main__"}
    exec(text, scope)
    return scope["f"]


TEXT = "LIMIT = 3\ndef g(x):\n    return x + LIMIT\ndef f(x):\n    return g(x) in {'a', 'b', 'c'}\n"


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("# a comment\n\n" + TEXT.replace("    return x", "    return  x"), True),
        (TEXT.replace("LIMIT = 3", "LIMIT = 4"), False),
        (TEXT.replace("x + LIMIT", "x - LIMIT"), False),
        (TEXT.replace("'c'", "'d'"), False),
        (TEXT.replace("def f(x)", "def f(x, y=1)"), False),
    ],
)
def test_the_hash_of_code_follows_what_is_called_and_leaves_the_rest(text: str, same: bool) -> None:
    assert (code_of(compiled(text)) == code_of(compiled(TEXT))) is same


NAMED = """
import functools, logging
import numpy as np

class Own:
    def __init__(self):
        self.size, self.me = 1, self

def helper(x):
    return x

ADD, WORDS = np.add, np.array(["a", None])
LOG, OWN, ROWS, TABLE, FEW, SOME = logging.getLogger("rain"), Own(), np.arange(3), {"lr": [0.1]}, (1, 2), {Own(), 3}
BOUND, steps = functools.partial(helper, 1), []
def f(x):
    LOG.warning("x")
    return BOUND(x) + OWN.size + ROWS + TABLE["lr"][0] + FEW[0] + x.steps + len(SOME) + ADD(1, len(WORDS))
"""


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ("TABLE['lr'][0] = 0.2", False),
        ("FEW = (1, 3)", False),
        ("OWN.size = 2", False),
        ("ROWS[0] = 7", False),
        ("SOME.add(4)", False),
        ("BOUND = functools.partial(helper, 2)", False),
        ("LOG.isEnabledFor(30)", True),
        ("steps.append(1)", True),
    ],
)
def test_the_hash_of_code_follows_what_it_names(change: str, same: bool) -> None:
    assert (code_of(compiled(NAMED + change)) == code_of(compiled(NAMED))) is same


@pytest.mark.parametrize("text", [TEXT, NAMED])
def test_the_hash_of_code_is_the_same_in_every_process(text: str) -> None:
    script = f"from search.bytecode import code_of\n{text}\nprint(code_of(f))"
    told = {
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
        for _ in range(3)
    }
    assert len(told) == 1


# --- data ---


@pytest.mark.parametrize(
    ("data", "columns", "target"),
    [
        (pd.DataFrame({"a": [1, 2], "y": [0, 1]}), ["a", "y"], None),
        (pd.DataFrame({"a": [1], "y": [0]}, index=pd.Index([7], name="id")), ["id", "a", "y"], None),
        ((np.eye(2), [0, 1]), ["x0", "x1", "target"], "target"),
        ((pd.DataFrame({"target": [1.0]}), pd.Series([1])), ["target", "target_"], "target_"),
        ((pd.DataFrame({"a": [1.0]}), pd.Series([1], name="price")), ["a", "price"], "price"),
    ],
)
def test_data_in_memory_is_kept_by_its_content(tmp_path: Path, data: Any, columns: list[str], target: str) -> None:
    kept, column = frames.keep(data, None, tmp_path)
    assert frames.keep(data, None, tmp_path) == (kept, column)
    assert column == target
    reference = parse_reference(kept, tmp_path)
    assert list(read_table(Path(kept), reference).columns) == columns
    assert len(list((tmp_path / "data" / "frame").iterdir())) == 1


def test_images_in_memory_are_kept_as_arrays(tmp_path: Path) -> None:
    kept, column = frames.keep((np.zeros((3, 1, 4, 4)), np.arange(3)), None, tmp_path)
    with np.load(kept) as arrays:
        assert (arrays["x"].shape, arrays["y"].tolist(), column) == ((3, 1, 4, 4), [0, 1, 2], None)


# --- what comes back ---


def test_a_stored_study_is_a_sweep(tmp_path: Path) -> None:
    studies.store(tmp_path, "mixed", studies.MIXED)
    sweep = search.load("mi", results=tmp_path)
    assert (sweep.name, sweep.folder) == ("mixed", tmp_path / "mixed")
    best = sweep.best
    assert best is not None
    assert sweep.best_trials == [best]
    assert best.value == best.values[0] == sweep.trials.set_index("number")["values.val_loss"][best.number]
    assert len(sweep.study.trials) == len(sweep.trials) == len(studies.MIXED)
    assert repr(sweep).startswith("<Sweep 'mixed': ")
    with pytest.raises(InputError, match="study 'mixed' is not running"):
        sweep.stop()
    with pytest.raises(InputError, match="no study 'other'"):
        search.load("other", results=tmp_path)


def test_what_a_notebook_shows_is_escaped(tmp_path: Path) -> None:
    folder = studies.store(tmp_path, "m", [studies.trial("complete", [0.5])])
    folder.journal.write_text(folder.journal.read_text().replace("train.lr", "<script>alert(1)</script>"))
    shown = search.load("m", results=tmp_path)._repr_html_()
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown


def test_a_study_without_a_trial_has_no_best(tmp_path: Path) -> None:
    studies.store(tmp_path, "m", [])
    sweep = search.load("m", results=tmp_path)
    assert sweep.best is None
    assert sweep.best_trials == []
    assert sweep._repr_html_()


def test_a_notebook_has_one_line_that_is_written_over() -> None:
    now: list[float] = [0.0]
    said: list[str] = []
    line = Line(said.append, clock=lambda: now[0])
    status = Status("s", "running", ("val_loss",), ("minimize",), {"complete": 10})
    for seconds in (0.0, 0.4, 1.1):
        now[0] = seconds
        line.update(status)
    line.update(Status("s", "finished", ("val_loss",), ("minimize",), {"complete": 1}))
    line.end()
    assert len(said) == 4
    assert all(text.startswith("\r") for text in said[:-1])
    assert said[-1] == "\n"
    assert len(said[2]) >= len(said[1])

"""What a user can get wrong: the exit code, and the sentence that says what came and what to try.

The numbers are those of the project's table of bad inputs. Rows that only a real cluster can answer stand in
`test_bad_inputs_on_ray.py`.
"""

from __future__ import annotations

import contextlib
import io
import re
import shutil
import socket
from pathlib import Path

import optuna
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from search.choosing import OPTIONS
from search.cli.commands import COMMANDS
from search.cli.main import main
from search.study.storage import open_for_writing
from tests.records import studies

SHORT = """
from search.contract import objective

def space(trial):
    trial.suggest_float("train.lr", 1e-5, 0.1, log=True)
    trial.suggest_int("model.width", 1, 8)
    trial.suggest_categorical("model.family", ["a", "b"])

@objective(space=space, metrics={"val_loss": "minimize"})
def short(run):
    for epoch in run.epochs:
        yield {"val_loss": run.params["train.lr"] / epoch}
"""
CLASS = """
class Tabular:
    space = "tabular"
    def data(self, source): ...
    def metrics(self, dataset): ...
    def preprocess(self, params, train, validation, context): ...
    def learner(self, params, prepared, context): ...
    def baseline(self, train, validation, context): return {}

class TabularConfig: ...
"""
EXITS = """
import sys
from search.contract import Dataset, Metric, Task
import numpy as np

class Baseline:
    space = staticmethod(lambda trial: trial.suggest_float("x", 0, 1))
    def data(self, source): return Dataset("rows", Task.REGRESSION, np.ones((40, 1)), np.arange(40.0))
    def metrics(self, dataset): return [Metric("val_loss", "minimize")]
    def preprocess(self, params, train, validation, context): ...
    def learner(self, params, prepared, context): ...
    def baseline(self, train, validation, context): sys.exit(0)

class Data(Baseline):
    def data(self, source): sys.exit()

class Made(Baseline):
    def __init__(self): sys.exit(3)
"""


def table(*header: str, rows: int = 40, last: str = "{label}") -> str:
    """Return a CSV of numbers whose last column alternates between two labels."""
    lines = [",".join(header)]
    for row in range(rows):
        values = [str(row + column) for column in range(len(header) - 1)]
        lines.append(",".join([*values, last.format(label="yes" if row % 2 else "no")]))
    return "\n".join(lines) + "\n"


FILES = {
    "short.py": SHORT,
    "tabular.py": CLASS,
    "two.py": CLASS.replace("class Tabular:", "class A:") + CLASS.replace("class Tabular:", "class B:"),
    "lightgbm_user.py": "import json\n\nimport lightgbm_that_is_absent\n",
    "syntax.py": "def f(:\n",
    "spaces/twice.py": (
        "def twice(trial):\n    trial.suggest_float('train.lr', 0, 1)\n    trial.suggest_float('train.lr', 0, 2)\n"
    ),
    "spaces/upside.py": "def upside(trial):\n    trial.suggest_float('train.lr', 1, 0)\n",
    "spaces/zero.py": "def zero(trial):\n    trial.suggest_float('train.lr', 0, 0.1, log=True)\n",
    "spaces/raises.py": "def raises(trial):\n    trial.suggest_float('x', 0, 1)\n    [][0]\n",
    "sweep.toml": 'trails = 4\nobjective = "short.py"\n',
    "wrong.toml": 'trials = "many"\nobjective = "short.py"\n',
    "seed.toml": 'seed = 5000000000\nobjective = "short.py"\n',
    "exits.py": EXITS,
    "spaces/exits.py": "def exits(trial):\n    raise SystemExit\n",
    "broken.toml": "trials = = 4\n",
    "points.json": '{"train.lr": 0.01}\n\n{"train.lr": 0.01\n',
    "list.json": "[1]\n",
    "outside.json": '{"train.lr": 7}\n',
    "header.csv": "age,label\n",
    "empty.csv": "",
    "few.csv": table("age", "label", rows=7),
    "good.csv": table(*(f"c{n}" for n in range(11)), "label"),
    "one.csv": table("age", "label", last="no"),
    "missing.csv": table("age", "label", last=""),
    "twice.csv": table("a", "id", "b", "c", "d", "e", "id", "label"),
}


@pytest.fixture(scope="module")
def old_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with the study `old` of two trials."""
    folder = tmp_path_factory.mktemp("database")
    with contextlib.closing(open_for_writing(f"sqlite:///{folder}/old.db", study="old", folder=folder)) as storage:
        optuna.create_study(storage=storage.optuna, study_name="old").add_trials(studies.MIXED[:2])
    return folder / "old.db"


@pytest.fixture(autouse=True)
def project(tmp_path: Path, old_database: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one file for each mistake, and two levels above it that nothing may touch."""
    folder = tmp_path / "a" / "project"
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    lines = table("age", "label", rows=100).encode().splitlines(keepends=True)
    lines[87] = b"1,\xe9t\xe9\n"
    (folder / "bytes.csv").write_bytes(b"".join(lines))
    studies.store(folder / "results", "tabular-a", studies.MIXED)
    studies.store(folder / "results", "tabular-b")
    studies.store(folder / "results", "nosturdy")
    shutil.copy(old_database, folder / "old.db")
    monkeypatch.chdir(folder)
    monkeypatch.delenv("SWEEP_RESULTS", raising=False)
    return folder


RUN = ["run", "short.py"]
TAB = ["run", "tabular", "--data"]
SEED = r"seed must be a whole number from 0 to 4294967295, got '\d+'$"
PASSWORD = (
    r"storage 'postgresql://db/x' came with a password, and secrets never come by flag or file; "
    r"leave it out and use ~/\.pgpass or PGPASSWORD$"
)
OLD = r"study 'old' already has 2 trials in sqlite:///.*/old\.db; choose another --study$"
NAME_RULE = r"a study name is 1-100 of letters, digits, \. _ -, starting with a letter or digit; got "

ROWS: list[tuple[str, list[str], int, str]] = [
    (
        "detach",
        ["resume", "nosturdy", "--detach"],
        2,
        r"study 'nosturdy' lies here, on no cluster to leave it to; name it: --address ray://HOST:10001; ",
    ),
    ("1", ["rnu", "x.py"], 2, r"no command 'rnu'; did you mean 'run'\?"),
    ("2", ["run", "nofile.py:Tab"], 2, r"objective file nofile\.py does not exist \(looked in the current folder\); "),
    ("2 hint", ["run", "nofile.py:Tab"], 2, r"`sweep init DIR` makes one"),
    ("3", ["run", "tabular.py:Tabluar"], 2, r"tabular\.py has no 'Tabluar'; it has Tabular, TabularConfig$"),
    ("4", ["run", "two.py"], 2, r"two\.py holds 2 objectives \(A, B\); write two\.py:A$"),
    (
        "5",
        ["run", "lightgbm_user.py"],
        2,
        r"lightgbm_user\.py line 3 fails to import: No module named 'lightgbm_that_is_absent'; install it or fix",
    ),
    ("5 syntax", ["run", "syntax.py"], 2, r"syntax\.py line 1 fails to import: invalid syntax; fix the line"),
    *(
        (f"6 {got}", [*RUN, "--trials", got], 2, rf"--trials must be a whole number >= 1, got '{re.escape(got)}'$")
        for got in ("0", "-3", "1.5", "many", "", "1e3", "9" * 30)
    ),
    ("7", [*RUN, "--time", "90"], 2, r"--time needs a unit, got '90'; try 90s, 90m or 2h$"),
    *(
        (f"8 {got}", [*RUN, "--time", got], 2, rf"--time must be between 1s and 365d, got '{re.escape(got)}'$")
        for got in ("-5m", "1e99h", "0s", "366d")
    ),
    ("8 text", [*RUN, "--time", "soon"], 2, r"--time must be a duration such as 90s, 90m, 2h or 1d, got 'soon'$"),
    ("9", [*RUN, "--direction", "up"], 2, r"--direction is minimize or maximize, got 'up'$"),
    (
        "10",
        [*RUN, "--direction", "minimize", "--direction", "maximize"],
        2,
        r"2 directions but 1 value reported \(val_loss\); give one direction per objective$",
    ),
    ("12", [*RUN, "--sampler", "tpee"], 2, r"unknown sampler 'tpee'; did you mean 'tpe'\?"),
    ("12 pruner", [*RUN, "--pruner", "hyperbnad"], 2, r"unknown pruner 'hyperbnad'; did you mean 'hyperband'\?"),
    (
        "13",
        [*RUN, "--sampler", "grid"],
        2,
        r"grid needs a step for train\.lr \(a float range\); give step= or use another sampler",
    ),
    (
        "14",
        [*RUN, "--pruner", "hyperband", "--max-epochs", "1"],
        2,
        r"hyperband cannot prune with 1 epoch a trial; raise --max-epochs or use --pruner none$",
    ),
    (
        "15",
        [*RUN, "--gpus", "10000", "--dry-run"],
        3,
        r"a trial asks 10000 GPUs, the cluster has \d+.*`--gpus 0`, or `--address` of a cluster that has some$",
    ),
    (
        "16",
        [*RUN, "--cpus", "64000", "--dry-run"],
        3,
        r"a trial asks 64000 CPUs, the largest node has \d+; nothing could ever start",
    ),
    ("19", [*RUN, "--study", "tabular-a"], 4, r"study 'tabular-a' .*choose (another )?--study"),
    ("21", ["show", "nosturdi"], 2, r"no study 'nosturdi' in results; nearest: 'nosturdy' \(`sweep list` shows all\)$"),
    ("22", ["show", "tab"], 2, r"'tab' fits tabular-a and tabular-b; write more of it$"),
    *(
        (f"23 {got[:9]}", [*RUN, "--study", got], 2, NAME_RULE + rf"'{re.escape(got[:120])}'$")
        for got in ("../x", "a/b", "x" * 300, ".", "-a", "a b", "Größe")
    ),
    ("23 empty", [*RUN, "--study", ""], 2, r"--study must be text, got ''$"),
    ("19 database", [*RUN, "--study", "old", "--storage", "sqlite:///old.db"], 4, OLD),
    ("24 password", [*RUN, "--storage", "postgresql://ann:s3cret@db/x"], 2, PASSWORD),
    ("24 password in query", [*RUN, "--storage", "postgresql://db/x?user=ann&password=s3cret"], 2, PASSWORD),
    ("20 seed", [*RUN, "--seed", "4294967296"], 2, SEED),
    ("20 seed, TOML", ["run", "--config", "seed.toml"], 2, SEED),
    (
        "22 pruner",
        [*RUN, "--metric", "a", "--metric", "b", "--pruner", "median"],
        2,
        r"median prunes by one metric, got 2 \(a, b\); use auto or asha, which weigh all of them, or none$",
    ),
    ("22 metric", [*RUN, "--metric", "a", "--metric", "a"], 2, r"--metric a is given twice; give each metric once$"),
    ("17 data", ["run", "exits.py:Data"], 2, r"exits\.py: data raised SystemExit; fix it and try again$"),
    (
        "17 baseline",
        ["run", "exits.py:Baseline"],
        2,
        r"exits\.py: baseline raised SystemExit: 0; fix it and try again$",
    ),
    ("17 made", ["run", "exits.py:Made"], 2, r"exits\.py: Made\(\) fails: SystemExit: 3; an objective is made without"),
    ("17 space", [*RUN, "--space", "exits"], 2, r"exits\.py line 2 fails: SystemExit: no message$"),
    ("24", [*RUN, "--storage", "oracle://"], 2, r"storage must be journal, sqlite: or postgresql:, got 'oracle:'"),
    ("26", [*RUN, "--set", "train.lr=fast"], 2, r"train\.lr is a float in \[1e-0?5, 0\.1\], got 'fast'$"),
    ("26 form", [*RUN, "--set", "train.lr"], 2, r"--set takes name=value, got 'train\.lr'"),
    ("27", [*RUN, "--set", "train.lrr=0.1"], 2, r"no parameter 'train\.lrr'; did you mean train\.lr\?$"),
    (
        "28",
        [*RUN, "--set", "train.lr=5"],
        2,
        r"train\.lr=5 is outside \[1e-0?5, 0\.1\] of the space; widen the space to allow it$",
    ),
    ("29", [*RUN, "--enqueue", "points.json"], 2, r"points\.json line 3: not JSON \(.*\); each line is one object of"),
    ("29 list", [*RUN, "--enqueue", "list.json"], 2, r"list\.json line 1: not JSON .*each line is one object of param"),
    ("29 range", [*RUN, "--enqueue", "outside.json"], 2, r"train\.lr=7 is outside \[1e-0?5, 0\.1\]"),
    ("29 file", [*RUN, "--enqueue", "nofile.json"], 2, r"nofile\.json"),
    ("30", ["run", "--config", "sweep.toml"], 2, r"sweep\.toml: unknown key 'trails'; did you mean 'trials'\?$"),
    ("30 type", ["run", "--config", "wrong.toml"], 2, r"trials must be a whole number >= 1, got 'many'$"),
    ("30 form", ["run", "--config", "broken.toml"], 2, r"broken\.toml: not TOML"),
    ("30 file", ["run", "--config", "nofile.toml"], 2, r"nofile\.toml cannot be read: No such file"),
    (
        "31",
        [*RUN, "--space", "twice"],
        2,
        r"train\.lr is suggested twice with different ranges \(\[0, ?1\] then \[0, ?2\]\) in \S*twice\.py line 3$",
    ),
    ("32 low", [*RUN, "--space", "upside"], 2, r"train\.lr: .*low.*high"),
    ("32 log", [*RUN, "--space", "zero"], 2, r"train\.lr: log range needs low > 0, got \[0, 0\.1\]"),
    ("32 code", [*RUN, "--space", "raises"], 2, r"raises\.py line 3.*IndexError"),
    (
        "34",
        [*TAB, "header.csv", "--target", "label"],
        2,
        r"header\.csv has a header and 0 rows; training needs at least",
    ),
    ("34 empty", [*TAB, "empty.csv", "--target", "label"], 2, r"empty\.csv .*empty"),
    ("34 few", [*TAB, "few.csv", "--target", "label"], 2, r"few\.csv .*7 rows; training needs at least 20"),
    ("34 file", [*TAB, "nofile.csv", "--target", "label"], 2, r"nofile\.csv"),
    ("35", [*TAB, "good.csv", "--target", "y"], 2, r"good\.csv has no column 'y'; it has c0, .*\(12 columns\)"),
    ("35 none", [*TAB, "good.csv"], 2, r"--target"),
    (
        "36",
        [*TAB, "one.csv", "--target", "label"],
        2,
        r"target 'label' has one value \('no', 40 rows\); a classifier needs two$",
    ),
    ("36 missing", [*TAB, "missing.csv", "--target", "label"], 2, r"'label'.*missing|'label' .*no value"),
    ("37", [*TAB, "twice.csv", "--target", "label"], 2, r"twice\.csv: column 'id' appears twice \(2, 7\)"),
    ("37 bytes", [*TAB, "bytes.csv", "--target", "label"], 2, r"line 88 is not UTF-8"),
    (
        "repeat",
        ["run", "--repeat", "tabular-a"],
        2,
        r"--repeat takes STUDY:N, got 'tabular-a'; try --repeat STUDY:best$",
    ),
    ("repeat 2", ["run", "x", "--repeat", "tabular-a:0"], 2, r"--repeat takes its objective from the study"),
    ("repeat 3", ["run", "--repeat", "tabular-a:99"], 2, r"study 'tabular-a' has no trial 99; its trials are 0 to 8$"),
    ("repeat 4", ["run", "--repeat", "tabular-b:0"], 2, r"study 'tabular-b' has no trial 0; it has none yet$"),
    (
        "repeat 5",
        ["run", "--repeat", "tabular-a:0", "--trials", "3", "--seed", "1", "--set", "a=1", "--dry-run"],
        2,
        r"--repeat takes every choice from the study; leave out --trials, --seed, --set, --dry-run$",
    ),
    ("repeat 6", ["run", "--repeat", "tabular-a:0", "--config", "x"], 2, r"from the study; leave out --config$"),
    ("repeat 7", ["run", "--repeat", "tabular-a:6"], 2, r"trial 6 of 'tabular-a' is paused$"),
    ("init", ["init", "."], 0, ""),
    ("init again", ["init", "taken"], 4, r"taken holds objectives/digits\.py already"),
]


@pytest.mark.parametrize(("arguments", "code", "pattern"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_a_bad_input_is_one_sentence_and_its_exit_code(
    project: Path, arguments: list[str], code: int, pattern: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "taken" / "objectives").mkdir(parents=True)
    (project / "taken" / "objectives" / "digits.py").write_text("")
    before = sorted(project.rglob("*"))
    assert main(arguments) == code
    told = capsys.readouterr()
    if code == 0:
        return
    last = told.err.splitlines()[-1]
    assert last.startswith("error: ")
    assert re.search(pattern, last), last
    assert told.out == ""
    assert "fault of sweep" not in told.err
    assert "s3cret" not in told.err
    assert sorted(path for path in project.rglob("*") if "__pycache__" not in path.parts) == before  # nothing written


def test_several_faults_of_a_plan_are_listed_together(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*RUN, "--trials", "0", "--direction", "up", "--time", "9"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 3


KNOWN = """0 -1 1 3 1.5 1e99 nan inf many 90s 2h a=b train.lr=0.01 train.lr=9 short.py short.py:short short.py: : ::
    tabular nofile.py . .. ../.. results tabular-a tab tabular-a:0 x:0 best last minimize maximize tpe tpe: tpe:a
    tpe:a=b random grid asha hyperband asha:reduction_factor=0 none good.csv one.csv label points.json sweep.toml sqlite:///x.db
    oracle:// journal out.csv out.json out.xlsx 127.0.0.1:1 val_loss sklearn:wine sklearn:x 実験 %s {} - -- --json
    --trials --help -h -o"""
MORE_FLAGS = """--config --quiet --results --json --verbose --trial -o --output --reports --repeat --help --n-trials
    --trails --no-such -x --trials= --seed=1 --set="""
NASTY = st.sampled_from([*KNOWN.split(), "", " ", "\x1b[2J", "\u202e", "a" * 300, "x\ny", "a b"])
LETTERS = st.characters(exclude_characters="/\0", categories=["L", "M", "N", "P", "S", "Z", "Cc", "Cf"])
WORDS = st.one_of(NASTY, st.text(alphabet=LETTERS, max_size=8))
FLAGS = st.sampled_from([*(option.flag for option in OPTIONS), *MORE_FLAGS.split()])
STARTS = st.one_of(st.sampled_from([["run"], ["run", "short.py"], *([name] for name in COMMANDS)]), st.tuples(NASTY))
LINES = st.lists(st.one_of(st.tuples(FLAGS, WORDS), st.tuples(FLAGS), st.tuples(WORDS)), max_size=5)


@settings(
    max_examples=2000,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(start=STARTS, rest=LINES)
def test_no_command_line_ends_in_a_traceback(start: list[str], rest: list[tuple[str, ...]]) -> None:
    command, *arguments = [*start, *(word for words in rest for word in words if word != "--verbose")]
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        socket.create_server(("127.0.0.1", 0)) as taken,
    ):
        if command == "run":  # nothing runs for real: a sweep is only ever described
            arguments = ["--dry-run", *arguments]
        if command == "dashboard":  # nor does anything serve: somebody else has the port
            arguments = ["--port", str(taken.getsockname()[1]), *arguments]
        code = main([command, *arguments])
    said = f"{[command, *arguments]} {code}\n{err.getvalue()}"
    assert code in (0, 2, 3, 4), said
    assert "Traceback" not in err.getvalue(), said
    assert "fault of sweep" not in err.getvalue(), said

"""Whatever names and arguments come from elsewhere, nothing outside of a results folder is read, written or removed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from search import asked
from search.errors import SweepError
from search.paths import inside
from search.tuner.fetching import fetch
from search.tuner.home import Home

PATHS = [
    "..",
    "../outside.txt",
    "../../outside.txt",
    "a/../../outside.txt",
    "/etc/passwd",
    "//etc/passwd",
    "~/../../outside.txt/..",
    "link/outside.txt",
    "link-to-file",
    "loop/x",
    "a\0b",
    "\0",
    "x" * 5_000,
    "y/" * 5_000,
    "rows/../../outside.txt",
]
"""Names of files that lead out of a study, or can be none."""

NAMES = [
    *("", ".", "..", "../s", "s/", "/etc", "s\0", "s\n", "-s", "~", "s s", "ｓ", "s\u202etxt", "＃", "s" * 200),
    *(".arriving", ".asked", "data", "models", "CON:", "s\\..", "%2e%2e", "..%2fs"),
]
"""What can be the name of no study."""


@pytest.fixture
def around(tmp_path: Path) -> Path:
    """A folder with a results folder inside, a study in it with links that lead out, and something outside."""
    study = tmp_path / "results" / "s"
    study.mkdir(parents=True)
    (study / "plan.json").write_text(json.dumps({"plan": {}}))
    (tmp_path / "outside.txt").write_text("kept")
    (tmp_path / "elsewhere" / "t").mkdir(parents=True)
    (tmp_path / "elsewhere" / "t" / "plan.json").write_text("{}")
    (study / "link").symlink_to(tmp_path)
    (study / "link-to-file").symlink_to(tmp_path / "outside.txt")
    (study / "loop").symlink_to(study / "loop")
    return tmp_path


@pytest.fixture
def home(around: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("SWEEP_RESULTS", str(around / "results"))
    return Home("test", "127.0.0.1:1")


def outside(around: Path) -> dict[str, str]:
    """Return all that lies beside the results folder."""
    return {
        path.relative_to(around).as_posix(): path.read_text() if path.is_file() else ""
        for path in around.rglob("*")
        if not path.is_relative_to(around / "results")
    }


@pytest.mark.parametrize("path", PATHS)
def test_a_home_takes_and_gives_no_file_outside_of_a_study(around: Path, home: Home, path: str) -> None:
    before = outside(around)
    home.begin("upload", "t", 10, [], False)
    for name in ("link", "link-to-file", "loop"):  # as if somebody had planted them there
        planted = around / "results" / ".arriving" / "upload" / name
        planted.symlink_to((around / "results" / "s" / name).readlink())
    with pytest.raises(SweepError):
        home.receive("upload", path, 0, b"written")
    with pytest.raises(SweepError):
        home.content("s", path, 0)
    with pytest.raises(SweepError):
        home.digests("s", {path: 4})
    assert outside(around) == before
    assert not any(name.startswith("link") or name == "loop" for name in home.files("s"))


@pytest.mark.parametrize("path", ["", ".", "link/..", "plan.json/.."])
def test_a_home_gives_no_folder_for_a_file(home: Home, path: str) -> None:
    try:
        assert home.content("s", path, 0) is None
    except SweepError:
        assert path.startswith("link")


@pytest.mark.parametrize("name", NAMES)
def test_a_home_takes_no_study_or_upload_by_another_name_than_a_plain_one(around: Path, home: Home, name: str) -> None:
    before = outside(around)
    calls: list[tuple[Any, tuple[Any, ...]]] = [
        (home.begin, ("upload", name, 10, [], False)),
        (home.launch, ("upload", name)),
        (home.hold, (name,)),
        (home.name_of, (name,)),
        (home.files, (name,)),
        (home.content, (name, "plan.json", 0)),
        (home.ask, ("one", "show", [name], [])),
        (home.ask, ("one", "rm", ["s", name], ["--yes"])),
    ]
    if name not in ("data", "models"):
        calls += [(home.begin, (name, "t", 10, [], False)), (home.receive, (name, "x", 0, b""))]
        calls += [(home.ask, (name, "list", [], []))]
    for call, arguments in calls:
        if name.startswith(".a") and call == home.receive:
            continue
        with pytest.raises(SweepError):
            call(*arguments)
    assert outside(around) == before
    assert (around / "results" / "s" / "plan.json").exists()


ASKED = [
    ("list", [], ["--results=/etc"]),
    ("list", [], ["--results", "/etc"]),
    ("list", [], ["/etc"]),
    ("list", [], ["--address=ray://10.0.0.1:10001"]),
    ("rm", ["s"], ["../elsewhere/t", "--yes"]),
    ("rm", ["s"], ["--yes", "--", "../elsewhere/t"]),
    ("rm", ["../elsewhere/t"], ["--yes"]),
    ("rm", [], ["--yes", "/elsewhere/t"]),
    ("show", ["s"], ["\0"]),
    ("show", ["s"], ["--trial=" + "9" * 200_000]),
    ("stop", ["--", "s"], []),
    ("watch", ["s"], ["--web"]),
    ("edit", ["s"], ["--space=/etc/passwd"]),
    ("edit", ["s"], ["--track=tensorboard:/etc"]),
    ("resume", ["s"], ["--track=mlflow:sqlite:///etc/x.db"]),
    ("enqueue", ["s"], ["x=1", "--"]),
    ("run", ["objective.py"], []),
    ("serve", ["s"], []),
    ("collect", [], []),
    ("--help", [], []),
    ("", [], []),
    ("list; rm -rf /", [], []),
]


@pytest.mark.parametrize(("command", "studies", "arguments"), ASKED)
def test_a_home_runs_no_command_that_leads_out_of_its_results(
    around: Path, home: Home, command: str, studies: list[str], arguments: list[str]
) -> None:
    before = outside(around)
    with pytest.raises(SweepError) as caught:
        home.ask("one", command, studies, arguments)
    assert len(caught.value.sentence()) < 400
    if command == "resume":
        with pytest.raises(SweepError):
            home.hold("s", arguments)
    assert outside(around) == before


def test_each_option_with_a_path_is_refused_or_names_what_a_study_has() -> None:
    """A new option of a command that may be asked has to be looked at here, too."""
    import click

    from search.cli.commands import cli

    plain = {"--trial", "-n", "--fill", "--set", "--unset", "--track", "--notify"}
    counts = {"N", "TIME", "H", "VALUE", "X", "WHICH", "SIZE", "LINES", "SHARE", "MODE", "M"}
    for name in asked.COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        for one in command.params:
            if not isinstance(one, click.Option) or one.is_flag or one.metavar in counts or one.opts[0] in plain:
                continue
            with pytest.raises(SweepError):
                asked.check(name, ["s"], [f"{one.opts[0]}=/etc/passwd"])


SENT = {"objective": "/nowhere/a.py:A", "space": "/nowhere/a.py:A.space", "data": None, "address": None, "rows": ""}
PLAN = json.dumps(
    {"schema": 1, "plan": {**SENT, "results": "/root", "study": "s"}, "sent": {**SENT, "results": "/root"}}
).encode()


@dataclass
class Hostile:
    """A home that lies about one study.

    Attributes:
        sizes: Of the files that it lists.
        content: What it answers for each part of any file.
        name: What it says that the study is called.
    """

    sizes: Mapping[Any, Any]
    content: Any = b"written"
    name: str = "s"
    plan: bytes = PLAN
    address: str = "ray://10.0.0.1:10001"
    _plan_told: bool = field(default=False)

    def call(self, method: str, *arguments: object) -> Any:
        if method == "name_of":
            return self.name
        if method == "files":
            return self.sizes
        if method == "digests":
            return {"../outside.txt": "0" * 64, "plan.json": "0" * 64}
        if arguments[1] == "plan.json" and self.plan:
            told, self._plan_told = self._plan_told, True
            return b"" if told else self.plan
        return self.content


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "outside.txt").write_text("kept")
    (tmp_path / "results").mkdir()
    before = outside(tmp_path)
    yield tmp_path
    assert outside(tmp_path) == before


@pytest.mark.parametrize("path", [path for path in PATHS if not path.startswith(("link", "loop", "rows"))])
def test_what_is_fetched_stays_in_the_studys_folder(here: Path, path: str) -> None:
    with pytest.raises(SweepError):
        fetch(Hostile({"plan.json": 10, path: 7}), "s", here / "results")
    assert not (here / "results" / "s").exists()


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("data", "models")] + ["data", "models"])
def test_a_home_cannot_choose_where_a_study_lies(here: Path, name: str) -> None:
    with pytest.raises(SweepError):
        fetch(Hostile({"plan.json": 10}, name=name), "s", here / "results")
    assert not [path for path in (here / "results").rglob("*") if path.is_file()]


@pytest.mark.parametrize("size", [-1, "7", None, 10**18, 1.5])
def test_sizes_that_can_be_none_are_refused(here: Path, size: object) -> None:
    with pytest.raises(SweepError):
        fetch(Hostile({"plan.json": 10, "x": size}), "s", here / "results")


def test_a_file_is_no_longer_than_it_was_said_to_be(here: Path) -> None:
    folder = fetch(Hostile({"plan.json": 10, "driver.log": 9}), "s", here / "results")
    assert (folder.root / "driver.log").read_bytes() == b"writtenwr"


@pytest.mark.parametrize("plan", [b"{", b"[]", b"{}", b'{"plan": 1, "sent": 2}', b"\xff", b'{"plan": {}, "sent": {}}'])
def test_a_plan_that_is_none_is_refused(here: Path, plan: bytes) -> None:
    with pytest.raises(SweepError, match="is damaged"):
        fetch(Hostile({"plan.json": 10}, plan=plan), "s", here / "results")


def test_a_plan_without_an_end_is_refused(here: Path) -> None:
    with pytest.raises(SweepError, match="without an end"):
        fetch(Hostile({}, content=b"x" * 2**25, plan=b""), "s", here / "results")


def test_what_speaks_of_the_heads_processes_does_not_come(here: Path) -> None:
    """Else `sweep stop` here would signal whatever process has the id that it names."""
    lies = dict.fromkeys(("study.lock", "held.json", "ended.json", "wishes/stop.json", "driver.log"), 7)
    folder = fetch(Hostile({"plan.json": 10, **lies}), "s", here / "results")
    assert {path.name for path in folder.root.rglob("*") if path.is_file()} >= {"driver.log", "plan.json"}
    assert not {"study.lock", "held.json", "ended.json", "wishes"} & {path.name for path in folder.root.rglob("*")}


@pytest.mark.parametrize("path", PATHS)
def test_there_is_one_place_that_says_what_is_inside(around: Path, path: str) -> None:
    with pytest.raises(SweepError):
        inside(around / "results" / "s", path)

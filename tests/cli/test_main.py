"""Every end of a command is an exit code and, where it went wrong, one sentence on stderr."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from search.cli import console
from search.cli.main import BROKEN_PIPE, main
from search.errors import InputError
from tests.records import studies

Output = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["rnu", "x.py"], "no command 'rnu'; did you mean 'run'?"),
        (
            ["zzz"],
            (
                "no command 'zzz'; known: cluster, collect, compare, confirm, dashboard, data, doctor, edit, enqueue, "
                "fetch, import, init, list, logs, mobile, models, online, predict, promote, report, resume, retry, "
                "rm, rollback, run,"
            ),
        ),
        (["run", "--n-trials", "4"], "no option '--n-trials' of 'sweep run'; here it is --trials"),
        (["run", "--num_samples", "4"], "no option '--num_samples' of 'sweep run'; here it is --trials"),
        (["run", "--n-jobs=4"], "no option '--n-jobs' of 'sweep run'; here it is --concurrency"),
        (["run", "--trails", "4"], "no option '--trails' of 'sweep run'; did you mean '--trials'?"),
        (["run", "--qqq"], "no option '--qqq' of 'sweep run'; `sweep run --help` shows what it takes"),
        (["list", "--n-trials"], "no option '--n-trials' of 'sweep list'; `sweep list --help` shows what it takes"),
        (["--qqq"], "no option '--qqq'"),
        (["run", "-z"], "no option '-z' of 'sweep run'"),
        (["run", "tabular", "--trials"], "--trials needs a value; `sweep run --help` shows what it takes"),
        (["show"], "`sweep show` needs STUDY; `sweep show --help` shows what it takes"),
        (["table", "x"], "`sweep table` needs -o FILE"),
        (["init"], "`sweep init` needs DIR"),
        (["run", "a", "b"], "got unexpected extra argument (b)"),
        (["list", "--json=3"], "option '--json' does not take a value"),
        (["run"], "`sweep run` needs an objective; try `sweep run tabular`, or `sweep init DIR`"),
        (["list", "--results", ""], "--results must be a folder, got ''"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_of_usage_is_one_sentence_and_exit_2(arguments: list[str], sentence: str, capsys: Output) -> None:
    assert main(arguments) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith(f"error: {sentence}")
    assert told.err.count("\n") == 1


def test_several_faults_are_listed_together(capsys: Output) -> None:
    assert main(["run", "tabular", "--trials", "0", "--time", "90"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "error: --trials must be a whole number >= 1, got '0'",
        "error: --time needs a unit, got '90'; try 90s, 90m or 2h",
    ]


def test_with_json_an_error_is_one_object_on_stderr(capsys: Output) -> None:
    assert main(["run", "tabular", "--trials", "1.5", "--json"]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert json.loads(told.err) == {
        "error": {
            "code": 2,
            "field": "--trials",
            "message": "--trials must be a whole number >= 1, got '1.5'",
            "hint": "",
        }
    }


def test_a_traceback_comes_only_on_demand(capsys: Output) -> None:
    main(["show", "nothing"])
    assert "Traceback" not in capsys.readouterr().err
    main(["show", "nothing", "--verbose"])
    assert "Traceback" in capsys.readouterr().err


def test_the_users_own_traceback_is_shown_before_the_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("\n1 / 0\n")
    assert main(["run", "mine.py"]) == 2
    *trace, last = capsys.readouterr().err.splitlines()
    assert last == "error: mine.py line 2 fails to import: ZeroDivisionError: division by zero; fix the line"
    assert trace[0] == "Traceback (most recent call last):"
    assert not [line for line in trace if "search/" in line]


def test_what_the_users_code_prints_stays_out_of_the_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("print('hello')\n1 / 0\n")
    main(["run", "mine.py", "--json"])
    told = capsys.readouterr()
    assert told.out == ""
    assert "hello" in told.err


@pytest.mark.parametrize("arguments", [["--help"], ["run", "-h"], ["--version"]], ids=" ".join)
def test_help_is_a_result(arguments: list[str], capsys: Output) -> None:
    assert main(arguments) == 0
    told = capsys.readouterr()
    assert told.out
    assert not told.err


def test_no_command_shows_the_help_on_stderr(capsys: Output) -> None:
    assert main([]) == 2
    assert "Commands:" in capsys.readouterr().err


def test_control_characters_of_the_user_are_spelled_out(capsys: Output) -> None:
    assert main(["show", "\x1b[2Jevil\u202e\r\n"]) == 2
    told = capsys.readouterr().err
    assert not {"\x1b", "\u202e", "\r"} & set(told)
    assert "\\x1b[2Jevil" in told


def test_a_reader_that_goes_away_ends_the_command_quietly(tmp_path: Path) -> None:
    for number in range(40):
        studies.store(tmp_path, f"s-{number}", studies.MIXED)
    code = (
        "import sys, time; from search.cli.main import main; import search.records.study; sys.stdin.readline();"
        "sys.exit(main(['list', '--results', sys.argv[1]]))"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], text=True, **pipes) as process:  # type: ignore[call-overload]
        process.stdout.close()
        _, told = process.communicate("go\n")
    assert (process.returncode, told) == (BROKEN_PIPE, "")


def test_ctrl_c_is_exit_130(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text("import time\nprint('ready', flush=True)\ntime.sleep(60)\n")
    command = [sys.executable, "-m", "search", "run", "slow.py"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        time.sleep(0.1)
        os.kill(process.pid, signal.SIGINT)
        told = process.stderr.read()
    assert (line, told, process.returncode) == ("ready\n", "interrupted\n", 130)


TAKEN_APART = """
import atexit, os, sys
class Kept:
    def __del__(self):
        os.write(1, b"taken apart")
sys.modules["kept"] = Kept()
from search.cli.main import main
sys.argv = ["sweep", "nonsense"]
code = main()
atexit.register(print, "done at exit")
raise SystemExit(code)
"""


def test_a_command_that_has_returned_ends_at_once_after_what_is_done_at_exit() -> None:
    ended = subprocess.run([sys.executable, "-c", TAKEN_APART], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout) == (2, "done at exit\n")


def test_an_error_of_the_disk_is_exit_3(tmp_path: Path, capsys: Output) -> None:
    (tmp_path / "file").write_text("")
    assert main(["init", str(tmp_path / "file" / "project")]) == 3
    assert "cannot be written: Not a directory" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "clean"),
    [("a\tb\nc", "a\tb\nc"), ("\x1b[31m", "\\x1b[31m"), ("\x9b", "\\x9b"), ("é世", "é世"), ("a\r\nb", "a\nb")],
)
def test_text_is_made_safe_for_a_terminal(text: str, clean: str) -> None:
    assert console.clean(text) == clean


def test_a_table_lines_up_and_is_cut_at_the_terminals_width() -> None:
    rows = [["#1", "0.5", "a=1"], ["#12", "0.25", "b=\n2" * 9]]
    assert console.table(["trial", "loss", "parameters"], rows, columns=24) == [
        "trial  loss  parameters",
        "   #1   0.5  a=1",
        "  #12  0.25  b=\\n2b=\\n2…",
    ]


def test_a_hint_is_part_of_the_sentence(capsys: Output) -> None:
    console.error(InputError("x is wrong", hint="try y"), as_json=False, verbose=False)
    assert capsys.readouterr().err == "error: x is wrong; try y\n"

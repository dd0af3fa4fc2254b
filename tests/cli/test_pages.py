"""`--open` shows what is served in a browser, also in one that is waited for."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from tests.cli.served import served
from tests.records import studies

BROWSER = """#!{python}
import sys, urllib.request
with open({told!r}, "w") as told:
    try:
        told.write(str(urllib.request.urlopen(sys.argv[1], timeout=5).status))
    except OSError as error:
        told.write(repr(error))
"""


@pytest.mark.parametrize("command", [["dashboard", "w"], ["watch", "w", "--web"]], ids=str)
def test_a_browser_in_the_foreground_gets_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    studies.store(tmp_path / "results", "w", studies.MIXED)
    told, browser = tmp_path / "told", tmp_path / "browser"
    browser.write_text(BROWSER.format(python=sys.executable, told=str(told)))
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER", f"{browser} %s")
    with served(*command, "--open", "--results", str(tmp_path / "results")) as server:
        end = time.monotonic() + 30
        while (not told.exists() or not told.read_text()) and time.monotonic() < end:
            time.sleep(0.05)
        assert server.end() == 130
        assert server.process.stderr is not None
        assert "no browser" not in server.process.stderr.read()
    assert told.read_text() == "200"

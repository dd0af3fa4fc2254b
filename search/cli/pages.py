"""The page that a command writes or serves: which file it may be, and a browser that shows it."""

from __future__ import annotations

import threading
import webbrowser
from pathlib import Path

from search.cli import console
from search.output import page_file


def file_of(output: str) -> Path:
    """Return the file that `-o` names.

    Raises:
        InputError: It can be no page.
    """
    return page_file(output, "-o", field="--output")


def show(url: str, named: str = "that address") -> None:
    """Show a page in a browser; where there is none, say what to open."""
    if not webbrowser.open(url):
        console.say(f"no browser was found here; open {named} in one")


def show_beside(url: str) -> None:
    """Show a page that this process serves: a browser that is waited for asks it meanwhile."""
    threading.Thread(target=show, args=(url,), name="browser", daemon=True).start()

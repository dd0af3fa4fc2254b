"""`sweep watch --web`: the report's page, live in a browser of this machine."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from search.cli import console, pages
from search.cli.extras import needed

if TYPE_CHECKING:
    from search.cli.options import Common
    from search.paths import StudyFolder
    from search.report.editions import News

PORT: Final = 8076
"""Unless that is taken, and nobody named another."""


def serve(shared: Common, folder: StudyFolder, *, port: int | None, opens: bool) -> None:
    """Serve the page of a study until Ctrl-C.

    Args:
        shared: What every command is told.
        folder: Of the study.
        port: To listen on; None: the usual one, or any that is free.
        opens: Whether to show it in a browser.

    Raises:
        SurroundingsError: The port is taken, a library is missing, or the study cannot be read.
    """
    with needed("web", "starlette", "uvicorn", "h11", "anyio", what="the live page"):
        from search.report import live
    from search.report.editions import Editions
    from search.serving.ports import LOCAL, bind_local, url_of

    with bind_local(port, PORT) as bound:
        editions = Editions(folder)
        said = [editions.news.state]

        def listening() -> None:
            url = url_of(bound, LOCAL)
            _tell(shared, folder, url, editions.news)
            if opens:
                pages.show_beside(url)

        def told(news: News) -> None:
            now = news.trouble or news.state
            if now != said[-1]:
                said.append(now)
                console.say(_sentence(folder, news))

        live.serve(editions, bound, listening=listening, told=told)


def _tell(shared: Common, folder: StudyFolder, url: str, news: News) -> None:
    if shared.json:
        console.out_json({"study": folder.name, "state": news.state, "url": url})
        sys.stdout.flush()
        return
    console.say(f"{folder.name} is live at {url}; Ctrl-C ends the page, and leaves the sweep alone")
    if news.state != "running":
        console.say(_sentence(folder, news))


def _sentence(folder: StudyFolder, news: News) -> str:
    if news.trouble:
        return f"{news.trouble}; the page shows {folder.name} as it last was"
    if news.state == "running":
        return f"{folder.name} runs"
    return f"nobody runs {folder.name} ({news.state}): the page shows it as it stands, and goes on when it does"

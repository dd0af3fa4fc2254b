"""The page of `sweep serve` predicts by hand, in any look and on a phone, and asks nobody but its server."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page

from tests.browser.looking import PHONE, VIOLATIONS, WIDE, serious
from tests.bundle.bundles import tiny
from tests.serve.servers import TOKEN, Server, serving

EVIL = "<img src=x onerror=alert(1)>"
SEEN = """() => {
  const canvas = document.querySelector("canvas");
  return [...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data];
}"""
LIT = f"() => ({SEEN})().some((value, at) => at % 4 < 3 && value)"


@dataclass
class Tried:
    """A page of a server; `faults` are what its scripts complained of, and `asked` the URLs that it fetched."""

    page: Page
    faults: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


@contextmanager
def opened(
    started: Browser, server: Server, size: tuple[int, int], look: Literal["light", "dark"] = "light"
) -> Iterator[Tried]:
    context = started.new_context(viewport={"width": size[0], "height": size[1]}, color_scheme=look)
    context.add_init_script(VIOLATIONS)
    tried = Tried(context.new_page())
    tried.page.on("pageerror", lambda error: tried.faults.append(str(error)))
    tried.page.on("dialog", lambda dialog: tried.faults.append(dialog.message))
    tried.page.on("request", lambda request: tried.asked.append(request.url))
    try:
        tried.page.goto(server.url)
        yield tried
        assert not tried.faults
        assert not tried.page.evaluate("violations")
        assert not [url for url in tried.asked if not url.startswith((f"{server.url}/", "data:", "blob:"))]
        assert tried.page.evaluate("document.documentElement.scrollWidth") <= size[0]
    finally:
        context.close()


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("table") / "toy"
    tiny(root, numbers=("age", EVIL, "__proto__"))
    with serving(root, token=TOKEN) as found:
        yield found


@pytest.mark.parametrize(("size", "look"), [(WIDE, "light"), (PHONE, "dark")])
def test_a_row_is_predicted_by_hand(
    started: Browser, table: Server, size: tuple[int, int], look: Literal["light", "dark"]
) -> None:
    with opened(started, table, size, look) as tried:
        page = tried.page
        page.fill("#token", "é☃")  # no header holds it
        page.click("#access button")
        assert page.inner_text("#refused") == "This is not the token of this server."
        assert page.is_hidden("#work")
        page.fill("#token", "another-token-of-tests")
        page.click("#access button")
        page.wait_for_function("() => document.querySelector('#refused').textContent")
        page.fill("#token", TOKEN)
        page.click("#access button")
        page.wait_for_selector("#work:not([hidden])")
        page.fill("[data-name='age']", "31")
        page.fill(f"[data-name='{EVIL}']", "")
        page.fill("[data-name='town']", "Köln")
        page.click("button.main")
        page.wait_for_selector("#answer:not([hidden])")
        sent = {"age": 31, EVIL: None, "__proto__": 40, "town": "Köln"}
        expected = table.post(sent).json()["predictions"][0]
        assert page.inner_text("#label") == expected["label"]
        shown = page.locator("#bars .bar").all_inner_texts()
        assert f"{100 * max(expected['probabilities'].values()):.1f} %" in shown[0]
        assert not serious(page)
        for typed in ("1,000", "0x10"):
            page.fill("[data-name='age']", typed)
            page.click("button.main")
            page.wait_for_function(
                "(typed) => document.querySelector('#trouble').textContent.includes(typed)", arg=typed
            )
            assert page.inner_text("#trouble") == f"age: expected a number, got '{typed}'"
        assert TOKEN not in page.content()


def test_a_picture_is_drawn_and_predicted(started: Browser, tmp_path: Path) -> None:
    tiny(tmp_path / "toy", task="multiclass", image=(4, 8, 8))
    with serving(tmp_path / "toy") as server, opened(started, server, PHONE) as tried:
        page = tried.page
        page.wait_for_selector("canvas")
        page.evaluate("document.querySelector('canvas').getContext('2d').fillStyle = '#f80'")
        page.evaluate("document.querySelector('canvas').getContext('2d').fillRect(0, 0, 8, 8)")
        page.click("button.main")
        page.wait_for_selector("#answer:not([hidden])")
        plane = [[[value / 255] * 8] * 8 for value in (0xFF, 0x88, 0, 0xFF)]
        expected = server.post({"image": plane}).json()["predictions"][0]
        first = max(expected["probabilities"], key=expected["probabilities"].get)
        assert page.locator("#bars .bar").all_inner_texts()[0].split("\n")[0] == first
        assert f"{100 * expected['probabilities'][first]:.1f} %" in page.inner_text("#bars")
        assert not serious(page)
        picture = np.zeros((16, 32, 3), np.uint8)
        picture[:, 8:24] = 0xFF, 0x88, 0  # the middle, in the model's proportions
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "PNG")
        upload: Any = {"name": "wide.png", "mimeType": "image/png", "buffer": file.getvalue()}
        page.click("#reset")
        page.set_input_files("[type='file']", upload)
        page.wait_for_function(LIT)
        assert page.evaluate(SEEN) == [0xFF, 0x88, 0, 0xFF] * 64
        page.click("button.main")
        page.wait_for_selector("#answer:not([hidden])")
        bad: Any = {**upload, "buffer": b"no picture"}
        page.set_input_files("[type='file']", bad)
        page.wait_for_selector("#trouble:not([hidden])")
        page.click("button.main")
        assert page.is_hidden("#answer")
        assert page.inner_text("#trouble") == "This file is no picture that the browser can read."

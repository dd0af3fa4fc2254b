"""The web app on a phone whose network is cut: it opens, predicts what the model predicts, and keeps nobody out."""

from __future__ import annotations

import functools
import io
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, expect

from search.bundle.bundle import Bundle
from search.bundle.model import Model
from search.bundle.signature import IMAGE
from search.serve.mobile import folder
from search.serve.mobile.app import App
from search.serve.mobile.drawn import drawn
from search.serve.mobile.shrinking import Precision
from search.serve.mobile.variants import Sample, choose
from tests.browser.looking import PHONE, VIOLATIONS, serious
from tests.serve import phones

PREDICT = "async (columns) => (await import('./model.js')).predict(columns)"
STORED = "() => navigator.serviceWorker.ready.then((one) => one.active.state)"
LIT = """() => {
  const seen = document.querySelector('.preview');
  const { data } = seen.getContext('2d').getImageData(0, 0, seen.width, seen.height);
  return data.filter((value, at) => at % 4 === 0 && value > 60).length;
}"""
HELD = "async () => (await (await fetch('app.json')).json()).digest"


class Quiet(SimpleHTTPRequestHandler):
    """A plain file server, as anybody has it."""

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def serving(root: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(root))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@dataclass
class Phone:
    """The app on a phone, after its first visit, with the network cut.

    Attributes:
        page: The browser's.
        context: The browser's, which has kept the app.
        bundle: What the app was made of.
        said: Errors of its scripts.
        asked: Hosts that it asked.
    """

    page: Page
    context: BrowserContext
    bundle: Bundle
    said: list[str] = field(default_factory=list)
    asked: set[str] = field(default_factory=set)

    def faults(self) -> list[str]:
        violations: list[str] = self.page.evaluate("window.violations")
        return [*self.said, *violations]

    def ready(self) -> None:
        self.page.wait_for_selector("html[data-ready]", state="attached", timeout=20_000)

    def overflow(self) -> int:
        return int(
            self.page.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth")
        )


def written(root: Path, target: Path, name: str) -> Bundle:
    """Write the web app of a bundle, in full precision."""
    bundle = Bundle.open(root)
    choice = choose(bundle, Precision.FP32, Sample(drawn(bundle.signature, 20), None, "drawn"), 1.0)
    files = folder.files_of(App(bundle, name, choice.file.content, "fp32"), choice)
    folder.write(target, files)
    return bundle


@contextmanager
def phone(started: Browser, root: Path, target: Path) -> Iterator[Phone]:
    """Visit an app once, cut the network, and open it again; its server is gone."""
    bundle = written(root, target, "toy app")
    context = started.new_context(
        viewport={"width": PHONE[0], "height": PHONE[1]}, is_mobile=True, has_touch=True, reduced_motion="reduce"
    )
    context.add_init_script(VIOLATIONS)
    page = context.new_page()
    found = Phone(page, context, bundle)
    page.on("pageerror", lambda error: found.said.append(f"exception: {error}"))
    page.on("console", lambda one: found.said.append(one.text) if one.type in ("error", "warning") else None)
    context.on("request", lambda one: found.asked.add(one.url.split("/")[2]) if one.url.startswith("http") else None)
    try:
        with serving(target / "web") as url:
            page.goto(url)
            page.wait_for_selector("html[data-kept]", state="attached", timeout=20_000)
        context.set_offline(True)
        page.reload()
        found.ready()
        yield found
        assert found.faults() == []
        assert found.asked == {url.split("/")[2]}
    finally:
        context.close()


@pytest.fixture(scope="module")
def table(started: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Phone]:
    root = tmp_path_factory.mktemp("table")
    phones.dense(root / "b", threshold=0.3)
    with phone(started, root / "b", root / "app") as found:
        yield found


@pytest.fixture(scope="module")
def pictures(started: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Phone]:
    root = tmp_path_factory.mktemp("pictures")
    phones.filters(root / "b")
    with phone(started, root / "b", root / "app") as found:
        yield found


def as_sent(columns: dict[str, Any]) -> dict[str, Any]:
    """Return columns as the page takes them: null for a missing number, an image as a flat list."""
    return {
        name: values.reshape(len(values), -1).tolist()
        if values.ndim == 4
        else [None if value != value else value for value in values.tolist()]
        for name, values in columns.items()
    }


def agree(phone: Phone, columns: dict[str, Any]) -> None:
    expected = Model(phone.bundle).run(columns)
    found = phone.page.evaluate(PREDICT, as_sent(columns))
    if expected.probabilities is None or expected.label is None:
        assert expected.value is not None
        np.testing.assert_allclose([one["value"] for one in found], expected.value, atol=1e-4)
        return
    assert [one["label"] for one in found] == expected.label.tolist()
    np.testing.assert_allclose([one["probabilities"] for one in found], expected.probabilities, atol=1e-4)


def test_it_is_installed_and_opens_without_a_network(table: Phone) -> None:
    assert table.page.evaluate(STORED) == "activated"
    expect(table.page.locator("#state")).to_have_text("Ready. Works without a network.")
    assert table.page.evaluate("fetch('model.ort').then((one) => one.status)") == 200
    session = table.context.new_cdp_session(table.page)
    told = session.send("Page.getAppManifest")
    assert told["errors"] == []
    assert json.loads(told["data"])["display"] == "standalone"
    assert session.send("Page.getInstallabilityErrors")["installabilityErrors"] in (
        [],
        [{"errorId": "in-incognito", "errorArguments": []}],  # as all contexts of tests are
    )


def test_100_rows_come_out_as_the_model_has_them(table: Phone) -> None:
    columns = drawn(table.bundle.signature, 100, seed=3)
    assert np.isnan(columns["age"]).any()
    assert {"never seen"} < set(columns["town"])
    agree(table, columns)


def test_100_images_come_out_as_the_model_has_them(pictures: Phone) -> None:
    agree(pictures, drawn(pictures.bundle.signature, 100, seed=4))


@pytest.mark.parametrize("write", [phones.trees, lambda root: phones.dense(root, "multiclass", members=2)])
def test_trees_and_votes_come_out_as_the_model_has_them(write: Any, started: Browser, tmp_path: Path) -> None:
    write(tmp_path / "b")
    with phone(started, tmp_path / "b", tmp_path / "app") as found:
        agree(found, drawn(found.bundle.signature, 100, seed=5))
        found.page.click("#predict")
        expect(found.page.locator("#result .answer")).to_be_visible()


def test_a_form_asks_for_what_the_model_reads(table: Phone) -> None:
    page = table.page
    page.fill("#field-0", "31.5")
    page.fill("#field-1", "")
    page.select_option("#field-2", label="Köln")
    page.click("#predict")
    row: dict[str, Any] = {name: np.array([value], np.float32) for name, value in (("age", 31.5), ("income", np.nan))}
    row["town"] = np.array(["Köln"], dtype=object)
    expected = Model(table.bundle).run(row)
    assert expected.label is not None
    assert expected.probabilities is not None
    expect(page.locator("#result .answer")).to_have_text(expected.label[0])
    shown = page.locator("#result li").filter(has_text="yes").locator("span").nth(1).inner_text()
    assert shown == f"{round(100 * float(expected.probabilities[0, 1]), 1):g}%"
    expect(page.locator("#result")).to_contain_text("“yes” is given from 30% on.")
    page.select_option("#field-2", label="another …")
    page.locator(".field").nth(2).locator("input").fill("elsewhere")
    page.click("#predict")
    row["town"] = np.array(["elsewhere"], dtype=object)
    other = Model(table.bundle).run(row)
    assert other.probabilities is not None
    expect(page.locator("#result li").filter(has_text="yes").locator("span").nth(1)).to_have_text(
        f"{round(100 * float(other.probabilities[0, 1]), 1):g}%"
    )


def test_what_training_never_saw_is_said(table: Phone) -> None:
    hint = table.page.locator("#field-0-hint")
    table.page.fill("#field-0", "1000")
    expect(hint).to_contain_text("outside of what the model knows")
    table.page.fill("#field-0", "20")
    expect(hint).not_to_contain_text("outside")


def test_a_picture_of_the_models_size_is_read_as_it_is(pictures: Phone) -> None:
    image = drawn(pictures.bundle.signature, 1, seed=6)[IMAGE]
    bytes_ = np.rint(image[0, 0] * 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(bytes_).save(file, "PNG")
    upload: Any = {"name": "one.png", "mimeType": "image/png", "buffer": file.getvalue()}
    pictures.page.set_input_files("#file", upload)
    expected = Model(pictures.bundle).run({IMAGE: (bytes_ / np.float32(255)).astype(np.float32)[None, None]})
    assert expected.label is not None
    assert expected.probabilities is not None
    expect(pictures.page.locator("#result .answer")).to_have_text(expected.label[0])
    best = float(expected.probabilities[0].max())
    expect(pictures.page.locator("#result li").first).to_contain_text(f"{round(100 * best, 1):g}%")


def test_a_larger_picture_is_averaged_and_its_middle_taken(pictures: Phone) -> None:
    random = np.random.default_rng(0)
    picture = random.integers(0, 256, (24, 40, 4), dtype=np.uint8)
    scaled = """async ([data, width, height, shape, swap]) => Array.from(
      (await import('./picture.js')).scaled({ data, width, height }, shape, swap))"""
    middle = picture[:, 8:32].astype(np.float64).reshape(8, 3, 8, 3, 4).mean(axis=(1, 3)) / 255
    for swap in (False, True):
        given = [picture.reshape(-1).tolist(), 40, 24, [3, 8, 8], swap]
        found = np.reshape(pictures.page.evaluate(scaled, given), (3, 8, 8))
        expected = middle[..., :3].transpose(2, 0, 1)
        np.testing.assert_allclose(found, 1 - expected if swap else expected, atol=1e-6)
    grey = np.reshape(pictures.page.evaluate(scaled, [*given[:3], [1, 8, 8], False]), (8, 8))
    np.testing.assert_allclose(grey, middle[..., :3] @ [0.299, 0.587, 0.114], atol=1e-6)


def test_a_drawing_is_predicted_and_a_file_that_is_none_is_told(pictures: Phone) -> None:
    page = pictures.page
    board = page.locator(".board")
    board.scroll_into_view_if_needed()
    box = board.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 60, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 160, box["y"] + 200, steps=4)
    page.mouse.up()
    expect(page.locator("#result .answer")).to_be_visible()
    lit = page.evaluate(LIT)
    assert 3 < lit < 40
    page.set_input_files("#file", {"name": "x.png", "mimeType": "image/png", "buffer": b"no picture"})
    expect(page.locator("[role=alert]")).to_have_text("This file is no picture that the browser can read.")
    expect(page.locator("#result")).to_have_text("Take, choose or draw a picture first.")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["table", "pictures"])
def test_axe_finds_no_serious_fault_and_nothing_is_too_wide(
    scheme: Any, name: str, request: pytest.FixtureRequest
) -> None:
    seen: Phone = request.getfixturevalue(name)
    seen.page.emulate_media(color_scheme=scheme)
    if name == "table":
        seen.page.click("#predict")
        expect(seen.page.locator("#result .answer")).to_be_visible()
    assert serious(seen.page) == []
    assert seen.overflow() <= 0


def test_another_model_takes_the_place_of_the_old_one(started: Browser, tmp_path: Path) -> None:
    phones.dense(tmp_path / "old")
    phones.trees(tmp_path / "new")
    context = started.new_context(viewport={"width": PHONE[0], "height": PHONE[1]})
    page = context.new_page()
    try:
        old = written(tmp_path / "old", tmp_path / "app", "toy")
        with serving(tmp_path / "app" / "web") as url:
            page.goto(url)
            page.wait_for_selector("html[data-kept]", state="attached", timeout=20_000)
            bundle = written(tmp_path / "new", tmp_path / "app", "toy")
            page.reload()  # the old one still, which finds the new one
            page.wait_for_selector("html[data-kept]", state="attached", timeout=20_000)
            expect(page.locator("#state")).to_contain_text("There is a newer model", timeout=20_000)
            assert page.evaluate(HELD) == old.digest  # a page has the files of one version
            page.close()
            page = context.new_page()
        context.set_offline(True)
        page.goto(url)
        page.wait_for_selector("html[data-ready]", state="attached", timeout=20_000)
        assert page.evaluate(HELD) == bundle.digest
        agree(Phone(page, context, bundle), drawn(bundle.signature, 20))
    finally:
        context.close()

"""The page is one document that holds nothing of a model, and runs no script but ours (tests/browser opens it).

Mutations that turn this red: a script stands in the page that the policy has no hash of; something is loaded from
elsewhere; a placeholder is left; an element that the scripts ask for is not there.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from collections import Counter
from importlib.resources import files

from search.cli.words_online import MOVED, SHIFTED
from search.online.page import PAGE, reply
from search.online.status import ROLES, SILENT_S, UNSETTLED

TEXT = PAGE.body.decode()
POLICY = dict(PAGE.headers)[b"content-security-policy"].decode()
RULES = dict(rule.strip().split(" ", 1) for rule in POLICY.split(";"))
SCRIPTS = re.findall(r"<script>(.*?)</script>", TEXT, re.DOTALL)
OURS = [(files("search.online") / "assets" / name).read_text(encoding="utf-8") for name in ("show.js", "follow.js")]


def test_it_is_a_page() -> None:
    assert (PAGE.status, PAGE.kind) == (200, b"text/html; charset=utf-8")
    assert TEXT.startswith("<!doctype html>")
    assert dict(PAGE.headers)[b"x-frame-options"] == b"DENY"


def test_it_comes_packed_to_who_can_unpack_it() -> None:
    assert reply({}) is reply({b"accept-encoding": b"identity"}) is PAGE
    packed = reply({b"accept-encoding": b"gzip, deflate, br"})
    assert gzip.decompress(packed.body) == PAGE.body
    assert len(packed.body) < 0.4 * len(PAGE.body)
    assert packed.headers == (*PAGE.headers, (b"content-encoding", b"gzip"))
    assert (b"vary", b"accept-encoding") in PAGE.headers


def test_just_our_scripts_may_run() -> None:
    hashes = {f"'sha256-{base64.b64encode(hashlib.sha256(one.encode()).digest()).decode()}'" for one in SCRIPTS}
    assert len(hashes) == len(SCRIPTS) == 5
    assert set(RULES["script-src"].split()) == hashes
    assert (RULES["default-src"], RULES["connect-src"]) == ("'none'", "'self'")
    assert RULES["frame-ancestors"] == RULES["base-uri"] == RULES["form-action"] == "'none'"


def test_nothing_is_loaded_from_elsewhere() -> None:
    without = re.sub(r"<script>.*?</script>|<style>.*?</style>", "", TEXT, flags=re.DOTALL)
    assert re.findall(r"(?:src|href)=\"(?!#|data:)[^\"]*\"", without) == []
    assert not any("http://" in one or "https://" in one for one in OURS)


def test_every_placeholder_is_filled_and_the_payload_is_json() -> None:
    assert not re.search(r"/\*(style|payload|scripts)\*/", TEXT)
    payload = re.search(r'id="payload">(.*?)</script>', TEXT, re.DOTALL)
    assert payload is not None
    assert set(json.loads(payload[1])) == {"study", "templates", "figures"}


def test_every_element_that_the_scripts_ask_for_is_there_once() -> None:
    ids = Counter(re.findall(r'\bid="([^"]+)"', TEXT.split("<script>")[0]))
    asked = {found for one in OURS for found in re.findall(r'(?:byId|put|part|told)\("([a-z-]+)"', one)} - {"curve"}
    assert asked <= set(ids)
    assert set(ids.values()) == {1}
    links = re.findall(r'href="#([^"]+)"', TEXT.split("<script>")[0])
    assert set(links) <= set(ids)


def test_no_script_writes_markup() -> None:
    assert not any(re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b", one) for one in OURS)


def test_the_scripts_and_the_terminal_draw_the_same_lines() -> None:
    both = "\n".join(OURS)
    assert f"const UNSETTLED = {UNSETTLED};" in both
    assert f"const SILENT_MS = {int(SILENT_S)}_000;" in both
    assert {float(one) for one in re.findall(r"value >= ([0-9.]+)", both)} == {SHIFTED, MOVED}
    assert {role for role in ROLES if f"{role}: " in both} == set(ROLES)

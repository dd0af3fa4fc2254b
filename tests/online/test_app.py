"""What clients of a real `sweep online` are told: ids of predictions, labels that count once, and who may do what.

Mutations that turn this file red: answer before the record is appended (ids are missing after a kill); count a label
that comes again; take the second of two labels; forget what the log holds at the start; number requests from 0 again
after a restart without a new name for the start; let one token do everything; take NaN or a name twice; leave the id
where the log could not be written; no limit on a source; take one source's ids for those of another; call all well
while who learns ends again and again, or tell a stranger why.
"""

from __future__ import annotations

import asyncio
import json
import re
import resource
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from search.bundle.model import Model
from search.online.app import OnlineApp
from search.online.events import LabelledRows, Labels, Ordered, Shown
from search.online.known import Known
from search.online.learning_process import LearningProcess
from search.online.lock import hold
from search.online.recorder import Recorder
from search.online.tokens import Tokens
from search.paths import OnlineFolder, write_atomic
from search.registry.resolving import resolve
from search.serve.answers import Renderer
from search.serve.backend import Served
from search.serve.here import Here
from search.serve.limits import Limits
from search.serve.rows import Reader
from search.serving.hosts import Hosts
from tests.online.servers import NAME, TOKENS, logged, online, promoted, tell
from tests.online.statuses import fresh
from tests.serve.servers import ROW, Server

PREDICT, LABEL, ADMIN = TOKENS.values()


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("open") / "results"
    promoted(root)
    return root


@pytest.fixture(scope="module")
def server(results: Path) -> Iterator[Server]:
    with online(results, "--max-rows", "100", "--source-rate", "1000") as found:
        yield found


@pytest.fixture(scope="module")
def behind_tokens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("guarded") / "results"
    promoted(root)
    return root


@pytest.fixture(scope="module")
def guarded(behind_tokens: Path) -> Iterator[Server]:
    with online(behind_tokens, tokens=TOKENS) as found:
        yield found


def shown(server: Server) -> str:
    """Have a row predicted, and return its id."""
    return str(server.post(ROW).json()["id"])


@pytest.mark.parametrize(
    ("told", "rows"),
    [
        (ROW, 1),
        ({"rows": [ROW]}, 1),
        ({"rows": [ROW, {**ROW, "age": 50}, {**ROW, "town": None}]}, 3),
        ({"columns": {name: [value] * 2 for name, value in ROW.items()}}, 2),
    ],
)
def test_predictions_are_those_of_sweep_serve_with_an_id_for_each_row(
    told: dict[str, Any], rows: int, server: Server, results: Path
) -> None:
    bundle = resolve(results, NAME).open()
    read = Reader(bundle.signature, Limits())(json.dumps(told).encode())
    plain = json.loads(
        Renderer(bundle.signature, "toy:1")(Model(bundle).run(read.columns), None, read.form),
    )
    answer = server.post(told).json()
    ids = answer.pop("ids")
    assert len(set(ids)) == rows
    assert answer.pop("id", None) == (ids[0] if rows == 1 else None)
    assert answer == plain


def test_a_row_that_was_shown_is_labelled_once(server: Server, results: Path) -> None:
    first, second = shown(server), shown(server)
    assert tell(server, {"id": second, "label": "yes"}) == (200, counts(accepted=1))  # out of order
    assert tell(server, {"id": first, "label": "no"}) == (200, counts(accepted=1))
    assert tell(server, {"id": first, "label": "no"}) == (200, counts(repeated=1))
    twice = {"labels": [{"id": first, "label": "no"}, {"id": second, "label": "yes"}]}
    assert tell(server, twice) == (200, counts(repeated=2))
    code, told = tell(server, {"id": first, "label": "yes"})
    assert (code, told["accepted"]) == (422, 0)
    assert told["error"]["message"] == "label: another label came before for this id, and the first one counts"
    labels = [event for event in logged(results) if isinstance(event, Labels)]
    found = [(name, int(target)) for event in labels for name, target in zip(event.ids, event.targets, strict=True)]
    assert [one for one in found if one[0] in (first, second)] == [(second, 1), (first, 0)]


def test_within_one_request_a_row_is_labelled_once(server: Server) -> None:
    name = shown(server)
    told = tell(server, {"labels": [{"id": name, "label": label} for label in ("no", "no", "yes")]})[1]
    assert (told["accepted"], told["repeated"]) == (1, 1)
    assert [one["place"] for one in told["refused"]] == ["labels[2].label"]


@pytest.mark.parametrize("strange", ["nothing", "abc-1.0", "-1.0", "{base}.00", "{base}.1", "{base}.x", "0{base}.0"])
def test_an_id_that_nobody_was_shown_is_unknown(strange: str, server: Server) -> None:
    name = shown(server)
    asked = strange.format(base=name.rpartition(".")[0])
    code, told = tell(server, {"id": asked, "label": "no"})
    assert (code, told["unknown"], told["error"]["field"]) == (422, [asked], "id")
    both = {"labels": [{"id": asked, "label": "no"}, {"id": name, "label": "no"}]}
    assert tell(server, both) == (200, {**counts(accepted=1), "unknown": [asked]})


def test_rows_that_come_with_their_labels_count_once_by_id_or_key(server: Server, results: Path) -> None:
    rows = [{**ROW, "age": 90}, {**ROW, "age": 91}]
    told = {"rows": rows, "labels": ["no", "yes"]}
    named = {**told, "ids": ["a", "ö b"]}
    assert tell(server, named) == (200, counts(accepted=2))
    assert tell(server, named) == (200, counts(repeated=2))
    assert tell(server, told, **{"Idempotency-Key": "job 7"}) == (200, counts(accepted=2))
    assert tell(server, told, **{"Idempotency-Key": "job 7"}) == (200, counts(repeated=2))
    assert tell(server, told) == (200, counts(accepted=2))
    assert tell(server, told) == (200, counts(accepted=2))
    other = tell(server, {"rows": rows, "labels": ["no", "no"], "ids": ["a", "ö b"]})
    assert (other[1]["repeated"], [one["place"] for one in other[1]["refused"]]) == (1, ["rows[1]"])
    moved = tell(server, {"rows": rows[::-1], "labels": ["no", "no"]}, **{"Idempotency-Key": "job 7"})
    assert (moved[0], len(moved[1]["refused"])) == (422, 2)
    events = [event for event in logged(results) if isinstance(event, LabelledRows) and 90 in event.columns["age"]]
    assert [len(event.ids) for event in events] == [2, 2, 2, 2]
    assert len({name for event in events for name in event.ids}) == 8
    assert events[0].columns["age"].tolist() == [90, 91]
    assert events[0].targets.tolist() == [0, 1]


def test_a_row_under_an_id_of_ours_is_refused_and_its_label_alone_counts(server: Server, results: Path) -> None:
    name = shown(server)
    code, told = tell(server, {"rows": [ROW], "labels": ["no"], "ids": [name]})
    assert (code, told["accepted"]) == (422, 0)
    assert told["refused"][0]["message"].startswith("it is the id of a row that was predicted")
    assert tell(server, {"id": name, "label": "yes"}) == (200, counts(accepted=1))
    ids = [one for event in logged(results) if isinstance(event, (Labels, LabelledRows)) for one in event.ids]
    assert len(set(ids)) == len(ids)


def test_rows_and_labels_that_the_model_does_not_take_are_refused_by_their_place(server: Server) -> None:
    rows = [ROW, {**ROW, "age": "old"}, {"age": 1}, ROW, "row"]
    code, told = tell(server, {"rows": rows, "labels": ["yes", "no", "no", "maybe", "no"]})
    assert (code, told["accepted"]) == (200, 1)
    assert {one["place"]: one["message"].partition(";")[0] for one in told["refused"]} == {
        "rows[1].age": "expected a number, got 'old'",
        "rows[2].income": "is missing",
        "labels[3]": "expected a class of the model, got 'maybe'",
        "rows[4]": "expected an object of columns and values, got 'row'",
    }


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"{", 400, "not JSON"),
        (b'{"id": "a", "id": "b", "label": "no"}', 422, "stands twice"),
        (b'{"id": "a", "label": NaN}', 422, "NaN is no JSON"),
        (b'{"id": "a"}', 422, "label is missing"),
        (b'{"id": "a", "label": "no", "why": 1}', 422, "'why' is no name here"),
        (b'{"id": 7, "label": "no"}', 422, "expected an id of 1 to 200"),
        (b'{"id": "a\\u0000", "label": "no"}', 422, "expected an id of 1 to 200"),
        (b'{"labels": {}}', 422, "expected a list"),
        (b'{"labels": []}', 422, "at least one row"),
        (b'{"labels": [3]}', 422, "labels[0]: expected an object"),
        (b'{"rows": [], "labels": []}', 422, "at least one row"),
        (b'{"rows": [{}], "labels": []}', 422, "labels has 0 values, and rows has 1"),
        (b'{"rows": [{}], "labels": ["no"], "ids": []}', 422, "ids has 0 values"),
        (b'{"rows": [{}]}', 422, "labels is missing"),
        (b'["no"]', 422, "got a list"),
        (json.dumps({"labels": [{"id": "a", "label": "no"}] * 101}).encode(), 413, "at most 100 rows"),
        (b'{"id": "' + b"a" * 9_000_000 + b'", "label": "no"}', 413, "8 MB"),
    ],
    ids=lambda value: value[:40] if isinstance(value, bytes) else "",
)
def test_feedback_is_read_strictly(body: bytes, status: int, words: str, server: Server) -> None:
    code, told = tell(server, body)
    assert code == status
    assert words in told["error"]["message"]


def test_a_key_that_is_none_is_refused(server: Server) -> None:
    told = tell(server, {"rows": [ROW], "labels": ["no"]}, **{"Idempotency-Key": "k" * 151})
    assert (told[0], told[1]["error"]["field"]) == (400, "Idempotency-Key")


def test_one_token_does_one_thing(guarded: Server) -> None:
    who = {"nobody": "", "stranger": "a-token-of-strangers", "predict": PREDICT, "label": LABEL, "admin": ADMIN}
    expected = {
        ("POST", "/predict"): {"predict": 200, "label": 403, "admin": 403},
        ("POST", "/feedback"): {"predict": 403, "label": 200, "admin": 200},
        ("POST", "/admin"): {"predict": 403, "label": 403, "admin": 200},
        ("GET", "/model"): {"predict": 200, "label": 200, "admin": 200},
        ("GET", "/metrics"): {"predict": 200, "label": 200, "admin": 200},
        ("GET", "/online.json"): {"predict": 404, "label": 404, "admin": 404},
        ("GET", "/health"): dict.fromkeys(who, 200),
        ("GET", "/online"): dict.fromkeys(who, 200),
    }
    bodies: dict[str, Any] = {
        "/predict": ROW,
        "/feedback": {"rows": [ROW], "labels": ["no"]},
        "/admin": {"action": "pause"},
    }
    found: dict[tuple[str, str], dict[str, int]] = {}
    for method, path in expected:
        for name, token in who.items():
            with guarded.client(Authorization=f"Bearer {token}" if token else "") as client:
                answer = client.request(method, path, json=bodies.get(path))
            found.setdefault((method, path), {})[name] = answer.status_code
    assert found == {key: {"nobody": 401, "stranger": 401, **codes} for key, codes in expected.items()}


def test_an_administrator_is_trusted_and_heard(guarded: Server, behind_tokens: Path) -> None:
    name = str(guarded.post(ROW, Authorization=f"Bearer {PREDICT}").json()["id"])
    head = {"Authorization": f"Bearer {ADMIN}"}
    assert tell(guarded, {"id": name, "label": "no"}, **head) == (200, counts(accepted=1))
    corrected = tell(guarded, {"id": name, "label": "yes"}, **head)
    assert "the first one counts, also before yours" in corrected[1]["error"]["message"]
    for token in (LABEL, ADMIN):  # each has ids of its own
        own = {"rows": [ROW], "labels": ["no"], "ids": ["order-17"]}
        assert tell(guarded, own, Authorization=f"Bearer {token}") == (200, counts(accepted=1))
    assert tell(guarded, {"action": "pause", "why": "a look"}, "/admin", **head)[0] == 200
    refused = tell(guarded, {"action": "paws"}, "/admin", **head)
    assert (refused[0], refused[1]["error"]["hint"]) == (422, "did you mean 'pause'?")
    assert tell(guarded, {"action": "pause", "when": 1}, "/admin", **head)[0] == 422
    assert tell(guarded, b"[", "/admin", **head)[0] == 400
    label, *rows, order = logged(behind_tokens)[-4:]
    assert isinstance(label, Labels)
    assert [one.trusted for one in rows if isinstance(one, LabelledRows)] == [False, True]
    assert isinstance(order, Ordered)
    assert (label.source, label.trusted, order.action, order.why) == ("admin", True, "pause", "a look")


def counts(*, accepted: int = 0, repeated: int = 0) -> dict[str, Any]:
    return {"accepted": accepted, "repeated": repeated, "unknown": [], "refused": []}


def test_a_source_has_ids_of_its_own_and_labels_at_most_so_many_rows_a_minute(tmp_path: Path) -> None:
    promoted(tmp_path)
    tokens = tmp_path / "tokens"
    tokens.write_text("ann a-token-of-ann-s-own\nbob a-token-of-bob-s-own\n")
    with online(tmp_path, "--source-rate", "5", "--label-token-file", str(tokens)) as server:
        told = {"rows": [ROW] * 4, "labels": ["no"] * 4}
        for name, label in (("ann", "no"), ("bob", "yes")):
            head = {"Authorization": f"Bearer a-token-of-{name}-s-own"}
            order = {"rows": [ROW], "labels": [label], "ids": ["order-17"]}
            assert tell(server, order, **head) == (200, counts(accepted=1))
            assert [tell(server, told, **head)[0] for _ in range(2)] == [200, 429]
        assert server.post(ROW, Authorization="").status_code == 200  # nothing that does less harm has a token
        rows = [event for event in logged(tmp_path) if isinstance(event, LabelledRows)]
        assert [event.source for event in rows] == ["ann", "ann", "bob", "bob"]
        assert [event.ids for event in rows[::2]] == [("=ann/order-17",), ("=bob/order-17",)]


def test_what_was_acknowledged_survives_a_kill_and_counts_once(tmp_path: Path) -> None:
    promoted(tmp_path)
    given = {"rows": [ROW], "labels": ["no"], "ids": ["a"]}
    with online(tmp_path) as server:
        labelled, waiting = shown(server), shown(server)
        assert tell(server, {"id": labelled, "label": "yes"}) == (200, counts(accepted=1))
        assert tell(server, given) == (200, counts(accepted=1))
        server.process.kill()
        server.process.wait()
    with online(tmp_path) as server:
        assert server.told["waiting"] == 2
        assert tell(server, {"id": labelled, "label": "yes"}) == (200, counts(repeated=1))
        assert tell(server, {"id": labelled, "label": "no"})[0] == 422
        assert tell(server, given) == (200, counts(repeated=1))
        later = shown(server)
        assert later not in (labelled, waiting)
        assert tell(server, {"labels": [{"id": one, "label": "no"} for one in (waiting, later)]})[1]["accepted"] == 2
        assert server.end(signal.SIGTERM) == 143
    events = logged(tmp_path)
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    assert [name for event in events if isinstance(event, Shown) for name in event.ids] == [labelled, waiting, later]
    assert [name for event in events if isinstance(event, Labels) for name in event.ids] == [labelled, waiting, later]


def test_a_log_that_cannot_be_written_costs_ids_and_no_prediction(tmp_path: Path) -> None:
    promoted(tmp_path)
    with online(tmp_path) as server:
        name, pid = shown(server), server.process.pid
        size = OnlineFolder.of(tmp_path, NAME).segment(1).stat().st_size
        usual = resource.prlimit(pid, resource.RLIMIT_FSIZE, (size + 20, resource.RLIM_INFINITY))  # a part of a record
        answer = server.post(ROW)
        assert answer.status_code == 200
        assert set(answer.json()) == {"model", "predictions"}
        code, told = tell(server, {"id": name, "label": "no"})
        assert (code, told["error"]["message"]) == (507, "the disk is full; nothing of this request counts")
        assert server.get("/health").json()["status"] == "trouble"
        assert counted(server)["sweep_online_unlogged_rows_total"] == 1
        size = OnlineFolder.of(tmp_path, NAME).segment(1).stat().st_size
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size + 400_000, resource.RLIM_INFINITY))
        many = {"rows": [ROW] * 9000, "labels": ["no"] * 9000, "ids": [f"{number}" for number in range(9000)]}
        code, told = tell(server, many)
        found = re.fullmatch(
            r"the disk is full; (\d+) rows of this request count, and nothing behind them", told["error"]["message"]
        )
        assert code == 507
        assert found is not None
        resource.prlimit(pid, resource.RLIMIT_FSIZE, usual)
        later = shown(server)
        assert tell(server, {"labels": [{"id": one, "label": "no"} for one in (name, later)]})[1]["accepted"] == 2
        assert server.get("/health").json() == {"status": "ok"}
        stored = int(found[1])
        assert tell(server, many) == (200, counts(accepted=9000 - stored, repeated=stored))
    events = logged(tmp_path)
    assert [type(event) for event in events if not isinstance(event, LabelledRows)] == [Shown, Shown, Labels]
    assert sum(len(event.ids) for event in events if isinstance(event, LabelledRows)) == 9000


def test_it_is_in_trouble_for_as_long_as_nobody_can_learn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fails.py").write_text("import sys\nsys.exit('there is no study')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    promoted(tmp_path)
    folder = OnlineFolder.of(tmp_path, NAME)
    resolved, limits, hosts = resolve(tmp_path, NAME), Limits(), Hosts.of("127.0.0.1", "127.0.0.1", ())
    backend = Here(Served(resolved.open(), resolved.name, resolved.version), limits)
    learning = LearningProcess([], folder.learner_log, print, module="fails", pause_s=0.1)
    tokens = Tokens.read(None, None, None, TOKENS)
    recorder = Recorder.open(folder, hold(folder), Known(60.0, 100))
    transport = httpx.ASGITransport(OnlineApp(backend, limits, hosts, tokens, folder, recorder, learning))
    heads = {"stranger": {}, "labeller": {"Authorization": f"Bearer {LABEL}"}}
    told: dict[str, set[str]] = {name: set() for name in heads}
    while_up = False

    async def look() -> None:
        nonlocal while_up
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            assert (await client.get("/health")).json() == {"status": "ok"}
            async with learning.running(), asyncio.timeout(20):
                while not learning.ends:
                    await asyncio.sleep(0.01)
                while learning.ends < 3 or not while_up:
                    while_up |= learning.is_up
                    for name, head in heads.items():
                        told[name].add((await client.get("/health", headers=head)).json().get("trouble", ""))
                    await asyncio.sleep(0.005)
                hint = (await client.get("/online.json", headers=heads["labeller"])).json()["error"]["hint"]
        assert {hint} == told["labeller"]

    try:
        asyncio.run(look())
    finally:
        recorder.close()
    assert told == {
        "stranger": {"the process that learns has ended, and is started again; predictions go on"},
        "labeller": {"the process that learns has ended (exit 1): there is no study; predictions go on"},
    }


def test_another_version_answers_as_soon_as_the_alias_moves(tmp_path: Path) -> None:
    promoted(tmp_path, "regression", shift=100.0)
    with online(tmp_path) as server:
        first = server.post(ROW).json()
        promoted(tmp_path, "regression", shift=200.0)
        until_s = time.monotonic() + 10
        while (second := server.post(ROW).json())["model"] == "toy:1":
            assert time.monotonic() < until_s
        assert second["model"] == "toy:2"
        labels = [{"id": first["id"], "label": 101}, {"id": second["id"], "label": 202.5}]
        assert tell(server, {"labels": labels}) == (200, counts(accepted=2))
        assert tell(server, {"id": first["id"], "label": 101.0}) == (200, counts(repeated=1))
        for wrong in ("101", True, None, 1e39):
            told = tell(server, {"id": first["id"], "label": wrong})
            assert told[1]["error"]["message"].startswith("label: expected a number")


def test_the_status_of_the_learner_is_told_as_it_is(server: Server, results: Path) -> None:
    told = fresh(NAME)
    write_atomic(OnlineFolder.of(results, NAME).status, json.dumps(told).encode())
    assert server.get("/online.json").json() == told
    assert counted(server)["sweep_online_champion_version"] == told["champion"]["version"]
    page = server.get("/online")
    assert page.headers["Content-Type"].startswith("text/html")
    assert "connect-src 'self'" in page.headers["Content-Security-Policy"]


def test_it_describes_what_is_more_than_in_sweep_serve(server: Server) -> None:
    paths = server.get("/openapi.json").json()["paths"]
    assert {"/predict", "/feedback", "/admin", "/online.json"} <= set(paths)
    hint = server.get("/nothing").json()["error"]["hint"]
    assert hint.startswith("POST /predict, POST /feedback, POST /admin, GET /")


def counted(server: Server) -> dict[str, float]:
    """Return the metrics without labels."""
    families = text_string_to_metric_families(server.get("/metrics").text)
    return {one.name: one.value for family in families for one in family.samples if not one.labels}

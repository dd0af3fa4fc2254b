"""A client of `sweep online` that predicts and labels, and notes what was acknowledged, however often it is cut off."""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

_PAUSE_S: Final = 0.005
_LONG_PAUSE_S: Final = 0.15
_WAITING: Final = 30
"""Rows whose labels wait, about."""

_PROBE: Final = {"a": 0.125, "b": -0.75, "c": 0.5}


def row_and_label(random_: random.Random, *, flipped: bool) -> tuple[dict[str, float], str]:
    """Return a row and its class: by the signs of two columns, or the opposite, and now and then neither."""
    row = {name: round(random_.uniform(-1, 1), 6) for name in "abc"}
    truth = (row["a"] + 0.5 * row["b"] > 0) ^ flipped ^ (random_.random() < 0.05)
    return row, "yes" if truth else "no"


@dataclass(frozen=True)
class _Sent:
    """A feedback whose answer did not come."""

    told: dict[str, Any]
    labels: dict[str, str]
    key: str | None


class Client:
    """Sends requests from a thread of its own, as long as somebody says where to.

    Args:
        seed: Of the rows.
        turn: Rows after which what is true turns round.

    Attributes:
        acknowledged: Labels by the id under which the log has them.
        unsure: Labels that were sent, and whose answer never came.
        faults: What no answer may say.
        model: That answered last.
        allowed: Labels after which it sends few, so that the learner can come after.
    """

    def __init__(self, seed: int, turn: int) -> None:
        self.acknowledged: dict[str, str] = {}
        self.unsure: dict[str, str] = {}
        self.faults: list[str] = []
        self.model, self.allowed = "", 500
        self._random, self._turn = random.Random(seed), turn
        self._ids: set[str] = set()
        self._pool: list[tuple[str, str]] = []
        self._cut: list[_Sent] = []
        self._probed: dict[str, Any] = {}
        self._url, self._rows, self._own = "", 0, 0
        self._connection: http.client.HTTPConnection | None = None
        self._lock = threading.RLock()  # over all of this: one request at a time
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="client", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Send nothing more by itself."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(60)

    def close(self) -> None:
        """Let go of the server."""
        with self._lock:
            self._close()

    def call(self, url: str) -> None:
        """Say where the server is from now on; "" where it is nowhere."""
        with self._lock:
            self._close()
            self._url = url

    def probe(self) -> None:
        """Ask for the same row as ever; the same version has to answer the same."""
        with self._lock:
            try:
                told = self._post("/predict", _PROBE)
            except (OSError, http.client.HTTPException):
                return self._close()
        self.model = told["model"]
        before = self._probed.setdefault(self.model, told["predictions"])
        if told["predictions"] != before:
            self.faults.append(f"{self.model} answered {before}, and {told['predictions']} after a kill")
        return None

    def again(self) -> None:
        """Send some of what was acknowledged, and most of what was cut off, again."""
        with self._lock:
            if not self._url:
                return
            cut, self._cut = self._cut, []
            for sent in cut:
                if self._random.random() < 0.7:
                    self._feedback(sent)
            some = self._random.sample([name for name in self.acknowledged if name in self._ids][-500:] or [""], 1)
            for name in filter(None, some):
                sent = _Sent({"id": name, "label": self.acknowledged[name]}, {name: self.acknowledged[name]}, None)
                self._feedback(sent, repeated=True)

    def fill_up(self, count: Callable[[], int], batch: int) -> int:
        """Send labels until their number divides by the size of a step, and return it."""
        with self._lock:
            deadline_s = time.monotonic() + 60
            while (labels := count()) % batch or not labels:
                if time.monotonic() > deadline_s:
                    raise SystemExit("labels are not taken any more")
                self._full(batch - labels % batch)
            return labels

    def _run(self) -> None:
        while not self._stopping.wait(_PAUSE_S if len(self.acknowledged) < self.allowed else _LONG_PAUSE_S):
            with self._lock:
                if not self._url:
                    continue
                try:
                    self._step()
                except (OSError, http.client.HTTPException):
                    self._close()

    def _step(self) -> None:
        self._predict(self._random.randint(1, 4))
        if self._random.random() < 0.1:
            self._full(self._random.randint(1, 3))
        if len(self._pool) > _WAITING:
            self._random.shuffle(self._pool)
            some, self._pool = self._pool[_WAITING:], self._pool[:_WAITING]
            labels = dict(some)
            told = {"labels": [{"id": name, "label": label} for name, label in some]}
            self._feedback(_Sent(told, labels, None))
            if self._random.random() < 0.1:
                self._feedback(_Sent(told, labels, None), repeated=True)

    def _predict(self, count: int) -> None:
        pairs = [row_and_label(self._random, flipped=self._rows // self._turn % 2 == 1) for _ in range(count)]
        self._rows += count
        told = self._post("/predict", {"rows": [row for row, _ in pairs]})
        for name, (_, label) in zip(told["ids"], pairs, strict=True):
            if name in self._ids:
                self.faults.append(f"the id {name} was given before")
            self._ids.add(name)
            self._pool.append((name, label))

    def _full(self, count: int) -> None:
        """Send rows with their labels: under ids of their own, or under a key."""
        pairs = [row_and_label(self._random, flipped=self._rows // self._turn % 2 == 1) for _ in range(count)]
        self._own += 1
        told: dict[str, Any] = {"rows": [row for row, _ in pairs], "labels": [label for _, label in pairs]}
        if self._random.random() < 0.5:
            key, names = f"key {self._own}", [f"#/key {self._own}#{row}" for row in range(count)]
        else:
            key, names = None, [f"=/own {self._own}.{row}" for row in range(count)]
            told["ids"] = [name[2:] for name in names]
        self._feedback(_Sent(told, dict(zip(names, told["labels"], strict=True)), key))

    def _feedback(self, sent: _Sent, *, repeated: bool = False) -> None:
        """Send labels; what is acknowledged is noted, and what is cut off waits until it is sent again."""
        if not repeated:
            self.unsure |= sent.labels
        headers = {} if sent.key is None else {"Idempotency-Key": sent.key}
        try:
            told = self._post("/feedback", sent.told, headers)
        except (OSError, http.client.HTTPException):
            self._close()
            if not repeated:
                self._cut.append(sent)
            return
        taken = told["accepted"] + told["repeated"]
        if taken != len(sent.labels) or told["unknown"] or told["refused"] or (repeated and told["accepted"]):
            self.faults.append(f"{sent.told} was answered with {told}"[:400])
            return
        for name, label in sent.labels.items():
            self.acknowledged[name] = label
            self.unsure.pop(name, None)

    def _post(self, path: str, told: Any, headers: dict[str, str] | None = None) -> dict[str, Any]:
        if self._connection is None:
            if not self._url:
                raise ConnectionError("there is no server")
            self._connection = http.client.HTTPConnection(urlsplit(self._url).netloc, timeout=30)
        headers = {"Content-Type": "application/json", **(headers or {})}
        self._connection.request("POST", path, json.dumps(told), headers)
        answer = self._connection.getresponse()
        found: dict[str, Any] = json.loads(answer.read())
        if answer.status != 200:
            self.faults.append(f"{path} was answered with {answer.status}: {found}"[:400])
            raise http.client.HTTPException(str(answer.status))
        return found

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

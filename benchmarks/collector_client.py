"""A client of the collector's proof: sends batches under idempotency keys until it is told to stop, and writes it down.

    python benchmarks/collector_client.py URL KEY NAME LEDGER STOP_FILE SEED ROWS

Its ledger has a line of JSON before each batch is sent and one behind each answer. A batch whose connection was cut is
sent again, under its key, until there is an answer; one of twenty is given up instead, one of ten is sent again
although it was answered, and some of these once more at the end, when most are compacted.
"""

from __future__ import annotations

import json
import random
import sys
import time
from pathlib import Path
from typing import Any, Final

import httpx

GIVEN_UP: Final = 0.05
AGAIN: Final = 0.1
LATE: Final = 30
BAD: Final = 0.05


def main(url: str, key: str, name: str, ledger: Path, stop: Path, seed: int, batch: int) -> None:
    """Send batches of `batch` rows until the file `stop` is there."""
    random_ = random.Random(seed)
    headers = {"Authorization": f"Bearer {key}"}
    number = 0
    kept: dict[int, tuple[list[dict[str, Any]], dict[str, Any]]] = {}
    with ledger.open("w") as file, httpx.Client(base_url=url, headers=headers, timeout=10) as client:

        def note(**told: Any) -> None:
            file.write(json.dumps(told) + "\n")
            file.flush()

        while not stop.exists():
            number += 1
            rows = [_row(f"{name}-{number}-{index}", random_) for index in range(batch)]
            ids = [row["id"] for row in rows if row["value"] != "bad"]
            given_up = random_.random() < GIVEN_UP
            note(sent=ids, batch=number)
            answer = _send(client, rows, f"{name}-{number}", tries=1 if given_up else 10_000)
            if answer is None:
                note(given_up=number)
                continue
            if random_.random() < AGAIN:
                kept[number] = rows, answer
                repeated = _send(client, rows, f"{name}-{number}", tries=10_000)
                if repeated != answer:
                    note(trouble=f"batch {number} got {answer}, then {repeated}")
            if answer["accepted"] != len(ids) or answer["rejected"] != batch - len(ids):
                note(trouble=f"batch {number} of {len(ids)} good rows got {answer}")
            note(acknowledged=number)
        for number in random_.sample(sorted(kept), min(LATE, len(kept))):
            rows, answer = kept[number]
            repeated = _send(client, rows, f"{name}-{number}", tries=10_000)
            if repeated != answer:
                note(trouble=f"batch {number} got {answer}, then {repeated} at the end")


def _row(name: str, random_: random.Random) -> dict[str, Any]:
    return {"id": name, "value": "bad" if random_.random() < BAD else len(name)}


def _send(client: httpx.Client, rows: list[dict[str, Any]], key: str, *, tries: int) -> dict[str, Any] | None:
    for _ in range(tries):
        try:
            told = client.post("/rows", json={"rows": rows}, headers={"Idempotency-Key": key})
        except httpx.TransportError:
            time.sleep(0.03)
            continue
        if told.status_code in (200, 422):
            answer: dict[str, Any] = told.json()
            return answer
        time.sleep(0.03)
    return None


if __name__ == "__main__":
    main(
        sys.argv[1], sys.argv[2], sys.argv[3], Path(sys.argv[4]), Path(sys.argv[5]), int(sys.argv[6]), int(sys.argv[7])
    )

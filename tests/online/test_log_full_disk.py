"""A log on a disk that fills up: what does not fit is refused whole, nothing acknowledged is lost, room is used again.

The disk is real: a tmpfs of a few hundred kilobytes in a mount namespace of the test's own. Mutations that turn this
red: leave what of a record was written (`Segment.write`); end where the next segment cannot be made (`_close_segment`).
"""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

from search.data.collect.place import NoSpace
from search.online.eventlog import EventLog
from search.online.log import sequence_of, tail
from search.paths import OnlineFolder

ROOT = Path(__file__).resolve().parents[2]


def main(place: str) -> None:
    """Fill a disk that is mounted at `place` twice, and free it twice, while a log is written on it."""
    folder, filler = OnlineFolder(Path(place) / "rain"), Path(place) / "filler"
    log = EventLog.open(folder, seen=print, segment_bytes=50_000)
    record = b'{"k":"%b"}' % (b"x" * 700)
    seen: dict[str, Any] = {"full": [], "acknowledged": 0}
    for size in (200_000, 100_000):
        filler.write_bytes(b"x" * size)
        try:
            while True:
                log.append(record)
                log.sync().result()
                seen["acknowledged"] = log.sequence
        except NoSpace as error:
            seen["full"].append(error.message)
        reader = takewhile(lambda text: text is not None, tail(folder, 0))
        assert len([*reader]) == log.sequence
        filler.unlink()
        log.append(record)
        log.sync().result()
        assert log.trouble == ""
        seen["acknowledged"] = log.sequence
    log.close()
    seen["numbers"] = []
    EventLog.open(folder, seen=lambda text: seen["numbers"].append(sequence_of(text))).close()
    sys.stdout.write(json.dumps(seen))


@pytest.fixture(scope="module")
def mounts() -> None:
    probe = subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True)
    if probe.returncode:
        pytest.skip("this machine does not let us mount a small disk")


@pytest.mark.usefixtures("mounts")
def test_a_full_disk_refuses_a_record_whole_and_room_is_used_again(tmp_path: Path) -> None:
    script = 'mount -t tmpfs -o size=600k tmpfs "$0" && exec "$@"'
    command = ["unshare", "-m", "sh", "-c", script, str(tmp_path)]
    command += [sys.executable, "-m", "tests.online.test_log_full_disk", str(tmp_path)]
    ended = subprocess.run(command, text=True, capture_output=True, cwd=ROOT, timeout=100)
    assert ended.returncode == 0, ended.stderr
    seen = json.loads(ended.stdout)
    assert [told[:13] for told in seen["full"]] == ["no space left"] * 2
    assert seen["acknowledged"] > 400
    assert seen["numbers"] == [*range(1, seen["acknowledged"] + 1)]


if __name__ == "__main__":
    main(sys.argv[1])

"""What strikes in a chaos run: drawn from the seed, or written down for a mutation."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

from benchmarks.chaos_hooks import Strike, Target

Script = tuple[tuple[Strike, ...], ...]

_MEANS: Final = {
    "any": 40,
    "write": 25,
    "report": 20,
    "tell": 3,
    "ask": 4,
    "begin": 4,
    "save": 8,
    "file": 10,
    "open": 1,
}
"""At which of its events a point strikes, on average."""

_SERVER_POINTS: Final = tuple(
    f"{what}.{when}"
    for what in ("any", "any", "write", "write", "report", "tell", "ask", "begin")
    for when in ("enter", "exit")
)
_WORKER_POINTS: Final = tuple(
    f"{what}.{when}"
    for what in ("any", "any", "any", "report", "tell", "ask", "begin", "save")
    for when in ("call", "answer")
)


def draw_driver_kill(dice: random.Random) -> Strike:
    """Draw when the driver dies: mostly at an event of a worker or of the server, at times at its start or end."""
    where = dice.random()
    if where < 0.1:
        return Strike("driver", "time", dice.randrange(200, 9000))
    if where < 0.2:
        return Strike(
            "driver",
            dice.choice(("ray.enter", "ray.exit", "open.enter", "open.exit", "finish.enter", "finish.exit")),
            1,
        )
    return drawn("driver", dice, dice.choice((*_SERVER_POINTS, *_WORKER_POINTS, "file.enter", "file.exit")))


def draw_other(dice: random.Random, spread: float = 1.0) -> Strike:
    """Draw when a worker, the study server, the files' actor or the disk is hit."""
    target: Target = dice.choices(("worker", "server", "files"), (5, 4, 2))[0]
    if target == "worker":
        return drawn(target, dice, dice.choice(_WORKER_POINTS), spread)
    if target == "files":
        return drawn(target, dice, dice.choice(("file.enter", "file.exit")), spread)
    return drawn(target, dice, dice.choice((*_SERVER_POINTS, *_WORKER_POINTS)), spread)


def drawn(target: Target, dice: random.Random, point: str, spread: float = 1.0) -> Strike:
    """Draw at which event of a point a target is hit; `spread` times later than usual, on average."""
    mean = spread * _MEANS[point.partition(".")[0]]
    return Strike(target, point, 1 + int(dice.expovariate(1 / mean)))


@dataclass(frozen=True, slots=True)
class Scene:
    """What makes a mutation show.

    Attributes:
        breach: Words of a breach that it has to lead to.
        script: What strikes in the first rounds; the rest of the study is left in peace.
    """

    breach: str
    script: Script = ()


SCENES: Final[dict[str, Scene]] = {
    "buffer-reports": Scene("lost report", ((Strike("server", "report.exit", 3),),)),
    "swallow-write-errors": Scene("broken steps", ((Strike("disk", "write.enter", 12),),)),
    "ignore-requests": Scene("hung"),
    "adopt-at-restart": Scene("taken from a living worker", ((Strike("server", "report.exit", 3),),)),
    "keep-leases": Scene("held by nobody", ((Strike("driver", "report.exit", 6),),)),
    "ignore-lost-workers": Scene("hung", ((Strike("worker", "report.answer", 3),),)),
    "forget-verdicts": Scene(
        "verdicts contradicted", (tuple(Strike("server", "report.exit", n) for n in range(2, 16, 2)),)
    ),
    "ignore-room": Scene("held by nobody"),
    "forget-ended": Scene("budget", ((Strike("driver", "tell.exit", 6),),)),
    "drop-checkpoints": Scene("the checkpoint of the best trial"),
    "skew-resume": Scene("differs", ((Strike("driver", "save.answer", 4),),)),
    "no-reaper": Scene("was left", ((Strike("driver", "report.exit", 3),),)),
}
"""By mutation."""

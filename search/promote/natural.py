"""Options of a promotion as a Python program gives them: dicts and numbers where the command line has text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from search.errors import InputError

_SWITCHES: Final = ("refit", "ensemble", "calibrate", "candidate", "no_comparison")


def natural(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options as `Promotion.of` takes them.

    Args:
        options: `cost={"fn": 5, "fp": 1}`, `floor={"accuracy": 0.9}`, `worst_class={"recall": 0.5}`,
            `worst_group={"town": {"accuracy": 0.7}}`; all others as they are.

    Raises:
        InputError: One that is on or off is neither, or several values stand where one can.
    """
    found = dict(options)
    for name, value in options.items():
        if name in _SWITCHES and not isinstance(value, bool | None):
            raise InputError(f"{name} takes True or False, got {value!r:.40}", field=name)
        if isinstance(value, Mapping):
            texts = _texts(value)
            if name in ("worst_group", "worst_class") and len(texts) != 1:
                raise InputError(f"{name} takes one bound, got {value!r:.60}", field=name)
            found[name] = texts if name == "floor" else ",".join(texts)
    return found


def _texts(given: Mapping[Any, Any]) -> list[str]:
    texts = []
    for key, value in given.items():
        texts += [f"{key}:{one}" for one in _texts(value)] if isinstance(value, Mapping) else [f"{key}={value}"]
    return texts

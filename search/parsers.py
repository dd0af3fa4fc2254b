"""How text becomes the value of a choice: one parser a kind, each `(name, value) -> value` or an `InputError`."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Final

from search.data.scheme import MAX_FOLDS, Scheme
from search.errors import InputError

_UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DAYS_365_S: Final = 365 * 86400
_UNITS_BYTES: Final = {"k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
_LEAST_MEMORY: Final = 50 * 2**20
LEAST_GPU: Final = 0.01  # Ray gives out less, and no trial has a use for it


def _shown(value: object) -> str:
    return repr(value) if isinstance(value, str) else repr(str(value))


def whole(minimum: int, maximum: int | None = None) -> Callable[[str, object], int]:
    range_ = f">= {minimum}" if maximum is None else f"from {minimum} to {maximum}"

    def parse(name: str, value: object) -> int:
        text = str(value).strip()
        number = int(text) if not isinstance(value, bool) and re.fullmatch(r"[+-]?[0-9]{1,18}", text) else None
        if number is None or number < minimum or (maximum is not None and number > maximum):
            raise InputError(f"{name} must be a whole number {range_}, got {_shown(value)}", field=name)
        return number

    return parse


def whole_or_none(minimum: int) -> Callable[[str, object], int | None]:
    parse_whole = whole(minimum)

    def parse(name: str, value: object) -> int | None:
        return None if str(value).strip().lower() == "none" else parse_whole(name, value)

    return parse


def number(minimum: float, *, above: bool) -> Callable[[str, object], float]:
    relation = ">" if above else ">="

    def parse(name: str, value: object) -> float:
        try:
            number = float(str(value)) if not isinstance(value, bool) else math.nan
        except ValueError:
            number = math.nan
        if not (math.isfinite(number) and (number > minimum if above else number >= minimum)):
            raise InputError(f"{name} must be a number {relation} {minimum:g}, got {_shown(value)}", field=name)
        return number

    return parse


def gpus(name: str, value: object) -> float | str:
    """Return how many GPUs, or `auto`; more than one are whole ones, as Ray gives out no others."""
    text = str(value).strip()
    if text.lower() == "auto":
        return "auto"
    try:
        count = number(0, above=False)(name, value)
    except InputError as error:
        said = error.message.replace("a number >= 0", "auto, or a number >= 0")
        raise InputError(said, field=name) from None
    if count > 1 and count != int(count):
        said = f"{name} above 1 must be a whole number, got {_shown(value)}"
        raise InputError(said, field=name, hint=f"a trial shares one GPU, or has whole ones: try {int(count)}")
    if 0 < count < LEAST_GPU:
        raise InputError(f"{name} must be 0, or at least {LEAST_GPU:g}, got {_shown(value)}", field=name)
    return count


def address(name: str, value: object) -> str | None:
    """Return a cluster's address; None for `local`, this machine."""
    given = text(name, value)
    return None if given == "local" else given


def value_or_none(name: str, value: object) -> float | None:
    if str(value).strip().lower() == "none":
        return None
    try:
        number = float(str(value)) if not isinstance(value, bool) else math.nan
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"{name} must be a number or none, got {_shown(value)}", field=name)
    return number


def finite(name: str, value: object) -> float:
    number = value_or_none(name, value)
    if number is None:
        raise InputError(f"{name} must be a number, got {_shown(value)}", field=name)
    return number


def gain_or_none(name: str, value: object) -> float | None:
    gain = value_or_none(name, value)
    if gain is not None and gain <= 0:
        raise InputError(f"{name} must be a number > 0, in the metric's unit, or none, got {_shown(value)}", field=name)
    return gain


def share_or_none(name: str, value: object) -> float | None:
    """Return a share above 0 and at most 1, which may be given in percent."""
    text = str(value).strip().lower()
    if text == "none":
        return None
    try:
        share = math.nan if isinstance(value, bool) else float(text.removesuffix("%")) / (100 if "%" in text else 1)
    except ValueError:
        share = math.nan
    if not 0 < share <= 1:
        raise InputError(
            f"{name} must be a share above 0 and at most 1, such as 0.5 or 50%, or none, got {_shown(value)}",
            field=name,
        )
    return share


def seconds(name: str, value: object) -> float:
    text = str(value).strip()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        raise InputError(f"{name} needs a unit, got {_shown(value)}", field=name, hint=f"try {text}s, {text}m or 2h")
    match = re.fullmatch(r"([+-]?\d{1,9}(?:\.\d{1,9})?(?:e[+-]?\d{1,3})?)([smhd])", text)
    if match is None and not re.fullmatch(r"[+-]?[\d.e+-]+[smhd]", text):
        raise InputError(f"{name} must be a duration such as 90s, 90m, 2h or 1d, got {_shown(value)}", field=name)
    try:
        seconds = float(match[1]) * _UNITS_S[match[2]] if match else math.inf
    except (ValueError, OverflowError):
        seconds = math.inf
    if not 1 <= seconds <= _DAYS_365_S:
        raise InputError(f"{name} must be between 1s and 365d, got {_shown(value)}", field=name)
    return seconds


def size(name: str, value: object) -> int:
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)([kmgt])(?:i?b)?", str(value).strip().lower())
    size = int(float(match[1]) * _UNITS_BYTES[match[2]]) if match else 0
    if size < _LEAST_MEMORY:
        raise InputError(
            f"{name} must be a size of at least 50m with its unit, got {_shown(value)}",
            field=name,
            hint="try 500m or 4g",
        )
    return size


def cache(name: str, value: object) -> int:
    if str(value).strip().lower() == "none":
        return 0
    try:
        return size(name, value)
    except InputError as error:
        raise InputError(error.message, field=error.field, hint="try 500m, 4g, or none") from None


def size_text(size: float) -> str:
    """Return a number of bytes as people write it."""
    return f"{size / 2**30:.1f} GB" if size >= 2**30 else f"{size / 2**20:.0f} MB"


def kept(name: str, value: object) -> str:
    if value not in ("best", "all", "none"):
        raise InputError(f"{name} is best, all or none, got {_shown(value)}", field=name)
    return str(value)


def precision(name: str, value: object) -> str:
    if value not in ("auto", "float32", "bf16"):
        raise InputError(f"{name} is float32, bf16 or auto, got {_shown(value)}", field=name)
    return str(value)


def switch(name: str, value: object) -> bool:
    if value not in ("on", "off", True, False):
        raise InputError(f"{name} is on or off, got {_shown(value)}", field=name)
    return value in ("on", True)


def direction(name: str, value: object) -> str:
    if value not in ("minimize", "maximize"):
        raise InputError(f"{name} is minimize or maximize, got {_shown(value)}", field=name)
    return str(value)


def split(name: str, value: object) -> str:
    return Scheme.parse(text(name, value), field=name).text


def folds(name: str, value: object) -> int:
    folds = whole(0, MAX_FOLDS)(name, value)
    if folds == 1:
        raise InputError(
            f"{name} must be 0 (one validation part), or 2 to {MAX_FOLDS}, got 1", field=name, hint="try 5"
        )
    return folds


def text(name: str, value: object) -> str:
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise InputError(f"{name} must be text, got {_shown(value)}", field=name)
    return value


def assignment(name: str, value: object) -> tuple[str, str]:
    key, equals, text = str(value).partition("=")
    if not equals or not key.strip():
        raise InputError(f"{name} takes name=value, got {_shown(value)}", field=name, hint="try train.lr=0.01")
    return key.strip(), text

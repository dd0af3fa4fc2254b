"""`Fields`: a table of a TOML file, read field by field; every fault is noted, so that all are told at once."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any, Final

from search.errors import InputError, did_you_mean

_KINDS: Final = {str: "text", bool: "true or false", int: "a whole number", float: "a number", dict: "a table"}
_SHOWN: Final = 40


class Fields:
    """One table of a file.

    Args:
        values: Of its fields.
        file: The name of the file, for people.
        prefix: What stands before the names of this table's fields, as in `paging.`.
        faults: Where faults are noted; shared by the tables of a file.

    Attributes:
        values: As they were read.
    """

    def __init__(self, values: Mapping[str, Any], *, file: str, prefix: str = "", faults: list[InputError]) -> None:
        self.values = values
        self._file = file
        self._prefix = prefix
        self._faults = faults

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def has_table(self, name: str) -> bool:
        return isinstance(self.values.get(name), dict)

    def only(self, known: Collection[str], why: str = "") -> None:
        """Note each field that is not among `known`."""
        for name in self.values:
            if name not in known:
                self.fault(name, f"unknown key {self._prefix + name!r}{why}", hint=did_you_mean(name, known))

    def fault(self, name: str, message: str, hint: str = "") -> None:
        """Note a fault of a field."""
        self._faults.append(InputError(f"{self._file}: {message}", field=self._prefix + name, hint=hint))

    def wrong(self, name: str, expected: str) -> None:
        """Note that a field is not what was expected; what it holds is shown, so it is nothing that may be secret."""
        self.fault(name, f"{self._prefix}{name} must be {expected}, got {_show(self.values.get(name))}")

    def text(self, name: str, default: str = "") -> str:
        value = self.values.get(name, default)
        if isinstance(value, str):
            return value
        self.wrong(name, "text")
        return default

    def filled(self, name: str, why: str) -> str:
        """Return text that has to be there."""
        if name not in self.values:
            self.fault(name, f"{self._prefix}{name} is missing: {why}")
            return ""
        value = self.text(name, "-")
        if not value.strip():
            self.fault(name, f"{self._prefix}{name} is empty: {why}")
        return value

    def choice(self, name: str, default: str, known: Collection[str]) -> str:
        value = self.text(name, default)
        if value in known:
            return value
        self.fault(
            name, f"{self._prefix}{name} is one of {', '.join(known)}, got {_show(value)}", did_you_mean(value, known)
        )
        return default

    def flag(self, name: str, default: bool) -> bool:
        value = self.values.get(name, default)
        if isinstance(value, bool):
            return value
        self.wrong(name, "true or false")
        return default

    def whole(self, name: str, default: int | None, *, least: int = 1) -> int | None:
        value = self.values.get(name, default)
        if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= least):
            return value
        self.wrong(name, f"a whole number >= {least}")
        return default

    def number(self, name: str, default: float) -> float:
        value = self.values.get(name, default)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0 and math.isfinite(value):
            return float(value)
        self.wrong(name, "a number > 0")
        return default

    def scalar(self, name: str) -> str | int | float | None:
        """Return a number or text; a date of TOML as ISO text."""
        value = self.values.get(name)
        if value is None or (isinstance(value, (str, int, float)) and not isinstance(value, bool)):
            return value
        if hasattr(value, "isoformat"):
            return str(value.isoformat())
        self.wrong(name, "a number or text")
        return None

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a text, or a list of them, as a tuple."""
        value = self.values.get(name, ())
        many = [value] if isinstance(value, str) else value
        if isinstance(many, (list, tuple)) and all(isinstance(one, str) and one for one in many):
            if len(set(many)) == len(many):
                return tuple(many)
            self.wrong(name, "without repetition")
            return ()
        self.wrong(name, "text or a list of texts")
        return ()

    def mapping(self, name: str) -> dict[str, str]:
        """Return a table of texts."""
        value = self.values.get(name, {})
        if isinstance(value, dict) and all(isinstance(one, str) and one for one in value.values()):
            return dict(value)
        self.fault(name, f"{self._prefix}{name} must be a table of texts")  # what it holds may be secret
        return {}

    def pairs(self, name: str) -> tuple[tuple[str, str], ...]:
        """Return a table of scalars, or lists of them, as the pairs of a query."""
        value = self.values.get(name, {})
        if not isinstance(value, dict):
            self.fault(name, f"{self._prefix}{name} must be a table")
            return ()
        found: list[tuple[str, str]] = []
        for key, one in value.items():
            for item in one if isinstance(one, list) else [one]:
                if isinstance(item, bool):
                    found.append((key, "true" if item else "false"))
                elif isinstance(item, (str, int, float)):
                    found.append((key, str(item)))
                elif hasattr(item, "isoformat"):
                    found.append((key, str(item.isoformat())))
                else:
                    self.fault(
                        name, f"{self._prefix}{name}.{key} must be text, a number, a truth value or a list of such"
                    )
        return tuple(found)

    def table(self, name: str) -> Fields:
        """Return a table within this one; an empty one where it is missing."""
        value = self.values.get(name, {})
        if not isinstance(value, dict):
            self.wrong(name, "a table")
            value = {}
        return Fields(value, file=self._file, prefix=f"{self._prefix}{name}.", faults=self._faults)


def raise_all(faults: list[InputError]) -> None:
    """Raise the one fault, or all of them as one error with a line for each; nothing if there is none."""
    different = list({fault.sentence(): fault for fault in faults}.values())
    if len(different) == 1:
        raise different[0]
    if different:
        message = "\n".join(fault.sentence() for fault in different)
        raise InputError(message, field=", ".join(fault.field for fault in different))


def _show(value: object) -> str:
    if isinstance(value, (str, int, float)):
        text = repr(value)
        return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
    return _KINDS.get(type(value), "a list" if isinstance(value, list) else "a date or a time")

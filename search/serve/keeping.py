"""Which columns of an input stand beside the predictions: the `Keep`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from search.errors import InputError, did_you_mean
from search.serve.files import RowFile


@dataclass(frozen=True, slots=True)
class Keep:
    """Which columns of the input are written beside the predictions.

    Attributes:
        every: All of them.
        names: These; () and not `every`: none.
    """

    every: bool = True
    names: tuple[str, ...] = ()

    @classmethod
    def parse(cls, given: Sequence[str]) -> Keep:
        """Return what `--keep` names: `all`, `none`, or columns.

        Raises:
            InputError: `all` or `none` stands beside others.
        """
        if not given or tuple(given) == ("all",):
            return cls()
        if tuple(given) == ("none",):
            return cls(every=False)
        if {"all", "none"} & set(given):
            raise InputError(f"--keep takes all, none or columns, got {', '.join(given)[:80]}", field="--keep")
        return cls(every=False, names=tuple(dict.fromkeys(given)))

    def of(self, rows: RowFile) -> tuple[str, ...]:
        """Return the columns of a file that are kept.

        Raises:
            InputError: It lacks one.
        """
        known = set(rows.names)
        for name in self.names:
            if name not in known:
                hint = did_you_mean(name, rows.names)
                raise InputError(f"{rows.path.name} has no column {name[:60]!r}", field="--keep", hint=hint[:100])
        return rows.names if self.every else self.names

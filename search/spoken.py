"""Errors of commands as a Python program hears them: keywords in place of flags, and the whole sentence as text."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from contextlib import contextmanager
from typing import Final

from search.errors import SweepError

_FLAG: Final = re.compile(r"--([a-z]+(?:-[a-z]+)*)")
_GIVEN: Final = re.compile(r"--([a-z]+(?:-[a-z]+)*) (?=\"[^\"]*\")")


@contextmanager
def spoken(keywords: Container[str]) -> Iterator[None]:
    """Have errors speak of keywords in place of flags, and be the whole sentence as text.

    Args:
        keywords: The flags that are keywords, without `--`.
    """

    def keyword(found: re.Match[str]) -> str:
        return found[1].replace("-", "_") if found[1] in keywords else found[0]

    def value(found: re.Match[str]) -> str:
        return f"{found[1].replace('-', '_')}=" if found[1] in keywords else found[0]

    try:
        yield
    except SweepError as error:
        texts = (_GIVEN.sub(value, text) for text in (error.message, error.hint))
        error.message, error.hint = (_FLAG.sub(keyword, text) for text in texts)
        error.args = (error.sentence(),)
        raise

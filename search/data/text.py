"""The text of a file in UTF-8, whatever it was encoded in."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from search.errors import InputError

_BOMS: Final = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


def as_utf8(path: Path, content: bytes, encoding: str | None) -> bytes:
    """Return text in UTF-8, without a byte-order mark.

    Args:
        path: For messages.
        content: As it was read.
        encoding: As the user named it; None for UTF-8, unless a byte-order mark says otherwise.

    Raises:
        InputError: It is in another encoding, or no text; the sentence names the line.
    """
    if encoding is None and content.isascii():
        _check_zeros(path, content, encoding)
        return content
    marked = next((name for mark, name in _BOMS if content.startswith(mark)), "utf-8")
    hint = "" if encoding else f"pass encoding=, as in {path.name}?encoding=latin-1"
    try:
        text = content.decode(encoding or marked).removeprefix("\ufeff")
        plain = content if marked == "utf-8" and not encoding else text.encode()  # parsers are quickest with bytes
    except UnicodeDecodeError as error:
        line = content[: error.start].decode(encoding or marked, "ignore").count("\n") + 1
        shown = (encoding or marked).removesuffix("-sig").upper()
        raise InputError(f"{path.name}: line {line} is not {shown}", field="data", hint=hint) from error
    except (LookupError, ValueError) as error:  # a name with a zero byte is a ValueError
        raise InputError(
            f"unknown encoding {encoding!r:.60}; known are utf-8, utf-16, latin-1, cp1252", field="data"
        ) from error
    _check_zeros(path, plain, encoding)
    return plain


def _check_zeros(path: Path, text: bytes, encoding: str | None) -> None:
    position = text.find(b"\0")
    if position >= 0:
        line = text.count(b"\n", 0, position) + 1
        raise InputError(
            f"{path.name}: line {line} has a zero byte: it is not a text file, or in another encoding",
            field="data",
            hint="" if encoding else f"if it is UTF-16, try {path.name}?encoding=utf-16-le",
        )

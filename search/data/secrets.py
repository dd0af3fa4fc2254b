"""Secrets: `${NAME}` stands for one, the environment holds it, and nothing that is stored or shown has it."""

from __future__ import annotations

import os
import re
from functools import partial
from typing import Final
from urllib.parse import quote, quote_plus, unquote

from search.errors import InputError

_PLACEHOLDER: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_BRACED: Final = re.compile(r"\$\{[^}]*\}?")
# Names of parameters, in lower case without - and _: those that end in one of these words, and those that are one.
_SECRET_ENDS: Final = ("password", "passwd", "passphrase", "secret", "token", "apikey", "accesskey", "secretkey")
_SECRET_WORDS: Final = ("pwd", "pass", "auth", "key", "sig", "signature", "appid", "xamzsignature", "xgoogsignature")
_MAX_SHOWN: Final = 120


def expand(text: str, *, quoted: bool = False, unset: str = "") -> str:
    """Return `text` with each `${NAME}` replaced by that variable of the environment.

    Args:
        text: As it was written, and as it may be stored and shown.
        quoted: Percent-encode the values, for the parts of a URL.
        unset: Stands for a variable that is not set, as another machine may have it; "" where it has to be.

    Raises:
        InputError: A variable is not set, or is empty, and has to be; or `${` stands there without a name.
    """

    def value(found: re.Match[str]) -> str:
        whole = _PLACEHOLDER.fullmatch(found[0])
        if whole is None:
            raise InputError(f"${{NAME}} takes letters, digits and _, got {found[0][:40]!r}", field="data")
        held = os.environ.get(whole[1]) or unset
        if not held:
            raise InputError(
                f"${{{whole[1]}}} is not set in the environment", field="data", hint=f"try `export {whole[1]}=...`"
            )
        return quote(held, safe="") if quoted else held

    return _BRACED.sub(value, text)


def hide(said: str, *templates: str) -> str:
    """Return what a server or a library said, without the secrets that the `${NAME}` in `templates` stand for."""
    names = {name for template in templates for name in _PLACEHOLDER.findall(template)}
    return mask(said, *(os.environ.get(name, "") for name in names))


def mask(said: str, *secrets: str) -> str:
    """Return `said` with `***` for each of these secrets, in each form that a URL gives them."""
    for form in sorted(forms_of(*secrets), key=len, reverse=True):  # one may be a part of another
        said = said.replace(form, "***")
    return said


def forms_of(*secrets: str) -> set[str]:
    """Return each form that these secrets may have in a text or a URL."""
    ways = (str, quote, quote_plus, partial(quote, safe=""))
    return {way(secret) for secret in secrets if secret for way in ways}


def shown(url: str) -> str:
    """Return a URL as it may be shown: without user and password, and without what comes after `?` or `#`."""
    scheme, mark, rest = url.partition("//")
    if not mark:
        return re.split("[?#]", url, maxsplit=1)[0][:_MAX_SHOWN]
    before, at, after = rest.rpartition("@")
    if at and re.fullmatch(r"[^/?#@]*", before):
        rest = after
    elif at and ":" in before:  # a password may hold what ends a host: nothing here is surely none
        return f"{scheme}//***"
    return f"{scheme}//{re.split('[?#]', rest, maxsplit=1)[0]}"[:_MAX_SHOWN]


def has_secret(url: str) -> bool:
    """Tell whether a URL holds a secret itself: a password, or a parameter that is named like one.

    A `${NAME}` is none. Neither is a user without a password, but for http, where it is often a token.
    """
    scheme, _, rest = url.partition("//")
    place, _, query = rest.partition("?")
    user, colon, password = place.rpartition("@")[0].partition(":")
    if _is_open(password) or ("?" in rest and ":" in place.partition("/")[0] and "@" in query and _is_no_port(place)):
        return True
    if scheme.lower() in ("http:", "https:") and not colon and "/" not in user and _is_open(user):
        return True
    pairs = (pair.partition("=") for pair in re.split("[&;]", query.partition("#")[0]))
    return any(is_secret_name(unquote(name)) and _is_open(value) for name, _, value in pairs)


def is_secret_name(name: str) -> bool:
    """Tell whether a parameter of this name usually holds a secret."""
    plain = re.sub(r"[-_.\s]", "", name).lower()
    return plain.endswith(_SECRET_ENDS) or plain in _SECRET_WORDS


def _is_open(text: str) -> bool:
    """Tell whether something is left of `text` without its `${NAME}`."""
    return bool(_PLACEHOLDER.sub("", text))


def _is_no_port(place: str) -> bool:
    return not re.fullmatch(r"\d*|.*\]", place.partition("/")[0].rpartition(":")[2])

"""A token in a file that others can read is taken by nobody, however the file was named."""

from __future__ import annotations

from pathlib import Path

import pytest

from search.errors import InputError
from search.tuner import tokens


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o602, 0o666])
def test_a_token_that_others_can_read_or_replace_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    path = tmp_path / "token"
    path.write_text("secret")
    monkeypatch.delenv(tokens.VALUE, raising=False)
    monkeypatch.setenv(tokens.FILE, str(path))
    path.chmod(0o600)
    assert tokens.token_here() == "secret"
    path.chmod(mode)
    with pytest.raises(InputError, match=r"RAY_AUTH_TOKEN_PATH|can be read by others") as caught:
        tokens.token_here()
    assert "secret" not in caught.value.sentence()
    assert f"chmod 600 {path}" in caught.value.hint


@pytest.mark.parametrize("content", ["", "\n", "two words"])
@pytest.mark.parametrize("variable", [tokens.VALUE, tokens.FILE])
def test_what_holds_no_token_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, content: str
) -> None:
    path = tmp_path / "token"
    path.touch(mode=0o600)
    path.write_text(content)
    for name in (tokens.VALUE, tokens.FILE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, str(path) if variable == tokens.FILE else content)
    with pytest.raises(InputError, match=r"^\S+ holds no token: one word is expected$"):
        tokens.token_here()

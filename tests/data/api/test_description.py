"""Every fault of a description is told in one sentence, all of them at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from search.data.api.read import Source, read_description
from search.errors import InputError
from tests.data.api.servers import Project

URL = 'url = "https://example.org/items"\n'
FAULTS: dict[str, tuple[str, str]] = {
    "unknown key": (f"{URL}recrods = 'a'", "unknown key 'recrods'; did you mean 'records'?"),
    "unknown key in a table": (
        f"{URL}[paging]\nkind = 'page'\nparm = 'p'",
        "unknown key 'paging.parm' for kind = 'page'; did",
    ),
    "key of another kind": (f"{URL}[paging]\nkind = 'page'\npath = 'a'", "unknown key 'paging.path' for kind = 'page'"),
    "no url": ("records = 'a'", "url is missing"),
    "other scheme": ("url = 'ftp://a/b'", "url must start with https:// or http://"),
    "method": (f"{URL}method = 'POST'", "method must be GET"),
    "wrong type": (f"{URL}records = 5", "records must be text, got 5"),
    "kind": (f"{URL}[paging]\nkind = 'curser'", "did you mean 'cursor'?"),
    "no kind": (f"{URL}[paging]\nparam = 'p'", "paging.kind is missing"),
    "cursor without path": (f"{URL}[paging]\nkind = 'cursor'\nparam = 'c'", "paging.path is missing"),
    "cursor without param": (f"{URL}[paging]\nkind = 'cursor'\npath = 'c'", "paging.param is missing"),
    "start": (f"{URL}[paging]\nkind = 'page'\nstart = -1", "paging.start must be a whole number >= 0, got -1"),
    "size": (f"{URL}[paging]\nkind = 'page'\nsize_param = 'n'", "paging.size_param needs paging.size"),
    "rate": (f"{URL}[limit]\nrequests_per_s = 0", "limit.requests_per_s must be a number > 0, got 0"),
    "infinite": (f"{URL}[limit]\nmax_mb = inf", "limit.max_mb must be a number > 0, got inf"),
    "pages": (f"{URL}[limit]\nmax_pages = true", "limit.max_pages must be a whole number >= 1, got True"),
    "short without size": (f"{URL}[stop]\nshort = true", "stop.short needs paging.size"),
    "until without bound": (f"{URL}[stop]\nuntil = {{ column = 'a' }}", "either below or above"),
    "since": (f"{URL}[since]\nparam = 'a'", "since.column is missing"),
    "key not pulled": (f"{URL}columns = ['a']\nkey = 'id'", "'id' of key is not among columns"),
    "key twice": (f"{URL}key = ['a', 'a']", "key must be without repetition"),
    "query": (f"{URL}query = {{ a = {{ b = 1 }} }}", "query.a must be"),
    "headers": (f"{URL}headers = {{ a = 1 }}", "headers must be a table of texts"),
    "table for an API": (f"{URL}table = 1", "unknown key 'table'"),
    "paging is no table": (f"{URL}paging = 'page'", "paging must be a table, got 'page'"),
    "not TOML": ("url = ", "not TOML"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_a_fault_is_told_in_one_sentence(case: str, tmp_path: Path) -> None:
    text, sentence = FAULTS[case]
    (tmp_path / "x.toml").write_text(text)
    with pytest.raises(InputError) as caught:
        read_description(tmp_path / "x.toml", "api")
    assert sentence in caught.value.sentence()
    assert caught.value.sentence().startswith("x.toml: ")
    assert "\n" not in caught.value.sentence()


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text("method = 'PUT'\nkye = 'a'\n[limit]\nmax_rows = 0\n[paging]\nkind = 'x'\n")
    with pytest.raises(InputError) as caught:
        read_description(tmp_path / "x.toml", "api")
    lines = caught.value.message.splitlines()
    assert len(lines) == 5
    assert all(line.startswith("x.toml: ") and len(line) < 200 for line in lines)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[paging]\nkind = 'next'\nselector = 'a:hover'", "paging.selector may hold tags"),
        ("[paging]\nkind = 'next'", "paging.selector is missing"),
        ("[paging]\nkind = 'cursor'", "paging.kind is one of"),
        ("records = 'a'", "unknown key 'records'"),
        ("table = -1", "table must be a whole number >= 0"),
    ],
)
def test_pages_have_faults_of_their_own(text: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text(URL + text)
    with pytest.raises(InputError) as caught:
        read_description(tmp_path / "x.toml", "html")
    assert sentence in caught.value.sentence()


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ('url = "https://example.org/items?api_key=hunter2hunter2"', "url"),
        ('url = "https://me:hunter2hunter2@example.org/items"', "url"),
        (f'{URL}query = {{ token = "hunter2hunter2" }}', "query.token"),
        (f'{URL}query = {{ "access-token" = ["${{A}}", "hunter2hunter2"] }}', "query.access-token"),
        (f"{URL}query = {{ appid = 7 }}", "query.appid"),
        (f'{URL}headers = {{ Authorization = "Bearer hunter2hunter2" }}', "headers.Authorization"),
        (f'{URL}headers = {{ proxy-authorization = "hunter2hunter2" }}', "headers.proxy-authorization"),
        (f'{URL}headers = {{ Cookie = "id=hunter2hunter2" }}', "headers.Cookie"),
        (f'{URL}headers = {{ X-Api-Key = "hunter2hunter2" }}', "headers.X-Api-Key"),
        (f'{URL}headers = {{ X-TokenId = "hunter2hunter2" }}', "headers.X-TokenId"),
    ],
)
@pytest.mark.parametrize("source", ["api", "html"])
def test_a_secret_in_a_description_is_refused_and_not_shown(
    source: Source, text: str, field: str, tmp_path: Path
) -> None:
    (tmp_path / "x.toml").write_text(text)
    with pytest.raises(InputError) as caught:
        read_description(tmp_path / "x.toml", source)
    assert caught.value.field == field
    assert caught.value.sentence() == (
        f"x.toml: a password or key stands in {field}; write it as ${{NAME}} and put it in the environment"
    )


@pytest.mark.parametrize("text", ['headers = "Cookie: hunter2"', 'query = "token=hunter2"'])
def test_what_may_be_secret_is_not_shown_where_it_is_of_the_wrong_type(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text(URL + text)
    with pytest.raises(InputError, match="must be a table") as caught:
        read_description(tmp_path / "x.toml", "api")
    assert "hunter2" not in caught.value.sentence()


@pytest.mark.parametrize(
    "text",
    [
        'url = "https://${NAME}:${WORD}@example.org/items?api_key=${KEY}&per=5"',
        f'{URL}query = {{ token = "v1-${{TOKEN}}", auth = true, keyword = "rain", key = "" }}',
        f'{URL}headers = {{ Authorization = "Bearer ${{TOKEN}}", Cookie = "id=${{ID}}", Accept = "text/csv" }}',
    ],
)
def test_what_stands_in_the_environment_is_no_secret_in_a_description(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text(text)
    assert read_description(tmp_path / "x.toml", "api").url


def test_a_description_that_is_not_there_is_told(project: Project) -> None:
    with pytest.raises(InputError, match="does not exist"):
        project.fetch("api:x.toml")

"""References: any text is understood or refused in one sentence, and what is understood survives being written down.

Mutation that turns these red: let `with_options` quote with `quote` and no `safe`, and decode options not at all.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.data.reference import KINDS, OPTIONS, SCHEMES, Reference, absolute_reference, parse_reference
from search.data.secrets import expand, has_secret, hide, is_secret_name, mask, shown
from search.errors import InputError

SHA = "0123456789abcdef" * 4
CANARY = "s3cret-canary"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with files of awkward names."""
    made = tmp_path_factory.mktemp("data")
    for name in ("x.csv", "q.sql", "a?b.csv", "a:b.csv", "ü #1&c=%20+.csv", "pull.toml", "x.csv.d"):
        (made / name).write_text("SELECT 1")
    return made


def parse(text: str, folder: Path) -> tuple[str, Path | str, dict[str, str]]:
    found = parse_reference(text, folder)
    return found.kind, found.location, dict(found.options)


UNDERSTOOD = {
    "x.csv": ("file", "x.csv", {}),
    "x.csv?": ("file", "x.csv", {}),
    "a?b.csv": ("file", "a?b.csv", {}),
    "a?b.csv?task=regression": ("file", "a?b.csv", {"task": "regression"}),
    "a:b.csv?drop=a,b%20c": ("file", "a:b.csv", {"drop": "a,b c"}),
    "ü #1&c=%20+.csv?sheet=a%26b": ("file", "ü #1&c=%20+.csv", {"sheet": "a&b"}),
    f"q.sql?drop=a&snapshot={SHA}": ("file", "q.sql", {"drop": "a", "snapshot": SHA}),
    "sklearn:wine?task=classification": ("sklearn", "wine", {"task": "classification"}),
    "OpenML:61": ("openml", "61", {}),
    "hf:user/name": ("hf", "user/name", {}),
    "collected:rain": ("collected", "rain", {}),
    "https://h/x.csv?a=1&task=2": ("https", "https://h/x.csv?a=1&task=2", {}),
    f"HTTPS://h/x.csv?a=1#task=regression&sha256={SHA}": (
        "https",
        "HTTPS://h/x.csv?a=1",
        {"task": "regression", "sha256": SHA},
    ),
    "s3://bucket/x.parquet#drop=id": ("s3", "s3://bucket/x.parquet", {"drop": "id"}),
    "https://h/x?token=${TOKEN}": ("https", "https://h/x?token=${TOKEN}", {}),
    "html:https://h/x?page=1#drop=a": ("html", "https://h/x?page=1", {"drop": "a"}),
}


@pytest.mark.parametrize("text", UNDERSTOOD)
def test_a_reference_is_a_kind_a_place_and_options(text: str, folder: Path) -> None:
    kind, location, options = UNDERSTOOD[text]
    assert parse(text, folder) == (kind, folder / location if kind == "file" else location, options)


@pytest.mark.parametrize(
    ("text", "location", "query"),
    [
        ("sql:postgresql://me@h/d?query=SELECT 1", "postgresql://me@h/d", "SELECT 1"),
        ("sql:postgresql://h/d?sslmode=require&query=SELECT 1", "postgresql://h/d?sslmode=require", "SELECT 1"),
        ("sql:postgresql://h/d?query=SELECT+1&sslmode=require", "postgresql://h/d?sslmode=require", "SELECT 1"),
        ("sql:postgresql://h/d?query=SELECT a+b, 'x%20' FROM t WHERE a&b=1", "postgresql://h/d", None),
        ("sql:sqlite:////tmp/a b.db?query=SELECT ?", "sqlite:////tmp/a b.db", "SELECT ?"),
        ("sql:?query=\nSELECT\n1\n", "", "SELECT\n1"),
    ],
)
def test_the_query_is_taken_out_of_a_databases_url_as_it_is(
    text: str, location: str, query: str | None, folder: Path
) -> None:
    expected = query or text.partition("query=")[2]
    assert parse(text, folder) == ("sql", location, {"query": expected})


def test_our_options_may_stand_before_the_query_and_after_it(folder: Path) -> None:
    _, location, options = parse(
        f"sql:postgresql://h/d?drop=a&application_name=x&query=SELECT 1 & 2&task=regression&snapshot={SHA}", folder
    )
    assert location == "postgresql://h/d?application_name=x"
    assert options == {"drop": "a", "query": "SELECT 1 & 2", "task": "regression", "snapshot": SHA}


@pytest.mark.parametrize(
    ("text", "absolute"),
    [
        ("x.csv?drop=a", "{}/x.csv?drop=a"),
        ("q.sql", "{}/q.sql"),
        ("api:pull.toml?drop=a", "api:{}/pull.toml?drop=a"),
        ("api:nowhere.toml", "api:{}/nowhere.toml"),
        ("html:pull.toml", "html:{}/pull.toml"),
        ("sql:sqlite:///x.db?query=SELECT 1", "sql:sqlite:///{}/x.db?query=SELECT+1"),
        ("sql:postgresql://h/d?a=1&query=SELECT 1", "sql:postgresql://h/d?a=1&query=SELECT+1"),
        ("sklearn:wine", "sklearn:wine"),
        ("https://h/x.csv?a=1#drop=a", "https://h/x.csv?a=1#drop=a"),
    ],
)
def test_an_absolute_reference_means_the_same_in_any_folder(text: str, absolute: str, folder: Path) -> None:
    made = absolute_reference(text, folder)
    assert made == absolute.format(folder)
    assert absolute_reference(made, Path("/")) == made


REFUSED = {
    "": "data file '' does not exist",
    "nowhere.csv": r"data file 'nowhere\.csv' does not exist \(looked in ",
    "\udcff": "data file",
    "x.csv?drop": r"x\.csv: option drop needs a value, as in drop=\.\.\.",
    "x.csv?drop=a&drop=b": r"x\.csv has the option drop= twice",
    "x.csv?tsk=regression": r"x\.csv has an unknown option 'tsk'; did you mean 'task'\?",
    "x.csv?task=ranking": "task is classification or regression, got 'ranking'",
    "x.csv?sha256=" + SHA: r"x\.csv takes no sha256=; it takes drop=, encoding=, sheet=, size=, task=",
    "x.csv?query=SELECT 1": r"x\.csv takes no query=",
    "q.sql?query=SELECT 1": r"q\.sql takes no query=; it takes drop=, snapshot=, task=",
    "q.sql?encoding=utf-8": r"q\.sql takes no encoding=",
    "sklearn:wine?sheet=1": "sklearn:wine takes no sheet=",
    "openml:61?snapshot=../../x": r"snapshot is a sha256, 64 digits and letters a-f, got '\.\./\.\./x'",
    "openml:61?snapshot=1": "snapshot is a sha256",
    "sklearn:": "'sklearn:' names nothing; known: a file or folder, a URL, or one of sklearn:NAME",
    "sklaern:wine": "unknown kind of data 'sklaern:'; known: .*; did you mean 'sklearn'",
    "file:///etc/passwd": "data file 'file:///etc/passwd' does not exist",
    "https:example.org": "'https:example.org' is no URL; it has the form https://HOST/PATH",
    "https://": "'https://' is no URL",
    "https://h/a b": "'https://h/a b' is no URL",
    "collected:../x": r"a collection's name is 1-100 of letters.*got '\.\./x'",
    "collected:.store": "a collection's name is 1-100 of letters",
    "sql:postgresql://h/d": r"sql: needs a query; try 'sql:postgresql://me@host/db\?query=SELECT \.\.\.'",
    "sql:postgresql://h/d?query=": "sql: needs a query",
    "sql:postgresql://h/d?query= &task=regression": "sql: needs a query",
    "sql:postgresql://h/d?qurey=SELECT 1": "sql: needs a query; qurey= is no query=",
    "sql:postgresql://h/d?sslmode&query=SELECT 1": r"what stands after the \? of a database's URL is NAME=VALUE",
    "hf:a\0b": "hf: takes text, got bytes that are none",
    "openml:\udcff": "openml: takes text, got bytes that are none",
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_no_reference_is_refused_in_one_sentence(text: str, folder: Path) -> None:
    with pytest.raises(InputError) as refusal:
        parse_reference(text, folder)
    assert re.match(REFUSED[text], refusal.value.sentence()), refusal.value.sentence()
    assert refusal.value.field == "data"


SECRET = [
    f"https://me:{CANARY}@h/x.csv",
    f"https://{CANARY}@h/x.csv",
    f"https://me:a#{CANARY}@h/x.csv",
    f"https://me:a?{CANARY}@h/x.csv",
    f"https://me:a/{CANARY}@h/x.csv",
    f"https://me:a@{CANARY}@h/x.csv",
    f"https://h/x.csv?api_key={CANARY}",
    f"https://h/x.csv?a=1&X-Amz-Signature={CANARY}#drop=a",
    f"https://h/x.csv?key=${{KEY}}{CANARY}",
    f"s3://key:{CANARY}@bucket/x.csv",
    f"sftp://me:{CANARY}@h/x.csv",
    f"html:https://me:{CANARY}@h/x",
    f"sql:postgresql://me:{CANARY}@h/d?query=SELECT 1",
    f"sql:postgresql://me:a?{CANARY}@h/d?query=SELECT 1",
    f"sql:postgresql://me:a/{CANARY}@h/d?query=SELECT 1",
    f"sql:postgresql://me:a&{CANARY}@h/d?query=SELECT 1",
    f"sql:postgresql://me:{CANARY}@h/d",
    f"sql:postgresql://h/d?password={CANARY}&query=SELECT 1",
    f"sql:postgresql://h/d?sslpassword={CANARY}&query=SELECT 1",
    f"postgresql://me:{CANARY}@h/d?query=SELECT 1",
    f"htps://me:{CANARY}@h/x",
    f"https://me:{CANARY}@h/x#tsk=1",
    f"//me:{CANARY}@h/x",
]


@pytest.mark.parametrize("text", SECRET)
def test_a_secret_in_a_reference_is_refused_and_not_shown(text: str, folder: Path) -> None:
    with pytest.raises(InputError) as refusal:
        parse_reference(text, folder)
    assert CANARY not in refusal.value.sentence()


@pytest.mark.parametrize("text", SECRET)
def test_a_url_is_shown_without_what_may_be_secret(text: str) -> None:
    assert CANARY not in shown(text)


@pytest.mark.parametrize(
    ("url", "plain"),
    [
        ("postgresql://me:${PW}@h:5432/d?sslmode=require", "postgresql://h:5432/d"),
        ("https://h/@user/x.csv?a=b@c#d", "https://h/@user/x.csv"),
        ("https://h:80/x", "https://h:80/x"),
        ("sqlite:////tmp/x.db", "sqlite:////tmp/x.db"),
        ("x.csv?a=1", "x.csv"),
    ],
)
def test_a_url_is_shown_with_its_host_and_path(url: str, plain: str) -> None:
    assert shown(url) == plain


@pytest.mark.parametrize(
    "url",
    [
        "https://me:${PW}@h/x",
        "https://${TOKEN}@h/x",
        "https://h/x?token=${TOKEN}",
        "postgresql://me@h/d",
        "postgresql://me:${DB_PASSWORD}@h/d?sslmode=require",
        "abfs://container@account.dfs.core.windows.net/x",
        "https://h/@user/x?email=a@b&keyword=a&tokenizer=b",
    ],
)
def test_a_name_of_the_environment_is_no_secret(url: str) -> None:
    assert not has_secret(url)


@pytest.mark.parametrize(
    "name", ["password", "sslpassword", "api_key", "X-Api-Key", "access_token", "sig", "SecretKey"]
)
def test_a_parameter_is_secret_by_its_name(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["keyword", "tokenizer", "sslkeyfile", "sslmode", "page", "author", "passfile"])
def test_other_parameters_are_not_secret(name: str) -> None:
    assert not is_secret_name(name)


def test_names_of_the_environment_are_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PW", "a/b@c +")
    monkeypatch.setenv("EMPTY", "")
    assert expand("x:${PW}@h $PW {PW}") == "x:a/b@c +@h $PW {PW}"
    assert expand("x:${PW}@h", quoted=True) == "x:a%2Fb%40c%20%2B@h"
    for text in ("${EMPTY}", "${SURELY_NOT_SET}"):
        with pytest.raises(InputError, match=r"^\$\{\w+\} is not set in the environment$"):
            expand(text)
    for text in ("${}", "${a b}", "${open"):
        with pytest.raises(InputError, match=r"takes letters, digits and _"):
            expand(text)


def test_secrets_are_masked_in_each_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PW", "a/b c")
    said = "no: a/b c, a%2Fb%20c, a%2Fb+c"
    assert hide(said, "postgresql://me:${PW}@h") == mask(said, "a/b c", "") == "no: ***, ***, ***"


TEXTS = st.text(st.characters(codec=None), max_size=30)
KIND_AND_TEXT = st.builds("{}{}{}".format, st.sampled_from([*(f"{kind}:" for kind in KINDS)]), TEXTS, TEXTS)
URLS = st.builds("{}://h{}#{}".format, st.sampled_from(SCHEMES), TEXTS, TEXTS)
ON_FILES = st.builds(
    "{}?{}={}".format, st.sampled_from(["x.csv", "a?b.csv", "q.sql"]), st.sampled_from([*OPTIONS]), TEXTS
)
QUERIES = st.builds(
    "sql:{}?{}query={}{}".format,
    st.sampled_from(["", "sqlite:///x.db", "postgresql://me@h/d"]),
    st.sampled_from(["", "sslmode=require&", "task=regression&"]),
    TEXTS,
    st.sampled_from(["", "&drop=a", f"&snapshot={SHA}"]),
)


@settings(max_examples=500, deadline=None)
@given(text=TEXTS | KIND_AND_TEXT | URLS | ON_FILES | QUERIES)
def test_any_text_is_a_reference_or_refused_and_a_reference_survives_being_written(text: str, folder: Path) -> None:
    try:
        found = parse_reference(text, folder)
    except InputError:
        return
    again = parse_reference(found.with_options(), Path("/"))
    assert (again.kind, again.location, again.options) == (found.kind, found.location, found.options)
    assert again.folder_name == found.folder_name
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", found.folder_name)
    assert "/" not in found.folder_name


@settings(max_examples=200, deadline=None)
@given(
    kind=st.sampled_from([*KINDS, *SCHEMES]),
    options=st.dictionaries(st.sampled_from(["drop", "encoding", "sheet", "allow"]), TEXTS.filter(bool)),
)
def test_any_value_of_an_option_survives_being_written(kind: str, options: dict[str, str], folder: Path) -> None:
    options = {name: value for name, value in options.items() if kind in OPTIONS[name] and value.isprintable()}
    location = "https://h/x?a=1" if kind in SCHEMES else "postgresql://h/d?a=1" if kind == "sql" else "/x"
    location = "x" if kind == "collected" else location.replace("https", kind)
    options |= {"query": "SELECT 1"} if kind == "sql" else {}
    whole = Reference("", kind, location, options)
    again = parse_reference(whole.with_options(), folder)
    assert (again.kind, again.location, {*again.options}) == (kind, location, {*options})
    for name in options:
        assert again.listed(name) == whole.listed(name)
        assert again.option(name) == options[name] or name in ("allow", "drop")


@pytest.mark.parametrize(
    ("written", "names"),
    [
        ("age%2C years", ("age, years",)),
        ("age%2C+years,id", ("age, years", "id")),
        ("id,when", ("id", "when")),
        ("100%25,a%252Cb,,%26", ("100%", "a%2Cb", "&")),
        ("k=v%3D", ("k=v=",)),
    ],
)
@pytest.mark.parametrize("place", ["x.csv?", "sklearn:iris?", "https://h/x.csv#", "sql:sqlite:///x.db?query=SELECT 1&"])
def test_a_comma_within_a_name_is_written_with_a_percent_sign(
    written: str, names: tuple[str, ...], place: str, folder: Path
) -> None:
    found = parse_reference(f"{place}drop={written}", folder)
    assert found.listed("drop") == names
    again = parse_reference(found.with_options(), Path("/"))
    assert again.listed("drop") == names
    assert again.options == found.options


def test_of_no_text_at_all_the_files_are_told_of_where_it_was_looked(folder: Path) -> None:
    inner = folder / "inner"
    inner.mkdir(exist_ok=True)
    (inner / "mine.csv").write_text("a\n1\n")
    with pytest.raises(InputError) as told:
        parse_reference("", inner)
    assert told.value.sentence() == f"data file '' does not exist (looked in {inner}); known: mine.csv"


@pytest.mark.parametrize(
    "text", ["api:~nobody-here/x.toml", "html:~nobody-here/x.html", "sql:sqlite:///~nobody-here/x.db?query=SELECT 1"]
)
def test_a_home_that_there_is_not_is_a_folder_of_that_name(text: str, folder: Path) -> None:
    assert f"{folder}/~nobody-here/x" in str(parse_reference(text, folder).location)

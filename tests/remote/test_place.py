"""An object store is used in the errors of ours: what may pass is tried again, what cannot is one sentence."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from search.errors import InputError, SurroundingsError
from search.remote.place import Place, is_url
from tests.remote import s3


@pytest.fixture(params=["s3", "memory", "file"])
def any_place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "s3":
        found: Place = request.getfixturevalue("place")
        return found
    return Place.at(f"memory://{tmp_path.name}" if request.param == "memory" else f"file://{tmp_path}/place")


def test_every_store_keeps_the_same_rules(any_place: Place) -> None:
    place = any_place
    assert place.read("s/a") is None
    assert place.names() == []
    place.write("s/a", b"one")
    place.write("s/a", b"two")
    assert place.create("s/b", b"three")
    assert place.create("s/b", b"three"), "a try whose answer was lost is no other's"
    assert not place.create("s/b", b"four")
    assert [place.read("s/a"), place.read("s/b")] == [b"two", b"three"]
    assert (place.names(), place.names("s"), place.names("t")) == (["s"], ["a", "b"], [])
    place.remove(["s/a", "s/never"])
    assert place.names("s") == ["b"]


def test_a_busy_store_is_asked_again(place: Place, server: s3.Server) -> None:
    server.busy = 2
    place.write("s/a", b"one")
    server.busy = 2
    assert place.read("s/a") == b"one"


@pytest.mark.parametrize("fault", ["busy", "gone"])
def test_a_store_that_does_not_answer_is_one_sentence(place: Place, server: s3.Server, fault: str) -> None:
    server.busy, server.gone = (99, False) if fault == "busy" else (0, True)
    with pytest.raises(SurroundingsError, match=r"^s3://bucket/our sweeps cannot be used: ") as caught:
        place.write("s/a", b"one")
    assert len(caught.value.sentence()) <= 200
    assert "planted-secret" not in caught.value.sentence()
    server.busy, server.gone = 0, False
    place.write("s/a", b"one")


def test_a_bucket_that_is_not_there_is_said(server: s3.Server) -> None:
    with pytest.raises(SurroundingsError, match="no such bucket"):
        Place.at("s3://other/a").write("s/a", b"one")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("s3://", "takes a folder or a URL"),
        ("s3://bucket/a?key=b", "takes a folder or a URL"),
        ("s3://user:secret@bucket/a", "holds no credentials"),
        ("s4://bucket/a", "knows no s4://"),
    ],
)
def test_what_is_no_url_of_a_store_is_said(url: str, said: str) -> None:
    assert is_url(url)
    with pytest.raises(InputError, match=said) as caught:
        Place.at(url)
    assert "secret" not in caught.value.sentence()


@pytest.mark.parametrize("text", ["results", "/data/results", "a:b", "C:/x"])
def test_a_folder_is_no_url(text: str) -> None:
    assert not is_url(text)


def test_places_of_two_urls_have_two_marks() -> None:
    assert Place.at("memory://a").mark == Place.at("memory://a/").mark != Place.at("memory://b").mark
    assert os.sep not in Place.at("memory://a").mark

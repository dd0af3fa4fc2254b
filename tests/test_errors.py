from __future__ import annotations

import pickle

import pytest

from search.errors import (
    ExitCode,
    FailReason,
    InputError,
    RefusedError,
    SurroundingsError,
    SweepError,
    did_you_mean,
)

KINDS = [(InputError, 2), (SurroundingsError, 3), (RefusedError, 4)]


@pytest.mark.parametrize(("kind", "code"), KINDS)
def test_every_kind_of_trouble_has_its_exit_code(kind: type[SweepError], code: int) -> None:
    assert kind("x").code == code
    assert isinstance(kind.code, ExitCode)


@pytest.mark.parametrize(("kind", "_code"), KINDS)
def test_an_error_travels_between_processes_whole(kind: type[SweepError], _code: int) -> None:
    error = kind("what came", field="trials", hint="try 3")
    copied = pickle.loads(pickle.dumps(error))
    assert type(copied) is kind
    assert (copied.message, copied.field, copied.hint) == ("what came", "trials", "try 3")
    assert copied.sentence() == error.sentence()


def test_an_error_is_one_sentence_with_its_hint() -> None:
    assert InputError("no such file").sentence() == "no such file"
    assert InputError("no such file", hint="try another").sentence() == "no such file; try another"
    assert str(InputError("no such file", hint="try another")) == "no such file"


def test_only_a_lost_worker_is_not_the_trials_own_fault() -> None:
    assert [reason for reason in FailReason if not reason.is_the_trials_own] == [FailReason.WORKER_LOST]


@pytest.mark.parametrize(
    ("got", "known", "answer"),
    [
        ("tpee", ["tpe", "random"], "did you mean 'tpe'?"),
        ("zzz", ["tpe", "random"], "known: random, tpe"),
        ("zzz", [], "none is known"),
        ("", ["tpe"], "known: tpe"),
    ],
)
def test_an_unknown_name_gets_the_nearest_known_one_or_all(got: str, known: list[str], answer: str) -> None:
    assert did_you_mean(got, known) == answer

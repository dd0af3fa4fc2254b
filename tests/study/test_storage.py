"""Rules that hold for every storage: a journal, SQLite and PostgreSQL."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path

import optuna
import psycopg
import pytest
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.testing.pytest_storages import StorageTestCase
from optuna.trial import TrialState

from search.errors import InputError, RefusedError, SurroundingsError, SweepError
from search.study.draft import draft
from search.study.lock import FILE_NAME
from search.study.storage import StudyStorage, check_url, open_for_reading, open_for_writing, trials_in
from tests import postgres
from tests.study.studies import add_trials, conditional_space, content, open_study

Place = Path | str


@pytest.fixture(params=["journal", "sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Return the location of a storage that does not exist yet."""
    if request.param == "journal":
        return tmp_path / "Größe 100%" / "study.journal"
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/study.db"
    new_database: Callable[[], str] = request.getfixturevalue("new_database")
    return new_database()


def opened(place: Place, tmp_path: Path) -> StudyStorage:
    return open_for_writing(place, study="a", folder=tmp_path / "Größe 100%")


def test_what_was_told_is_there_after_opening_again(place: Place, tmp_path: Path) -> None:
    storage = opened(place, tmp_path)
    add_trials(open_study(storage.optuna), 5)
    before = content(storage.optuna)
    storage.close()
    again = opened(place, tmp_path)
    assert content(again.optuna) == before
    assert [trial[0] for trial in before] == [0, 1, 2, 3, 4]
    assert again.notes == ()
    again.close()


def test_a_draft_is_stored_whole(place: Place, tmp_path: Path) -> None:
    storage = opened(place, tmp_path)
    study = open_study(storage.optuna)
    template = draft(study, study.sampler, conditional_space, fixed={"train.lr": 0.01}, attributes={"request": "r1"})
    trial_id = storage.optuna.create_new_trial(study._study_id, template_trial=template)
    stored = open_for_reading(place).get_trial(trial_id)
    assert stored.state is TrialState.RUNNING
    assert stored.number == template.number == 0
    assert stored.params == template.params
    assert stored.params["train.lr"] == 0.01
    assert stored.distributions == template.distributions
    assert stored.system_attrs == {"request": "r1", "fixed_params": {"train.lr": 0.01}}
    storage.close()


def test_a_reader_sees_what_the_writer_has_written_so_far(place: Place, tmp_path: Path) -> None:
    storage = opened(place, tmp_path)
    study = open_study(storage.optuna)
    add_trials(study, 1)
    reader = open_for_reading(place)
    assert len(content(reader)) == 1
    add_trials(study, 2)
    assert content(reader) == content(storage.optuna)
    storage.close()


def test_a_reader_cannot_write(place: Place, tmp_path: Path) -> None:
    storage = opened(place, tmp_path)
    study = open_study(storage.optuna)
    add_trials(study, 1)
    reader = open_for_reading(place)
    with pytest.raises(SweepError):
        reader.set_study_user_attr(study._study_id, "x", 1)
    assert storage.optuna.get_study_user_attrs(study._study_id) == {}
    storage.close()


def test_a_second_writer_is_refused_and_the_first_goes_on(place: Place, tmp_path: Path) -> None:
    storage = opened(place, tmp_path)
    with pytest.raises(RefusedError, match=r"study 'a' is being run by pid \d+ on .* since \d\d:\d\d"):
        opened(place, tmp_path)
    add_trials(open_study(storage.optuna), 1)
    storage.close()
    opened(place, tmp_path).close()


def test_closing_twice_is_harmless_and_leaves_no_lock(place: Place, tmp_path: Path) -> None:
    storage = opened(place, tmp_path)
    storage.close()
    storage.close()
    assert not list(tmp_path.rglob(FILE_NAME))


@pytest.mark.parametrize("value", [0.0, -1e308, 5e-324, math.inf, -math.inf, math.nan, 1 / 3])
def test_a_report_keeps_its_value(place: Place, tmp_path: Path, value: float) -> None:
    storage = opened(place, tmp_path)
    study = open_study(storage.optuna)
    trial_id = storage.optuna.create_new_trial(study._study_id)
    storage.optuna.set_trial_intermediate_value(trial_id, 27, value)
    stored = open_for_reading(place).get_trial(trial_id).intermediate_values[27]
    assert stored == value or (math.isnan(stored) and math.isnan(value))
    storage.close()


def test_a_batch_is_seen_at_once_and_stored_at_its_end(place: Place, tmp_path: Path) -> None:
    storage = opened(place, tmp_path)
    study = open_study(storage.optuna)
    trial_id = storage.optuna.create_new_trial(study._study_id)
    with storage.batch():
        storage.optuna.set_trial_intermediate_value(trial_id, 1, 0.5)
        storage.optuna.set_trial_system_attr(trial_id, "metrics", {"val_loss": 0.5})
        assert storage.optuna.get_trial(trial_id).intermediate_values == {1: 0.5}
    storage.sync()
    assert content(open_for_reading(place)) == content(storage.optuna)
    storage.close()


def test_what_was_written_before_an_exception_in_a_batch_is_stored(place: Place, tmp_path: Path) -> None:
    storage = opened(place, tmp_path)
    study = open_study(storage.optuna)
    trial_id = storage.optuna.create_new_trial(study._study_id)

    def fail_half_way() -> None:
        with storage.batch():
            storage.optuna.set_trial_intermediate_value(trial_id, 1, 0.5)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_half_way()
    assert content(open_for_reading(place)) == content(storage.optuna)
    storage.close()


def test_an_ended_trial_stays_as_it_is(place: Place, tmp_path: Path) -> None:
    storage = opened(place, tmp_path)
    add_trials(open_study(storage.optuna), 1)
    before = content(storage.optuna)
    trial_id = storage.optuna.get_trial_id_from_study_id_trial_number(storage.optuna.get_study_id_from_name("a"), 0)
    with pytest.raises(optuna.exceptions.UpdateFinishedTrialError):
        storage.optuna.set_trial_intermediate_value(trial_id, 3, 0.5)
    storage.close()
    assert content(open_for_reading(place)) == before


def test_reading_a_storage_that_is_missing_is_refused_and_makes_nothing(place: Place, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError):
        open_for_reading(place)
    assert sorted(tmp_path.rglob("*")) == before


class TestOptunaRulesOnOurJournal(StorageTestCase):
    """Optuna's own suite of rules for storages."""

    @pytest.fixture
    def storage(self, tmp_path: Path) -> Iterator[BaseStorage]:
        opened = open_for_writing(tmp_path / "study.journal", study="a")
        yield opened.optuna
        opened.close()

    def test_pickle_storage(self, storage: BaseStorage) -> None:
        """The one rule that we break: a copy in another process would be a second writer."""
        with pytest.raises(TypeError, match="one writer"):
            pickle.dumps(storage)


def test_plain_optuna_reads_our_journal(tmp_path: Path) -> None:
    journal = tmp_path / "study.journal"
    storage = open_for_writing(journal, study="a")
    add_trials(open_study(storage.optuna), 5)
    plain = JournalStorage(JournalFileBackend(str(journal)))
    assert content(plain) == content(storage.optuna)
    storage.close()


def test_records_of_plain_optuna_are_adopted_at_the_next_opening(tmp_path: Path) -> None:
    journal = tmp_path / "study.journal"
    storage = open_for_writing(journal, study="a")
    add_trials(open_study(storage.optuna), 2)
    storage.close()
    plain = JournalStorage(JournalFileBackend(str(journal)))
    add_trials(open_study(plain), 2)
    again = open_for_writing(journal, study="a")
    add_trials(open_study(again.optuna), 2)
    assert [trial[0] for trial in content(again.optuna)] == [0, 1, 2, 3, 4, 5]
    again.close()
    assert content(JournalStorage(JournalFileBackend(str(journal)))) == content(open_for_reading(journal))


def test_a_dashboard_may_add_an_attribute_while_we_write(tmp_path: Path) -> None:
    journal = tmp_path / "study.journal"
    storage = open_for_writing(journal, study="a")
    study = open_study(storage.optuna)
    add_trials(study, 1)
    plain = JournalStorage(JournalFileBackend(str(journal)))
    plain.set_study_user_attr(study._study_id, "note", "from the dashboard")
    add_trials(study, 1)
    plain.set_study_user_attr(study._study_id, "note", "twice")
    with storage.batch():
        add_trials(study, 1)
    assert storage.optuna.get_study_user_attrs(study._study_id) == {"note": "twice"}
    assert content(plain) == content(storage.optuna)
    storage.close()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("oracle://db", "storage must be journal, sqlite: or postgresql:, got 'oracle:'"),
        ("mysql+pymysql://u:s3cret@h/d", "storage must be journal, sqlite: or postgresql:, got 'mysql+pymysql:'"),
        ("postgresql+psycopg2://h/d", "storage must be journal, sqlite: or postgresql:, got 'postgresql+psycopg2:'"),
        ("results/study.db", "storage must be journal, sqlite: or postgresql:, got 'results/study.db'"),
        ("", "storage must be journal, sqlite: or postgresql:, got ''"),
        ("sqlite://", "sqlite needs a file, got 'sqlite://'"),
        ("sqlite:///:memory:", "sqlite needs a file, got 'sqlite:///:memory:'"),
        ("sqlite://host/file", "sqlite needs a file, got 'sqlite://host/file'"),
        ("postgresql://h:port/d", "storage 'postgresql://h:port/d' is no URL"),
        ("postgresql:h", "storage 'postgresql:h' is no URL"),
    ],
)
def test_other_storages_are_refused_in_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        check_url(text)
    assert caught.value.message == sentence
    assert "s3cret" not in caught.value.sentence()


def test_urls_get_their_driver_and_an_absolute_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert check_url("journal") is None
    assert check_url("sqlite:///study.db") == f"sqlite:///{tmp_path}/study.db"
    assert check_url(f"sqlite:///{tmp_path}/study.db") == f"sqlite:///{tmp_path}/study.db"
    assert check_url("postgresql://u@h:1/d") == "postgresql+psycopg://u@h:1/d"
    assert check_url("postgresql+psycopg://h/d?sslmode=require") == "postgresql+psycopg://h/d?sslmode=require"


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://ann:s3cret@db/x",
        "postgresql://ann:s3c#ret%40@db/x",
        "postgresql://ann:s3c/ret@db/x",
        "postgresql+psycopg://ann:s3cret?x=@db/x",
        "postgresql://ann@db/x?password=s3cret",
        "postgresql://ann@db/x?sslmode=require&sslpassword=s3cret",
    ],
)
def test_a_chosen_url_with_a_password_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(InputError) as caught:
        check_url(text)
    assert caught.value.sentence() == (
        "storage 'postgresql://db/x' came with a password, and secrets never come by flag or file; "
        "leave it out and use ~/.pgpass or PGPASSWORD"
    )


def test_a_password_of_the_environment_opens_postgresql(
    new_database: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = check_url(new_database().replace(f":{postgres.PASSWORD}", ""))
    assert url is not None
    monkeypatch.setenv("PGPASSWORD", postgres.PASSWORD)
    assert trials_in(url, "a") is None
    storage = open_for_writing(url, study="a", folder=tmp_path)
    add_trials(open_study(storage.optuna), 2)
    assert trials_in(url, "a") == 2
    storage.close()


def test_a_study_is_looked_for_without_making_a_database(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    assert trials_in(url, "a") is None
    assert not [*tmp_path.iterdir()]
    storage = open_for_writing(url, study="a", folder=tmp_path)
    add_trials(open_study(storage.optuna), 3)
    storage.close()
    assert (trials_in(url, "a"), trials_in(url, "b")) == (3, None)


def refused_url(new_database: Callable[[], str], change: str) -> str:
    url = new_database()
    return {
        "password": url.replace(postgres.PASSWORD, "wr0ng-canary"),
        "database": url + "_absent",
        "port": f"postgresql://sweep:{postgres.PASSWORD}@127.0.0.1:1/postgres",
    }[change]


@pytest.mark.parametrize("change", ["password", "database", "port"])
@pytest.mark.parametrize("reading", [True, False])
def test_a_database_that_does_not_let_us_in_is_one_sentence_without_the_password(
    new_database: Callable[[], str], change: str, reading: bool, tmp_path: Path
) -> None:
    url = refused_url(new_database, change)
    with pytest.raises(SurroundingsError) as caught:
        open_for_reading(url) if reading else open_for_writing(url, study="a", folder=tmp_path)
    sentence = caught.value.sentence()
    assert "canary" not in sentence
    assert "\n" not in sentence
    assert sentence.startswith("postgresql://127.0.0.1:")
    assert not (tmp_path / FILE_NAME).exists()


def test_a_database_that_goes_away_is_one_sentence(
    new_database: Callable[[], str], postgres_url: str, tmp_path: Path
) -> None:
    url = new_database()
    storage = open_for_writing(url, study="a", folder=tmp_path)
    study = open_study(storage.optuna)
    add_trials(study, 1)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)".encode())
    with pytest.raises(SurroundingsError, match=r"^postgresql://127\.0\.0\.1:\d+/study\d+ cannot be used: "):
        add_trials(study, 1)
    storage.close()


def test_a_file_that_is_no_database_is_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "study.db"
    file.write_bytes(b"not a database, and long enough to be looked at " * 30)
    url = f"sqlite:///{file}"
    for attempt in (open_for_reading, lambda place: open_for_writing(place, study="a", folder=tmp_path)):
        with pytest.raises(SurroundingsError, match="file is not a database"):
            attempt(url)


def test_sqlite_syncs_lazily_and_does_not_block_readers(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    storage = open_for_writing(url, study="a", folder=tmp_path)
    engine = storage.optuna._backend.engine  # type: ignore[attr-defined]
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 1  # NORMAL
    storage.close()

"""The schema versions of a collection, kept beside its data: rows in the log say which one they are in the order of."""

from __future__ import annotations

import json
from pathlib import Path

from search.data.collect.place import CollectionFolder
from search.data.collect.schema import Schema, check_widened
from search.errors import InputError, SurroundingsError
from search.paths import write_atomic


def load_versions(folder: CollectionFolder) -> tuple[Schema, ...]:
    """Return the schema versions of a collection, the first first; empty where there is no collection.

    Raises:
        SurroundingsError: They cannot be read.
    """
    path: Path = folder.schema
    try:
        return tuple(Schema.from_json(one) for one in json.loads(path.read_bytes())["versions"])
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise SurroundingsError(f"{path} cannot be read: {str(error)[:80]}", field="results") from error


def settle(folder: CollectionFolder, given: Schema | None) -> tuple[Schema, ...]:
    """Return the versions of a collection, with the schema given now as the last, stored if it is new.

    Raises:
        InputError: None is given, and none is there.
        RefusedError: The one given would not take every row that is there.
        SurroundingsError: They cannot be read.
    """
    versions = load_versions(folder)
    if given is None:
        if not versions:
            hint = f"`sweep collect {folder.name} --schema FILE` makes it"
            raise InputError(f"there is no collection {folder.name!r} yet", field="--schema", hint=hint)
        return versions
    if versions:
        check_widened(versions[-1], given, folder.name)
        if versions[-1] == given:
            return versions
    versions = (*versions, given)
    told = {"format": 1, "versions": [one.to_json() for one in versions]}
    write_atomic(folder.schema, json.dumps(told, ensure_ascii=False, indent=1) + "\n")
    return versions

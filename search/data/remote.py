"""Files by the other URLs that fsspec knows (s3://, gs://, memory://, ...), fetched with the credentials it finds."""

from __future__ import annotations

from pathlib import Path
from typing import IO, Any, Final

from search.data.fetch import Fetched, Say
from search.data.reference import Reference
from search.data.secrets import expand, hide
from search.data.web import keep
from search.data.web.download import Progress, finish
from search.errors import InputError, SurroundingsError, SweepError
from search.paths import DataFolder

_DRIVERS: Final = {"s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs", "sftp": "paramiko"}
_PIECE: Final = 1 << 20


def fetch(reference: Reference, folder: Path, place: DataFolder, *, refresh: bool, say: Say) -> Fetched:
    """Fetch the file at a URL; its option `sha256` is what it must have."""
    wanted = keep.wanted_digest(reference)
    state = keep.read_state(place)
    current = str(state.get("sha256") or "")
    digest = wanted or ("" if refresh else current)
    if digest and keep.find_whole(place, digest) is not None:
        return finish(reference, place, digest)
    keep.prepare(place)
    _copy(reference, place.partial, say)
    digest = keep.digest_of(place.partial)
    if wanted not in (None, digest):
        place.partial.unlink()
        raise SurroundingsError(
            f"{reference.name} has the sha256 {digest}, and sha256={wanted} was asked for", field="data"
        )
    keep.keep(place, place.partial, digest, keep.suffix_of(reference.name))
    keep.write_state(place, {"source": str(reference.location), "sha256": digest})
    changed = current not in ("", digest)
    return finish(
        reference, place, digest, (f"{reference.name} has changed since it was last fetched",) if changed else ()
    )


def _copy(reference: Reference, path: Path, say: Say) -> None:
    """Copy the file to `path`."""
    import fsspec

    address = str(reference.location)
    try:
        system, where = fsspec.core.url_to_fs(expand(address, quoted=True))
        if system.isdir(where):
            raise InputError(f"{reference.name} is a folder; name a file in it", field="data")
        with system.open(where, "rb") as source, path.open("wb") as file:
            _pour(source, file, Progress(reference.name, say), system.info(where).get("size"))
    except SweepError:
        raise
    except ImportError as error:
        driver = _DRIVERS.get(reference.kind, f"fsspec's driver for {reference.kind}")
        raise SurroundingsError(
            f"{reference.kind}:// needs {driver}, which is not installed", field="data", hint=f"pip install {driver}"
        ) from error
    except FileNotFoundError as error:
        raise SurroundingsError(f"{reference.name} does not exist there", field="data") from error
    except Exception as error:  # each driver has its own errors, of its own libraries
        said = hide(" ".join(f"{type(error).__name__}: {error}".split()), address)[:100]
        raise SurroundingsError(
            f"{reference.name} cannot be fetched by {reference.kind}://: {said}", field="data"
        ) from None  # its own text may hold what is secret


def _pour(source: Any, file: IO[bytes], progress: Progress, total: int | None) -> None:
    have = 0
    while piece := source.read(_PIECE):
        file.write(piece)
        have += len(piece)
        progress(have, total)

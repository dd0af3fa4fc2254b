"""Certificates for the connections of a cluster: an authority of its own signs one that all its machines share.

Ray uses the same files as a server and as a client, and asks each side for one; so who has none gets no answer at all.
"""

from __future__ import annotations

import ipaddress
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from search.errors import InputError, SurroundingsError

NAMES: Final = ("node.crt", "node.key", "ca.crt")

DAYS: Final = 365

_OPENSSL_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Files:
    """Where certificates come from.

    Attributes:
        folder: That holds `node.crt`, `node.key` and `ca.crt`; None to make them.
        hosts: Machines that a new certificate is for, by name or address, beside this one.
    """

    folder: Path | None = None
    hosts: tuple[str, ...] = ()

    def settle(self, own: Path, host: str, *, kept: bool = False) -> Path:
        """Return the folder that Ray is to read: the given one, else `own`, in which they are made.

        Args:
            own: Is made; whatever was in it goes.
            host: This machine's address in the cluster.
            kept: Whether `own` stays as it is if it has certificates for all of these machines.

        Raises:
            InputError: A file is missing, or others can read the key.
            SurroundingsError: The program `openssl` is missing, or fails.
        """
        if self.folder is not None:
            return _checked(self.folder.absolute())
        if shutil.which("openssl") is None:
            raise SurroundingsError(
                "--tls needs the program openssl", field="--tls", hint="install it, or give files by --tls-folder"
            )
        hosts = (host, *self.hosts)
        if kept and is_for(own, hosts):
            return own
        shutil.rmtree(own, ignore_errors=True)
        own.mkdir(mode=0o700, parents=True)
        make_certificates(own, hosts)
        return own


def make_certificates(folder: Path, hosts: Sequence[str]) -> None:
    """Make an authority, and a certificate for these hosts and for loopback, which it signs; its key is not kept.

    Raises:
        SurroundingsError: The program `openssl` fails.
    """
    names = ",".join(_alternative(host) for host in dict.fromkeys((*hosts, "127.0.0.1", "localhost")))
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc")
    with tempfile.TemporaryDirectory(prefix="sweep-ca-") as scratch:
        key, request, extensions = (Path(scratch) / name for name in ("ca.key", "node.csr", "node.ext"))
        extensions.write_text(
            f"subjectAltName={names}\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth,clientAuth\n"
        )
        certificate, own = folder / "node.crt", folder / "node.key"
        _openssl(
            "req",
            "-x509",
            *curve,
            "-keyout",
            key,
            "-out",
            folder / "ca.crt",
            "-days",
            DAYS,
            "-subj",
            "/CN=sweep cluster",
        )
        _openssl("req", *curve, "-keyout", own, "-out", request, "-subj", "/CN=sweep node")
        serial = str(secrets.randbits(127))
        signer = ("-CA", folder / "ca.crt", "-CAkey", key, "-set_serial", serial, "-days", DAYS)
        _openssl("x509", "-req", "-in", request, *signer, "-extfile", extensions, "-out", certificate)
    for name in NAMES:
        (folder / name).chmod(0o600)


def is_for(folder: Path, hosts: Sequence[str]) -> bool:
    """Tell whether a folder has a certificate that is valid now and names all of these hosts."""
    if not all((folder / name).is_file() for name in NAMES):
        return False
    shown = ["openssl", "x509", "-in", str(folder / "node.crt"), "-noout", "-checkend", "0", "-ext", "subjectAltName"]
    ended = subprocess.run(shown, capture_output=True, text=True, timeout=_OPENSSL_S, check=False)
    named = {name.strip().replace("IP Address:", "IP:") for name in ended.stdout.replace("\n", ",").split(",")}
    return ended.returncode == 0 and {_alternative(host) for host in hosts} <= named


def _checked(folder: Path) -> Path:
    for name in NAMES:
        if not os.access(folder / name, os.R_OK):
            raise InputError(
                f"--tls-folder holds {', '.join(NAMES)}; {folder / name} cannot be read", field="--tls-folder"
            )
    if (folder / "node.key").stat().st_mode & 0o077:
        key = folder / "node.key"
        raise InputError(f"others can read {key}", field="--tls-folder", hint=f"chmod 600 {key}")
    return folder


def _alternative(host: str) -> str:
    try:
        return f"IP:{ipaddress.ip_address(host)}"
    except ValueError:
        if not host.replace("-", "").replace(".", "").isalnum():
            raise InputError(f"--tls-for takes names or addresses, got {host!r}", field="--tls-for") from None
        return f"DNS:{host}"


def _openssl(*arguments: object) -> None:
    ended = subprocess.run(
        ["openssl", *map(str, arguments)], capture_output=True, text=True, timeout=_OPENSSL_S, check=False, umask=0o077
    )
    if ended.returncode:
        said = (ended.stderr.strip().splitlines() or ["it says nothing"])[-1][-120:]
        raise SurroundingsError(f"openssl makes no certificate: {said}", field="--tls")

"""Identities made for one test: certificates, nkeys, and a server in operator mode with its JWTs."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import nkeys
import pytest

from ticklake.testing.nats_config import TlsFiles

_UNLIMITED = ["subs", "data", "payload", "imports", "exports", "conn", "leaf"]
_UNLIMITED += ["mem_storage", "disk_storage", "streams", "consumer"]  # of JetStream; the system account has none


def openssl() -> str:
    """The program; skips without it, except where CI must have it."""
    found = shutil.which("openssl")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("openssl is missing in CI")
        pytest.skip("openssl is not installed")
    return found


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority and what it signed for 127.0.0.1."""

    ca: Path
    tls: TlsFiles
    client_certificate: Path
    client_key: Path


def make_authority(folder: Path, name: str = "ca", *, host: str = "IP:127.0.0.1") -> Authority:
    """A new authority with one server and one client certificate."""
    folder.mkdir(parents=True, exist_ok=True)

    def run(*arguments: str) -> None:
        subprocess.run([openssl(), *arguments], check=True, capture_output=True, cwd=folder, timeout=120)

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    run(
        *["req", "-x509", *key, "-keyout", f"{name}.key", "-out", f"{name}.pem", "-days", "2", "-subj", f"/CN={name}"],
        *["-addext", "keyUsage=critical,keyCertSign,cRLSign"],
    )
    for who, use in (("server", "serverAuth"), ("client", "clientAuth")):
        run("req", *key, "-keyout", f"{who}.key", "-out", f"{who}.csr", "-subj", f"/CN={who}")
        (folder / "extensions").write_text(f"subjectAltName={host}\nextendedKeyUsage={use}\n")
        signed_by = ["-CA", f"{name}.pem", "-CAkey", f"{name}.key", "-CAcreateserial", "-extfile", "extensions"]
        run("x509", "-req", "-in", f"{who}.csr", "-out", f"{who}.pem", "-days", "2", *signed_by)
        (folder / f"{who}.key").chmod(0o600)
    tls = TlsFiles(folder / "server.pem", folder / "server.key")
    return Authority(folder / f"{name}.pem", tls, folder / "client.pem", folder / "client.key")


def new_key(prefix: int) -> nkeys.KeyPair:
    """A fresh nkey of that kind."""
    return nkeys.from_seed(nkeys.encode_seed(os.urandom(32), prefix))


def public(key: nkeys.KeyPair) -> str:
    return bytes(key.public_key).decode()


def secret_file(path: Path, content: str) -> Path:
    path.write_text(content)
    path.chmod(0o600)
    return path


def nkey_file(path: Path) -> tuple[Path, str]:
    """A file with a user's seed, and the public key."""
    key = new_key(nkeys.PREFIX_BYTE_USER)
    return secret_file(path, bytes(key.seed).decode() + "\n"), public(key)


def operator_mode(path: Path) -> tuple[Path, str]:
    """A credentials file, and the server configuration that accepts it."""
    operator, user = new_key(nkeys.PREFIX_BYTE_OPERATOR), new_key(nkeys.PREFIX_BYTE_USER)
    account, system = new_key(nkeys.PREFIX_BYTE_ACCOUNT), new_key(nkeys.PREFIX_BYTE_ACCOUNT)
    limits = dict.fromkeys(_UNLIMITED, -1) | {"wildcards": True}
    operator_jwt = _jwt(operator, operator, "operator")
    account_jwt = _jwt(operator, account, "account", limits=limits)
    system_jwt = _jwt(operator, system, "account", limits=dict.fromkeys(_UNLIMITED[:7], -1))
    user_jwt = _jwt(account, user, "user", subs=-1, data=-1, payload=-1)
    creds = (
        f"-----BEGIN NATS USER JWT-----\n{user_jwt}\n------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{bytes(user.seed).decode()}\n------END USER NKEY SEED------\n"
    )
    accounts = f"{public(account)}: {account_jwt}, {public(system)}: {system_jwt}"
    config = (
        f"operator: {operator_jwt}\nsystem_account: {public(system)}\n"
        f"resolver: MEMORY\nresolver_preload: {{ {accounts} }}\n"
    )
    return secret_file(path, creds), config


def _jwt(issuer: nkeys.KeyPair, subject: nkeys.KeyPair, kind: str, **claims: object) -> str:
    body = {
        "jti": base64.b32encode(os.urandom(30)).decode(),
        "iat": 1_700_000_000,
        "iss": public(issuer),
        "sub": public(subject),
        "name": kind,
        "nats": {**claims, "type": kind, "version": 2},
    }
    parts = [_base64(json.dumps(part).encode()) for part in ({"typ": "JWT", "alg": "ed25519-nkey"}, body)]
    signed = ".".join(parts)
    return f"{signed}.{_base64(issuer.sign(signed.encode()))}"


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")

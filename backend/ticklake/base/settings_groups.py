"""The settings of each room, as frozen groups: what may be turned, in which unit, and why the default is what it is."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ByteSize,
    ConfigDict,
    Field,
    InstanceOf,
    SecretStr,
    field_validator,
    model_validator,
)

KIB = 1024
MIB = 1024 * KIB

NatsMode = Literal["jetstream", "core"]


def _full_path(path: Path) -> Path:
    return path.expanduser().absolute()


FullPath = Annotated[Path, AfterValidator(_full_path)]
"""A path made absolute when read: a later change of the working folder must not move the lake."""


def _bucket_address(value: object) -> object:
    if not isinstance(value, str):
        return value
    if not value.strip():  # `--data "$UNSET"` must not mean the working folder
        raise ValueError("a local folder, or s3://bucket/prefix")
    if "://" not in value:
        return value
    address = urlsplit(value)
    if address.scheme != "s3" or not address.netloc or address.query or address.fragment:
        raise ValueError("a local folder, or s3://bucket/prefix")
    if "@" in address.netloc:
        raise ValueError("no user and password in the address; use s3.access_key and s3.secret_key")
    if {"", ".", ".."} & set(address.path.strip("/").split("/")) and address.path.strip("/"):
        raise ValueError("s3://bucket/prefix without empty parts, `.` and `..`")
    return S3Url(f"s3://{address.netloc}/{address.path.strip('/')}".rstrip("/"))


class S3Url(str):
    """The address of a lake in a bucket: `s3://bucket/prefix`, no slash at the end."""

    __slots__ = ()


LakeRoot = Annotated[FullPath | InstanceOf[S3Url], BeforeValidator(_bucket_address)]
"""Where the lake lies: a local folder, or an address in a bucket."""


class Group(BaseModel):
    """A part of the settings. Frozen; a key it does not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)


class NatsSettings(Group):
    """Where the messages come from, and who we are there."""

    url: str = Field(
        default="nats://127.0.0.1:4222", description="server address; several servers of one cluster by comma"
    )
    creds_file: FullPath | None = Field(default=None, description="credentials file (JWT and seed), mode 0600")
    nkey_file: FullPath | None = Field(default=None, description="file with an nkey seed, mode 0600")
    user: str | None = Field(default=None, description="user name")
    password: SecretStr | None = Field(default=None, description="password of the user")
    password_file: FullPath | None = Field(default=None, description="file that holds the password")
    tls_ca: FullPath | None = Field(default=None, description="certificate authorities to trust, PEM")
    tls_cert: FullPath | None = Field(default=None, description="our certificate, PEM")
    tls_key: FullPath | None = Field(default=None, description="key of our certificate, PEM, mode 0600")
    tls_first: bool = Field(default=False, description="start TLS before the server speaks")
    mode: NatsMode = Field(default="jetstream", description="jetstream (acked, exactly once) or core (what arrives)")
    create_streams: bool = Field(
        default=False, description="create missing streams at start; existing ones stay as they are"
    )
    fast_lane: bool = Field(default=True, description="read pull batches below the client's message objects")

    @field_validator("url")
    @classmethod
    def _is_address_list(cls, text: str) -> str:
        for part in text.split(","):
            address = urlsplit(part.strip())
            if address.scheme not in ("nats", "tls") or not address.hostname:
                raise ValueError("nats://host:port, or tls://host:port; several by comma")
        return text

    @model_validator(mode="after")
    def _is_one_identity(self) -> Self:
        identities = [
            name
            for name, value in (("creds_file", self.creds_file), ("nkey_file", self.nkey_file), ("user", self.user))
            if value is not None
        ]
        if len(identities) > 1:
            raise ValueError(f"one of creds_file, nkey_file and user, not {' and '.join(identities)}")
        if self.password is not None and self.user is None:
            raise ValueError("a user beside the password")
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("tls_cert and tls_key together")
        return self


_FLUSH_ROWS = "a flush is due after so many messages; one with a batch of rows counts once"


class FlushSettings(Group):
    """When a micro-batch becomes files. Every table may override it."""

    flush_rows: int = Field(ge=1, description=_FLUSH_ROWS, json_schema_extra={"unit": "messages"})
    flush_seconds: float = Field(gt=0, description="... or after so long", json_schema_extra={"unit": "s"})
    flush_interval_min_s: float = Field(
        default=1.0,
        ge=0,
        description="least time between two flushes, so that batches grow under load instead of files multiplying",
        json_schema_extra={"unit": "s"},
    )


class BronzeSettings(FlushSettings):
    """Micro-batches of raw market events."""

    flush_rows: int = Field(default=1000, ge=1, description=_FLUSH_ROWS, json_schema_extra={"unit": "messages"})
    flush_seconds: float = Field(default=5.0, gt=0, description="... or after so long", json_schema_extra={"unit": "s"})


class GoldSettings(FlushSettings):
    """Micro-batches of signals."""

    flush_rows: int = Field(default=500, ge=1, description=_FLUSH_ROWS, json_schema_extra={"unit": "messages"})
    flush_seconds: float = Field(
        default=10.0, gt=0, description="... or after so long", json_schema_extra={"unit": "s"}
    )


class WalSettings(Group):
    """How the log is synced and cut."""

    sync_interval_ms: float = Field(
        default=2.0,
        ge=0,
        le=1000,
        description="messages that arrive within this time share one fdatasync; 0 syncs each group at once",
        json_schema_extra={"unit": "ms"},
    )
    segment_bytes_max: ByteSize = Field(
        default=ByteSize(32 * MIB),
        ge=64 * KIB,
        le=1024 * MIB,
        description="a segment is closed at this size even when no flush is due",
        json_schema_extra={"unit": "bytes"},
    )


class HttpSettings(Group):
    """The read-only pages about the service."""

    host: str = Field(default="127.0.0.1", description="address to listen on")
    port: int = Field(default=8088, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    allow_remote: bool = Field(
        default=False, description="needed for an address other machines can reach: there is no login"
    )

    @model_validator(mode="after")
    def _is_local_unless_allowed(self) -> Self:
        if not self.allow_remote and not is_loopback(self.host):
            raise ValueError(f"allow_remote = true beside host {self.host!r}, or a loopback host such as 127.0.0.1")
        return self


class HealthSettings(Group):
    """Where normal ends: beyond these `/readyz` says so. What is normal differs from market to market."""

    stall_s: float = Field(
        default=30.0,
        gt=0,
        description="messages wait at the server, yet none came for so long",
        json_schema_extra={"unit": "s"},
    )
    pending_max: int = Field(
        default=1_000_000,
        ge=1,
        description="so many messages may wait at the server",
        json_schema_extra={"unit": "messages"},
    )
    unflushed_max_s: float = Field(
        default=120.0,
        gt=0,
        description="a message may be in the log without being in a file for so long",
        json_schema_extra={"unit": "s"},
    )
    sync_slow_s: float = Field(
        default=0.5,  # a good disk needs a millisecond, a bad one fifty
        gt=0,
        description="an fdatasync of the log may take so long, in the middle of the last ones",
        json_schema_extra={"unit": "s"},
    )
    clock_skew_max_s: float = Field(
        default=2.0,
        gt=0,
        description="our clock may differ so much from that of the NATS server",
        json_schema_extra={"unit": "s"},
    )
    quarantine_share_max: float = Field(
        default=0.1, ge=0, le=1, description="this share of a table's rows of the last minute may go to quarantine"
    )
    quarantine_rows_min: int = Field(
        default=100,
        ge=1,
        description="fewer rejected rows in a minute are no flood",
        json_schema_extra={"unit": "rows"},
    )


class LimitSettings(Group):
    """Bounds on what one message may do to us."""

    payload_bytes_max: ByteSize = Field(
        default=ByteSize(8 * MIB),
        ge=KIB,
        le=64 * MIB,  # no server sends more
        description="a larger message goes to quarantine unread; the server's own default limit is 1 MiB",
        json_schema_extra={"unit": "bytes"},
    )
    future_max_s: float = Field(
        default=86_400.0,
        ge=0,
        description="an event time further ahead of our clock goes to quarantine",
        json_schema_extra={"unit": "s"},
    )
    partitions_max: int = Field(
        default=2000,
        ge=1,
        description="most partitions one micro-batch may touch; rows beyond go to quarantine",
        json_schema_extra={"unit": "partitions"},
    )


class DiskSettings(Group):
    """When to stop taking input because the disk fills."""

    min_free_bytes: ByteSize = Field(
        default=ByteSize(512 * MIB),
        ge=0,
        description="intake pauses below this much free space; what is logged is still written out",
        json_schema_extra={"unit": "bytes"},
    )


class S3Settings(Group):
    """How to reach the store when the lake lies in a bucket. What is unset comes from AWS_* or the machine's role."""

    endpoint: str | None = Field(default=None, description="http(s)://host:port of the store; unset: AWS itself")
    region: str | None = Field(default=None, description="region of the bucket")
    access_key: SecretStr | None = Field(default=None, description="access key")
    access_key_file: FullPath | None = Field(default=None, description="file that holds the access key")
    secret_key: SecretStr | None = Field(default=None, description="secret key")
    secret_key_file: FullPath | None = Field(default=None, description="file that holds the secret key")
    session_token: SecretStr | None = Field(default=None, description="token of temporary keys")
    virtual_hosted: bool = Field(default=False, description="the bucket is part of the host name")
    conditional_writes: bool = Field(
        default=True,
        description="false: the store has no If-None-Match, and nobody but this writer ever writes there",
    )
    timeout_s: float = Field(
        default=60.0,
        gt=0,
        description="longest time for one request, the bytes of a file included",
        json_schema_extra={"unit": "s"},
    )

    @field_validator("endpoint")
    @classmethod
    def _is_http_address(cls, text: str | None) -> str | None:
        if text is None:
            return None
        address = urlsplit(text)
        if address.scheme not in ("http", "https") or not address.hostname:
            raise ValueError("http://host:port (also https)")
        if address.username or address.password:
            raise ValueError("no user and password in the address; use access_key and secret_key")
        return text.rstrip("/")

    @model_validator(mode="after")
    def _is_whole_identity(self) -> Self:
        if (self.access_key is None) != (self.secret_key is None):
            raise ValueError("access_key and secret_key together")
        return self


class OtelSettings(Group):
    """Traces. Where they go and how many are kept is read from the standard `OTEL_*` environment."""

    enabled: bool = Field(
        default=False, description="send traces by OTLP/HTTP; needs ticklake[otel] and the OTEL_* environment"
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

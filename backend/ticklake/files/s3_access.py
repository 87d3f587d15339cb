"""How to reach an S3-compatible store: where it is and who we are there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ticklake.base.settings_groups import S3Settings

_known: dict[str, S3Access] = {}  # by bucket: what this process was told


@dataclass(frozen=True, slots=True)
class S3Access:
    """Address and identity. What is None comes from the environment (`AWS_*`) or the machine's own role.

    Attributes:
        endpoint: `http(s)://host:port`; None: AWS itself.
        region: of the bucket.
        timeout_s: longest time for one request, the bytes of a file included.
        conditional_writes: False: the store has none, and only one writer ever writes there.
    """

    endpoint: str | None = None
    region: str | None = None
    access_key: str | None = field(default=None, repr=False)
    secret_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    timeout_s: float = 60.0
    conditional_writes: bool = True
    virtual_hosted: bool = False

    @property
    def allow_http(self) -> bool:
        """Whether the endpoint speaks plain HTTP, which somebody chose by writing `http://`."""
        return (self.endpoint or "").startswith("http://")

    @property
    def obstore_options(self) -> dict[str, Any]:
        """The same as keyword arguments of `obstore.store.S3Store`."""
        options: dict[str, Any] = {
            "endpoint": self.endpoint,
            "region": self.region,
            "access_key_id": self.access_key,
            "secret_access_key": self.secret_key,
            "session_token": self.session_token,
        }
        chosen = {name: value for name, value in options.items() if value is not None}
        return {**chosen, "virtual_hosted_style_request": self.virtual_hosted}

    @property
    def polars_options(self) -> dict[str, str]:
        """The same as `storage_options` of Polars (and of deltalake)."""
        options = {
            "aws_endpoint_url": self.endpoint,
            "aws_region": self.region,
            "aws_access_key_id": self.access_key,
            "aws_secret_access_key": self.secret_key,
            "aws_session_token": self.session_token,
            "aws_allow_http": "true" if self.allow_http else None,
            "aws_virtual_hosted_style_request": "true" if self.virtual_hosted else None,
        }
        return {name: value for name, value in options.items() if value is not None}


def s3_access(settings: S3Settings) -> S3Access:
    """The settings as the store's client wants them."""
    return S3Access(
        endpoint=settings.endpoint,
        region=settings.region,
        access_key=settings.access_key.get_secret_value() if settings.access_key else None,
        secret_key=settings.secret_key.get_secret_value() if settings.secret_key else None,
        session_token=settings.session_token.get_secret_value() if settings.session_token else None,
        timeout_s=settings.timeout_s,
        conditional_writes=settings.conditional_writes,
        virtual_hosted=settings.virtual_hosted,
    )


def remember_access(bucket: str, access: S3Access) -> None:
    """Reach that bucket in this way from now on, wherever in this process its name comes up."""
    _known[bucket] = access


def known_access(bucket: str) -> S3Access:
    """What this process was told about the bucket, else what the settings say.

    Raises:
        ConfigError: the settings are needed and wrong.
    """
    known = _known.get(bucket)
    if known is not None:
        return known
    from ticklake.base.settings import load_settings  # a quarter of the imports of a worker, which was told

    return s3_access(load_settings().s3)

"""Every setting of the service: read once, frozen, with the place each value came from.

Order, first wins: command-line flags, TICKLAKE_* environment, the short names (DATA_ROOT, NATS_URL, NATS_CREDS, USE_S3,
S3_*, LOG_LEVEL), the context that NATS_CONTEXT names, the TOML file, defaults. This is the only file that reads the
environment.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, PrivateAttr, ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from ticklake.base.errors import ConfigError
from ticklake.base.settings_errors import explain_invalid, suggest
from ticklake.base.settings_groups import (
    BronzeSettings,
    DiskSettings,
    FullPath,
    GoldSettings,
    Group,
    HealthSettings,
    HttpSettings,
    LakeRoot,
    LimitSettings,
    NatsSettings,
    OtelSettings,
    S3Settings,
    WalSettings,
)
from ticklake.base.settings_nats_context import context_path, read_context

PREFIX: Final = "TICKLAKE_"
ALIASES: Final = {
    "DATA_ROOT": "data_root",
    "NATS_URL": "nats.url",
    "NATS_CREDS": "nats.creds_file",
    "S3_ENDPOINT": "s3.endpoint",
    "S3_ACCESS_KEY": "s3.access_key",
    "S3_SECRET_KEY": "s3.secret_key",
    "LOG_LEVEL": "log_level",
}
DEFAULT: Final = "default"
_SECRET_FILES: Final = (("nats", "password"), ("s3", "access_key"), ("s3", "secret_key"))

# Read by other parts (the embedded server's look-up, our tests), not settings of the service.
_OTHER_NAMES = re.compile(r"TICKLAKE_NATS_SERVER_BIN|TICKLAKE_REVISION|TICKLAKE_TEST(_[A-Z0-9_]*)?")
# Kubernetes and Docker links put these into every container beside a service that is called `ticklake`.
_ORCHESTRATOR_NAMES = re.compile(r"TICKLAKE(_[A-Z0-9]+)*?_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP)(_\w+)?)")
_ORCHESTRATOR_PORT = re.compile(r"TICKLAKE(_[A-Z0-9]+)*?_PORT=(tcp|udp|sctp)://.*")  # a mere number: a setting mistyped

_lower = BeforeValidator(lambda value: value.lower() if isinstance(value, str) else value)
LogLevel = Annotated[Literal["debug", "info", "warning", "error"], _lower]
LogFormat = Annotated[Literal["auto", "json", "console"], _lower]


AckAfter = Annotated[Literal["wal", "commit"], _lower]


def _local_folder(value: object) -> object:
    if isinstance(value, str) and "://" in value:
        raise ValueError("a local folder: the log and unfinished files need a disk")
    return value


def _default_state_dir(values: dict[str, Any]) -> Path | None:
    root = values.get("data_root")
    return root / "_state" if isinstance(root, Path) else None


class Settings(BaseSettings):
    """The settings of one service. Values only; `load_settings` is what reads files and the environment.

    `Settings(...)` itself takes exactly the values it is given, so tests need no clean environment.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        env_ignore_empty=True,
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
    )

    data_root: LakeRoot = Field(
        default=Path("data"), validate_default=True, description="the lake: a folder, or s3://bucket/prefix"
    )
    state_dir: Annotated[FullPath | None, BeforeValidator(_local_folder)] = Field(
        default_factory=_default_state_dir,
        description="folder of the log and of unfinished files; local disk; default {data_root}/_state; a writer must "
        "have one when the lake lies in a bucket",
    )
    ack_after: AckAfter = Field(
        default="wal",
        description="wal: ack once a message is in the log; commit: once it is in the lake, so that even the loss of "
        "the state folder loses nothing the stream still has",
    )
    writer_id: str | None = Field(
        default=None,
        pattern=r"^[a-z0-9]{1,16}$",
        description="name of this writer in file names; by default drawn once and kept",
    )
    config: FullPath | None = Field(default=None, description="TOML file with settings and tables")
    log_level: LogLevel = Field(default="info", description="debug, info, warning or error")
    log_format: LogFormat = Field(default="auto", description="json, console, or auto: console on a terminal")
    nats: NatsSettings = NatsSettings()
    bronze: BronzeSettings = BronzeSettings()
    gold: GoldSettings = GoldSettings()
    wal: WalSettings = WalSettings()
    http: HttpSettings = HttpSettings()
    health: HealthSettings = HealthSettings()
    limits: LimitSettings = LimitSettings()
    disk: DiskSettings = DiskSettings()
    s3: S3Settings = S3Settings()
    otel: OtelSettings = OtelSettings()
    shutdown_grace_s: float = Field(
        default=25.0,  # below the 30 s after which orchestrators kill
        gt=0,
        description="time to drain and flush after the first stop signal",
        json_schema_extra={"unit": "s"},
    )
    tables: dict[str, dict[str, Any]] = Field(default_factory=dict, description="user tables, one TOML table each")

    _origins: dict[str, str] = PrivateAttr(default_factory=dict)
    _flags: dict[str, object] = PrivateAttr(default_factory=dict)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what the caller passes; see `load_settings`."""
        return (init_settings,)

    def writer_state_dir(self) -> Path:
        """The state folder of a writer.

        Raises:
            ConfigError: the lake lies in a bucket and no folder was named.
        """
        if self.state_dir is None:
            raise ConfigError(
                f"state_dir: expected a local folder for the log, because the lake lies at {self.data_root}; "
                "set TICKLAKE_STATE_DIR to a folder that outlives this process"
            )
        return self.state_dir

    def origin(self, key: str) -> str:
        """Where the value of `key` (dotted) came from: a flag, a variable, the file, or `default`."""
        return self._origins.get(key, DEFAULT)


@dataclass(frozen=True, slots=True)
class ServiceManager:
    """What systemd (or whoever speaks its protocol) told us.

    Attributes:
        notify_socket: where to report; a path, or `@name` for an abstract socket; None without a manager.
        watchdog_s: it expects a sign of life within this time; None when it does not watch.
    """

    notify_socket: str | None
    watchdog_s: float | None


def service_manager() -> ServiceManager:
    """The service manager of this process, from its environment.

    Raises:
        ConfigError: WATCHDOG_USEC is no number.
    """
    usec, pid = os.environ.get("WATCHDOG_USEC"), os.environ.get("WATCHDOG_PID")
    if usec is None or (pid is not None and pid != str(os.getpid())):
        return ServiceManager(os.environ.get("NOTIFY_SOCKET"), None)
    if not usec.isdecimal():
        raise ConfigError(f"WATCHDOG_USEC = {usec!r}: expected microseconds as a whole number; fix the service unit")
    return ServiceManager(os.environ.get("NOTIFY_SOCKET"), int(usec) / 1e6)


def code_revision() -> str:
    """The commit this program was built from, as the image's build noted it in TICKLAKE_REVISION; else `unknown`."""
    return os.environ.get("TICKLAKE_REVISION") or "unknown"


def load_settings(**flags: object) -> Settings:
    """Read the settings of this process.

    Args:
        flags: values from the command line by dotted name with `__` for the dot (`nats__url="..."`); None means
            "not given".

    Raises:
        ConfigError: a value, a name or the file is wrong; the text names each, what is expected and where to fix it.
    """
    environment = dict(os.environ)
    layers = [_flag_layer(flags), _environment_layer(environment), _alias_layer(environment)]
    if name := environment.get("NATS_CONTEXT"):
        path = context_path(name, environment)
        layers.append(
            _Layer({"nats": read_context(path)}, "NATS context " + str(path).replace("{", "{{").replace("}", "}}"))
        )
    config = next((value for layer in layers if (value := layer.values.get("config"))), None)
    if config is not None:
        layers.append(_file_layer(Path(str(config)).expanduser()))
    merged: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for layer in reversed(layers):
        _merge(merged, layer.values)
        origins.update({key: layer.origin(key) for key in _leaves(layer.values)})
    for group, name in _SECRET_FILES:
        _read_secret_file(merged, group, name)
    try:
        settings = Settings(**merged)
    except ValidationError as error:
        raise ConfigError(explain_invalid(error, Settings, merged, origins)) from None
    settings._origins = origins
    settings._flags = flags
    return settings


def reload_settings(settings: Settings) -> Settings:
    """What `load_settings` gives now for the same command line: files and environment may have changed.

    Raises:
        ConfigError: see `load_settings`.
    """
    return load_settings(**{"config": settings.config, **settings._flags})


@dataclass(frozen=True, slots=True)
class _Layer:
    """Values of one source, nested, and how to name the place of a key in it."""

    values: dict[str, Any]
    place: str

    def origin(self, key: str) -> str:
        name = key.upper().replace(".", "__")
        alias = next((alias for alias, target in ALIASES.items() if target == key), key)
        return self.place.format(name=name, alias=alias)


def _flag_layer(flags: Mapping[str, object]) -> _Layer:
    values: dict[str, Any] = {}
    for name, value in flags.items():
        if value is not None:
            _put(values, name.split("__"), value)
    return _Layer(values, "command line")


def _environment_layer(environment: Mapping[str, str]) -> _Layer:
    known = {PREFIX + name for name in _variable_names()}
    for name in sorted(environment):
        upper = name.upper()
        if upper.startswith(PREFIX) and upper not in known and not _is_foreign(upper, environment[name]):
            raise ConfigError(f"{name}: no such setting{suggest(upper, known)}; rename or unset the variable")
    try:
        return _Layer(EnvSettingsSource(Settings)(), f"environment {PREFIX}{{name}}")
    except SettingsError as error:
        raise ConfigError(f"environment: {error}; a group or table given as one variable must be JSON") from error


def _alias_layer(environment: Mapping[str, str]) -> _Layer:
    values: dict[str, Any] = {}
    for alias, key in ALIASES.items():
        if environment.get(alias):
            _put(values, key.split("."), environment[alias])
    if _is_on(environment.get("USE_S3", "")):
        values.update(_bucket_layer(values.get("data_root"), environment.get("S3_BUCKET", "")))
    return _Layer(values, "environment {alias}")


def _is_on(text: str) -> bool:
    return text.strip().lower() in ("1", "true", "yes", "on")


def _bucket_layer(data_root: object, bucket: str) -> dict[str, Any]:
    """What USE_S3 means: the lake is S3_BUCKET, and DATA_ROOT, if it is a folder, keeps the state."""
    if isinstance(data_root, str) and data_root.startswith("s3://"):
        return {}
    if not bucket:
        raise ConfigError("USE_S3 is set without S3_BUCKET; name the bucket, or set TICKLAKE_DATA_ROOT=s3://bucket")
    state = {"state_dir": str(Path(data_root) / "_state")} if isinstance(data_root, str) else {}
    return {"data_root": f"s3://{bucket}", **state}


def _file_layer(path: Path) -> _Layer:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"config file {path}: {error.strerror}; give the path of a readable TOML file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"config file {path}: not TOML: {error}; fix the file") from error
    if "config" in values:
        raise ConfigError(f"config file {path}: `config` names the file itself; remove the line")
    return _Layer(values, f"file {path}")


def _read_secret_file(values: dict[str, Any], group: str, name: str) -> None:
    """Put the content of the file that `{name}_file` names in the place of `name`."""
    inner = values.get(group)
    if not isinstance(inner, dict) or not inner.get(f"{name}_file"):
        return
    if inner.get(name):
        raise ConfigError(f"{group}.{name} and {group}.{name}_file: expected one of them; remove the other")
    path = Path(str(inner[f"{name}_file"])).expanduser()
    try:
        inner[name] = path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{group}.{name}_file {path}: {error}; give the path of a readable text file") from error


def _variable_names() -> set[str]:
    """Names after the prefix: `DATA_ROOT`, `NATS`, `NATS__URL`, ..."""
    names = {field.upper() for field in Settings.model_fields}
    for field, info in Settings.model_fields.items():
        if isinstance(info.annotation, type) and issubclass(info.annotation, Group):
            names.update(f"{field}__{key}".upper() for key in info.annotation.model_fields)
    return names


def _is_foreign(name: str, value: str) -> bool:
    return bool(
        _OTHER_NAMES.fullmatch(name)
        or _ORCHESTRATOR_NAMES.fullmatch(name)
        or _ORCHESTRATOR_PORT.fullmatch(f"{name}={value}")
    )


def _put(values: dict[str, Any], names: list[str], value: object) -> None:
    for name in names[:-1]:
        values = values.setdefault(name, {})
    values[names[-1]] = value


def _merge(lower: dict[str, Any], upper: Mapping[str, Any]) -> None:
    """Lay `upper` over `lower`, group by group. A table of the user is a value: an upper one replaces it whole."""
    for key, value in upper.items():
        if not isinstance(value, Mapping) or not isinstance(lower.get(key), dict):
            lower[key] = dict(value) if isinstance(value, Mapping) else value
        elif key == "tables":
            lower[key].update(value)
        else:
            _merge(lower[key], value)


def _leaves(values: Mapping[str, Any]) -> list[str]:
    """Dotted keys of all settings in `values`: two levels, as deep as our groups go."""
    keys: list[str] = []
    for key, value in values.items():
        if isinstance(value, Mapping) and key != "tables":
            keys.extend(f"{key}.{name}" for name in value)
        else:
            keys.append(key)
    return keys

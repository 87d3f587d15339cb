"""A context of the `nats` command, as a layer of settings: NATS_CONTEXT names it.

Only a context that is named is read. `context.txt`, which holds what `nats context select` chose last, is not: a
service must not change its server because somebody looked at another one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from ticklake.base.errors import ConfigError

_NAME: Final = re.compile(r"[^/\\]*[^/\\.][^/\\]*")  # a file name, and neither . nor ..
_KEYS: Final = {
    "url": "url",
    "creds": "creds_file",
    "nkey": "nkey_file",
    "user": "user",
    "password": "password",
    "ca": "tls_ca",
    "cert": "tls_cert",
    "key": "tls_key",
    "tls_first": "tls_first",
}
_OF_NO_CONCERN: Final = frozenset({"name", "description", "color_scheme", "jetstream_event_prefix"})


def context_path(name: str, environment: Mapping[str, str]) -> Path:
    """Where the `nats` command keeps a context.

    Raises:
        ConfigError: that is no name of a context.
    """
    if _NAME.fullmatch(name) is None:
        raise ConfigError(f"NATS_CONTEXT = {name!r}: expected the name of a context; `nats context ls` shows them")
    root = environment.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(root).expanduser() / "nats" / "context" / f"{name}.json"


def read_context(path: Path) -> dict[str, Any]:
    """What the context says, under the names of our `nats` group.

    Raises:
        ConfigError: it cannot be read, or says something that we would have to ignore.
    """
    try:
        context = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"NATS_CONTEXT: {path}: {error.strerror}; name a context of `nats context ls`, or unset the variable"
        ) from error
    except ValueError as error:
        raise ConfigError(f"NATS_CONTEXT: {path}: not JSON: {error}; mend it with `nats context edit`") from None
    if not isinstance(context, dict):
        raise ConfigError(f"NATS_CONTEXT: {path}: expected a JSON object; mend it with `nats context edit`")
    said = {
        key: value for key, value in context.items() if value not in ("", None, False) and key not in _OF_NO_CONCERN
    }
    if strange := sorted(said.keys() - _KEYS.keys()):
        raise ConfigError(
            f"NATS_CONTEXT: {path} sets {', '.join(strange)}, which we cannot follow; "
            f"use a context with {', '.join(_KEYS)} only, or TICKLAKE_NATS__* instead"
        )
    return {_KEYS[key]: value for key, value in said.items()}

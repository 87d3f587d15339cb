"""Settings to connection options: a key file that cannot be used is a wrong setting, said in its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from ticklake.base.errors import ConfigError
from ticklake.base.settings_groups import NatsSettings
from ticklake.ingest.connection import Callbacks, connect_options


async def _ignore(*_: object) -> None: ...


@pytest.mark.parametrize("key", ["creds_file", "nkey_file"])
@pytest.mark.parametrize("kind", ["folder", "missing", "empty"])
def test_a_key_file_that_cannot_be_used_is_a_wrong_setting(key: str, kind: str, tmp_path: Path) -> None:
    path = tmp_path / "key"
    if kind == "folder":
        path.mkdir(mode=0o700)
    elif kind == "empty":
        path.touch(mode=0o600)
    settings = NatsSettings(**{key: path})
    with pytest.raises(ConfigError, match=rf"nats\.{key}: .*key.*give ") as caught:
        connect_options(settings, Callbacks(_ignore, _ignore, _ignore, _ignore), name="test")
    assert caught.value.exit_code == 78

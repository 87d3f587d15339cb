"""GoldWriter: live signals, into the gold tables."""

from __future__ import annotations

from ticklake.base.settings_groups import FlushSettings
from ticklake.sink.tier import TierWriter


class GoldWriter(TierWriter):
    """The sink with the gold signal tables."""

    tier = "gold"

    @property
    def flush_settings(self) -> FlushSettings:
        """500 messages or 10 s, unless set otherwise."""
        return self._settings.gold

"""BronzeWriter: market events as received, into the bronze tables."""

from __future__ import annotations

from ticklake.base.settings_groups import FlushSettings
from ticklake.sink.tier import TierWriter


class BronzeWriter(TierWriter):
    """The sink with the bronze tables: futures, options, crypto, the user's, and `raw` for every other subject."""

    tier = "bronze"

    @property
    def flush_settings(self) -> FlushSettings:
        """1,000 messages or 5 s, unless set otherwise."""
        return self._settings.bronze

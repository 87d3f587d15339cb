"""Writes backend/ticklake/schema/session_table.py from exchange_calendars.

PYTHONPATH=backend python -m tests.unit.schema.make_session_table
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Final

import exchange_calendars

TABLE: Final = Path(__file__).parents[3] / "backend" / "ticklake" / "schema" / "session_table.py"
FIRST: Final = date(2008, 1, 1)
LAST: Final = date(2035, 12, 31)
ZONE: Final = "America/New_York"
SATURDAY: Final = 5

HEAD: Final = '''"""Closed days and early closes of the New York Stock Exchange (XNYS), frozen.

Written by `tests/unit/schema/make_session_table.py` from exchange_calendars and compared with it by a test. Weekends
are left out. Days after the exchange's last announcement follow its rules; special closures are known once announced.
"""

from __future__ import annotations

from datetime import date
from typing import Final

FIRST_DAY: Final = date({first})
LAST_DAY: Final = date({last})

'''


@cache
def sessions() -> dict[date, tuple[str, str]]:
    """Every session with its open and close, `HH:MM` in New York."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of pandas, about exchange_calendars' own code
        schedule = exchange_calendars.get_calendar("XNYS", start=str(FIRST), end=str(LAST)).schedule
    opens, closes = (schedule[name].dt.tz_convert(ZONE).dt.strftime("%H:%M") for name in ("open", "close"))
    return {day.date(): (opens[day], closes[day]) for day in schedule.index}


def render() -> str:
    """The text of the table's module."""
    known = sessions()
    days = (FIRST + timedelta(days=number) for number in range((LAST - FIRST).days + 1))
    holidays = [day for day in days if day.weekday() < SATURDAY and day not in known]
    early = [day for day, (opens, closes) in known.items() if (opens, closes) != ("09:30", "16:00")]
    if {known[day] for day in early} != {("09:30", "13:00")}:
        raise ValueError("an early close is not at 13:00: the table needs times")
    return (
        HEAD.format(first=_arguments(FIRST), last=_arguments(LAST))
        + _block("HOLIDAYS", "Closed all day: year -> month-day.", holidays)
        + "\n"
        + _block("EARLY_CLOSES", "Closed at 13:00: year -> month-day.", early)
    )


def _arguments(day: date) -> str:
    return f"{day.year}, {day.month}, {day.day}"


def _block(name: str, comment: str, days: Sequence[date]) -> str:
    years = sorted({day.year for day in days})
    lines = [
        f'    {year}: "{" ".join(f"{day:%m-%d}" for day in sorted(days) if day.year == year)}",\n' for year in years
    ]
    return f"# {comment}\n{name}: Final[dict[int, str]] = {{\n{''.join(lines)}}}\n"


if __name__ == "__main__":
    TABLE.write_text(render())

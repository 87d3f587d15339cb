"""Candle files of exchanges as bars: two JSON shapes with two conventions of time. Pure but for `read_json_file`.

    {"candles": [{"start": "1463529600", "open": "12.5", ...}]}                       start of the bar, seconds
    {"name": "ETH-USD", "ohlc": [{"endTime": 1678730699999, "openPrice": 1673.58}]}   end of the bar, milliseconds

An end is either the last millisecond of the bar (...999) or the first instant after it; both mean the same start. Every
start must then lie on a whole multiple of the timeframe since 1970: if not, the convention or the timeframe is wrong,
and a bar would pretend to be known too early or too late.
"""

from __future__ import annotations

import gzip
import re
import zlib
from datetime import timedelta
from typing import Any, Final

import polars as pl

from ticklake.base.errors import RejectedError, UsageError
from ticklake.files.documents import JsonDamagedError, decode_document
from ticklake.files.place import Place
from ticklake.schema.table import TIME_MAX_NS
from ticklake.stores.bars_frame import START, START_TYPE

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_WEEK: Final = timedelta(weeks=1)
_MONDAY: Final = timedelta(days=4)  # 1970 began on a Thursday; weeks begin on Monday
_COINBASE: Final = {name: name for name in ("open", "high", "low", "close", "volume")}
_NAMED: Final = {**{name: f"{name}Price" for name in ("open", "high", "low", "close")}, "volume": "volume"}


def read_json_file(path: Place) -> Any:
    """The content of a JSON file, also a gzipped one.

    Raises:
        UsageError: there is no such file, or it is no JSON or no whole gzip file.
    """
    try:
        content = path.read_bytes()
        if content.startswith(b"\x1f\x8b"):
            content = gzip.decompress(content)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UsageError(f"{path}: a broken gzip file ({error}); fetch it again") from error
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}; check the path") from error
    try:
        return decode_document(content, path=str(path))
    except JsonDamagedError as error:
        raise UsageError(f"{path}: no JSON; is the file whole, and of the kind this command takes?") from error


def bars_from_candles(document: Any, *, timeframe: str, where: str = "candles") -> pl.DataFrame:
    """The bars of a candle document, for `write_bar_frame`. As many rows as the document has, in its order.

    Args:
        document: decoded JSON of one of the two shapes.
        timeframe: length of the bars, such as `5m`, `4h`, `1d`; needed to turn an end into a start.
        where: named in errors.

    Raises:
        UsageError: the timeframe is no length of time.
        RejectedError: the document has neither shape, or a time does not fit the timeframe.
    """
    length = length_of(timeframe)
    if isinstance(document, dict) and isinstance(document.get("candles"), list):
        rows, names, time_name, factor, shift = document["candles"], _COINBASE, "start", 1_000_000, timedelta()
    elif isinstance(document, dict) and isinstance(document.get("ohlc"), list):
        rows, names, time_name, factor, shift = document["ohlc"], _NAMED, "endTime", 1000, length
    else:
        raise RejectedError(f"{where}: neither `candles` nor `ohlc` is a list; convert the file, see `bars import -h`")
    starts, columns = [], dict[str, list[float]]((name, []) for name in names)
    step, offset = _micros(length), _micros(_MONDAY if length % _WEEK == timedelta() else timedelta())
    for number, row in enumerate(rows):
        try:
            time = int(row[time_name]) * factor
            for name, key in names.items():
                columns[name].append(float(row[key]))
        except (KeyError, TypeError, ValueError) as error:
            raise RejectedError(f"{where}: bar {number} is {row!r} ({error!r}); correct it or take it out") from error
        if abs(time) > TIME_MAX_NS // 1000:
            unit = "milliseconds" if shift else "seconds"
            raise RejectedError(f"{where}: bar {number} has {time_name} {row[time_name]}: expected {unit} since 1970")
        if shift and time % 1_000_000 == 999_000:
            time += 1000  # the last millisecond of the bar
        start = time - _micros(shift)
        if (start - offset) % step:
            raise RejectedError(
                f"{where}: bar {number} would start {(start - offset) % step / 1e6:g} s after a whole {timeframe}; "
                "give the right --timeframe"
            )
        starts.append(start)
    frame = pl.DataFrame({START: starts, **columns}, schema={START: pl.Int64, **dict.fromkeys(columns, pl.Float64)})
    return frame.with_columns(pl.from_epoch(START, time_unit="us").dt.replace_time_zone("UTC").cast(START_TYPE))


def length_of(timeframe: str) -> timedelta:
    """How long a bar of a timeframe such as `5m` is.

    Raises:
        UsageError: the text is no number with s, m, h, d or w.
    """
    match = re.fullmatch(r"([1-9]\d{0,5})([smhdw])", timeframe)
    if match is None:
        raise UsageError(f"timeframe {timeframe!r} is no length; give a number with s, m, h, d or w, such as 5m")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def _micros(length: timedelta) -> int:
    return length // timedelta(microseconds=1)

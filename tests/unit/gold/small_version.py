"""A feature version laid down by hand, as the builder leaves it on disk: three trading days of ten rows or more."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import yaml

MONDAY = date(2024, 12, 16)
DAYS = (MONDAY, MONDAY + timedelta(days=1), MONDAY + timedelta(days=2))
COLUMNS: tuple[tuple[str, str, str, bool], ...] = (
    ("event_id", "String", "key", False),
    ("date", "Date", "key", False),
    ("ts_event_ns", "Int64", "key", False),
    ("kind", "String", "info", False),
    ("distance_points", "Float64", "feature", True),
    ("tape_imbalance", "Float64", "feature", True),
    ("outcome_2min", "String", "label", True),
    ("favorable_2min", "Float64", "label", True),
)
"""Name, type, role, whether it may be null."""


def rows_of(day: date, count: int = 60, *, shift: float = 0.0) -> pl.DataFrame:
    """Rows of one day, from 09:30 New York time on: one a minute, or one a second when they are many."""
    open_ns = (
        int(datetime(day.year, day.month, day.day, 9, 30, tzinfo=ZoneInfo("America/New_York")).timestamp()) * 10**9
    )
    times = [open_ns + minute * (60 if count <= 390 else 1) * 10**9 for minute in range(count)]
    return pl.DataFrame(
        {
            "event_id": [f"{day}_PM_HIGH_24000_{time}_1" for time in times],
            "date": [day] * count,
            "ts_event_ns": times,
            "kind": ["PM_HIGH"] * count,
            "distance_points": [shift + 0.25 * minute for minute in range(count)],
            "tape_imbalance": [None if minute % 10 == 0 else (minute % 7) / 7 for minute in range(count)],
            "outcome_2min": [("BREAK", "REJECT", "CHOP", "NO_DATA")[minute % 4] for minute in range(count)],
            "favorable_2min": [minute / 3 for minute in range(count)],
        },
        schema={name: getattr(pl, dtype) for name, dtype, _, _ in COLUMNS},
    )


def lay_version(
    root: Path,
    version: str = "v1",
    frames: Mapping[date, pl.DataFrame] | None = None,
    *,
    state: str = "complete",
    validation: Mapping[str, Any] | None = None,
    columns: Iterable[tuple[str, str, str, bool]] = COLUMNS,
    inputs: Mapping[date, list[dict[str, Any]]] | None = None,
    calendar: str = "us_index_futures",
    others: Mapping[date, str] | None = None,
) -> Path:
    """Write a version, its folder is returned.

    Args:
        root: the data root.
        version: its name.
        frames: rows of each built date.
        state: written to state.json.
        validation: validation.json; all passed when None.
        columns: what the manifest says.
        inputs: bronze files of each date.
        calendar: of the manifest.
        others: dates with another status: `empty`, `closed`, `failed`.
    """
    frames = {day: rows_of(day) for day in DAYS} if frames is None else frames
    folder = root / "silver/features" / version
    for day, frame in frames.items():
        path = folder / f"date={day}" / "signals.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        frame.write_parquet(path)
        content = path.read_bytes()
        file = {
            "name": "signals.parquet",
            "rows": frame.height,
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
        record = {"date": str(day), "status": "built", "reason": "", "rows": frame.height, "files": [file]}
        write_json(folder / f"records/{day}.json", {**record, "inputs": (inputs or {}).get(day, [])})
    for day, status in (others or {}).items():
        write_json(folder / f"records/{day}.json", {"date": str(day), "status": status, "reason": f"was {status}"})
    features = [name for name, _, role, _ in columns if role == "feature"]
    certificate = {"passed": True, "cuts": 20, "events_compared": 100, "columns": features, "violations": []}
    described = [
        {"name": name, "dtype": dtype, "role": role, "null": null, "unit": "", "doc": f"what {name} is"}
        for name, dtype, role, null in columns
    ]
    manifest = {
        "version": version,
        "pipeline": "es_levels",
        "calendar": calendar,
        "parameters": {"label_outcomes": {"threshold_atr": 1.0}},
        "columns": {"signals": described},
        "built": {"code_version": "test", "inputs": []},
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.yaml").write_text(yaml.safe_dump(manifest, sort_keys=False))
    write_json(folder / "validation.json", validation or {"checks": [], "causality": certificate})
    dates = len(frames) + len(others or {})
    write_json(folder / "state.json", {"state": state, "reason": "", "dates": dates, "rows": 0})
    return folder


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a document."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))

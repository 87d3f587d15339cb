"""The distributions of a report: a small histogram per column, drawn as SVG, with what the column means. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

import polars as pl

from ticklake.silver import report_page as html
from ticklake.silver.manifest import ColumnEntry
from ticklake.silver.report_legend import Mark, legend
from ticklake.silver.report_numbers import Histogram, histogram

_WIDTH: Final = 200
_HEIGHT: Final = 54
_SHARE_SHOWN_MIN: Final = 0.005
_SUFFIXES: Final = (("G", 1e9, 1e9), ("M", 1e6, 1e6), ("k", 1e3, 1e4))
_TINY: Final = 1e-3


def distributions(
    title: str, rows: pl.DataFrame, columns: Sequence[ColumnEntry], parent: tuple[str, pl.DataFrame] | None
) -> str:
    """The section of some columns.

    Args:
        title: of the section.
        rows: signals of the version.
        columns: of them, those to draw.
        parent: name and signals of the parent version.
    """
    before = None if parent is None else parent[1]
    both = "" if parent is None else " of both versions"
    text = (
        f"Each picture reaches from the 1 % to the 99 % quantile of the known values{both} (the two numbers below it); "
        "the outer bars also hold what lies beyond. Heights are shares of the known values, scaled to the tallest. "
        "Press a name for what it means."
    )
    marks = [Mark("square", html.BAR, "this version")]
    marks += [Mark("line-ew-open", html.PARENT, f"parent {parent[0]}")] if parent is not None else []
    shapes = (histogram(rows[entry.name], _of_parent(before, entry.name)) for entry in columns)
    inner = html.cards(_card(entry, shape) for entry, shape in zip(columns, shapes, strict=True))
    return html.section(title, text, legend(marks), inner)


def short(number: float, span: float) -> str:
    """A number with the digits that an axis of that span can show, a hundredth of it: `-0.25`, `61.634k`, `-3.4e-4`."""
    if not math.isfinite(number):
        return "none"
    size = max(abs(number), span)
    if 0 < size < _TINY:
        return "0" if number == 0 else f"{number:.1e}".replace("e-0", "e-")
    for suffix, unit, least in _SUFFIXES:
        if size >= least:
            return _rounded(number / unit, span / unit) + suffix
    return _rounded(number, span)


def small_histogram(name: str, shape: Histogram) -> str:
    """A histogram as SVG: bars of the version, a line of the parent."""
    tallest = max((*shape.shares, *shape.parent_shares), default=0.0) or 1.0
    width = _WIDTH / max(len(shape.shares), 1)
    heights = [_HEIGHT * (1 - share / tallest) for share in shape.shares]
    bars = "".join(
        f'<rect x="{number * width:.1f}" y="{top:.1f}" width="{max(width - 1, 1):.1f}" height="{_HEIGHT - top:.1f}">'
        f"<title>{escape(text)}</title></rect>"
        for number, (top, text) in enumerate(zip(heights, _bin_texts(shape), strict=True))
    )
    tops = [f"{_HEIGHT * (1 - share / tallest):.1f}" for share in shape.parent_shares]
    gap = bool(shape.words)  # words stand side by side, no line leads from one to the next
    steps = "".join(
        f"{'M' if gap or not number else 'L'}{number * width:.1f} {top}h{width - gap:.1f}"
        for number, top in enumerate(tops)
    )
    line = f'<path d="{steps}"/>' if tops else ""
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" preserveAspectRatio="none" role="img" '
        f'aria-label="Histogram of {escape(name)}">{bars}{line}</svg>'
    )


def _of_parent(before: pl.DataFrame | None, name: str) -> pl.Series | None:
    return before[name] if before is not None and name in before.columns else None


def _card(entry: ColumnEntry, shape: Histogram) -> str:
    title = f"{entry.name} [{entry.unit}]" if entry.unit else entry.name
    span = shape.high - shape.low
    ends = () if shape.words or math.isnan(span) else (short(shape.low, span), short(shape.high, span))
    known = [
        f"{word}\N{NO-BREAK SPACE}{_percent(share)}" for word, share in zip(shape.words, shape.shares, strict=False)
    ]
    if ends and math.isfinite(shape.median):
        known = [f"median {short(shape.median, span)}"]
    missing = [f"{_percent(shape.missing)} missing"] if shape.missing else []
    return html.card(title, entry.doc, small_histogram(entry.name, shape), ends, " · ".join([*known, *missing]))


def _bin_texts(shape: Histogram) -> Iterable[str]:
    count, span = len(shape.shares), shape.high - shape.low
    edges = [short(shape.low + span * number / count, span) for number in range(count + 1)] if not shape.words else []
    for number, share in enumerate(shape.shares):
        what = shape.words[number] if shape.words else f"{edges[number]} to {edges[number + 1]}"
        parent = f", parent {shape.parent_shares[number]:.1%}" if shape.parent_shares else ""
        yield f"{what}: {share:.1%}{parent}"


def _percent(share: float) -> str:
    return f"{share:.0%}" if share == 0 or share >= _SHARE_SHOWN_MIN else "<1%"


def _rounded(number: float, span: float) -> str:
    digits = max(0, math.ceil(2 - math.log10(span))) if span > 0 else 3
    text = f"{number:,.{digits}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("-0", "") else text

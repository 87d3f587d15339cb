"""The pictures of a report: Plotly figures, and small histograms as SVG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Final

import plotly.graph_objects as go

from ticklake.silver.certificate import Certificate, Trial
from ticklake.silver.finding import Finding, Severity, Status
from ticklake.silver.record import DateRecord, DateStatus
from ticklake.silver.report_numbers import Histogram

BLUE: Final = "#2f6bd8"
GREEN: Final = "#2a9d6f"
AMBER: Final = "#e09a2b"
RED: Final = "#d1495b"
GREY: Final = "#9aa5b1"
PALE: Final = "#dfe5ec"
INK: Final = "#1f2933"
SHOWN_MAX: Final = 40
PSI_ALIKE: Final = 0.1
PSI_OTHER: Final = 0.25
PSI_NOISE: Final = 0.01

_STATUS_COLORS: Final = {
    DateStatus.BUILT: BLUE,
    DateStatus.EMPTY: AMBER,
    DateStatus.CLOSED: GREY,
    DateStatus.FAILED: RED,
}
_OUTCOME_COLORS: Final = {"BREAK": BLUE, "REJECT": AMBER, "CHOP": GREY, "NO_DATA": PALE, "(missing)": "#f0d6da"}
_MORE_COLORS: Final = ("#2f6bd8", "#e09a2b", "#2a9d6f", "#8b5fbf", "#3aa7b8", "#d1495b", "#9aa5b1")
_ROW_PX: Final = 20
_RANKED_MIN: Final = 10  # shown even where nothing moved
_SVG_WIDTH: Final = 200
_SVG_HEIGHT: Final = 54


def coverage_chart(records: Sequence[DateRecord]) -> go.Figure:
    """Events per date, coloured by what became of the date."""
    figure = go.Figure()
    tallest = max((record.rows for record in records), default=0) or 1
    for status, color in _STATUS_COLORS.items():
        chosen = [record for record in records if record.status is status]
        if not chosen:
            continue
        dates, reasons = [record.date for record in chosen], [escape(record.reason) for record in chosen]
        if status is DateStatus.BUILT:
            figure.add_bar(
                x=dates, y=[record.rows for record in chosen], name=status, marker_color=color,
                width=min(0.75, 0.05 * len(records)),
                hovertemplate="%{x}: %{y} events<extra></extra>",
            )  # fmt: skip
        else:
            figure.add_scatter(
                x=dates, y=[tallest * 0.03] * len(chosen), mode="markers", name=status, customdata=reasons,
                marker={"color": color, "symbol": "x", "size": 10}, hovertemplate="%{x}: %{customdata}<extra></extra>",
            )  # fmt: skip
    figure.update_xaxes(type="category", categoryorder="category ascending", nticks=16)
    figure.update_yaxes(title="events", rangemode="tozero")
    return _styled(figure, 280)


def checks_chart(checks: Sequence[Finding]) -> go.Figure:
    """How many columns passed, warn and fail, check by check."""
    names = sorted({finding.name for finding in checks}, reverse=True)
    figure = go.Figure()
    for title, color, chosen in (
        ("passed", GREEN, [finding for finding in checks if finding.status is Status.PASSED]),
        ("warns", AMBER, [f for f in checks if f.status is Status.FAILED and f.severity is Severity.WARNING]),
        ("fails", RED, [finding for finding in checks if finding.fails]),
    ):
        counts = [sum(finding.name == name for finding in chosen) for name in names]
        figure.add_bar(
            y=names, x=counts, name=title, orientation="h", marker_color=color,
            hovertemplate="%{y}: %{x} " + title + "<extra></extra>",
        )  # fmt: skip
    figure.update_layout(barmode="stack")
    figure.update_xaxes(title="columns")
    return _styled(figure, 110 + 24 * len(names))


def causality_chart(certificate: Certificate) -> go.Figure:
    """Every rebuild at its cut time, by date; red where something changed that must not."""
    figure = go.Figure()
    for title, color, wanted in (("nothing changed", GREEN, False), ("a feature knew the future", RED, True)):
        chosen = [trial for trial in certificate.trials if bool(trial.changed) is wanted]
        if chosen:
            figure.add_scatter(
                x=[_clock(trial) for trial in chosen], y=[trial.date for trial in chosen], mode="markers", name=title,
                customdata=[[trial.variant, trial.events, f"{trial.density:.1%}"] for trial in chosen],
                marker={"color": color, "size": [15 if trial.variant == "removed" else 8 for trial in chosen],
                        "symbol": ["circle-open" if trial.variant == "removed" else "diamond" for trial in chosen]},
                hovertemplate="%{y} %{x|%H:%M:%S} UTC<br>future %{customdata[0]}, %{customdata[1]} events compared, "
                "%{customdata[2]} of the rows<extra></extra>",
            )  # fmt: skip
    figure.update_xaxes(title="cut time of day, UTC", tickformat="%H:%M")
    figure.update_yaxes(type="category", categoryorder="category descending")
    return _styled(figure, 170 + 26 * len({trial.date for trial in certificate.trials}))


def balance_chart(balance: Mapping[str, Mapping[str, int]]) -> go.Figure:
    """Share of each outcome, label by label."""
    outcomes = sorted({outcome for counts in balance.values() for outcome in counts}, key=_outcome_place)
    labels = list(balance)[::-1]
    figure = go.Figure()
    for number, outcome in enumerate(outcomes):
        counts = [balance[label].get(outcome, 0) for label in labels]
        shares = [count / max(sum(balance[label].values()), 1) for label, count in zip(labels, counts, strict=True)]
        figure.add_bar(
            y=labels, x=shares, name=escape(outcome), orientation="h", customdata=counts,
            marker_color=_OUTCOME_COLORS.get(outcome, _MORE_COLORS[number % len(_MORE_COLORS)]),
            text=[f"{share:.0%}" if share >= 0.05 else "" for share in shares], textposition="inside",
            insidetextanchor="middle",
            hovertemplate="%{y}: %{customdata} (%{x:.1%})<extra>" + escape(outcome) + "</extra>",
        )  # fmt: skip
    figure.update_layout(barmode="stack")
    figure.update_xaxes(tickformat=".0%", range=[0, 1])
    return _styled(figure, 120 + 44 * len(labels))


def missing_chart(shares: Mapping[str, Sequence[float]], dates: Sequence[str]) -> go.Figure:
    """Share of missing values, feature by date; the features that miss most."""
    names = sorted(shares, key=lambda name: (-sum(shares[name]), name))[:SHOWN_MAX][::-1]
    figure = go.Figure(
        go.Heatmap(
            z=[list(shares[name]) for name in names], x=list(dates), y=names, zmin=0, zmax=1,
            colorscale=[[0, "#f7f9fb"], [0.5, "#9bb8ea"], [1, BLUE]],
            colorbar={"tickformat": ".0%", "thickness": 12, "title": {"text": "missing", "side": "right"}},
            hovertemplate="%{y}<br>%{x}: %{z:.1%} missing<extra></extra>", xgap=1, ygap=1,
        )
    )  # fmt: skip
    figure.update_xaxes(type="category", nticks=16)
    return _styled(figure, 120 + _ROW_PX * len(names))


def drift_chart(drift: Mapping[str, float]) -> go.Figure:
    """Population stability index of the features that moved most, with its two rules of thumb."""
    ranked = sorted(drift, key=lambda name: (-drift[name], name))
    moved = sum(value > PSI_NOISE for value in drift.values())
    names = ranked[: min(max(moved, _RANKED_MIN), SHOWN_MAX)][::-1]
    values = [drift[name] for name in names]
    colors = [RED if value > PSI_OTHER else AMBER if value > PSI_ALIKE else GREEN for value in values]
    figure = go.Figure(
        go.Bar(
            x=values, y=names, orientation="h", marker_color=colors, hovertemplate="%{y}: PSI %{x:.3f}<extra></extra>"
        )
    )
    for bound, text in ((PSI_ALIKE, "alike"), (PSI_OTHER, "another distribution")):
        figure.add_vline(bound, line={"color": GREY, "dash": "dot"}, annotation_text=text, annotation_position="top")
    figure.update_xaxes(title="PSI", rangemode="tozero")
    return _styled(figure, 140 + _ROW_PX * len(names))


def violations_chart(certificate: Certificate) -> go.Figure:
    """In how many rebuilds each column changed."""
    trials: dict[str, int] = {}
    for violation in certificate.violations:
        name = violation.column or "(events)"
        trials[name] = trials.get(name, 0) + violation.trials
    names = sorted(trials, key=lambda name: (-trials[name], name))[:SHOWN_MAX][::-1]
    figure = go.Figure(
        go.Bar(
            x=[trials[name] for name in names], y=[escape(name) for name in names], orientation="h", marker_color=RED
        )
    )
    figure.update_xaxes(title=f"rebuilds, of {len(certificate.trials)}", rangemode="tozero", nticks=6, tickformat="d")
    return _styled(figure, 120 + _ROW_PX * len(names))


def small_histogram(shape: Histogram) -> str:
    """A histogram as SVG: bars of the version, a line of the parent."""
    tallest = max((*shape.shares, *shape.parent_shares), default=0.0) or 1.0
    width = _SVG_WIDTH / max(len(shape.shares), 1)
    bars = "".join(
        f'<rect x="{number * width:.1f}" y="{_SVG_HEIGHT * (1 - share / tallest):.1f}" width="{max(width - 1, 1):.1f}" '
        f'height="{_SVG_HEIGHT * share / tallest:.1f}"><title>{escape(label)}: {share:.1%}</title></rect>'
        for number, (label, share) in enumerate(zip(shape.labels, shape.shares, strict=True))
    )
    heights = [f"{_SVG_HEIGHT * (1 - share / tallest):.1f}" for share in shape.parent_shares]
    if math.isnan(shape.low):  # words stand side by side, no line leads from one to the next
        steps = " ".join(f"M{number * width:.1f} {height}h{width - 1:.1f}" for number, height in enumerate(heights))
    else:
        steps = "M" + " L".join(f"{(number + 0.5) * width:.1f} {height}" for number, height in enumerate(heights))
    line = f'<path d="{steps}"/>' if heights else ""
    return f'<svg viewBox="0 0 {_SVG_WIDTH} {_SVG_HEIGHT}" preserveAspectRatio="none" role="img">{bars}{line}</svg>'


def _clock(trial: Trial) -> datetime:
    moment = datetime.fromtimestamp(trial.cut_ns // 1_000_000_000, UTC)
    return moment.replace(year=2000, month=1, day=1, tzinfo=None)


def _outcome_place(outcome: str) -> tuple[int, str]:
    known = list(_OUTCOME_COLORS)
    return (known.index(outcome) if outcome in known else -1, outcome)


def _styled(figure: go.Figure, height_px: int) -> go.Figure:
    figure.update_layout(
        template="plotly_white", height=height_px, paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "system-ui, sans-serif", "size": 12, "color": INK}, margin={"l": 10, "r": 16, "t": 36, "b": 10},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "traceorder": "normal"},
        bargap=0.25, hoverlabel={"align": "left"},
    )  # fmt: skip
    figure.update_xaxes(automargin=True, gridcolor="#eef1f4", zeroline=False)
    figure.update_yaxes(automargin=True, gridcolor="#eef1f4", zeroline=False)
    return figure

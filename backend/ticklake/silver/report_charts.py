"""The large pictures of a report: Plotly figures. Pure.

What a colour means is also told by shape, place or text.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from html import escape
from itertools import product
from typing import Any, Final

import plotly.graph_objects as go

from ticklake.silver.certificate import Certificate, Trial, Variant
from ticklake.silver.finding import Finding, Severity, Status
from ticklake.silver.record import DateStatus
from ticklake.silver.report_days import NOT_BUILT, ReportDay
from ticklake.silver.report_legend import Mark, legend, shades

BLUE: Final = "#2f6bd8"
GREEN: Final = "#1f8a5f"
AMBER: Final = "#c07a14"
RED: Final = "#c93a50"
GREY: Final = "#75818d"
INK: Final = "#1f2933"
SHOWN_MAX: Final = 40
PSI_ALIKE: Final = 0.1
PSI_OTHER: Final = 0.25
PSI_NOISE: Final = 0.01

_DAY_MS: Final = 86_400_000
_BAR: Final = 0.7  # of a day
_GAPS_MAX: Final = 60  # of so many days or more, bars and cells touch
_TICKS_MAX: Final = 5  # as many dates as a phone can show side by side
_DAY_MARKS: Final = {
    DateStatus.EMPTY.value: (AMBER, "x-thin-open"),
    DateStatus.FAILED.value: (RED, "diamond"),
    NOT_BUILT: (BLUE, "circle-open"),
    DateStatus.CLOSED.value: (GREY, "line-ew-open"),
}
OUTCOME_COLORS: Final = {  # pale, with dark text on them
    "BREAK": "#8fb3f2", "REJECT": "#f0bd6b", "CHOP": "#bcc5ce", "NO_DATA": "#eceff3", "(missing)": "#f3d3d9",
}  # fmt: skip
MORE_COLORS: Final = ("#8fb3f2", "#f0bd6b", "#8fd0b4", "#c9b3e6", "#93d3dd", "#eeaab4", "#bcc5ce")
_SHADES: Final = ("#f7f9fb", "#7fa5e6", "#173b80")
_TRIAL_MARKS: Final = {
    (Variant.REMOVED, False): (GREEN, "circle-open", 15, "future removed, nothing changed"),
    (Variant.ABSURD, False): (GREEN, "diamond", 8, "future absurd, nothing changed"),
    (Variant.REMOVED, True): (RED, "square-open", 16, "future removed, a feature changed"),
    (Variant.ABSURD, True): (RED, "x-thin-open", 9, "future absurd, a feature changed"),
}
_UNITS: Final = (("hours", 3_600_000_000_000, 2.0), ("minutes", 60_000_000_000, 2.0), ("seconds", 1_000_000_000, 0.0))
_ROW_PX: Final = 20
_RANKED_MIN: Final = 10  # shown even where nothing moved


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure, its legend as HTML, and what its horizontal axis counts."""

    figure: go.Figure
    legend: str = ""
    axis: str = ""


def coverage_chart(days: Sequence[ReportDay]) -> Drawing:
    """Events per day of the calendar; a mark below zero, by its reason, where there are none."""
    figure, marks = go.Figure(), []
    built = [day for day in days if day.status == DateStatus.BUILT]
    tallest = max((day.rows for day in built), default=0)
    unit = tallest or 1
    if built:
        marks.append(Mark("square", BLUE, "built: events"))
        share = min(_BAR, len(days) / _TICKS_MAX * _BAR) if len(days) <= _GAPS_MAX else 1
        figure.add_bar(
            x=[day.date for day in built], y=[day.rows for day in built], width=share * _DAY_MS,
            marker={"color": BLUE, "line": {"width": 0}}, hovertemplate="%{x|%Y-%m-%d}: %{y:,} events<extra></extra>",
        )  # fmt: skip
    for status, (color, symbol) in _DAY_MARKS.items():
        chosen = [day for day in days if day.status == status]
        if chosen:
            marks.append(Mark(symbol, color, status))
            size = max(3, min(9, 9 * _GAPS_MAX / len(days)))
            figure.add_scatter(
                x=[day.date for day in chosen], y=[-0.06 * unit] * len(chosen), mode="markers",
                customdata=[escape(day.reason) for day in chosen],
                marker={"color": color, "symbol": symbol, "size": size, "line": {"color": color, "width": 2}},
                hovertemplate="%{x|%Y-%m-%d}: %{customdata}<extra>" + status + "</extra>",
            )  # fmt: skip
    before = date.fromisoformat(days[0].date) - timedelta(days=1)
    figure.update_xaxes(
        type="date", range=[f"{before} 09:00", f"{days[-1].date} 15:00"], tick0=days[0].date,
        tickformat="%m-%d\n%Y", tickangle=0, dtick=_DAY_MS * math.ceil(len(days) / _TICKS_MAX),
    )  # fmt: skip
    figure.update_yaxes(**{**_counted(tallest), "range": [-0.12 * unit, 1.08 * unit]})
    return Drawing(_styled(figure, 260 if tallest else 120), legend(marks), "month-day, year below")


def checks_chart(checks: Sequence[Finding]) -> Drawing:
    """How many columns fail, warn and passed, check by check."""
    names = sorted({finding.name for finding in checks}, reverse=True)
    figure, marks = go.Figure(), []
    for title, color, chosen in (
        ("fail", RED, [finding for finding in checks if finding.fails]),
        ("warn", AMBER, [f for f in checks if f.status is Status.FAILED and f.severity is Severity.WARNING]),
        ("passed", GREEN, [finding for finding in checks if finding.status is Status.PASSED]),
    ):
        counts = [sum(finding.name == name for finding in chosen) for name in names]
        marks.append(Mark("square", color, f"{title}: {len(chosen):,}"))
        figure.add_bar(
            y=names, x=counts, orientation="h", marker_color=color,
            hovertemplate="%{y}: %{x} " + title + "<extra></extra>",
        )  # fmt: skip
    most = max(sum(finding.name == name for finding in checks) for name in names)
    figure.update_layout(barmode="stack")
    figure.update_xaxes(**_counted(most))
    return Drawing(_styled(figure, 60 + 24 * len(names)), legend(marks), "columns and files that were checked")


def causality_chart(certificate: Certificate, spans_ns: Mapping[str, tuple[int, int]]) -> Drawing:
    """Every rebuild at its cut, counted from the first event of its date: no midnight, zone or summer time matters.

    Args:
        certificate: with at least one trial.
        spans_ns: date -> times of its first and last event, ns UTC.
    """
    dates = sorted({trial.date for trial in certificate.trials})
    firsts = {day: min(trial.cut_ns for trial in certificate.trials if trial.date == day) for day in dates}
    spans = {day: spans_ns.get(day, (firsts[day], firsts[day])) for day in dates}
    longest = max(
        1_000_000_000,
        *(last - first for first, last in spans.values()),
        *(trial.cut_ns - spans[trial.date][0] for trial in certificate.trials),
    )
    unit, unit_ns, _ = next(each for each in _UNITS if longest >= each[1] * each[2])
    figure, marks = go.Figure(), [Mark("line-ew-open", GREY, "first to last event of a date")]
    figure.add_scatter(
        x=[end for first, last in spans.values() for end in (0, (last - first) / unit_ns, None)],
        y=[place for day in dates for place in (day, day, None)], mode="lines",
        line={"color": GREY, "width": 2}, hoverinfo="skip",
    )  # fmt: skip
    for variant, changed in product(Variant, (False, True)):
        color, symbol, size, name = _TRIAL_MARKS[variant, changed]
        chosen = [trial for trial in certificate.trials if (trial.variant, bool(trial.changed)) == (variant, changed)]
        if chosen:
            marks.append(Mark(symbol, color, name))
            figure.add_scatter(
                x=[(trial.cut_ns - spans[trial.date][0]) / unit_ns for trial in chosen],
                y=[trial.date for trial in chosen], mode="markers",
                customdata=[[moment(trial.cut_ns), trial.events, f"{trial.density:.1%}"] for trial in chosen],
                marker={"color": color, "size": size, "symbol": symbol, "line": {"color": color, "width": 1.5}},
                hovertemplate="cut at %{customdata[0]}<br>%{customdata[1]:,} events compared, "
                "%{customdata[2]} of the rows<extra>" + name + "</extra>",
            )  # fmt: skip
    figure.update_xaxes(range=[-0.04 * longest / unit_ns, 1.04 * longest / unit_ns], nticks=7)
    figure.update_yaxes(
        type="category", categoryorder="array", categoryarray=dates[::-1], tickvals=dates,
        ticktext=[f"{day}<br>from {moment(spans[day][0])[11:16]} UTC" for day in dates],
    )  # fmt: skip
    return Drawing(_styled(figure, 60 + 40 * len(dates)), legend(marks), f"{unit} after the first event of the date")


def moment(time_ns: int) -> str:
    """`2025-06-12 13:30:05 UTC`, whole seconds."""
    return f"{datetime.fromtimestamp(time_ns // 1_000_000_000, UTC):%Y-%m-%d %H:%M:%S} UTC"


def trial_text(trial: Trial) -> str:
    """What came of a rebuild."""
    return f"{trial.changed} changed" if trial.changed else "nothing changed"


def balance_chart(balance: Mapping[str, Mapping[str, int]]) -> Drawing:
    """Share of each outcome, label by label."""
    outcomes = sorted({outcome for counts in balance.values() for outcome in counts}, key=_outcome_place)
    labels = list(balance)[::-1]
    figure, marks = go.Figure(), []
    for number, outcome in enumerate(outcomes):
        counts = [balance[label].get(outcome, 0) for label in labels]
        shares = [count / max(sum(balance[label].values()), 1) for label, count in zip(labels, counts, strict=True)]
        color = OUTCOME_COLORS.get(outcome, MORE_COLORS[number % len(MORE_COLORS)])
        marks.append(Mark("square", color, outcome))
        figure.add_bar(
            y=labels, x=shares, orientation="h", customdata=counts,
            marker={"color": color, "line": {"color": "#52606d", "width": 1}},
            text=[f"{share:.0%}" if share else "" for share in shares], textposition="inside", textangle=0,
            insidetextanchor="middle", insidetextfont={"color": INK},
            hovertemplate="%{y}: %{customdata:,} (%{x:.1%})<extra>" + escape(outcome) + "</extra>",
        )  # fmt: skip
    figure.update_layout(barmode="stack", uniformtext={"minsize": 11, "mode": "hide"})
    figure.update_xaxes(tickformat=".0%", range=[0, 1.001], dtick=0.25)
    return Drawing(_styled(figure, 70 + 44 * len(labels)), legend(marks), "share of the events")


def missing_chart(shares: Mapping[str, Sequence[float]], dates: Sequence[str]) -> Drawing:
    """Share of missing values, feature by date; the features that miss most."""
    names = sorted(shares, key=lambda name: (-sum(shares[name]), name))[:SHOWN_MAX][::-1]
    figure = go.Figure(
        go.Heatmap(
            z=[list(shares[name]) for name in names], x=list(dates), y=names, zmin=0, zmax=1, showscale=False,
            colorscale=list(_SHADES), hovertemplate="%{y}<br>%{x}: %{z:.1%} missing<extra></extra>", ygap=1,
            xgap=1 if len(dates) <= _GAPS_MAX else 0,
        )
    )  # fmt: skip
    few = dates[:: math.ceil(len(dates) / _TICKS_MAX)]
    years = {day[:4] for day in dates}
    short = len(years) == 1
    texts = [day[5:] if short else day for day in few]
    figure.update_xaxes(type="category", tickvals=list(few), ticktext=texts, autotickangles=[0, 90])
    below = f"month-day of {years.pop()}" if short else "date"
    return Drawing(_styled(figure, 120 + _ROW_PX * len(names)), shades(_SHADES, "0 % missing", "100 %"), below)


def drift_chart(drift: Mapping[str, float]) -> Drawing:
    """Population stability index of the features that moved most, with its two rules of thumb.

    The axis is logarithmic, for one feature of PSI 8 must not hide whether the others are below 0.1.
    """
    ranked = sorted(drift, key=lambda name: (-drift[name], name))
    moved = sum(value > PSI_NOISE for value in drift.values())
    names = ranked[: min(max(moved, _RANKED_MIN), SHOWN_MAX)]
    figure, marks = go.Figure(), []
    for low, high, color, symbol, title in (
        (PSI_OTHER, math.inf, RED, "diamond", f"above {PSI_OTHER}: another distribution"),
        (PSI_ALIKE, PSI_OTHER, AMBER, "square", f"{PSI_ALIKE} to {PSI_OTHER}: moved"),
        (-math.inf, PSI_ALIKE, GREEN, "circle", f"up to {PSI_ALIKE}: alike"),
    ):
        chosen = [name for name in names if low < drift[name] <= high]
        marks.append(Mark(symbol, color, title))
        figure.add_scatter(
            x=[max(drift[name], PSI_NOISE) for name in chosen], y=chosen, mode="markers",
            marker={"color": color, "symbol": symbol, "size": 9}, customdata=[drift[name] for name in chosen],
            hovertemplate="%{y}: PSI %{customdata:.3f}<extra></extra>",
        )  # fmt: skip
    right = math.log10(max(1.0, *drift.values())) + 0.9  # where the numbers stand, clear of dots and lines
    figure.add_scatter(
        x=[10**right] * len(names), y=names, mode="text", textposition="middle left", hoverinfo="skip",
        text=[f"{drift[name]:.2f}" if drift[name] >= PSI_NOISE else f"<{PSI_NOISE}" for name in names],
    )  # fmt: skip
    for bound in (PSI_ALIKE, PSI_OTHER):
        figure.add_vline(bound, line={"color": GREY, "dash": "dot"}, layer="below")
    marks.append(Mark("line-ns-dot", GREY, f"{PSI_ALIKE} and {PSI_OTHER}, the rules of thumb"))
    figure.update_xaxes(
        type="log", showgrid=False, range=[math.log10(PSI_NOISE) - 0.15, right],
        tickvals=[10.0**power for power in range(-2, 4)], ticktext=["0.01", "0.1", "1", "10", "100", "1000"],
    )  # fmt: skip
    figure.update_yaxes(
        type="category", categoryorder="array", categoryarray=names[::-1], range=[-0.7, len(names) - 0.3], dtick=1
    )
    return Drawing(_styled(figure, 60 + _ROW_PX * len(names)), legend(marks), "PSI, no unit, on a logarithmic axis")


def violations_chart(certificate: Certificate) -> Drawing:
    """In how many rebuilds each column changed."""
    trials: dict[str, int] = {}
    for violation in certificate.violations:
        name = violation.column or "(events)"
        trials[name] = trials.get(name, 0) + violation.trials
    names = sorted(trials, key=lambda name: (-trials[name], name))[:SHOWN_MAX][::-1]
    figure = go.Figure(
        go.Bar(
            x=[trials[name] for name in names], y=[escape(name) for name in names], orientation="h", marker_color=RED,
            hovertemplate="%{y}: changed in %{x} rebuilds<extra></extra>",
        )
    )  # fmt: skip
    most = max(trials.values(), default=0)
    figure.update_xaxes(**_counted(most))
    axis = f"rebuilds in which it changed, of {len(certificate.trials)}"
    return Drawing(_styled(figure, 60 + _ROW_PX * len(names)), "", axis)


def _counted(most: int) -> dict[str, Any]:
    """An axis of whole numbers; where nothing was counted it has no numbers at all."""
    if not most:
        return {"range": [0, 1], "showticklabels": False, "showgrid": False}
    return {"rangemode": "tozero", "tickformat": ",d", **({"dtick": 1} if most < 6 else {"nticks": 6})}


def _outcome_place(outcome: str) -> tuple[int, str]:
    known = list(OUTCOME_COLORS)
    return (known.index(outcome) if outcome in known else -1, outcome)


def _styled(figure: go.Figure, height_px: int) -> go.Figure:
    """Without legend and titles: in a narrow window Plotly lets them overlap the plot, HTML beside it wraps."""
    figure.update_layout(
        template="plotly_white", height=height_px, paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "system-ui, sans-serif", "size": 12, "color": INK}, margin={"l": 10, "r": 20, "t": 14, "b": 10},
        bargap=0.25, hoverlabel={"align": "left"}, showlegend=False,
    )  # fmt: skip
    figure.update_xaxes(automargin=True, gridcolor="#e6eaee", zeroline=False)
    figure.update_yaxes(automargin=True, gridcolor="#e6eaee", zeroline=False)
    return figure

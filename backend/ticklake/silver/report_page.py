"""The page of a report: its frame, style and parts as HTML text. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

_CONFIG: Final = {"displayModeBar": False, "responsive": True}
BAR: Final = "#6d98e4"
PARENT: Final = "#b3690a"
_STYLE: Final = """
:root { color-scheme: light; --ink: #1f2933; --soft: #52606d; --line: #e4e8ed; }
* { box-sizing: border-box; }
body { margin: 0; background: #f5f7fa; color: var(--ink); font: 15px/1.5 system-ui, -apple-system, sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 28px 24px 60px; }
h1 { font-size: 26px; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 18px; margin: 0 0 2px; }
p { margin: 4px 0; } .soft { color: var(--soft); overflow-wrap: anywhere; }
section { background: #fff; border: 1px solid var(--line); border-radius: 10px; padding: 18px 20px; margin-top: 18px; }
.notice { border-left: 5px solid #8a5a0a; background: #fdf6e7; padding: 10px 14px; margin: 12px 0 0;
  border-radius: 6px; overflow-wrap: anywhere; }
.notice.bad { border-color: #b8324a; background: #fcedef; color: inherit; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(130px, 1fr)); gap: 12px; margin-top: 18px; }
.tile { background: #fff; border: 1px solid var(--line); border-radius: 10px; padding: 12px 16px; }
.tile b { display: block; font-size: 22px; font-weight: 650; font-variant-numeric: tabular-nums; }
.tile span { color: var(--soft); font-size: 13px; }
.badge { display: inline-block; border-radius: 999px; padding: 2px 11px; font-size: 13px; font-weight: 600;
  margin: 0 6px 4px 0; color: #fff; }
.badge.good { background: #1d7a55; } .badge.warn { background: #8a5a0a; } .badge.bad { background: #b8324a; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(205px, 1fr)); gap: 12px; margin-top: 12px; }
.card { border: 1px solid var(--line); border-radius: 8px; padding: 9px 11px 7px; min-width: 0;
  display: flex; flex-direction: column; }
.card h3 { margin: 0 0 6px; font-size: 12.5px; font-weight: 600; overflow-wrap: anywhere; line-height: 1.25; }
.card summary { font-size: 11px; margin-bottom: 6px; } .card summary h3 { display: inline; }
.card details p { font-size: 12.5px; margin: 0 0 8px; }
.card svg { width: 100%; height: 54px; display: block; margin-top: auto; border-bottom: 1px solid #7b8794; }
.card rect { fill: var(--bar); }
.card path { fill: none; stroke: var(--parent); stroke-width: 1.6; vector-effect: non-scaling-stroke; }
.card .ends { display: flex; justify-content: space-between; gap: 6px; margin-top: 3px; }
.card .ends, .card .known { font-size: 11px; color: var(--soft); overflow-wrap: anywhere; }
.legend { display: flex; flex-wrap: wrap; align-items: center; gap: 2px 18px; font-size: 13px; margin: 8px 0 0;
  padding: 0; list-style: none; }
.legend svg { vertical-align: -2px; } p.legend { gap: 8px; }
.shades { width: 120px; height: 12px; border: 1px solid #75818d; }
.axis { text-align: right; font-size: 12.5px; color: var(--soft); margin: 0 20px 0 0; }
summary { cursor: pointer; } summary:focus-visible { outline: 2px solid #2f6bd8; outline-offset: 2px; }
details.numbers { font-size: 13px; margin-top: 8px; } details.numbers > summary { color: var(--soft); }
.wide { overflow: auto; max-height: 460px; margin-top: 6px; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 3px 14px 3px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { position: sticky; top: 0; background: #fff; font-weight: 600; }
td.number { text-align: right; } td:first-child { white-space: nowrap; }
ul { margin: 8px 0 0; padding-left: 20px; } li { overflow-wrap: anywhere; }
footer { color: var(--soft); font-size: 13px; margin-top: 22px; overflow-wrap: anywhere; }
@media (max-width: 560px) { main { padding: 18px 10px 40px; } section { padding: 14px 12px; }
  .cards { grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); } }
"""
_COLORS: Final = f":root {{ --bar: {BAR}; --parent: {PARENT}; }}"


def page(title: str, parts: Iterable[str]) -> str:
    """A whole page that needs nothing from elsewhere: style and Plotly are inside, its icon is empty."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<link rel="icon" href="data:,">\n'
        f"<title>{escape(title)}</title>\n<style>{_COLORS}{_STYLE}</style>\n<script>{get_plotlyjs()}</script>\n</head>\n"
        f"<body>\n<main>\n{''.join(parts)}</main>\n</body>\n</html>\n"
    )


def header(title: str, description: str, badges: Sequence[tuple[str, str]], facts: str) -> str:
    """Title, badges (text, `good` | `warn` | `bad`), description and a line of facts."""
    marks = "".join(f'<span class="badge {kind}">{escape(text)}</span>' for text, kind in badges)
    said = f"<p>{escape(description)}</p>" if description else ""
    return f'<header><p>{marks}</p><h1>{escape(title)}</h1>{said}<p class="soft">{escape(facts)}</p></header>\n'


def notice(text: str, kind: str = "warn") -> str:
    """What must be read first; `kind` is `warn` or `bad`."""
    return f'<p class="notice {kind}">{escape(text)}</p>\n'


def tiles(figures: Sequence[tuple[str, str]]) -> str:
    """Big numbers with what they count."""
    inner = "".join(f'<div class="tile"><b>{escape(big)}</b><span>{escape(text)}</span></div>' for big, text in figures)
    return f'<div class="tiles">{inner}</div>\n'


def section(title: str, text: str, *parts: str) -> str:
    """A titled box."""
    return f'<section><h2>{escape(title)}</h2><p class="soft">{escape(text)}</p>{"".join(parts)}</section>\n'


def chart(name: str, says: str, figure: go.Figure, legend: str = "", axis: str = "") -> str:
    """A figure as part of the page.

    Args:
        name: its id there.
        says: what is told to those who cannot see it.
        figure: without legend and titles.
        legend: HTML above it.
        axis: what its horizontal axis counts, in which unit.
    """
    inner: str = figure.to_html(full_html=False, include_plotlyjs=False, div_id=name, config=_CONFIG)
    below = f'<p class="axis">{escape(axis)}</p>' if axis else ""
    return f'{legend}<div role="img" aria-label="{escape(says)}">{inner}</div>{below}'


def numbers(title: str, head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table behind a word to press, for reading what a picture shows; nothing for no row."""
    if not rows:
        return ""
    names = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    lines = "".join(f"<tr>{''.join(_cell(value) for value in row)}</tr>" for row in rows)
    return (
        f'<details class="numbers"><summary>{escape(title)}</summary><div class="wide" tabindex="0"><table>'
        f"<thead><tr>{names}</tr></thead><tbody>{lines}</tbody></table></div></details>"
    )


def listing(lines: Sequence[str]) -> str:
    """A list of sentences; nothing for none."""
    return f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>" if lines else ""


def card(title: str, doc: str, picture: str, ends: Sequence[str], known: str) -> str:
    """A small picture with its name, what that means, the ends of its axis and what is known besides."""
    name = f"<h3>{escape(title).replace('_', '_<wbr>')}</h3>"
    name = f"<details><summary>{name}</summary><p>{escape(doc)}</p></details>" if doc else name
    axis = f'<div class="ends">{"".join(f"<span>{escape(text)}</span>" for text in ends)}</div>' if ends else ""
    said = f'<div class="known">{escape(known)}</div>' if known else ""
    return f'<div class="card">{name}{picture}{axis}{said}</div>'


def cards(inner: Iterable[str]) -> str:
    """Small pictures side by side."""
    return f'<div class="cards">{"".join(inner)}</div>'


def _cell(value: object) -> str:
    if isinstance(value, int | float):
        return f'<td class="number">{value:,}</td>'
    return f"<td>{escape(str(value))}</td>"

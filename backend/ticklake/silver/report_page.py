"""The page of a report: its frame, style and parts as HTML text. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

_CONFIG: Final = {"displayModeBar": False, "responsive": True}
_STYLE: Final = """
:root { color-scheme: light; --ink: #1f2933; --soft: #616e7c; --line: #e4e8ed; --blue: #2f6bd8; }
* { box-sizing: border-box; }
body { margin: 0; background: #f5f7fa; color: var(--ink); font: 15px/1.5 system-ui, -apple-system, sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 28px 24px 60px; }
h1 { font-size: 26px; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 18px; margin: 0 0 2px; }
p { margin: 4px 0; } .soft { color: var(--soft); overflow-wrap: anywhere; }
section { background: #fff; border: 1px solid var(--line); border-radius: 10px; padding: 18px 20px; margin-top: 18px; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(130px, 1fr)); gap: 12px; margin-top: 18px; }
.tile { background: #fff; border: 1px solid var(--line); border-radius: 10px; padding: 12px 16px; }
.tile b { display: block; font-size: 22px; font-weight: 650; font-variant-numeric: tabular-nums; }
.tile span { color: var(--soft); font-size: 13px; }
.badge { display: inline-block; border-radius: 999px; padding: 2px 11px; font-size: 13px; font-weight: 600;
  margin: 0 6px 4px 0; color: #fff; }
.good { background: #2a9d6f; } .warn { background: #b97a16; } .bad { background: #d1495b; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(205px, 1fr)); gap: 12px; margin-top: 12px; }
.card { border: 1px solid var(--line); border-radius: 8px; padding: 9px 11px 7px; min-width: 0;
  display: flex; flex-direction: column; }
.card h3 { font-size: 12.5px; font-weight: 600; margin: 0 0 6px; overflow-wrap: anywhere; line-height: 1.25; }
.card svg { width: 100%; height: 54px; display: block; margin-top: auto; border-bottom: 1px solid #c9d2dc; }
.card rect { fill: #7ea6ea; }
.card path { fill: none; stroke: #d98410; stroke-width: 1.6; vector-effect: non-scaling-stroke; }
.card .ends { display: flex; justify-content: space-between; gap: 6px; margin-top: 3px; font-size: 11px;
  color: var(--soft); }
.card .ends span { white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
ul { margin: 8px 0 0; padding-left: 20px; } li { overflow-wrap: anywhere; }
footer { color: var(--soft); font-size: 13px; margin-top: 22px; overflow-wrap: anywhere; }
"""


def page(title: str, parts: Iterable[str]) -> str:
    """A whole page that needs nothing from elsewhere: style and Plotly are inside."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n<script>{get_plotlyjs()}</script>\n</head>\n"
        f"<body>\n<main>\n{''.join(parts)}</main>\n</body>\n</html>\n"
    )


def header(title: str, description: str, badges: Sequence[tuple[str, str]], facts: str) -> str:
    """Title, badges (text, `good` | `warn` | `bad`), description and a line of facts."""
    marks = "".join(f'<span class="badge {kind}">{escape(text)}</span>' for text, kind in badges)
    said = f"<p>{escape(description)}</p>" if description else ""
    return f'<header><p>{marks}</p><h1>{escape(title)}</h1>{said}<p class="soft">{escape(facts)}</p></header>\n'


def tiles(figures: Sequence[tuple[str, str]]) -> str:
    """Big numbers with what they count."""
    inner = "".join(f'<div class="tile"><b>{escape(big)}</b><span>{escape(text)}</span></div>' for big, text in figures)
    return f'<div class="tiles">{inner}</div>\n'


def section(title: str, text: str, *parts: str) -> str:
    """A titled box."""
    return f'<section><h2>{escape(title)}</h2><p class="soft">{escape(text)}</p>{"".join(parts)}</section>\n'


def chart(name: str, figure: go.Figure) -> str:
    """A figure as part of the page; `name` is its id there."""
    text: str = figure.to_html(full_html=False, include_plotlyjs=False, div_id=name, config=_CONFIG)
    return text


def listing(lines: Sequence[str]) -> str:
    """A list of sentences; nothing for none."""
    return f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>" if lines else ""


def card(title: str, picture: str, left: str, middle: str, right: str) -> str:
    """A small picture with its name, its ends and a word between them."""
    ends = "".join(f"<span>{escape(text)}</span>" for text in (left, middle, right))
    return f'<div class="card"><h3>{escape(title)}</h3>{picture}<div class="ends">{ends}</div></div>'


def cards(inner: Iterable[str]) -> str:
    """Small pictures side by side."""
    return f'<div class="cards">{"".join(inner)}</div>'

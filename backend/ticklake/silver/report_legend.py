"""The legend of a picture as HTML, which wraps in a narrow window and can be read aloud. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

_FILLED: Final = 'fill="{color}"'
_OPEN: Final = 'fill="none" stroke="{color}" stroke-width="2"'
_SHAPES: Final = {  # named as the symbols of Plotly, 14 px wide and high
    "square": f'<rect x="1" y="1" width="12" height="12" stroke="#75818d" {_FILLED}/>',
    "square-open": f'<rect x="2" y="2" width="10" height="10" {_OPEN}/>',
    "circle": f'<circle cx="7" cy="7" r="5" {_FILLED}/>',
    "circle-open": f'<circle cx="7" cy="7" r="5" {_OPEN}/>',
    "diamond": f'<path d="M7 1L13 7L7 13L1 7Z" {_FILLED}/>',
    "x-thin-open": f'<path d="M2 2L12 12M12 2L2 12" {_OPEN}/>',
    "line-ew-open": f'<path d="M1 7H13" {_OPEN}/>',
    "line-ns-dot": f'<path d="M7 0V14" stroke-dasharray="2 2" {_OPEN}/>',
}


@dataclass(frozen=True, slots=True)
class Mark:
    """What a shape of a colour stands for."""

    shape: str
    color: str
    text: str


def legend(marks: Sequence[Mark]) -> str:
    """All of them side by side; nothing for none."""
    if not marks:
        return ""
    inner = "".join(
        f'<li><svg width="14" height="14" aria-hidden="true">{_SHAPES[mark.shape].format(color=mark.color)}</svg> '
        f"{escape(mark.text)}</li>"
        for mark in marks
    )
    return f'<ul class="legend">{inner}</ul>'


def shades(colors: Sequence[str], low: str, high: str) -> str:
    """A strip of colours with what its ends stand for."""
    return (
        f'<p class="legend">{escape(low)} <span class="shades" style="background: linear-gradient(90deg, '
        f'{", ".join(colors)})"></span> {escape(high)}</p>'
    )

"""Horizontal bar charts as SVG, readable on light and dark pages, without a plotting library."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH = 760
LABEL = 210
VALUE = 60
ROW = 26
BAR = 16
TITLE = 44
GAP = 18
STYLE = """
text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328; }
.title { font-weight: 600; }
.ours { font-weight: 600; }
.bar { fill: #afb8c1; }
.bar.ours { fill: #0969da; }
.axis { stroke: #d0d7de; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  .bar { fill: #57606a; }
  .bar.ours { fill: #58a6ff; }
  .axis { stroke: #30363d; }
}
"""


@dataclass(frozen=True, slots=True)
class Bar:
    """One system's value; ours stands out."""

    name: str
    value: float
    ours: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """Bars under one title, on one scale from zero."""

    title: str
    bars: Sequence[Bar]

    @property
    def height(self) -> int:
        return TITLE + ROW * len(self.bars) + GAP


def chart(panels: Sequence[Panel]) -> str:
    """An SVG file's text: the panels under each other."""
    height = sum(panel.height for panel in panels)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" role="img">',
        f"<title>{escape('; '.join(panel.title for panel in panels))}</title>",
        f"<style>{STYLE}</style>",
    ]
    top = 0
    for panel in panels:
        lines += _panel(panel, top)
        top += panel.height
    return "\n".join([*lines, "</svg>"]) + "\n"


def _panel(panel: Panel, top: int) -> list[str]:
    longest = max(bar.value for bar in panel.bars) or 1.0
    scale = (WIDTH - LABEL - VALUE) / longest
    first = top + TITLE
    end = first + ROW * len(panel.bars)
    lines = [f'<text class="title" x="0" y="{top + 24}">{escape(panel.title)}</text>']
    for number, bar in enumerate(panel.bars):
        kind = " ours" if bar.ours else ""
        y = first + ROW * number
        width = max(1.0, bar.value * scale)
        middle = y + BAR - 3
        lines += [
            f'<text class="name{kind}" x="{LABEL - 10}" y="{middle}" text-anchor="end">{escape(bar.name)}</text>',
            f'<rect class="bar{kind}" x="{LABEL}" y="{y}" width="{width:.1f}" height="{BAR}" rx="2"/>',
            f'<text class="value{kind}" x="{LABEL + width + 8:.1f}" y="{middle}">{bar.value:.1f}</text>',
        ]
    return [*lines, f'<line class="axis" x1="{LABEL}" y1="{first - 6}" x2="{LABEL}" y2="{end}"/>']

"""SVG from parts: text that shows as it is, shapes, and colours for light and dark. Used by ``picture``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from unicodedata import east_asian_width

from reconciler.report.markup import visible

LIGHT: Mapping[str, str] = {
    "ground": "#ffffff",
    "line": "#d1d9e0",
    "text": "#1f2328",
    "dim": "#59636e",
    "held": "#1a7f37",
    "healing": "#0969da",
    "missing": "#9a6700",
    "failed": "#cf222e",
    "empty": "#818b98",
}
DARK: Mapping[str, str] = {
    "ground": "#0d1117",
    "line": "#3d444d",
    "text": "#f0f6fc",
    "dim": "#9198a1",
    "held": "#3fb950",
    "healing": "#58a6ff",
    "missing": "#d29922",
    "failed": "#ff7b72",
    "empty": "#6e7681",
}

_FONT = "system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif"
_ALWAYS = (
    f"text{{font:11px {_FONT}}}.name{{font-size:12px;font-weight:600}}.end{{text-anchor:end}}"
    ".missing,.healing,.failed,.empty,.line,.checked{fill:none;stroke-width:2}.line{stroke-width:1}"
    ".checked{stroke-width:1.6;stroke-linecap:round}.failed{stroke-width:2.6;stroke-linecap:round}.empty{stroke-width:3;stroke-linecap:round}"
)
_SHAPES = (
    '<rect id="held" class="held" width="10" height="10" rx="2"/>'
    '<g id="verified"><rect class="held" width="10" height="10" rx="2"/><path class="checked" d="M2.2 5.2l2 2.1 3.6-4.4"/></g>'
    '<rect id="missing" class="missing" x="1" y="1" width="8" height="8"/>'
    '<g id="healing"><circle class="healing" cx="5" cy="5" r="4"/><path class="healed" d="M1 5a4 4 0 0 0 8 0z"/></g>'
    '<path id="failed" class="failed" d="M1.5 1.5l7 7m0-7l-7 7"/>'
)
_ILLEGAL = re.compile("[^\x09\x0a\x0d\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
MARK = 10
"""Width and height of a mark."""


def document(width: int, height: int, title: str, description: str, body: str) -> str:
    """The whole file. ``body`` is markup; ``title`` and ``description`` are what a screen reader says."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
        ' role="img" aria-labelledby="picture-title picture-desc">\n'
        f'<title id="picture-title">{plain(title)}</title>\n<desc id="picture-desc">{plain(description)}</desc>\n'
        f"<style>{_ALWAYS}{_rules(LIGHT)}@media(prefers-color-scheme:dark){{{_rules(DARK)}}}</style>\n"
        f"<defs>{_SHAPES}</defs>\n"
        f'<rect class="ground" width="{width}" height="{height}" rx="6"/>\n{body}</svg>\n'
    )


def _rules(colours: Mapping[str, str]) -> str:
    strokes = "".join(
        f".{name}{{stroke:{colours[name]}}}" for name in ("missing", "healing", "failed", "empty", "line")
    )
    fills = f".ground{{fill:{colours['ground']}}}.held{{fill:{colours['held']}}}.healed{{fill:{colours['healing']}}}"
    fills += f".checked{{stroke:{colours['ground']}}}"
    words = f"text{{fill:{colours['text']}}}.dim{{fill:{colours['dim']}}}.bad{{fill:{colours['failed']}}}"
    return f"{fills}{words}{strokes}"


def plain(content: str) -> str:
    """``content`` as it stands in an element or an attribute: no markup, nothing that XML forbids or that nobody sees."""
    return escape(_ILLEGAL.sub("\ufffd", visible(content)))


def text(x: float, y: float, content: str, kind: str, room: float, size: float = 11) -> str:
    """Text that begins (or ends, with ``end`` in its kind) at ``x``.

    It is cut where it needs more than ``room``; its title has it whole.
    """
    shown = cut(content, room, size)
    whole = f"<title>{plain(content)}</title>" if shown != content else ""
    return f'<text class="{kind}" x="{x:g}" y="{y:g}">{plain(shown)}{whole}</text>\n'


def mark(x: float, y: float, kind: str, title: str) -> str:
    """A mark with its top left corner there."""
    return f'<use href="#{kind}" x="{x:g}" y="{y:g}"><title>{plain(title)}</title></use>\n'


def dots(places: list[float], y: float) -> str:
    """Small dots where nothing is expected, centred in marks that begin at ``places``."""
    half = MARK / 2
    path = "".join(f"M{x + half:g} {y + half:g}h0" for x in places)
    return f'<path class="empty" d="{path}"/>\n' if places else ""


def width_of(content: str, size: float) -> float:
    """About how wide it is drawn, on the safe side: fonts differ."""
    return sum(size if east_asian_width(sign) in "WF" else 0.62 * size for sign in content)


def cut(content: str, room: float, size: float) -> str:
    """``content``, or as much of its beginning and end as fits: names differ at either."""
    if width_of(content, size) <= room:
        return content
    half = (room - size) / 2
    return f"{_fitting(content, half, size)}…{_fitting(content[::-1], half, size)[::-1]}"


def _fitting(content: str, room: float, size: float) -> str:
    kept = 0
    for sign in content:
        room -= width_of(sign, size)
        if room < 0:
            break
        kept += 1
    return content[:kept]

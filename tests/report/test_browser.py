"""The picture in a real browser, as an image in a page: what a person sees of it in light and dark, on a phone."""

import base64
import json
from collections.abc import Iterator, Sequence
from itertools import combinations

import msgspec
import pytest

from reconciler.report import picture
from reconciler.report.drawing import DARK, LIGHT, MARK
from tests.conftest import Parts
from tests.parts.browser import Browser, Scheme, browser
from tests.report.example import bad_day
from tests.report.fleets import fleet_of
from tests.report.reading import Drawn, read

# The texts are measured in a copy in the page, the colours in the image itself.
PAGE = """<!doctype html><meta charset="utf-8"><meta name="color-scheme" content="light dark">
<body style="margin:0"><div style="width:{width}px"><img style="max-width:100%" src="data:image/svg+xml;base64,{data}"></div>
{svg}<pre id="answer"></pre>
<script>
addEventListener("load", () => {{
  const image = document.images[0], canvas = document.createElement("canvas");
  canvas.width = image.naturalWidth; canvas.height = image.naturalHeight;
  const sheet = canvas.getContext("2d");
  sheet.drawImage(image, 0, 0);
  const pixels = {points}.map(([x, y]) => Array.from(sheet.getImageData(x, y, 1, 1).data));
  const texts = Array.from(document.querySelectorAll("svg text"), item => {{
    const box = item.getBBox();
    return [item.firstChild.data, box.x, box.y, box.x + box.width, box.y + box.height];
  }});
  document.getElementById("answer").textContent =
    JSON.stringify({{pixels, texts, scale: image.width / image.naturalWidth}});
}});
</script>"""
PHONE = 375 - 2 * 16
"""Pixels that a forge leaves for a picture on a phone."""
SOLID = ("held", "healing")
"""Marks that are filled where the colour is taken."""


class Answer(msgspec.Struct):
    """What the page found: the colours at the points, the texts with their boxes, and how much the image was shrunk."""

    pixels: list[tuple[int, int, int, int]]
    texts: list[tuple[str, float, float, float, float]]
    scale: float


@pytest.fixture(scope="module")
def chromium(parts: Parts) -> Iterator[Browser]:
    with parts.running(browser()) as opened:
        yield opened


def ask(chromium: Browser, drawn: Drawn, scheme: Scheme) -> Answer:
    """What a browser makes of it; the first point is the ground, the others lie in the marks."""
    points = [(21, 2), *((mark.x + MARK / 2, mark.y + MARK / 2 + 2) for mark in drawn.marks)]
    data = base64.b64encode(drawn.svg.encode()).decode()
    page = PAGE.format(width=PHONE, data=data, svg=drawn.svg, points=json.dumps(points))
    return msgspec.convert(chromium.ask(page, scheme), Answer)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_follow_the_reader_and_texts_keep_apart(chromium: Browser, scheme: Scheme) -> None:
    drawn = read(picture(bad_day() if scheme == "light" else fleet_of(9)))
    answer = ask(chromium, drawn, scheme)
    colours = LIGHT if scheme == "light" else DARK
    ground, *pixels = [f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue, _ in answer.pixels]
    assert ground == colours["ground"]
    solid = [(mark, pixel) for mark, pixel in zip(drawn.marks, pixels, strict=True) if mark.state in SOLID]
    assert len(solid) > 40
    for mark, pixel in solid:
        assert pixel == colours[mark.state], mark
    for text, *box in answer.texts:
        assert inside(box, drawn), text
    for one, other in combinations(answer.texts, 2):
        assert not overlap(one[1:], other[1:]), (one, other)
    assert answer.scale > 0.9, "on a phone it is shrunk until nobody can read it"


def inside(box: Sequence[float], drawn: Drawn) -> bool:
    left, top, right, bottom = box
    return left >= 0 and top >= 0 and right <= drawn.width and bottom <= drawn.height


def overlap(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether two boxes share more than the blank above and below their letters."""
    left, top, right, bottom = one
    other_left, other_top, other_right, other_bottom = other
    return left < other_right and other_left < right and top + 2 < other_bottom and other_top + 2 < bottom

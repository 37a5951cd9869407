"""Reads a picture as a person does: which marks stand in which row, by target, destination and tier."""

import re
from typing import NamedTuple
from xml.etree import ElementTree as ET

SVG = "{http://www.w3.org/2000/svg}"


class Mark(NamedTuple):
    """One mark. ``title`` is what it says when it is pointed at; ``x`` and ``y`` are its top left corner."""

    state: str
    title: str
    x: float
    y: float


class Drawn(NamedTuple):
    """A picture. ``rows`` are by target and destination: the marks of each tier in their order, and the number of dots."""

    svg: str
    width: float
    height: float
    title: str
    about: str
    rows: dict[str, dict[str, list[Mark]]]
    dots: dict[str, dict[str, int]]

    @property
    def marks(self) -> list[Mark]:
        """All marks but those of the legend."""
        return [mark for row in self.rows.values() for marks in row.values() for mark in marks]

    def states(self, target: str, destination: str, tier: str) -> list[str]:
        """The marks of one tier in their order."""
        marks = [mark for mark in self.rows[target][destination] if mark.title.startswith(f"{tier} ")]
        return [mark.state for mark in sorted(marks, key=lambda mark: mark.x)]


def read(svg: str) -> Drawn:
    """The picture. Raises ParseError when it is no XML."""
    root = ET.fromstring(svg.encode())
    rows: dict[str, dict[str, list[Mark]]] = {}
    dots: dict[str, dict[str, int]] = {}
    for group in root.findall(f"{SVG}g"):
        name = said(group.find(f"{SVG}text"))
        lanes = group.findall(f"{SVG}g")
        rows[name] = {
            said(lane.find(f"{SVG}text")): [of(use) for use in lane.iter(f"{SVG}use")] for lane in lanes
        }
        dots[name] = {said(lane.find(f"{SVG}text")): count(lane) for lane in lanes}
    return Drawn(
        svg,
        float(root.attrib["width"]),
        float(root.attrib["height"]),
        said(root.find(f"{SVG}title")),
        said(root.find(f"{SVG}desc")),
        rows,
        dots,
    )


def said(element: ET.Element | None) -> str:
    """The whole text: the title of what is cut, else the text itself."""
    assert element is not None
    title = element.find(f"{SVG}title")
    return (element.text if title is None else title.text) or ""


def of(use: ET.Element) -> Mark:
    return Mark(
        use.attrib["href"].removeprefix("#"), said(use), float(use.attrib["x"]), float(use.attrib["y"])
    )


def count(lane: ET.Element) -> int:
    paths = [path.attrib["d"] for path in lane.findall(f"{SVG}path")]
    return sum(len(re.findall("M", path)) for path in paths)

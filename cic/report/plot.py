"""A picture as SVG, written by hand: frame, ticks, dots, crosses and lines, of bounded size however many values there are."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby, pairwise
from statistics import median

from cic.report.elements import element, extend, number
from cic.report.scales import Scale

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from xml.etree.ElementTree import Element

    Point = tuple[float, float]

# Values that fall into the same square of this size are drawn once.
_CELL = 2.0
_COLUMNS = 480


@dataclass(frozen=True, slots=True)
class Plot:
    """The area that two axes span."""

    x: Scale
    y: Scale

    @property
    def box(self) -> tuple[float, float, float, float]:
        """left, top, width, height; y may run upwards or downwards."""
        return self.x.start, min(self.y.start, self.y.end), self.x.end - self.x.start, abs(self.y.start - self.y.end)

    def clip(self, name: str) -> Element:
        """The area as a clip path of that id."""
        left, top, width, height = self.box
        return element("clipPath", element("rect", x=left, y=top, width=width, height=height), id=name)

    def horizontal_axis(self, ticks: Iterable[float], show: Callable[[float], str], title: str = "") -> Element:
        """Grid lines across and their texts below."""
        _, top, width, height = self.box
        bottom = top + height
        axis = element("g", class_="axis")
        for tick in ticks:
            at = self.x.place(tick)
            axis.append(element("path", d=f"M{number(at)} {number(top)}V{number(bottom)}"))
            axis.append(element("text", show(tick), x=at, y=bottom + 16, text_anchor="middle"))
        if title:
            axis.append(element("text", title, x=self.x.start + width / 2, y=bottom + 34, text_anchor="middle", class_="name"))
        return axis

    def vertical_axis(self, ticks: Iterable[float], show: Callable[[float], str], title: str = "") -> Element:
        """Grid lines along and their texts on the left; the title above."""
        left, top, width, _ = self.box
        axis = element("g", class_="axis")
        for tick in ticks:
            at = self.y.place(tick)
            axis.append(element("path", d=f"M{number(left)} {number(at)}h{number(width)}"))
            axis.append(element("text", show(tick), x=left - 7, y=at + 4, text_anchor="end"))
        if title:
            axis.append(element("text", title, x=left, y=top - 9, class_="name"))
        return axis

    def dots(self, points: Iterable[Point], style: str) -> Element:
        """A dot for each point; neighbours above each other become one stroke."""
        cells = sorted({(round(self.x.place(x) / _CELL), round(self.y.place(y) / _CELL)) for x, y in points})
        strokes = []
        for column, members in groupby(cells, key=lambda cell: cell[0]):
            for first, last in _runs([row for _, row in members]):
                strokes.append(f"M{number(column * _CELL)} {number(first * _CELL)}v{number((last - first) * _CELL)}")
        return element("path", d="".join(strokes) or "M0 0", class_=f"dots {style}")

    def crosses(self, points: Iterable[Point], style: str) -> Element:
        """A cross for each point, on a rim in the colour of the paper, which sets it off from what it lies on."""
        cells = sorted({(round(self.x.place(x) / _CELL), round(self.y.place(y) / _CELL)) for x, y in points})
        strokes = [f"M{number(x * _CELL - 3)} {number(y * _CELL - 3)}l6 6m0-6l-6 6" for x, y in cells]
        path = "".join(strokes) or "M0 0"
        return element("g", element("path", d=path, class_="crosses rim"), element("path", d=path, class_=f"crosses {style}"))

    def line(self, points: Sequence[tuple[float, float | None]], style: str) -> Element:
        """A line through points in the order of x; of those that share a column the median; broken where y is None."""
        width = (self.x.end - self.x.start) / _COLUMNS
        strokes, going = [], False
        for column, members in groupby(points, key=lambda point: int((self.x.place(point[0]) - self.x.start) / width)):
            inside = list(members)
            values = [y for _, y in inside if y is not None]
            if not values:
                going = False
                continue
            x = inside[0][0] if len(inside) == 1 else self.x.low
            at = self.x.place(x) if len(inside) == 1 else self.x.start + (column + 0.5) * width
            strokes.append(f"{'L' if going else 'M'}{number(at)} {number(self.y.place(median(values)))}")
            # A point without neighbours is still to be seen.
            strokes += [] if going else ["h.01"]
            going = True
        return element("path", d="".join(strokes) or "M0 0", class_=f"line {style}")

    def spans(self, times: Sequence[float], chosen: Sequence[bool]) -> list[tuple[float, float, int]]:
        """Left, width and number of the records of each stretch in which `chosen` holds: a record does until the next one."""
        width = (self.x.end - self.x.start) / _COLUMNS
        counts: dict[int, int] = {}
        for (time, following), holds in zip(pairwise([*times, self.x.high]), chosen, strict=True):
            if holds:
                first, end = (int((self.x.place(at) - self.x.start) / width) for at in (time, following))
                counts[min(first, _COLUMNS - 1)] = counts.get(min(first, _COLUMNS - 1), 0) + 1
                for column in range(first + 1, min(end, _COLUMNS)):
                    counts.setdefault(column, 0)
        return [
            (self.x.start + first * width, (last - first + 1) * width, sum(counts[at] for at in range(first, last + 1)))
            for first, last in _runs(sorted(counts))
        ]


def picture(name: str, size: tuple[int, int], title: str, description: str, *children: Element) -> Element:
    """An SVG with a title and a description that are read in its place; `name` makes its ids differ from others'."""
    width, height = size
    drawn = element(
        "svg",
        element("title", title, id=f"{name}-title"),
        element("desc", description, id=f"{name}-description"),
        viewBox=f"0 0 {width} {height}",
        role="img",
        aria_labelledby=f"{name}-title {name}-description",
        style=f"max-width:{width}px",
    )
    return element("div", extend(drawn, children), class_="scrolls wide" if width > height * 1.5 else "scrolls")


def legend(entries: Iterable[tuple[str, str, str]]) -> Element:
    """Samples with their meanings; each entry is a kind of mark ("dots", "crosses", "line"), its style and a text."""
    strokes = {"dots": "M9 7v0", "crosses": "M6 4l6 6m0-6l-6 6", "line": "M1 7h16", "span": "M1 7h16"}
    items = [
        element(
            "li",
            element(
                "svg",
                element("path", d=strokes[kind], class_=f"{kind} {style}"),
                viewBox="0 0 18 14",
                width=18,
                height=14,
                aria_hidden="true",
            ),
            text,
        )
        for kind, style, text in entries
    ]
    return element("ul", *items, class_="legend")


def _runs(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """First and last of each stretch of ascending numbers without a gap."""
    runs: list[tuple[int, int]] = []
    for value in numbers:
        if runs and value == runs[-1][1] + 1:
            runs[-1] = runs[-1][0], value
        else:
            runs.append((value, value))
    return runs

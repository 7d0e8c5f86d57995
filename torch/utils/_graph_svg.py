"""A directed graph as an SVG picture: boxes with lines of text, laid out in layers."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape

from torch._checkpoint_writing import AtomicFile

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

_CHARACTER, _LINE = 7.2, 15.0  # width of a character and height of a line, in pixels
_PADDING, _BETWEEN, _APART = 8.0, 42.0, 18.0  # inside a box, between layers, between boxes of a layer
_MARGIN = 20.0
_LONGEST = 44  # characters of a line
_COLOURS = {  # fill and border
    "operation": ("#eef2f7", "#6b7a90"),
    "module": ("#e8eefc", "#4a6fb5"),
    "parameter": ("#fdf1d8", "#b98a2f"),
    "input": ("#e2f4e6", "#4c9a62"),
    "output": ("#f9e3e3", "#b5544a"),
    "note": ("#ffffff", "#999999"),
}


@dataclass
class Box:
    """A node: its kind (a colour), its lines of text, the first one bold, and what a pointer over it shows."""

    kind: str
    lines: list[str]
    title: str = ""


@dataclass
class Drawing:
    """A graph as :func:`torch.utils.draw_graph` returns it; a notebook shows the picture.

    Attributes:
        nodes: the boxes; ``edges`` are pairs of their numbers, in the direction of the forward pass.
        note: what was left out; ``""`` if nothing was.
        svg: the picture as text.
    """

    nodes: list[Box] = field(default_factory=list)
    edges: list[tuple[int, int]] = field(default_factory=list)
    note: str = ""
    svg: str = ""

    def _repr_svg_(self) -> str:
        return self.svg

    def __repr__(self) -> str:
        note = f", {self.note}" if self.note else ""
        return f"Drawing({len(self.nodes)} nodes, {len(self.edges)} edges{note})"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the picture to a file, which appears, or is replaced, only when it is complete."""
        with AtomicFile(path) as file:
            file.write(self.svg.encode())


def _cut(line: str) -> str:
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "\u2026"


def _size(box: Box) -> tuple[float, float]:
    width = max(len(_cut(line)) for line in box.lines) * _CHARACTER + 2 * _PADDING
    return width, len(box.lines) * _LINE + 2 * _PADDING


def _layout(count: int, edges: list[tuple[int, int]]) -> tuple[dict[int, tuple[float, int]], list[list[int]]]:
    """Column and layer of each node, and of the bends of edges, as further nodes; the paths of the edges.

    Columns are multiples of the distance between neighbours. By Sugiyama's method: layers, few crossings, short edges.
    """
    try:
        from fast_sugiyama import from_edges
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "draw_graph needs the package that lays out graphs: pip install fast-sugiyama", name=error.name
        ) from None
    linked = sorted({node for edge in edges for node in edge})
    number = {node: i for i, node in enumerate(linked)}
    numbered = [(number[a], number[b]) for a, b in edges]
    parts = from_edges(numbered, dummy_vertices=True, vertex_spacing=1) if edges else []
    places: dict[int, tuple[float, int]] = {}
    paths: list[list[int]] = []
    right, bends = 0.0, count
    for positions, _, _, pieces in parts:
        names = {}  # the library's numbers of this part, bends included
        for i, _ in positions:
            if i < len(linked):
                names[i] = linked[i]
            else:
                names[i], bends = bends, bends + 1
        left = min(x for _, (x, _) in positions)
        layers = {y: i for i, y in enumerate(sorted({y for _, (_, y) in positions}, reverse=True))}
        for i, (x, y) in positions:
            places[names[i]] = (right + x - left, layers[y])
        right += max(x for _, (x, _) in positions) - left + 1
        following = {names[a]: names[b] for a, b in pieces if names[a] >= count}
        for a, b in pieces:
            if names[a] < count:
                path = [names[a], names[b]]
                while path[-1] >= count:
                    path.append(following[path[-1]])
                paths.append(path)
    for node in range(count):
        if node not in places:
            places[node] = (right, 0)
            right += 1
    return places, paths


def render(boxes: list[Box], edges: Iterable[tuple[int, int]], note: str = "") -> str:
    """The picture of a graph without cycles, as text.

    Raises:
        ModuleNotFoundError: the package that lays it out is not installed.
    """
    edges = sorted(set(edges))
    places, paths = _layout(len(boxes), edges)
    sizes = [_size(box) for box in boxes]
    step = max((width for width, _ in sizes), default=0) + _APART
    heights: dict[int, float] = {}
    for node, (_, layer) in places.items():
        heights[layer] = max(heights.get(layer, 0), sizes[node][1] if node < len(boxes) else 0)
    middles, top = {}, _MARGIN
    for layer in sorted(heights):
        middles[layer] = top + heights[layer] / 2
        top += heights[layer] + _BETWEEN
    centre = {node: (_MARGIN + step / 2 + x * step, middles[layer]) for node, (x, layer) in places.items()}
    width = max((x for x, _ in centre.values()), default=0) + step / 2 + _MARGIN
    height = max(top - _BETWEEN, 0) + _MARGIN + (_LINE + _MARGIN if note else 0)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" '
        'font-family="ui-monospace, DejaVu Sans Mono, monospace" font-size="11">',
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 8 4 0 8z" fill="#777"/></marker></defs>',
        f'<rect width="{width:.0f}" height="{height:.0f}" fill="#fff"/>',
    ]
    parts += [_edge(path, centre, sizes) for path in paths]
    parts += [_box(box, *centre[i], *sizes[i]) for i, box in enumerate(boxes)]
    if note:
        parts.append(f'<text x="{_MARGIN}" y="{height - _MARGIN:.0f}" fill="#b00">{escape(note)}</text>')
    return "\n".join([*parts, "</svg>"])


def _edge(path: list[int], centre: dict[int, tuple[float, float]], sizes: list[tuple[float, float]]) -> str:
    points = [centre[node] for node in path]
    points[0] = (points[0][0], points[0][1] + sizes[path[0]][1] / 2)
    points[-1] = (points[-1][0], points[-1][1] - sizes[path[-1]][1] / 2)
    text = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    for (x1, y1), (x2, y2) in zip(points, points[1:]):
        middle = (y1 + y2) / 2
        text += f"C{x1:.1f} {middle:.1f} {x2:.1f} {middle:.1f} {x2:.1f} {y2:.1f}"
    return f'<path d="{text}" fill="none" stroke="#777" marker-end="url(#arrow)"/>'


def _box(box: Box, x: float, y: float, width: float, height: float) -> str:
    fill, border = _COLOURS[box.kind]
    left, top = x - width / 2, y - height / 2
    weights = [' font-weight="bold"', *[""] * (len(box.lines) - 1)]
    lines = [
        f'<text x="{x:.1f}" y="{top + _PADDING + (i + 0.75) * _LINE:.1f}" text-anchor="middle"{weight}>'
        f"{escape(_cut(line))}</text>"
        for i, (line, weight) in enumerate(zip(box.lines, weights))
    ]
    title = f"<title>{escape(box.title or chr(10).join(box.lines))}</title>"
    frame = f'<rect x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" rx="4"'
    return f'<g class="{box.kind}">{title}{frame} fill="{fill}" stroke="{border}"/>{"".join(lines)}</g>'


Drawing.__module__ = "torch.utils"

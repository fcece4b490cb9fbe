"""A mesh of a quarter of the horn, of quadratic bricks with 20 nodes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Callable

from horn import Fault, Horn

# Limits of the mesh. The largest mesh takes about ten seconds.
MOST_COLUMNS, MOST_ROWS, MOST_LAYERS = 6, 60, 4
# Bricks of at most a third of the length resolve every wave across the horn at the frequency of its half wave.
LEAST_BRICKS_PER_LENGTH = 3
# Beyond this ratio the shape of a mode is not conclusive: sections do not move as a whole.
MOST_WIDTH_PER_LENGTH = 2

CORNERS = ((0, 0, 0), (2, 0, 0), (2, 2, 0), (0, 2, 0), (0, 0, 2), (2, 0, 2), (2, 2, 2), (0, 2, 2))
EDGES = ((0, 1), (1, 2), (2, 3), (3, 0), (4, 5), (5, 6), (6, 7), (7, 4), (0, 4), (1, 5), (2, 6), (3, 7))
# Positions of a brick's nodes in half steps of the grid, in CalculiX order: corners, then midpoints of the edges.
PLACES = CORNERS + tuple(tuple((CORNERS[a][axis] + CORNERS[b][axis]) // 2 for axis in range(3)) for a, b in EDGES)


@dataclass(frozen=True)
class Mesh:
    """
    The quarter x >= 0, z >= 0. The half-wave mode is symmetric to both middle planes, so the quarter has it exactly,
    and none of the many bending and torsion modes. Nodes and bricks are numbered from 0 here, from 1 in the deck.
    """

    rows: int
    # By node: its position in the grid in half steps, and its coordinates in mm.
    places: list[tuple[int, int, int]]
    points: list[tuple[float, float, float]]
    bricks: list[tuple[int, ...]]

    def nodes_in(self, axis: int, half_step: int) -> list[int]:
        """The nodes of one plane of the grid: axis 0, 1 or 2 for x, y or z."""
        return [node for node, place in enumerate(self.places) if place[axis] == half_step]

    def volume(self, brick: int) -> float:
        """Volume of a brick in mm3, with its faces approximated as plane."""
        corners = [self.points[node] for node in self.bricks[brick][:8]]
        height = sum(corners[at + 4][2] - corners[at][2] for at in range(4)) / 4
        return (corners[1][0] - corners[0][0]) * (corners[3][1] - corners[0][1]) * height

    def face_weights(self, is_tip: bool) -> dict[int, float]:
        """Weights of the nodes in a mean over the tip face or the driven face.

        They integrate the quadratic motion exactly. Their sum is 1.
        """
        weights: dict[int, float] = {}
        side = 2 if is_tip else 0
        end = 2 * self.rows if is_tip else 0
        for brick in self.bricks:
            face = [at for at, place in enumerate(PLACES) if place[1] == side]
            if self.places[brick[face[0]]][1] != end:
                continue
            points = [self.points[brick[at]] for at in face]
            area = (max(x for x, _, _ in points) - min(x for x, _, _ in points)) * (max(z for _, _, z in points) - min(z for _, _, z in points))
            for at in face:
                weights[brick[at]] = weights.get(brick[at], 0.0) + area * (-1 / 12 if at < 8 else 1 / 3)
        total = sum(weights.values())
        return {node: weight / total for node, weight in weights.items()}


def build_mesh(horn: Horn) -> Mesh:
    """One quadratic brick for two linear elements of the input: the same node distance, within the limits."""
    if max(horn.width, horn.driven_thickness, horn.tip_thickness) > MOST_WIDTH_PER_LENGTH * horn.length:
        raise Fault("no half-wave longitudinal mode: the horn is more than twice as wide or thick as it is long")
    least_columns = math.ceil(horn.width / 2 / horn.length * LEAST_BRICKS_PER_LENGTH)
    columns = max(least_columns, min(MOST_COLUMNS, math.ceil(horn.elements_x / 4)))
    rows = min(MOST_ROWS, 2 * math.ceil(horn.elements_y / 4))  # even: the step lies between two rows
    grid = _stepped_grid(horn, rows) if horn.profile == "stepped" else _plain_grid(horn, rows)
    thick_rows = range(rows // 2) if horn.driven_thickness > horn.tip_thickness else range(rows // 2, rows)
    numbers: dict[tuple[int, int, int], int] = {}
    bricks = []
    for row in range(rows):
        for layer in range(grid.inner + (grid.outer if row in thick_rows else 0)):
            for column in range(columns):
                corner = (2 * column, 2 * row, 2 * layer)
                places = [tuple(a + b for a, b in zip(corner, place)) for place in PLACES]
                bricks.append(tuple(numbers.setdefault(place, len(numbers)) for place in places))
    points = [(horn.width / 2 * i / (2 * columns), grid.y[j], grid.z(grid.y[j], k)) for i, j, k in numbers]
    return Mesh(rows, list(numbers), points, bricks)


@dataclass(frozen=True)
class Grid:
    """Positions of half steps along y, and along z at some y. Outer layers exist only where the horn is thick."""

    inner: int
    outer: int
    y: list[float]
    z: Callable[[float, int], float]


def _plain_grid(horn: Horn, rows: int) -> Grid:
    layers = _layers(max(horn.driven_thickness, horn.tip_thickness) / 2, horn.length / rows)
    y = [horn.length * j / (2 * rows) for j in range(2 * rows + 1)]
    return Grid(layers, 0, y, lambda y, k: horn.thickness(y) / 2 * k / (2 * layers))


def _stepped_grid(horn: Horn, rows: int) -> Grid:
    """Finer towards the corner of the step, where the stress is singular.

    Equal bricks would overestimate the frequency by about 0.3 %.
    """
    thinner, thicker = sorted((horn.driven_thickness / 2, horn.tip_thickness / 2))
    inner, outer = (max(2, _layers(part, horn.length / rows)) for part in (thinner, thicker - thinner))
    before = _towards_end(horn.length / 2, rows // 2)
    y = before + [horn.length - value for value in reversed(before[:-1])]
    beyond = [thicker - value for value in reversed(_towards_end(thicker - thinner, outer))]
    z = _towards_end(thinner, inner) + beyond[1:]
    return Grid(inner, outer, y, lambda _y, k: z[k])


def _towards_end(length: float, steps: int) -> list[float]:
    """Half steps from 0 to `length`, shorter towards it. Odd ones lie midway: nodes of edges are midpoints."""
    whole = [length * (1 - (1 - step / steps) ** 2) for step in range(steps + 1)]
    return [(whole[at // 2] + whole[(at + 1) // 2]) / 2 for at in range(2 * steps + 1)]


def _layers(thickness: float, size: float) -> int:
    return max(1, min(MOST_LAYERS, math.ceil(thickness / size)))

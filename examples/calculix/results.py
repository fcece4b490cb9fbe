"""Reads the .dat file of CalculiX."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Iterator

from horn import Fault

HEADING = re.compile(r"E I G E N V A L U E +N U M B E R +(\d+)")
INTEGRATION_POINTS = 8  # of a brick C3D20R


@dataclass
class Mode:
    """A mode, scaled to unit modal mass: displacements by node in mm, stresses of all integration points in MPa."""

    frequency_hz: float
    displacement: dict[int, tuple[float, float, float]] = field(default_factory=dict)
    stress: list[tuple[float, ...]] = field(default_factory=list)


def read_modes(lines: Iterator[str], nodes: int, bricks: int) -> list[Mode]:
    """All modes of a file for a mesh of this size. Nodes are numbered from 0. Raises `Fault` if data is missing."""
    try:
        frequencies = _read_frequencies(lines)
        modes = _read_fields(lines, frequencies)
    except ValueError:  # a line that is cut off
        raise Fault("CalculiX wrote no complete results") from None
    whole = [mode for mode in modes if len(mode.displacement) == nodes and len(mode.stress) == INTEGRATION_POINTS * bricks]
    if not modes or not len(whole) == len(modes) == len(frequencies):
        raise Fault("CalculiX wrote no complete results")
    return modes


def _read_fields(lines: Iterator[str], frequencies: dict[int, float]) -> list[Mode]:
    modes: list[Mode] = []
    rows = None
    for line in lines:
        heading = HEADING.search(line)
        if heading:
            modes.append(Mode(frequencies.get(int(heading.group(1)), 0.0)))
            rows = None
        elif line.lstrip().startswith(("displacements", "stresses")):
            rows = line.split()[0]
        elif rows == "displacements" and line.strip():
            node, x, y, z = line.split()
            modes[-1].displacement[int(node) - 1] = (_number(x), _number(y), _number(z))
        elif rows == "stresses" and line.strip():
            _element, _point, xx, yy, zz, xy, xz, yz = line.split()
            modes[-1].stress.append(tuple(map(_number, (xx, yy, zz, xy, xz, yz))))
    return modes


def _read_frequencies(lines: Iterator[str]) -> dict[int, float]:
    """The table of eigenvalues: mode number, eigenvalue, frequency in rad/s and in Hz, and its imaginary part."""
    frequencies = {}
    for line in lines:
        if "P A R T I C I P A T I O N" in line:
            break
        cells = line.split()
        if len(cells) == 5 and cells[0].isdigit():
            frequencies[int(cells[0])] = _number(cells[3])
    return frequencies


def _number(text: str) -> float:
    """Fortran omits the E if the exponent has three digits."""
    try:
        return float(text)
    except ValueError:
        return float(re.sub(r"(?<=\d)([+-]\d{3})$", r"E\1", text))

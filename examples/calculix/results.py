"""Reads what CalculiX writes into its .dat file."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Iterator

from horn import Fault

HEADING = re.compile(r"E I G E N V A L U E +N U M B E R +(\d+)")


@dataclass
class Mode:
    """A mode, scaled to unit modal mass by CalculiX: displacements by node in mm, stresses of all integration points in MPa."""

    frequency_hz: float
    displacement: dict[int, tuple[float, float, float]] = field(default_factory=dict)
    stress: list[tuple[float, ...]] = field(default_factory=list)


def read_modes(lines: Iterator[str], nodes: int) -> list[Mode]:
    """All modes of a file for a deck with that many nodes, which are counted from 0 here. Raises `Fault` where it is cut off."""
    frequencies = _read_frequencies(lines)
    modes: list[Mode] = []
    rows = None
    for line in lines:
        heading = HEADING.search(line)
        if heading:
            modes.append(Mode(frequencies.get(int(heading.group(1)), 0.0)))
            rows = None
        elif line.lstrip().startswith(("displacements", "stresses")):
            rows = line.split()[0]
        elif rows and modes and line.strip():
            number, *values = line.split()
            if rows == "displacements":
                modes[-1].displacement[int(number) - 1] = tuple(map(_number, values))
            else:
                modes[-1].stress.append(tuple(map(_number, values[1:])))
    if not modes or len(modes) < len(frequencies) or any(len(mode.displacement) != nodes or not mode.stress for mode in modes):
        raise Fault("CalculiX wrote no complete results")
    return modes


def _read_frequencies(lines: Iterator[str]) -> dict[int, float]:
    """The table of eigenvalues: number of the mode, eigenvalue, then the frequency in rad/s, in Hz, and its imaginary part."""
    frequencies = {}
    for line in lines:
        if "P A R T I C I P A T I O N" in line:
            break
        cells = line.split()
        if len(cells) == 5 and cells[0].isdigit():
            frequencies[int(cells[0])] = _number(cells[3])
    return frequencies


def _number(text: str) -> float:
    """Fortran leaves out the E where the exponent has three digits."""
    try:
        return float(text)
    except ValueError:
        return float(re.sub(r"(?<=\d)([+-]\d{3})$", r"E\1", text))

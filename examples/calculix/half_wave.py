"""Finds the longitudinal half-wave mode, and derives the results for the horn."""

from __future__ import annotations

import math
from typing import Callable

from brick_mesh import Mesh
from horn import Fault, Horn
from results import Mode

# A longitudinal mode has at least this part of its kinetic energy in the motion of whole sections along the axis.
LEAST_AXIAL_SHARE = 0.5


def find_half_wave(mesh: Mesh, modes: list[Mode], log: Callable[[str], None]) -> Mode:
    """
    The mode whose sections move along the axis, with one of them at rest. It is identified by its shape only, not by
    its frequency. Logs the character of all modes. Raises `Fault` if there is no such mode.
    """
    best, most = None, LEAST_AXIAL_SHARE
    for mode in modes:
        share, at_rest = character(mesh, mode)
        log(f"mode at {mode.frequency_hz:.1f} Hz: {100 * share:.1f} % axial, nodes: {at_rest}")
        if at_rest == 1 and share >= most:
            best, most = mode, share
    if best is None:
        raise Fault(f"no half-wave longitudinal mode among the first {len(modes)} symmetric ones")
    return best


def character(mesh: Mesh, mode: Mode) -> tuple[float, int]:
    """
    Part of the kinetic energy in which each section moves as a whole along the axis (1 for an ideal thin bar, 0 for
    bending), and the number of sections at rest (1 for the half wave). The mass of a brick is lumped in its corners.
    """
    mass: dict[int, float] = {}
    for number, brick in enumerate(mesh.bricks):
        part = mesh.volume(number) / 8
        for node in brick[:8]:
            mass[node] = mass.get(node, 0.0) + part
    momentum = [0.0] * (mesh.rows + 1)
    section_mass = [0.0] * (mesh.rows + 1)
    total = 0.0
    for node, part in mass.items():
        row = mesh.places[node][1] // 2
        motion = mode.displacement[node]
        momentum[row] += part * motion[1]
        section_mass[row] += part
        total += part * sum(u * u for u in motion)
    axial = [p / m for p, m in zip(momentum, section_mass)]
    share = sum(m * u * u for m, u in zip(section_mass, axial)) / total
    noise = 1e-6 * max(map(abs, axial))
    signs = [u > 0 for u in axial if abs(u) > noise]
    return share, sum(a != b for a, b in zip(signs, signs[1:]))


def tip_figures(mesh: Mesh, mode: Mode) -> tuple[float, float, float]:
    """Mean |u_y| of the tip face, its uniformity (min / mean), and the gain (mean |u_y| of tip / driven face)."""
    tip, least = _face_motion(mesh, mode, True)
    driven, _ = _face_motion(mesh, mode, False)
    return tip, least / tip, tip / driven


def _face_motion(mesh: Mesh, mode: Mode, is_tip: bool) -> tuple[float, float]:
    weights = mesh.face_weights(is_tip)
    axial = {node: abs(mode.displacement[node][1]) for node in weights}
    return sum(weight * axial[node] for node, weight in weights.items()), min(axial.values())


def max_von_mises(horn: Horn, mode: Mode, mean_tip: float) -> float:
    """Maximum von Mises stress in MPa over all integration points, with the tip face moving by the horn's amplitude."""
    return horn.amplitude / mean_tip * max(map(_von_mises, mode.stress))


def _von_mises(stress: tuple[float, ...]) -> float:
    xx, yy, zz, xy, xz, yz = stress
    return math.sqrt(((xx - yy) ** 2 + (yy - zz) ** 2 + (zz - xx) ** 2) / 2 + 3 * (xy * xy + xz * xz + yz * yz))

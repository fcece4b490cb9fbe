"""Reads and validates the horn of an input: fields, ranges, materials, profile. Lengths in mm."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass


class Fault(Exception):
    """An error whose one line is all the user needs."""


@dataclass(frozen=True)
class Material:
    """Constants in the units of the deck (N, mm, t, s): stresses in MPa, density in t/mm3."""

    young: float
    poisson: float
    density: float
    yield_stress: float


MATERIALS = {
    "ti-6al-4v": Material(113.8e3, 0.342, 4430e-12, 880),
    "al-7075-t6": Material(71.7e3, 0.33, 2810e-12, 503),
    "steel-d2": Material(210e3, 0.30, 7700e-12, 1620),
}
PROFILES = ("uniform", "stepped", "exponential")

LENGTH = (float, 0.1, 1000.0)
REQUIRED = object()
# Type, minimum, maximum, default. The fields of "sweep" are validated but not used: this solver computes no forced
# response.
FIELDS = {
    "width_mm": (*LENGTH, REQUIRED),
    "height_mm": (*LENGTH, REQUIRED),
    "thickness_mm": (*LENGTH, REQUIRED),
    "tip_thickness_mm": (*LENGTH, None),
    "target_frequency_hz": (float, 1000.0, 200_000.0, 20_000.0),
    "amplitude_um": (float, 0.01, 1000.0, 20.0),
}
MESH_FIELDS = {"elements_x": (int, 2, 32, 8), "elements_y": (int, 8, 160, 40)}
SWEEP_FIELDS = {"points": (int, 3, 401, 21), "span_pct": (float, 0.1, 20.0, 5.0)}


@dataclass(frozen=True)
class Horn:
    """A horn, free at both ends. Its length is along y, from driven (y = 0) to tip face; its thickness is along z."""

    material: Material
    profile: str
    width: float
    length: float
    driven_thickness: float
    tip_thickness: float
    target_hz: float
    amplitude: float
    elements_x: int
    elements_y: int

    def thickness(self, y: float) -> float:
        """Thickness at y. At the step of a stepped horn: the thickness of the tip."""
        if self.profile == "exponential":
            return self.driven_thickness * math.pow(self.tip_thickness / self.driven_thickness, y / self.length)
        return self.driven_thickness if y < self.length / 2 else self.tip_thickness


def read_horn(text: str) -> Horn:
    """The horn described by a run's input. Raises `Fault` with the path of the first invalid field."""
    try:
        given = json.loads(text)
    except ValueError as error:
        raise Fault(f"bad input: not JSON: {error}") from None
    document = _object(given, "", {"material", "profile", "mesh", "sweep", *FIELDS})
    material = _choice(document, "material", MATERIALS)
    profile = _choice(document, "profile", PROFILES)
    size = _numbers(document, "", FIELDS)
    mesh = _numbers(_object(document.get("mesh", {}), "/mesh", MESH_FIELDS), "/mesh", MESH_FIELDS)
    _numbers(_object(document.get("sweep", {}), "/sweep", SWEEP_FIELDS), "/sweep", SWEEP_FIELDS)
    driven, tip = size["thickness_mm"], size["tip_thickness_mm"]
    if profile != "uniform" and tip is None:
        raise _wrong("/tip_thickness_mm", f"a number: required for the profile {profile}")
    if profile == "uniform" and tip not in (None, driven):
        raise _wrong("/tip_thickness_mm", "to be absent, or equal to thickness_mm, for the profile uniform")
    return Horn(
        material=MATERIALS[material],
        profile="uniform" if tip in (None, driven) else profile,
        width=size["width_mm"],
        length=size["height_mm"],
        driven_thickness=driven,
        tip_thickness=driven if tip is None else tip,
        target_hz=size["target_frequency_hz"],
        amplitude=size["amplitude_um"] / 1000,
        elements_x=mesh["elements_x"],
        elements_y=mesh["elements_y"],
    )


def _wrong(path: str, expected: str) -> Fault:
    return Fault(f"bad input: {path or '/'}: expected {expected}")


def _object(value, path: str, known) -> dict:
    if not isinstance(value, dict):
        raise _wrong(path, "an object")
    for name in value:
        if name not in known:
            raise _wrong(f"{path}/{name}", "to be absent (unknown property)")
    return value


def _choice(document: dict, name: str, values) -> str:
    value = document.get(name)
    if not isinstance(value, str) or value not in values:
        raise _wrong(f"/{name}", f"one of {', '.join(values)}")
    return value


def _numbers(document: dict, path: str, fields: dict) -> dict:
    found = {}
    for name, (kind, least, most, fallback) in fields.items():
        value = document.get(name, fallback)
        if value is None and name not in document:
            found[name] = None
            continue
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        # Not `least > value`: NaN, which Python accepts in JSON, must fail too.
        if not is_number or not least <= value <= most or (kind is int and value != int(value)):
            raise _wrong(f"{path}/{name}", f"{'an integer' if kind is int else 'a number'} from {least:g} to {most:g}")
        found[name] = kind(value)
    return found

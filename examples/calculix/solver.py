#!/usr/bin/env python3
"""
A solver for runcast: the half-wave resonance of an ultrasonic horn in three dimensions, computed by CalculiX.

  solver.py         reads the run's input as JSON from stdin, writes events as JSON lines to stdout and the log to stderr;
                    exits with 0 after "completed"
  solver.py --deck  prints the CalculiX deck for the input on stdin, and runs nothing
"""

from __future__ import annotations

import json
import os
import sys
import tempfile

from brick_mesh import build_mesh
from calculix import Stop, Stopped, run_calculix
from deck import MODES, deck_text
from half_wave import find_half_wave, max_von_mises, tip_figures
from horn import Fault, Horn, read_horn
from results import read_modes

# Output lines of CalculiX with the progress that they stand for, in percent of the time for a large mesh.
MARKS = (
    ("Determining the structure of the matrix", 12, "Structure of the matrices"),
    ("Factoring the system of equations", 20, "Factorisation"),
    ("Calculating the eigenvalues", 35, "Eigenvalues and modes"),
    ("for eigenmode 1 ", 75, "Stresses of the modes"),
    ("Job finished", 88, "CalculiX is done"),
)


class Reporter:
    """Writes the events of a run. `progress` and `completed` raise `Stopped` if the run must stop."""

    def __init__(self, stop: Stop):
        self._stop = stop
        self._summary: dict[str, float] = {}

    def progress(self, percent: int, phase: str, message: str) -> None:
        self._stop.check()
        _emit({"type": "progress", "percent": percent, "phase": phase, "message": message})

    def metric(self, name: str, value: float, unit: str) -> None:
        self._summary[name] = value
        _emit({"type": "metric_update", "metric_name": name, "value": value, "unit": unit})

    def completed(self) -> None:
        self._stop.check()
        _emit({"type": "completed", "metrics_summary": self._summary})


def _emit(event: dict) -> None:
    print(json.dumps(event), flush=True)


def log(line: str) -> None:
    """Writes a line of the run's log. All log lines go to stderr, so that their order is kept."""
    if line.strip():
        print(line, file=sys.stderr, flush=True)


def solve(horn: Horn, report: Reporter, stop: Stop) -> None:
    mesh = build_mesh(horn)
    report.progress(2, "meshing", f"Mesh of {len(mesh.bricks)} bricks, {len(mesh.points)} nodes, of a quarter of the horn")
    with tempfile.TemporaryDirectory(prefix="runcast-calculix-") as folder:
        with open(os.path.join(folder, "horn.inp"), "w", encoding="ascii") as file:
            file.write(deck_text(horn, mesh))
        report.progress(5, "solving", "CalculiX starts")
        run_calculix(folder, "horn", lambda line: follow(line, report), stop)
        report.progress(90, "postprocessing", f"Looking for the half wave among {MODES} modes")
        try:
            with open(os.path.join(folder, "horn.dat"), encoding="ascii") as file:
                modes = read_modes(file, len(mesh.points), len(mesh.bricks))
        except FileNotFoundError:
            raise Fault("CalculiX wrote no results") from None
    mode = find_half_wave(mesh, modes, log)
    report.metric("natural_frequency_hz", mode.frequency_hz, "Hz")
    report.metric("frequency_deviation_pct", 100 * abs(mode.frequency_hz - horn.target_hz) / horn.target_hz, "%")
    report.progress(96, "postprocessing", "Amplitude and stress")
    mean_tip, uniformity, gain = tip_figures(mesh, mode)
    report.metric("amplitude_uniformity", uniformity, "1")
    report.metric("horn_gain", gain, "1")
    if horn.profile == "stepped":
        log("no stress: it is unbounded at the sharp corner of a step, and grows with a finer mesh")
    else:
        stress = max_von_mises(horn, mode, mean_tip)
        report.metric("max_von_mises_stress_mpa", stress, "MPa")
        report.metric("stress_safety_factor", horn.material.yield_stress / stress, "1")
    report.completed()


def follow(line: str, report: Reporter) -> None:
    """Logs a line of CalculiX, and reports the progress that it stands for."""
    log(line)
    for mark, percent, message in MARKS:
        if mark in f"{line} ":
            report.progress(percent, "solving", message)


def main(arguments: list[str]) -> int:
    stop = Stop()
    try:
        if arguments not in ([], ["--deck"]):
            raise Fault("usage: solver.py [--deck] < input.json")
        horn = read_horn(sys.stdin.read())
        if arguments:
            sys.stdout.write(deck_text(horn, build_mesh(horn)))
        else:
            solve(horn, Reporter(stop), stop)
        return 0
    except Fault as fault:
        log(str(fault))
        return 1
    except Stopped as stopped:
        log(str(stopped))
        return 128 + stopped.signal_number


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

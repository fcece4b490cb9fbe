#!/usr/bin/env python3
"""A worker for runcast in Python, over HTTP only: RUNCAST_TOKEN=<role worker> python3 worker.py

It computes the natural frequency of the horn by 1-D Rayleigh-Love theory, and no other result of the built-in solver.
SIGTERM or Ctrl-C returns the current run to the queue. Needs Python 3.9 or later, and runcast_job.py of
examples/python-training beside it or in its own folder.
"""

import math
import os
import signal
import sys
import threading
import traceback

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "python-training"))
from runcast_job import Lost, Released, claim  # noqa: E402

FINEST = int(os.environ.get("FINEST", "51200"))  # slices of the last refinement
stopping = threading.Event()

# Young's modulus (Pa), Poisson's ratio, density (kg/m^3), as in the built-in solver.
MATERIALS = {"ti-6al-4v": (113.8e9, 0.342, 4430), "al-7075-t6": (71.7e9, 0.33, 2810), "steel-d2": (210e9, 0.3, 7700)}


def thickness_at(horn, x):
    """Thickness (mm) at the share x of the length from the driven face."""
    driven = horn["thickness_mm"]
    tip = horn.get("tip_thickness_mm", driven)
    if horn["profile"] == "stepped":
        return driven if x < 0.5 else tip
    return driven * (tip / driven) ** x


def half_wave(horn, slices, check):
    """Frequency (Hz) of the half wave of a bar that is free at both ends.

    (E' t u')' + rho t w^2 u = 0 with E' = E - rho nu^2 w^2 W^2 / 12, the stiffness reduced by the inertia of lateral
    contraction (Love). Found by bisection: below the frequency, the axial force, integrated from the driven face, keeps
    its sign up to the tip.
    """
    young, poisson, density = MATERIALS[horn["material"]]
    step = horn["height_mm"] / 1000 / slices
    thickness = [thickness_at(horn, (i + 0.5) / slices) for i in range(slices)]

    def is_above(hz):
        square = (2 * math.pi * hz) ** 2
        stiffness = young - density * (poisson * horn["width_mm"] / 1000) ** 2 * square / 12
        if stiffness <= 0:
            return True
        scaled = density * square * step * step / stiffness
        move, force, before = 1.0, 0.0, 0.0
        for here in thickness:
            force -= scaled * (before + here) / 2 * move
            if force > 0:
                return True
            move += force / here
            before = here
        return force - scaled * before / 2 * move > 0

    low, high = 0.0, 4 * math.sqrt(young / density) / (2 * step * slices)
    while high - low > 1e-10 * high:
        check()
        middle = (low + high) / 2
        low, high = (low, middle) if is_above(middle) else (middle, high)
    return high


def compute(job):
    def check():
        job.check()
        if stopping.is_set():
            raise Released()

    slices = 100
    while True:
        hz = half_wave(job.input, slices, check)
        job.metric("natural_frequency_hz", hz, "Hz")
        job.progress(min(99, 100 * slices / FINEST), "solving", "%d slices" % slices)
        job.log("%d slices: %.6f Hz" % (slices, hz))
        if slices >= FINEST:
            return hz
        slices *= 2


def main():
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    while not stopping.is_set():
        job = claim("run")
        if job is None:
            continue
        print("claimed %s, attempt %d" % (job.id, job.attempt), flush=True)
        try:
            with job:
                job.complete(metrics_summary={"natural_frequency_hz": compute(job)})
        except Lost:
            print("lost %s" % job.id, flush=True)
        except Exception:
            traceback.print_exc()  # the run has failed


if __name__ == "__main__":
    main()

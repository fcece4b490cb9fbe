#!/usr/bin/env python3
"""A worker for runcast in Python, over HTTP only: HUB=http://127.0.0.1:8501 TOKEN=<role worker> python3 worker.py

It computes the natural frequency of the horn by 1-D Rayleigh-Love theory, and no other result of the built-in solver.
SIGTERM or Ctrl-C returns the current run to the queue. Needs Python 3.9 or later and only the standard library.
"""

import http.client
import json
import math
import os
import signal
import sys
import threading
import time
import traceback
import urllib.error
import urllib.request

HUB = os.environ["HUB"].rstrip("/")
TOKEN = os.environ["TOKEN"]
FINEST = int(os.environ.get("FINEST", "51200"))  # slices of the last refinement
stopping = threading.Event()


class Stopped(Exception):
    """The job was cancelled or has timed out, or this worker must end."""


class Lost(Exception):
    """The job is over or has another worker: no further report is accepted."""


def post(path, body, until=math.inf):
    """Returns status and body. Retries with the same body while no hub responds or the hub is overloaded.

    A repeated report is the same write. A repeated /claim is a new claim: if a response is lost, its job returns to the
    queue when the lease expires. Raises Lost instead of a retry after `until` (time.monotonic()).
    """
    request = urllib.request.Request(HUB + path, json.dumps(body).encode(), {"Authorization": "Bearer " + TOKEN, "Content-Type": "application/json"})
    while True:
        try:
            with urllib.request.urlopen(request, timeout=max(1, min(60, until - time.monotonic()))) as response:
                text = response.read()
                return response.status, json.loads(text) if text else None
        except urllib.error.HTTPError as error:
            if error.code != 429 and error.code < 500:
                return error.code, json.loads(error.read())
            pause = float(error.headers.get("Retry-After", 1))
        except (OSError, http.client.HTTPException):
            pause = 1
        if stopping.is_set() and path.endswith("/claim"):
            return 204, None
        if time.monotonic() + pause >= until:
            raise Lost()
        time.sleep(pause)


class Job:
    """A claimed run. Sends one report at a time, with increasing numbers. A thread renews the lease between reports."""

    def __init__(self, claimed):
        self.input = claimed["input"]
        self.path = "/api/v2/jobs/%s/events" % claimed["id"]
        self.claim = {"round": claimed["round"], "token": claimed["token"]}
        self.lease_s = claimed["lease_s"]
        self.held_until = time.monotonic() + self.lease_s
        self.n = 0
        self.writing = threading.Lock()
        self.cancelled = threading.Event()
        self.lost = threading.Event()
        self.ended = threading.Event()
        self.renewer = threading.Thread(target=self.renew, daemon=True)
        self.renewer.start()

    def send(self, *events):
        with self.writing:
            self.n += 1
            try:
                status, answer = post(self.path, {**self.claim, "n": self.n, "events": events}, self.held_until)
            except Lost:
                self.lost.set()
                raise
            if status == 200:
                self.held_until = time.monotonic() + self.lease_s
        if status == 409:
            self.lost.set()
            raise Lost()
        if status != 200:
            raise ValueError(answer)
        if answer["cancel_requested"]:
            self.cancelled.set()

    def renew(self):
        # More often than the lease requires, so that a cancel arrives soon.
        while not self.ended.wait(min(self.lease_s / 3, 1)):
            try:
                self.send()
            except Lost:
                return

    def check(self):
        if self.lost.is_set():
            raise Lost()
        if self.cancelled.is_set() or stopping.is_set():
            raise Stopped()

    def end(self, **event):
        self.ended.set()
        self.renewer.join()
        self.send(event)


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
    slices = 100
    while True:
        hz = half_wave(job.input, slices, job.check)
        job.send(
            {"type": "metric_update", "metric_name": "natural_frequency_hz", "value": hz, "unit": "Hz"},
            {"type": "progress", "percent": min(99, 100 * slices / FINEST), "phase": "solving", "message": "%d slices" % slices},
            {"type": "log", "line": "%d slices: %.6f Hz" % (slices, hz)},
        )
        if slices >= FINEST:
            return hz
        slices *= 2


def work(job):
    try:
        hz = compute(job)
        job.end(type="completed", metrics_summary={"natural_frequency_hz": hz})
    except Stopped:
        job.end(type="cancelled" if job.cancelled.is_set() else "released")
    except Lost:
        raise
    except Exception as error:
        traceback.print_exc()
        job.end(type="failed", error=repr(error), code="solver_error", retry=False)


def main():
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    while not stopping.is_set():
        status, claimed = post("/api/v2/jobs/claim", {"kind": "run", "wait_s": 5})
        if status == 204:
            continue
        if status != 200:
            sys.exit("claim: %s %s" % (status, claimed))
        print("claimed %s, attempt %d" % (claimed["id"], claimed["attempt"]), flush=True)
        job = Job(claimed)
        try:
            work(job)
        except Lost:
            print("lost %s" % claimed["id"], flush=True)
        finally:
            job.ended.set()


if __name__ == "__main__":
    main()

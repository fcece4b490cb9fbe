"""Jobs of runcast that this program computes, over HTTP. Python 3.9 or later, standard library only.

RUNCAST_URL is the address of a hub (default http://127.0.0.1:8501), RUNCAST_TOKEN the token of a user who computes own
jobs (`submit`), or of the role worker (`claim`).
"""

import http.client
import json
import mimetypes
import os
import threading
import time
import traceback
import urllib.error
import urllib.parse
import urllib.request
import uuid

HUB = os.environ.get("RUNCAST_URL", "http://127.0.0.1:8501").rstrip("/")
MAX_EVENTS = 63  # of 64 in a post: one is left for the end


class Cancelled(Exception):
    """The job was cancelled or has timed out: raised by the next report."""


class Lost(Exception):
    """The hub accepts no further report: the lease has expired, or the job has ended."""


class Released(Exception):
    """Raise it to return a claimed job to the queue."""


def call(method, path, body, until, media_type="application/json"):
    """Repeats the same request while no hub answers or it is overloaded, until the time that until() returns by then."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Authorization": "Bearer " + os.environ["RUNCAST_TOKEN"], "Content-Type": media_type}
    while True:
        try:
            request = urllib.request.Request(HUB + path, data, headers, method=method)
            with urllib.request.urlopen(request, timeout=max(1, min(60, until() - time.monotonic()))) as response:
                text = response.read()
                return json.loads(text) if text else None
        except urllib.error.HTTPError as error:
            text = error.read().decode()
            if error.code == 409:
                raise Lost(text) from None
            if error.code != 429 and error.code < 500:
                raise ValueError(text) from None
            pause = float(error.headers.get("Retry-After", 1))
        except (OSError, http.client.HTTPException) as error:
            text, pause = str(error), 1
        if time.monotonic() + pause >= until():
            raise Lost(text)
        time.sleep(pause)


def within(seconds):
    end = time.monotonic() + seconds
    return lambda: end


def submit(kind, input=None, **more):
    """A new job that this program computes. `more`: fields such as `id`, `title`, `tags` and `job_timeout_s`."""
    # With an id, a repeated submit is the same submit.
    body = {"id": str(uuid.uuid4()), "kind": kind, "input": input or {}, "claim": True, **more}
    return Job(call("POST", "/api/jobs", body, until=within(60)))


def claim(kind, wait_s=5, **more):
    """The next job of the kind for this worker; None if there is none in time."""
    try:
        lease = call("POST", "/api/v2/jobs/claim", {"kind": kind, "wait_s": wait_s, **more}, until=within(wait_s + 2))
    except Lost:
        return None
    return lease and Job(lease)


class Job:
    """A leased job of a kind in either dialect. Used in a `with` statement, at whose end the job ends.

    A thread sends the reports and renews the lease at least twice a second. `input` is the input with its defaults.
    """

    def __init__(self, lease):
        self.id, self.input, self.attempt, self.lease_s = lease["id"], lease["input"], lease["attempt"], lease["lease_s"]
        self.dialect = lease.get("dialect", "run")
        self.lease = {"round": lease["round"], "token": lease["token"]}
        self.held_until = time.monotonic() + self.lease_s
        self.events, self.n, self.end, self.fault = [], 0, None, None
        self.sending, self.ended = threading.Lock(), threading.Event()

    def metric(self, name, value, unit="", **more):
        """A point of a curve; `step` is its x, by default the seconds since the start."""
        kind = "metric_update" if self.dialect == "run" else "process_metric"
        self.report({"type": kind, "metric_name": name, "value": value, "unit": unit, **more})

    def progress(self, percent, phase, message=""):
        if self.dialect == "run":
            self.report({"type": "progress", "percent": percent, "phase": phase, "message": message})
        else:
            self.report({"type": "process_progress", "progress": {"current": percent, "total": 100, "detail": message, "phase": phase}})

    def result(self, **fields):
        """An intermediate result, of a kind in the process dialect."""
        self.report({"type": "process_result", "result": fields})

    def log(self, line, level="info"):
        self.report({"type": "log", "line": str(line), "level": level})

    def artifact(self, name, content, media_type=None):
        """Stores a file with the job. Returns when it is stored."""
        data = content.encode() if isinstance(content, str) else content
        query = urllib.parse.urlencode({"round": self.lease["round"], "claim_token": self.lease["token"]})
        kind = media_type or mimetypes.guess_type(name)[0] or "application/octet-stream"
        path = "/api/v2/jobs/%s/artifacts/%s?%s" % (self.id, urllib.parse.quote(name), query)
        call("PUT", path, data, self.held, kind)

    def held(self):
        """When the lease expires, by time.monotonic(). The thread moves it on."""
        return self.held_until

    def complete(self, **fields):
        """The result of the job, which ends with the `with` statement: `metrics_summary`, in the process dialect `result`."""
        self.end = {"type": "completed", **fields}

    def check(self):
        """Raises Cancelled or Lost if the job must stop; every report does so too."""
        if self.fault:
            raise self.fault

    def report(self, event):
        self.check()
        self.events.append(event)
        if len(self.events) >= MAX_EVENTS:
            self.send()

    def send(self, *end):
        """Sends what was reported, and the end. A post without events renews the lease."""
        with self.sending:
            while True:
                batch = self.events[:MAX_EVENTS]
                del self.events[: len(batch)]
                is_last = not self.events
                self.n += 1
                body = {**self.lease, "n": self.n, "events": [*batch, *(end if is_last else ())]}
                answer = call("POST", "/api/v2/jobs/%s/events" % self.id, body, self.held)
                self.held_until = time.monotonic() + self.lease_s
                if answer["cancel_requested"] and not self.fault:
                    self.fault = Cancelled("the job was cancelled or has timed out")
                if is_last:
                    return

    def renew(self):
        while not self.ended.wait(min(self.lease_s / 3, 0.5)):
            try:
                self.send()
            except Exception as error:
                self.fault = error
                return

    def __enter__(self):
        self.renewer = threading.Thread(target=self.renew, daemon=True)
        self.renewer.start()
        return self

    def __exit__(self, kind, error, trace):
        self.ended.set()
        self.renewer.join()
        if isinstance(self.fault, Lost) or isinstance(error, Lost):
            return False
        # A result stands, also if the job was cancelled meanwhile.
        if error is None and not (self.end and isinstance(self.fault, Cancelled)):
            error = self.fault
        if isinstance(error, (Cancelled, Released)):
            self.send({"type": "cancelled" if isinstance(self.fault, Cancelled) else "released"})
            return True
        if error is None and self.end:
            self.send(self.end)
            return False
        if error is not None:
            lines = "".join(traceback.format_exception(type(error), error, error.__traceback__)).splitlines()
            self.events += [{"type": "log", "line": line, "level": "error"} for line in lines[-20:]]
        self.send({"type": "failed", "error": repr(error) if error else "The program gave no result: call complete."})
        if kind is None and error:
            raise error  # of the thread
        return False

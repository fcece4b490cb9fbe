"""A job of runcast that this program computes, over HTTP. Python 3.9 or later, standard library only.

RUNCAST_URL is the address of a hub (default http://127.0.0.1:8501), RUNCAST_TOKEN the token of a user.
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

MAX_EVENTS = 63  # of 64 in a post: one is left for the end


class Cancelled(Exception):
    """The job was cancelled or has timed out: raised by the next report."""


class Lost(Exception):
    """The hub accepts no further report: the lease has expired, or the job has ended."""


class Job:
    """Submits a job of a kind in the run dialect and leases it. Used in a `with` statement, at whose end the job ends.

    A thread sends the reports and renews the lease twice a second. `more` are fields of the submit, such as `id`,
    `title`, `tags` and `job_timeout_s`. `input` is the input with its defaults.
    """

    def __init__(self, kind, input=None, **more):
        self.hub = os.environ.get("RUNCAST_URL", "http://127.0.0.1:8501").rstrip("/")
        self.events, self.n, self.end, self.fault = [], 0, None, None
        self.sending, self.ended = threading.Lock(), threading.Event()
        self.held_until = time.monotonic() + 60
        # With an id, a repeated submit is the same submit.
        body = {"id": str(uuid.uuid4()), "kind": kind, "input": input or {}, "claim": True, **more}
        lease = self.call("POST", "/api/jobs", body)
        self.id, self.input, self.lease_s = lease["id"], lease["input"], lease["lease_s"]
        self.claim = {"round": lease["round"], "token": lease["token"]}
        self.held_until = time.monotonic() + self.lease_s
        print("job", self.id, flush=True)

    def metric(self, name, value, unit="", **more):
        """A point of a curve; `step` is its x, by default the seconds since the start."""
        self.report({"type": "metric_update", "metric_name": name, "value": value, "unit": unit, **more})

    def progress(self, percent, phase, message=""):
        self.report({"type": "progress", "percent": percent, "phase": phase, "message": message})

    def log(self, line, level="info"):
        self.report({"type": "log", "line": str(line), "level": level})

    def artifact(self, name, content, media_type=None):
        """Stores a file with the job. Returns when it is stored."""
        data = content.encode() if isinstance(content, str) else content
        query = urllib.parse.urlencode({"round": self.claim["round"], "claim_token": self.claim["token"]})
        kind = media_type or mimetypes.guess_type(name)[0] or "application/octet-stream"
        self.call("PUT", "/api/v2/jobs/%s/artifacts/%s?%s" % (self.id, urllib.parse.quote(name), query), data, kind)

    def complete(self, **result):
        """The result of the job, which ends with the `with` statement."""
        self.end = {"type": "completed", **result}

    def report(self, event):
        if self.fault:
            raise self.fault
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
                body = {**self.claim, "n": self.n, "events": [*batch, *(end if is_last else ())]}
                answer = self.call("POST", "/api/v2/jobs/%s/events" % self.id, body)
                self.held_until = time.monotonic() + self.lease_s
                if answer["cancel_requested"] and not self.fault:
                    self.fault = Cancelled("the job was cancelled or has timed out")
                if is_last:
                    return

    def renew(self):
        while not self.ended.wait(0.5):
            try:
                self.send()
            except Exception as error:
                self.fault = error
                return

    def call(self, method, path, body, media_type="application/json"):
        """Repeats the same request while no hub answers or it is overloaded, as long as the lease lasts."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Authorization": "Bearer " + os.environ["RUNCAST_TOKEN"], "Content-Type": media_type}
        while True:
            try:
                request = urllib.request.Request(self.hub + path, data, headers, method=method)
                with urllib.request.urlopen(request, timeout=60) as response:
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
            if time.monotonic() + pause >= self.held_until:
                raise Lost(text)
            time.sleep(pause)

    def __enter__(self):
        self.renewer = threading.Thread(target=self.renew, daemon=True)
        self.renewer.start()
        return self

    def __exit__(self, kind, error, trace):
        self.ended.set()
        self.renewer.join()
        if isinstance(self.fault, Lost) or isinstance(error, Lost):
            return False
        if isinstance(error, Cancelled):
            self.send({"type": "cancelled"})
            print("cancelled", flush=True)
            return True
        if error is None and self.end:
            self.send(self.end)
            return False
        if error is not None:
            self.events += [{"type": "log", "line": line, "level": "error"} for line in traceback.format_exc().splitlines()[-20:]]
        self.send({"type": "failed", "error": repr(error) if error else "The program gave no result: call complete."})
        return False

"""A client that openapi-python-client has generated from the OpenAPI document calls every route of a hub.

`test/e2e/generated-clients.test.ts` generates it and runs this program. It prints the operations that it has called.
"""

import importlib
import io
import json
import os
import re
import sys

from runcast_client import AuthenticatedClient
from runcast_client import models as m
from runcast_client.types import File

BASE = os.environ["HUB_URL"]
DOCUMENT = json.load(open(sys.argv[1]))
PATTERNS = [
    (method.upper(), path, re.compile("^" + re.sub(r"\{\w+\}", "[^/]+", path) + "$"))
    for path, methods in DOCUMENT["paths"].items()
    for method in methods
]
called = set()


def note(request):
    """Remembers the operation of a request; the most literal path comes first, as in the router."""
    found = [path for method, path, pattern in PATTERNS if method == request.method and pattern.match(request.url.path)]
    called.add(f"{request.method} {min(found, key=lambda path: path.count('{'))}")


def client_of(variable):
    return AuthenticatedClient(base_url=BASE, token=os.environ[variable], httpx_args={"event_hooks": {"request": [note]}})


user, admin, worker = client_of("USER"), client_of("ADMIN"), client_of("WORKER")


def ask(client, name, *args, **kwargs):
    """Calls an operation by its module, and answers what it has parsed: never nothing, for an answer with a body."""
    tag, operation = name.split(".")
    module = importlib.import_module(f"runcast_client.api.{tag}.{operation}")
    response = module.sync_detailed(*args, client=client, **kwargs)
    assert response.status_code == 204 or response.parsed is not None, (name, response)
    return response.parsed


def must(expected, value):
    assert isinstance(value, expected), (expected, value)
    return value


def refused(code, value):
    assert must(m.ErrorBody, value).error == code, value


HORN = {"material": "ti-6al-4v", "profile": "uniform", "width_mm": 25, "height_mm": 126.71, "thickness_mm": 25}

must(m.Liveness, ask(user, "operations.get_liveness"))
assert must(m.Readiness, ask(user, "operations.get_readiness")).writable
assert must(str, ask(user, "operations.get_metrics")).startswith("# HELP")

# A run, which a worker over HTTP computes.
body = m.SubmitRunBody.from_dict({"run_id": "py-run", "input": HORN})
assert must(m.RunAccepted, ask(user, "runs.submit_run", body=body, idempotency_key="k")).run_id == "py-run"
claim = must(m.Assignment, ask(worker, "workers.claim_job", body=m.ClaimJobBody.from_dict({"kind": "run"})))
stored = File(payload=io.BytesIO(b"a,b"), mime_type="text/csv")
upload = ask(worker, "workers.upload_job_artifact", claim.id, "a.csv", body=stored, round_=claim.round_, claim_token=claim.token)
assert must(m.Artifact, upload).bytes_ == 3
events = [{"type": "progress", "percent": 50, "phase": "solving", "message": ""}, {"type": "completed", "metrics_summary": {"f": 3}}]
report = m.ReportJobEventsBody.from_dict({"round": claim.round_, "token": claim.token, "n": 1, "events": events})
must(m.ClaimAnswer, ask(worker, "workers.report_job_events", claim.id, body=report))
while (run := must(m.Run, ask(user, "runs.get_run", "py-run"))).status != m.JobStatus.COMPLETED:
    pass
assert must(m.RunCompletedMessage, run.result).metrics_summary.additional_properties == {"f": 3}
page = must(m.RunEvents, ask(user, "runs.list_run_events", "py-run", limit=10))
assert [type(event) for event in page.events] == [m.RunStatusMessage, m.RunStatusMessage, m.RunCompletedMessage], page
for tag, noun in [("runs", "run"), ("processes", "process"), ("jobs", "job")]:
    assert ask(user, f"{tag}.list_{noun}_artifacts", "py-run").artifacts[0].name == "a.csv"
    assert must(File, ask(user, f"{tag}.get_{noun}_artifact", "py-run", "a.csv")).payload.read() == b"a,b"
    ask(user, f"{tag}.get_{noun}_log", "py-run")
    ask(user, f"{tag}.list_{noun}_series", "py-run")
    ask(user, f"{tag}.get_{noun}_input", "py-run")
    patch = getattr(m, f"Update{noun.title()}Body").from_dict({"title": "typed"})
    ask(user, f"{tag}.update_{noun}", "py-run", body=patch)
assert must(m.RunPage, ask(user, "runs.list_runs")).runs[0].run_id == "py-run"
refused("already_final", ask(user, "runs.cancel_run", "py-run"))
refused("not_final", ask(user, "runs.retry_run", "py-run"))
refused("not_found", ask(user, "runs.get_run", "nobody"))

# An optimization.
fixed = {name: value for name, value in HORN.items() if name != "height_mm"}
search = {
    "base": fixed,
    "variables": [{"name": "height_mm", "min": 120, "max": 130}],
    "objectives": [{"metric": "frequency_deviation_pct", "direction": "minimize"}],
}
body = m.SubmitOptimizationBody.from_dict(search)
found = must(m.OptimizationAccepted, ask(user, "optimizations.submit_optimization", body=body)).optimization_id
assert must(m.Optimization, ask(user, "optimizations.get_optimization", found)).front == []
must(m.OptimizationPage, ask(user, "optimizations.list_optimizations"))
must(m.OptimizationEvents, ask(user, "optimizations.list_optimization_events", found))
assert must(m.IterationPage, ask(user, "optimizations.list_optimization_iterations", found)).iterations == []
assert must(m.OptimizationArtifacts, ask(user, "optimizations.list_optimization_artifacts", found)).artifacts == []
refused("not_found", ask(user, "optimizations.get_optimization_artifact", found, "none"))
ask(user, "optimizations.get_optimization_log", found)
ask(user, "optimizations.list_optimization_series", found)
ask(user, "optimizations.get_optimization_input", found)
ask(user, "optimizations.update_optimization", found, body=m.UpdateOptimizationBody.from_dict({"tags": ["typed"]}))
assert must(m.OptimizationFront, ask(user, "optimizations.get_optimization_front", found)).best is None
refused("not_running", ask(user, "optimizations.pause_optimization", found))
refused("not_running", ask(user, "optimizations.resume_optimization", found))
must(m.OptimizationStatusAnswer, ask(user, "optimizations.cancel_optimization", found))
must(m.OptimizationAccepted, ask(user, "optimizations.retry_optimization", found))

# A benchmark, as a process and as a job.
model = must(m.ModelList, ask(user, "benchmark.list_models")).models[0]
body = m.SubmitBenchmarkBody.from_dict({"models": [model.id], "runs": 1})
process = must(m.ProcessAccepted, ask(user, "benchmark.submit_benchmark", body=body)).process_id
assert must(m.Process, ask(user, "processes.get_process", process)).process_type == "benchmark"
first = must(m.ProcessEvents, ask(user, "processes.list_process_events", process)).events[0]
must(m.ProcessQueuedMessage, first)
must(m.ProcessStatusAnswer, ask(user, "processes.cancel_process", process))
must(m.ProcessAccepted, ask(user, "processes.retry_process", process))
must(m.ProcessPage, ask(user, "processes.list_processes"))
refused("not_found", ask(user, "processes.stream_processes"))

body = m.SubmitJobBodyType0.from_dict({"kind": "run", "input": HORN})
job = must(m.JobAccepted, ask(user, "jobs.submit_job", body=body)).id
assert must(m.Job, ask(user, "jobs.get_job", job)).solver is None
must(m.JobPage, ask(user, "jobs.list_jobs"))
must(m.JobEvents, ask(user, "jobs.list_job_events", job))
refused("not_running", ask(user, "jobs.pause_job", job))
refused("not_running", ask(user, "jobs.resume_job", job))
must(m.JobStatusAnswer, ask(user, "jobs.cancel_job", job))
must(m.JobAccepted, ask(user, "jobs.retry_job", job))

# Tokens.
revocation = must(m.Revocation, ask(admin, "operations.revoke_tokens", body=m.RevokeTokensBody.from_dict({"sub": "mallory"})))
assert must(m.RevocationPage, ask(admin, "operations.list_revocations")).revocations[0].id == revocation.id
ask(admin, "operations.undo_revocation", revocation.id)
refused("forbidden", ask(user, "operations.list_revocations"))

# What all users do.
must(m.ActiveJobPage, ask(admin, "operations.list_all_jobs"))
assert must(m.QueueList, ask(admin, "operations.list_queues")).queues
must(m.WorkerList, ask(admin, "operations.list_workers"))
assert len(must(m.SessionPage, ask(admin, "operations.list_sessions")).hubs) == 1
refused("not_found", ask(admin, "operations.disconnect_session", "nobody"))
assert must(m.Disconnected, ask(admin, "operations.disconnect_user", user="nobody")).disconnected == 0

print(json.dumps(sorted(called)))

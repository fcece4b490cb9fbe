"""Fits a line by gradient descent, as a job of runcast: python3 train.py [epochs]"""

import json
import random
import sys
import time

from runcast_job import submit

random.seed(7)
points = [(i / 50, 3 * i / 50 + 2 + random.gauss(0, 0.1)) for i in range(50)]

with submit("training", {"epochs": int(sys.argv[1]) if len(sys.argv) > 1 else 300}, title="a line") as job:
    print("job", job.id, flush=True)
    epochs, rate, slope, start = job.input["epochs"], job.input["rate"], 0.0, 0.0
    for epoch in range(1, epochs + 1):
        errors = [(slope * x + start - y, x) for x, y in points]
        slope -= rate * 2 * sum(error * x for error, x in errors) / len(points)
        start -= rate * 2 * sum(error for error, _ in errors) / len(points)
        loss = sum(error**2 for error, _ in errors) / len(points)
        job.metric("loss", loss, step=epoch)
        job.progress(100 * epoch / epochs, "training", "epoch %d of %d" % (epoch, epochs))
        if epoch % 10 == 0:
            job.log("epoch %d: loss %.6f" % (epoch, loss))
        time.sleep(0.02)  # stands for more work
    job.artifact("model.json", json.dumps({"slope": slope, "start": start}))
    job.complete(metrics_summary={"loss": loss})

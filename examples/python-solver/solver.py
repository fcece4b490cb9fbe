"""Lowest natural frequency of a chain of equal masses and springs between two walls, by power iteration."""
import json, math, sys

def emit(**event):
    print(json.dumps(event), flush=True)

chain = json.load(sys.stdin)
n, steps = int(chain.get("masses", 20)), int(chain.get("steps", 2000))
ratio = chain.get("stiffness_n_per_m", 1000) / chain.get("mass_kg", 0.1)
emit(type="progress", percent=0, phase="meshing", message=f"{n} masses")
shape, hertz = [n**-0.5] * n, 0.0
for step in range(1, steps + 1):
    padded = [0.0, *shape, 0.0]  # the lowest mode of A = tridiag(-1, 2, -1) is the highest of 4 - A
    shape = [padded[i] + 2 * padded[i + 1] + padded[i + 2] for i in range(n)]
    size = math.hypot(*shape)
    shape, hertz = [value / size for value in shape], math.sqrt(ratio * (4 - size)) / (2 * math.pi)
    if step * 20 % steps < 20:
        emit(type="progress", percent=100 * step / steps, message=f"step {step} of {steps}")
        emit(type="metric_update", metric_name="natural_frequency_hz", value=hertz, unit="Hz")
emit(type="completed", metrics_summary={"natural_frequency_hz": hertz})

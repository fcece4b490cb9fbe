"""The input deck of CalculiX: an eigenvalue problem without loads."""

from __future__ import annotations

from brick_mesh import Mesh
from horn import Horn

# The first mode is the rigid motion along y. The half wave is the second one, unless the horn is about as wide or thick
# as it is long.
MODES = 8


def deck_text(horn: Horn, mesh: Mesh) -> str:
    """The deck in N, mm, t, s. x = 0 and z = 0 are planes of symmetry; the faces at both ends are free."""
    lines = ["*NODE, NSET=NALL"]
    lines += [f"{node}, " + ", ".join(f"{value:.9g}" for value in point) for node, point in enumerate(mesh.points, 1)]
    lines.append("*ELEMENT, TYPE=C3D20R, ELSET=EALL")
    for number, brick in enumerate(mesh.bricks, 1):
        nodes = [str(node + 1) for node in brick]
        lines += [f"{number}, {', '.join(nodes[:10])},", ", ".join(nodes[10:])]
    for name, axis, half_step in (("MIDX", 0, 0), ("MIDZ", 2, 0), ("DRIVEN", 1, 0), ("TIP", 1, 2 * mesh.rows)):
        lines.append(f"*NSET, NSET={name}")
        lines += [f"{node + 1}," for node in mesh.nodes_in(axis, half_step)]
    material = horn.material
    lines += ["*MATERIAL, NAME=METAL", "*ELASTIC", f"{material.young:.9g}, {material.poisson:.9g}", "*DENSITY", f"{material.density:.9g}"]
    lines += ["*SOLID SECTION, ELSET=EALL, MATERIAL=METAL", "*BOUNDARY", "MIDX, 1", "MIDZ, 3"]
    lines += ["*STEP", "*FREQUENCY", str(MODES), "*NODE PRINT, NSET=NALL", "U", "*EL PRINT, ELSET=EALL", "S", "*END STEP"]
    return "\n".join(lines) + "\n"

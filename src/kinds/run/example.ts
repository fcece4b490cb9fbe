/** Input of a run of some seconds: a half-wave titanium bar at 20 kHz, on a finer mesh than by default. */
export function exampleInput(sweepPoints: number): object {
  return {
    material: 'ti-6al-4v',
    profile: 'uniform',
    width_mm: 25,
    height_mm: 126.71,
    thickness_mm: 25,
    mesh: { elements_x: 16, elements_y: 80 },
    sweep: { points: sweepPoints },
  }
}

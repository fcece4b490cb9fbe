/** Input of a run whose solving takes some seconds: a titanium bar, half a wave long at 20 kHz; finer than by default, so that there is something to watch. */
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

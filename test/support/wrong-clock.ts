/** Arguments of Node for settings with a wrong clock; see `clock-preload.ts`. */
export function clockArguments(settings: Readonly<Record<string, string>>): string[] {
  const isWrong = 'CLOCK_AHEAD_MS' in settings || 'CLOCK_STEP_MS' in settings
  return isWrong ? ['--import', new URL('./clock-preload.js', import.meta.url).href] : []
}

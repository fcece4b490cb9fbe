/** The part of `scripts/ensure-redis.mjs` that is used: plain JavaScript, which the bootstrap runs before anything is compiled. */
interface Script {
  ensureRedis(mayInstall: boolean): Promise<void>
}

/** Sees to it that there is a Redis to run, as the bootstrap of a clone does. Throws an error of one line that says what would help. */
export async function readyRedis(env: Readonly<Record<string, string | undefined>>): Promise<void> {
  const script: Script = await import(new URL('../../../scripts/ensure-redis.mjs', import.meta.url).href)
  await script.ensureRedis(env.RUNCAST_NO_INSTALL !== '1')
}

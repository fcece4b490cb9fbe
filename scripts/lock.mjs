import { readlinkSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { say } from './command.mjs'

/**
 * Runs `action` while no other process holds the lock `file`, a link whose target is its holder's pid: unlike a file it is there with its
 * content or not at all. The lock of a process that has ended is taken over.
 */
export async function withLock(file, action) {
  for (let told; !attempt(() => symlinkSync(`${process.pid}`, file), 'EEXIST'); ) {
    const holder = holderOf(file)
    if (holder === undefined) continue
    if (!isAlive(holder)) discard(file, holder)
    else {
      if (told !== holder) say(`waiting for the bootstrap with pid ${holder}; without one, remove ${file}`)
      told = holder
      await sleep(50)
    }
  }
  try {
    return await action()
  } finally {
    rmSync(file, { force: true })
  }
}

function holderOf(file) {
  let holder
  attempt(() => (holder = Number(readlinkSync(file))), 'ENOENT')
  return holder
}

/** A pid that is our own was left by an earlier life of it, as in a container started again. */
function isAlive(pid) {
  if (pid === process.pid) return false
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return error.code === 'EPERM'
  }
}

/** Two may find the same dead holder: the one that then moves the other's fresh lock away puts it back. */
function discard(file, holder) {
  const aside = `${file}.${process.pid}`
  if (!attempt(() => renameSync(file, aside), 'ENOENT')) return
  if (holderOf(aside) === holder) rmSync(aside)
  else renameSync(aside, file)
}

/** Whether `act` succeeded; false for this error alone. */
function attempt(act, code) {
  try {
    act()
    return true
  } catch (error) {
    if (error.code === code) return false
    throw error
  }
}

import { readlinkSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { say } from './command.mjs'

/**
 * Runs `action` while no other process holds the lock `file`. The lock is a symbolic link whose target is the pid of
 * its holder: unlike a file, a link is created together with its content. The lock of a dead process is taken over.
 */
export async function withLock(file, action) {
  for (let reported; !attempt(() => symlinkSync(`${process.pid}`, file), 'EEXIST'); ) {
    const holder = holderOf(file)
    if (holder === undefined) continue
    if (!isAlive(holder)) discard(file, holder)
    else {
      if (reported !== holder) say(`waiting for the bootstrap with pid ${holder}; if there is none, remove ${file}`)
      reported = holder
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

/** Our own pid means an earlier process with this pid, as in a restarted container. */
function isAlive(pid) {
  if (pid === process.pid) return false
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return error.code === 'EPERM'
  }
}

/**
 * Two processes may detect the same dead holder. If one then moves away the new lock of the other, it moves it back.
 */
function discard(file, holder) {
  const aside = `${file}.${process.pid}`
  if (!attempt(() => renameSync(file, aside), 'ENOENT')) return
  if (holderOf(aside) === holder) rmSync(aside)
  else renameSync(aside, file)
}

/** Whether `act` succeeded; false for this error code only. */
function attempt(act, code) {
  try {
    act()
    return true
  } catch (error) {
    if (error.code === code) return false
    throw error
  }
}

import { readlinkSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { BootstrapError, say } from './command.mjs'

const WAIT_MS = 15 * 60_000

/**
 * Runs `action` while no other process holds the lock `file`. The lock is a link whose target is its holder's pid: unlike a file it is
 * there with its content or not at all. That of a process that has ended is taken over.
 */
export async function withLock(file, action) {
  await acquire(file)
  try {
    return await action()
  } finally {
    rmSync(file, { force: true })
  }
}

async function acquire(file) {
  const deadline = performance.now() + WAIT_MS
  let told = false
  while (!take(file)) {
    const holder = holderOf(file)
    if (holder === undefined) continue
    if (!isAlive(holder)) {
      discard(file, holder)
      continue
    }
    if (!told) say(`waiting for the bootstrap with pid ${holder}`)
    told = true
    if (performance.now() > deadline) throw new BootstrapError(`process ${holder} still holds ${file}: remove it if that is no bootstrap`)
    await sleep(50)
  }
}

function take(file) {
  try {
    symlinkSync(String(process.pid), file)
    return true
  } catch (error) {
    if (error.code === 'EEXIST') return false
    throw error
  }
}

function holderOf(file) {
  try {
    return Number(readlinkSync(file))
  } catch {
    return undefined
  }
}

/** A pid that is our own was left by an earlier life of it, as in a container started again. */
function isAlive(pid) {
  if (pid === process.pid) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}

/** Two may find the same dead holder: whoever then moves the other's fresh lock away puts it back. */
function discard(file, holder) {
  const aside = `${file}.${process.pid}`
  try {
    renameSync(file, aside)
    if (holderOf(aside) === holder) rmSync(aside)
    else renameSync(aside, file)
  } catch (error) {
    if (error.code !== 'ENOENT') throw error
  }
}

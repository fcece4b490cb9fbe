import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { connect, createServer } from 'node:net'

/** In the working directory, by a relative name: the path of a socket is limited to about a hundred bytes. */
const SOCKET = 'guard.sock'

/**
 * Locks the working directory for this process until it ends: two servers on one data folder would write into each
 * other's files. Resolves to false while another process holds it. The lock is a listening socket, so a killed process
 * holds nothing. If the file system does not support sockets, every caller gets true.
 */
export async function holdFolder(): Promise<boolean> {
  if (await isAnswered()) return false
  await rm(SOCKET, { force: true })
  const lock = createServer((socket) => socket.destroy()).unref()
  try {
    await once(lock.listen(SOCKET), 'listening')
    return true
  } catch (error) {
    return !(error instanceof Error && 'code' in error && error.code === 'EADDRINUSE')
  }
}

async function isAnswered(): Promise<boolean> {
  const socket = connect(SOCKET)
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

import { Redis } from 'ioredis'
import { eventually } from '../support/eventually.js'

/** Makes a Redis that was started with `cluster-enabled` a cluster of one: it serves every slot, and refuses what spans two of them. */
export async function inClusterMode(url: string): Promise<void> {
  const admin = new Redis(url)
  await admin.cluster('ADDSLOTSRANGE', 0, 16_383)
  await eventually(async () => (await admin.cluster('INFO')).includes('cluster_state:ok'))
  admin.disconnect()
}

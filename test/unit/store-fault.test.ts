import { Redis, ReplyError } from 'ioredis'
import t from 'tap'
import { RuncastError, STORE_REASONS } from '../../src/protocol/codes.js'
import { asked, storeFaultOf } from '../../src/storage/store-fault.js'

function replied(message: string): Error {
  return new ReplyError(message)
}

t.test('a reply that refuses for what the server is has a reason', async (t) => {
  const reasons = {
    "OOM command not allowed when used memory > 'maxmemory'. script: e36a, on @user_script:1.": 'store_full',
    'MISCONF Redis is configured to save RDB snapshots, but it is unable to persist to disk.': 'store_not_saving',
    'NOREPLICAS Not enough good replicas to write.': 'store_lacks_replicas',
    "READONLY You can't write against a read only replica.": 'store_read_only',
    'UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)': 'store_read_only',
    'MOVED 10721 127.0.0.1:7001': 'store_moved',
    'ASK 10721 127.0.0.1:7001': 'store_moved',
    "NOPERM this user has no permissions to run the 'eval' command": 'store_denies',
    "ERR The user executing the script can't run this command or subcommand script: e36a": 'store_denies',
    'ERR ACL failure in script: No permissions to access a key script: e36a': 'store_denies',
    'NOAUTH Authentication required.': 'store_denies',
    'LOADING Redis is loading the dataset in memory': 'store_busy',
    'BUSY Redis is busy running a script.': 'store_busy',
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.": 'store_busy',
    'CLUSTERDOWN The cluster is down': 'store_busy',
    'TRYAGAIN Multiple keys request during rehashing of slot': 'store_busy',
    'ERR max number of clients reached': 'store_unreachable',
  } as const
  for (const [message, reason] of Object.entries(reasons)) t.equal(storeFaultOf(replied(message)), reason, message)
  const transaction = Object.assign(replied('EXECABORT Transaction discarded because of previous errors.'), {
    previousErrors: [replied("OOM command not allowed when used memory > 'maxmemory'.")],
  })
  t.equal(storeFaultOf(transaction), 'store_full', 'a transaction has the reason of its first command')
})

t.test('what is no answer is a Redis that is away', async (t) => {
  const connection = new Redis({ lazyConnect: true })
  connection.disconnect()
  t.equal(storeFaultOf(await connection.get('x').catch((error: unknown) => error)), 'store_unreachable', 'a closed connection')
  const gone = new Redis({ host: '127.0.0.1', port: 1, maxRetriesPerRequest: 0, retryStrategy: () => 1 })
  t.teardown(() => gone.disconnect())
  const refused = new Promise((resolve) => gone.once('error', resolve))
  t.equal(storeFaultOf(await gone.get('x').catch((error: unknown) => error)), 'store_unreachable', 'after its retries')
  t.equal(storeFaultOf(await refused), 'store_unreachable', 'what the socket tells')
})

t.test('a fault of a program is not taken for one of Redis', async (t) => {
  const faults = [new TypeError('Do not know how to serialize a BigInt'), replied('WRONGTYPE Operation against a key'), 'OOM', undefined]
  for (const fault of [...faults, new RuncastError('overloaded'), replied('ERR unknown command')]) t.equal(storeFaultOf(fault), null)
  const fault = new RangeError('out of range')
  await t.rejects(asked(Promise.reject(fault)), fault, 'it is passed on as it is')
})

t.test('[CODE-3] the caller of a command is refused with the reason', async (t) => {
  const refusal = await asked(Promise.reject(replied('OOM command not allowed'))).catch((error: unknown) => error)
  t.match(refusal, { code: 'overloaded', reason: 'store_full', message: STORE_REASONS.store_full })
  t.equal(storeFaultOf(refusal), 'store_full')
  for (const text of Object.values(STORE_REASONS)) t.ok(Buffer.byteLength(text) <= 123, `${text} fits into a close frame`)
})

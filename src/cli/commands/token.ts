import { ANY_AUDIENCE, loadConfig } from '../../config/config.js'
import { claimOf } from '../../http/plugins/roles.js'
import { isUserId } from '../../protocol/user-id.js'
import { countOf, defineCommand, usageError } from '../command.js'
import { EXIT } from '../exit-code.js'
import { signToken } from '../token.js'

const ROLES = ['admin', 'worker']
const HOUR_S = 3600

/** Prints a token and nothing else. Reads only the settings for tokens. */
export const token = defineCommand({
  about: 'Prints a token (HS256) for a user, signed with JWT_SECRET or the content of JWT_SECRET_FILE.',
  operands: ['sub'],
  options: {
    role: { value: '<role>', about: `${ROLES.join(' or ')}; default: an ordinary user` },
    seconds: { value: '<seconds>', about: `lifetime; default: ${HOUR_S}` },
  },
  notes: ['Set JWT_ISSUER, JWT_AUDIENCE and the names of the roles as for the hubs: the token contains them.'],
  run: async ({ sub }, { role, seconds }) => {
    if (!isUserId(sub)) throw usageError('token', 'expected <sub>: 1 to 256 characters')
    if (role !== undefined && role !== 'admin' && role !== 'worker') throw usageError('token', `--role: expected ${ROLES.join(' or ')}`)
    const life = countOf('token', 'seconds', seconds, HOUR_S)
    const names = ['JWT_SECRET', 'JWT_SECRET_FILE', 'JWT_ISSUER', 'JWT_AUDIENCE', 'JWT_ROLE_CLAIM', 'JWT_ADMIN_ROLE', 'JWT_WORKER_ROLE']
    const config = loadConfig(Object.fromEntries(names.map((name) => [name, process.env[name]])), ['JWT_SECRET'])
    const roles = { claim: config.JWT_ROLE_CLAIM, admin: config.JWT_ADMIN_ROLE, worker: config.JWT_WORKER_ROLE }
    const claims = {
      ...(role !== undefined && claimOf(roles, role)),
      ...(config.JWT_ISSUER !== '' && { iss: config.JWT_ISSUER }),
      ...(config.JWT_AUDIENCE !== '' && config.JWT_AUDIENCE !== ANY_AUDIENCE && { aud: config.JWT_AUDIENCE }),
    }
    process.stdout.write(`${signToken(config.JWT_SECRET, sub, life, claims)}\n`)
    return EXIT.ok
  },
})

import { ANY_AUDIENCE, loadConfig } from '../../config/config.js'
import { claimOf } from '../../http/plugins/roles.js'
import { isUserId } from '../../protocol/user-id.js'
import { countOf, defineCommand, usageError } from '../command.js'
import { EXIT } from '../exit-code.js'
import { jsonLine } from '../plain-text.js'
import { signToken } from '../token.js'

const ROLES = ['admin', 'worker'] as const
const HOUR_S = 3600

/** Prints a token and nothing else. Reads only the settings for tokens. */
export const token = defineCommand({
  about: 'Prints a token (HS256) for a user, signed with JWT_SECRET or the content of JWT_SECRET_FILE.',
  operands: ['sub'],
  options: {
    role: { value: '<role>', values: ROLES, about: `${ROLES.join(' or ')}; default: an ordinary user` },
    kinds: { value: '<names>', about: 'with --role worker: the kinds that it may claim, separated by commas; default: all' },
    seconds: { value: '<seconds>', about: `lifetime; default: ${HOUR_S}` },
    json: { about: 'a line of JSON with the token, sub and expires_in_s' },
  },
  notes: ['Set JWT_ISSUER, JWT_AUDIENCE and the names of the roles as for the hubs: the token contains them.'],
  run: async ({ sub }, { role, kinds, seconds, json }) => {
    if (!isUserId(sub)) throw usageError('token', 'expected <sub>: 1 to 256 characters')
    if (kinds !== undefined && role !== 'worker') throw usageError('token', '--kinds: expected --role worker with it')
    const life = countOf('token', 'seconds', seconds, HOUR_S)
    const names = [
      'JWT_SECRET',
      'JWT_SECRET_FILE',
      'JWT_ISSUER',
      'JWT_AUDIENCE',
      'JWT_ROLE_CLAIM',
      'JWT_ADMIN_ROLE',
      'JWT_WORKER_ROLE',
      'JWT_KINDS_CLAIM',
    ]
    const config = loadConfig(Object.fromEntries(names.map((name) => [name, process.env[name]])), ['JWT_SECRET'])
    const roles = {
      claim: config.JWT_ROLE_CLAIM,
      admin: config.JWT_ADMIN_ROLE,
      worker: config.JWT_WORKER_ROLE,
      kinds: config.JWT_KINDS_CLAIM,
    }
    const claims = {
      ...(role !== undefined && claimOf(roles, role)),
      ...(kinds !== undefined && { [roles.kinds]: kinds.split(',').map((name) => name.trim()) }),
      ...(config.JWT_ISSUER !== '' && { iss: config.JWT_ISSUER }),
      ...(config.JWT_AUDIENCE !== '' && config.JWT_AUDIENCE !== ANY_AUDIENCE && { aud: config.JWT_AUDIENCE }),
    }
    const token = signToken(config.JWT_SECRET, sub, life, claims)
    process.stdout.write(`${json ? jsonLine({ token, sub, expires_in_s: life }) : token}\n`)
    return EXIT.ok
  },
})

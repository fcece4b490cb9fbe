import { loadConfig } from '../../config.js'
import { countOf, defineCommand, usageError } from '../command.js'
import { EXIT } from '../exit-code.js'
import { signToken } from '../token.js'

const ROLES = ['admin', 'worker']
const HOUR_S = 3600

/** Prints a token and nothing else. Settings other than those of the tokens are not looked at. */
export const token = defineCommand({
  about: 'Prints a token (HS256) for a user, signed with JWT_SECRET or what JWT_SECRET_FILE holds.',
  operands: ['sub'],
  options: {
    role: { value: '<role>', about: `${ROLES.join(' or ')}; without it an ordinary user` },
    seconds: { value: '<seconds>', about: `how long it is good for; ${HOUR_S} without it` },
  },
  notes: ['Where JWT_ISSUER and JWT_AUDIENCE are set, as for the hubs, the token has them.'],
  run: async ({ sub }, { role, seconds }) => {
    if (sub === '') throw usageError('token', 'expected <sub>')
    if (role !== undefined && !ROLES.includes(role)) throw usageError('token', `--role: expected ${ROLES.join(' or ')}`)
    const life = countOf('token', 'seconds', seconds, HOUR_S)
    const { JWT_SECRET, JWT_SECRET_FILE, JWT_ISSUER, JWT_AUDIENCE } = process.env
    const config = loadConfig({ JWT_SECRET, JWT_SECRET_FILE, JWT_ISSUER, JWT_AUDIENCE }, ['JWT_SECRET'])
    const claims = {
      ...(role !== undefined && { role }),
      ...(config.JWT_ISSUER !== '' && { iss: config.JWT_ISSUER }),
      ...(config.JWT_AUDIENCE !== '' && { aud: config.JWT_AUDIENCE }),
    }
    process.stdout.write(`${signToken(config.JWT_SECRET, sub, life, claims)}\n`)
    return EXIT.ok
  },
})

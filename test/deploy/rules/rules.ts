import type { KubeObject } from '../objects.js'
import { network } from './network.js'
import { parts } from './parts.js'
import { podSecurity } from './pod-security.js'
import { queues } from './queues.js'
import { references } from './references.js'
import { images, settings, stops } from './settings.js'

/** Each tells what is wrong with the objects of an overlay, beyond their schemas; nothing where nothing is. */
export const RULES = { references, settings, stops, images, podSecurity, network, queues, parts } as const satisfies Record<
  string,
  (objects: readonly KubeObject[]) => string[]
>

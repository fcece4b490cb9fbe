/** To a guard, once: the program to start, with its complete environment. */
export interface ToGuard {
  readonly command: string
  readonly args: readonly string[]
  readonly cwd: string
  readonly env: Readonly<Record<string, string>>
}

/** How a program ended: with an exit code, or by a signal. */
export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/**
 * From a guard: `started`, then `ended`; or `failed` if the program could not be started. `pid` is also the id of its
 * process group.
 */
export type FromGuard =
  | { readonly type: 'started'; readonly pid: number }
  | { readonly type: 'failed'; readonly reason: string }
  | { readonly type: 'ended'; readonly exit: Exit }

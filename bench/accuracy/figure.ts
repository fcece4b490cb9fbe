/** One thing that was checked: what, the figure that was found, the bound that it is held to, and whether it holds. */
export interface Figure {
  readonly what: string
  readonly figure: string
  readonly bound: string
  readonly holds: boolean
}

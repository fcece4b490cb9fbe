/** The services of docker-compose.yml as an operator has them: what the story does to them. A unit is one replica, by its name. */
export interface Stack {
  /** What runs them, for the reader. */
  readonly kind: string
  /** The load balancer, `http://…`. */
  readonly url: string
  /** Prints a token by the documented command. */
  token(sub: string): Promise<string>
  /** Names of the running units of a service. */
  units(service: string): Promise<string[]>
  /** Starts or ends units until there are so many; resolves once all of them are healthy. */
  scale(service: string, count: number): Promise<void>
  /** Ends a unit in order, and resolves with its exit code once it is gone. */
  stop(unit: string): Promise<number>
  /** Ends its Node by SIGKILL; resolves once the unit runs again and is healthy. */
  crash(unit: string): Promise<void>
  /** Ends a unit in order and puts another one in its place; resolves with the exit code of the old one, once the new one is healthy. */
  replace(unit: string): Promise<number>
  /** Stops a service and starts it again on its data. */
  restart(service: string): Promise<void>
  /** Removes every service, but not what Redis keeps, and brings them all up again, as many as there were. */
  recreate(): Promise<void>
  /** The file of the load balancer, which may be changed. */
  readonly proxyFile: string
  /** Has the load balancer read its file again, by the documented command. */
  reload(): Promise<void>
  /** All that its processes have written. */
  logs(): Promise<string>
  /** Bytes that each unit uses. */
  memory(): Promise<ReadonlyMap<string, number>>
  /** Leaves nothing behind: no process, network, volume or file. */
  close(): Promise<void>
}

/** A database that others made, as far as it can be compared. */
export interface Peer {
  readonly name: string
  /** What npm installs, with the major versions that these files are written for. */
  readonly packages: readonly string[]
  /** How durable a write is when it is answered, and what else is not the same. */
  readonly notes: string
  /** Opens a host that keeps its data in a directory. */
  open(load: Load, directory: string): Promise<PeerHost>
}

/** Imports one of the packages. What it exports is described by who asks, as far as it is used. */
export type Load = <Module>(name: string) => Promise<Module>

export interface PeerHost {
  create(): Promise<PeerDatabase>
  /** Opens a copy of a database of another host, which fills by itself. */
  copy(database: PeerDatabase, from: PeerHost): Promise<PeerDatabase>
  close(): Promise<void>
}

/** Methods that are absent are those that the peer does not have. */
export interface PeerDatabase {
  put(person: Person): Promise<unknown>
  putMany?(people: readonly Person[]): Promise<unknown>
  /** Undefined, or a rejection, if it is not there. */
  get(id: string): Promise<unknown>
  /** How many documents an index finds. */
  find?(age: number): Promise<number>
  /** How many documents are there. */
  count(): Promise<number>
}

/** The document of 305 bytes that all figures are about. */
export interface Person {
  readonly _id: string
  readonly age: number
  readonly [member: string]: unknown
}

/** A database that is measured, however it is reached. All documents are those of `document.ts`, in one collection. */
export interface TargetDatabase {
  /** Bytes of its thread id. */
  readonly id: Uint8Array
  create(documents: readonly Uint8Array[]): Promise<void>
  save(documents: readonly Uint8Array[]): Promise<void>
  delete(ids: readonly string[]): Promise<void>
  get(id: string): Promise<Uint8Array>
  /** Takes a query as the wire has it, in JSON. */
  find(query: Uint8Array): Promise<readonly Uint8Array[]>
  /** Saves each document by itself, in one write transaction. */
  transaction(documents: readonly Uint8Array[]): Promise<void>
  /** Documents as they change, from soon after the call on. */
  listen(signal: AbortSignal): AsyncIterable<Uint8Array>
  /** What another target needs to join. */
  invitation(): Promise<Invitation>
}

export interface Invitation {
  /** Multiaddr with peer and thread, as bytes. */
  readonly address: Uint8Array
  /** Service key and read key. */
  readonly key: Uint8Array
}

export interface Target extends AsyncDisposable {
  /** Prefix of its rows. */
  readonly name: string
  newDatabase(): Promise<TargetDatabase>
  /** Joins a database; its records may still be on their way when the promise resolves. */
  join(invitation: Invitation): Promise<TargetDatabase>
  /** Process that does the work. */
  readonly pid: number
}

export interface CallLimits {
  /** Calls of all clients at once. */
  readonly maxCalls: number
  /** Bytes that all calls may hold: of requests, until they are handled, and of replies, until they are taken. */
  readonly maxHeldBytes: number
}

/**
 * What the calls of all clients hold in memory, kept under a bound. Beyond it the connection that holds most loses the
 * call that holds most, so that a client that holds little goes on whatever others do.
 */
export class CallLedger {
  readonly #limits: CallLimits
  readonly #connections = new Map<object, Connection>()
  #calls = 0
  #bytes = 0

  constructor(limits: CallLimits) {
    this.#limits = limits
  }

  /**
   * Opens the account of a call. `evict` has to end the call at once and free what it holds. `undefined` if there are too
   * many calls; a connection without any may have one even then: how many connections there are is limited by itself.
   */
  open(key: object, evict: () => void): CallAccount | undefined {
    const connection = this.#connections.get(key) ?? { accounts: new Set(), bytes: 0 }
    if (this.#calls >= this.#limits.maxCalls && connection.accounts.size > 0) return undefined
    const account = new CallAccount({
      evict,
      onChange: (bytes) => {
        connection.bytes += bytes
        this.#bytes += bytes
        if (bytes > 0) this.#shrink()
      },
      onClose: () => {
        this.#calls--
        connection.accounts.delete(account)
        if (connection.accounts.size === 0) this.#connections.delete(key)
      },
    })
    this.#calls++
    connection.accounts.add(account)
    this.#connections.set(key, connection)
    return account
  }

  #shrink(): void {
    while (this.#bytes > this.#limits.maxHeldBytes) {
      const connection = largest(this.#connections.values())
      const account = connection && largest(connection.accounts)
      if (account === undefined) return
      account.evict()
    }
  }
}

interface Connection {
  readonly accounts: Set<CallAccount>
  bytes: number
}

interface AccountHooks {
  evict(): void
  onChange(bytes: number): void
  onClose(): void
}

/** What one call holds. */
export class CallAccount {
  readonly #hooks: AccountHooks
  #bytes = 0
  #closed = false

  constructor(hooks: AccountHooks) {
    this.#hooks = hooks
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Counts bytes that are held from now on; fewer than none are given back. May end this call, or another one. */
  add(bytes: number): void {
    if (this.#closed) return
    this.#bytes += bytes
    this.#hooks.onChange(bytes)
  }

  /** The call is over: it holds nothing any more. */
  close(): void {
    if (this.#closed) return
    this.add(-this.#bytes)
    this.#closed = true
    this.#hooks.onClose()
  }

  /** Ends the call. */
  evict(): void {
    this.close()
    this.#hooks.evict()
  }
}

function largest<T extends { readonly bytes: number }>(holders: Iterable<T>): T | undefined {
  let found: T | undefined
  for (const holder of holders) if (found === undefined || holder.bytes > found.bytes) found = holder
  return found
}

import { textOfUtf8, utf8 } from '../../src/core/bytes.ts'
import type { EventData } from '../../src/core/events.ts'
import type { Identity } from '../../src/core/identity.ts'
import { jsonText } from '../../src/core/json-text.ts'
import { type Document, diffPatch, member, mergeDocument, parseDocument, withMember } from '../../src/db/json.ts'
import { JUDGE_VERSION, type Sandbox } from '../../src/db/sandbox/index.ts'

interface ModelSetup {
  sandbox: Sandbox
  /** Writes as the caller that is nobody. */
  host: Identity
  name: string
  writeValidator: string
  readFilter: string
}

type Draft = Pick<EventData, 'type' | 'id'> & { patch?: Document }

const GENERATED_ID = '01hzzzzzzzzzzzzzzzzzzzzzzz'

/** A collection without logs: what the calls of a client need around the sandbox, and no more. */
export class CollectionModel {
  readonly #setup: ModelSetup
  readonly #documents = new Map<string, Document>()
  #nowNs = 1_600_000_000_000_000_000n

  constructor(setup: ModelSetup) {
    this.#setup = setup
  }

  /** Answers what the client gets: nothing, true or false, a document, or a list of them. Throws what the client reads. */
  async run(
    operation: string,
    argument: string,
    caller: Identity | undefined,
  ): Promise<undefined | boolean | string | string[]> {
    this.#nowNs += 1_000_000n
    switch (operation) {
      case 'create':
        return this.#create(parseDocument(argument), caller)
      case 'save':
        return this.#save(parseDocument(argument), caller)
      case 'verify':
        return this.#verify(parseDocument(argument), caller)
      case 'delete':
        return this.#delete(argument, caller)
      case 'findByID':
        return this.#visible(argument, caller)
      case 'has':
        return (await this.#show([argument], caller)).length > 0
      case 'find':
        return this.#show([...this.#documents.keys()].toSorted(), caller)
      default:
        throw new TypeError(`no operation ${operation}`)
    }
  }

  async #create(document: Document, caller: Identity | undefined): Promise<undefined> {
    const id = idOf(document)
    const patch = this.#modified(withMember(document, '_id', id))
    await this.#judge({ type: 'create', id, patch }, caller)
    this.#documents.set(id, patch)
  }

  async #save(document: Document, caller: Identity | undefined): Promise<undefined> {
    const id = idOf(document)
    const patch = await this.#change(id, document, caller)
    await this.#judge({ type: 'save', id, patch }, caller)
    this.#documents.set(id, mergeDocument(this.#documents.get(id) ?? {}, patch))
  }

  async #verify(document: Document, caller: Identity | undefined): Promise<undefined> {
    const id = idOf(document)
    const patch = await this.#change(id, document, caller)
    await this.#judge({ type: this.#documents.has(id) ? 'save' : 'create', id, patch }, caller)
  }

  async #delete(id: string, caller: Identity | undefined): Promise<undefined> {
    if (!this.#documents.has(id)) return
    await this.#judge({ type: 'delete', id }, caller)
    this.#documents.delete(id)
  }

  /** What a save changes of the document as the caller sees it. */
  async #change(id: string, document: Document, caller: Identity | undefined): Promise<Document> {
    const seen = this.#documents.has(id) ? parseDocument(await this.#visible(id, caller)) : {}
    return diffPatch(seen, this.#modified(document))
  }

  #modified(document: Document): Document {
    return withMember(document, '_mod', Number(this.#nowNs))
  }

  async #judge({ type, id, patch }: Draft, caller: Identity | undefined): Promise<undefined> {
    const { sandbox, host, name, writeValidator } = this.#setup
    if (writeValidator === '') return
    const timestamp = this.#nowNs
    const patchBytes = patch && utf8(jsonText(patch))
    const event: EventData = { type, id, patch: patchBytes, timestamp, collection: name, instanceId: id }
    const stored = this.#documents.get(id)
    const instance = stored && utf8(jsonText(stored))
    const [verdict] = await sandbox.judge([
      { validator: writeValidator, judge: JUDGE_VERSION, writer: caller ?? host, event, instance, time: timestamp },
    ])
    if (verdict?.accepted !== true) throw new Error(verdict?.message)
  }

  async #visible(id: string, caller: Identity | undefined): Promise<string> {
    const [shown] = await this.#show([id], caller)
    if (shown === undefined) throw new Error('instance not found')
    return shown
  }

  async #show(ids: readonly string[], caller: Identity | undefined): Promise<string[]> {
    const { sandbox, readFilter } = this.#setup
    const stored = ids.map((id) => this.#documents.get(id)).filter((document) => document !== undefined)
    const documents = stored.map((document) => utf8(jsonText(document)))
    const shown = readFilter === '' ? documents : await sandbox.filter(readFilter, caller, documents)
    return shown.filter((document) => document !== undefined).map(textOfUtf8)
  }
}

function idOf(document: Document): string {
  const id = member(document, '_id')
  return typeof id === 'string' ? id : GENERATED_ID
}

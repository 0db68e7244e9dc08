import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TlsIdentity } from '../../../src/api/index.ts'

/** Files of a self-signed certificate for localhost and 127.0.0.1, and of its key. They secure nothing. */
export function tlsFiles(name: 'first' | 'second'): { cert: string; key: string } {
  return { cert: join(import.meta.dirname, `${name}.crt`), key: join(import.meta.dirname, `${name}.key`) }
}

export function tlsIdentity(name: 'first' | 'second'): TlsIdentity {
  const { cert, key } = tlsFiles(name)
  return { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') }
}

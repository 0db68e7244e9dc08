import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { loadHostKey } from '../../../daemon/host-key.ts'
import { randomBytes } from '../../../src/core/crypto.ts'
import { generateKey } from '../../../src/core/keys.ts'

describe('the key of a host', () => {
  let repo: string
  beforeEach(async () => {
    repo = await mkdtemp(join(tmpdir(), 'host-key-'))
  })
  afterEach(() => rm(repo, { recursive: true }))

  it('is made once and is the same ever after', async () => {
    const made = await loadHostKey(repo, randomBytes, true)
    const loaded = await loadHostKey(repo, randomBytes, true)
    expect(loaded.encoded).toEqual(made.encoded)
    expect(await readdir(repo)).toEqual(['key'])
  })

  it('is readable by its owner only', async () => {
    await loadHostKey(repo, randomBytes, true)
    expect((await stat(join(repo, 'key'))).mode & 0o777).toBe(0o600)
  })

  it('is taken from a private-key protobuf, as libp2p writes it', async () => {
    const key = generateKey(randomBytes)
    await writeFile(join(repo, 'key'), key.encoded)
    expect((await loadHostKey(repo, randomBytes, true)).publicKey.encoded).toEqual(key.publicKey.encoded)
  })

  it('is never replaced when its file is damaged', async () => {
    await writeFile(join(repo, 'key'), 'garbage')
    await expect(loadHostKey(repo, randomBytes, true)).rejects.toMatchObject({ code: 'INVALID_KEY' })
    expect(await readFile(join(repo, 'key'), 'utf8')).toBe('garbage')
  })

  it('is made although a crash left a draft behind', async () => {
    await writeFile(join(repo, 'key.new'), 'half')
    const key = await loadHostKey(repo, randomBytes, true)
    expect((await loadHostKey(repo, randomBytes, true)).encoded).toEqual(key.encoded)
  })

  it('is not made anew where there is data', async () => {
    await expect(loadHostKey(repo, randomBytes, false)).rejects.toThrow(
      'key is missing, though the repository has data',
    )
  })
})

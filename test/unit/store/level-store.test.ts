import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openLevelStore, refuseOpenStore } from '../../../src/store/level-store.ts'
import { testOrderedStore } from '../../conformance/ordered-store.ts'

let root: string
let stores = 0

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'threads-level-'))
})

afterAll(async () => {
  await rm(root, { recursive: true, force: true })
})

const newLocation = (): string => join(root, `store-${stores++}`)
const key = Uint8Array.of(1)

testOrderedStore('classic-level', () => openLevelStore({ location: newLocation() }))

describe('openLevelStore', () => {
  it('finds what was written before it was closed', async () => {
    const location = newLocation()
    const before = await openLevelStore({ location })
    await before.batch([{ type: 'put', key, value: key }], { sync: true })
    await before.close()
    const after = await openLevelStore({ location })
    expect(await after.get(key)).toEqual(key)
    await after.close()
  })

  it('refuses a directory that another process has open', async () => {
    const location = newLocation()
    const holder = fork(join(import.meta.dirname, '../../support/hold-store.ts'), [location])
    await once(holder, 'message')
    await expect(openLevelStore({ location })).rejects.toMatchObject({
      code: 'STORE_LOCKED',
      message: `the repository ${location} is in use by another process`,
    })
    holder.kill('SIGKILL')
    await once(holder, 'exit')
    const store = await openLevelStore({ location })
    await store.close()
  })

  it('refuses a directory that is open in this process', async () => {
    const location = newLocation()
    const store = await openLevelStore({ location })
    await expect(openLevelStore({ location: `${location}/` })).rejects.toMatchObject({ code: 'STORE_LOCKED' })
    await store.close()
    await (await openLevelStore({ location })).close()
  })

  it('says what is wrong with a location that is a file, and can be asked again', async () => {
    const location = newLocation()
    await writeFile(location, 'not a directory')
    await expect(openLevelStore({ location })).rejects.toMatchObject({ code: 'STORE_FAILED' })
    await rm(location)
    await (await openLevelStore({ location })).close()
  })
})

describe('refuseOpenStore', () => {
  it('refuses a directory that is open, here or in another process', async () => {
    const location = newLocation()
    const store = await openLevelStore({ location })
    await expect(refuseOpenStore({ location })).rejects.toMatchObject({ code: 'STORE_LOCKED' })
    await store.close()
    const holder = fork(join(import.meta.dirname, '../../support/hold-store.ts'), [location])
    await once(holder, 'message')
    await expect(refuseOpenStore({ location })).rejects.toMatchObject({ code: 'STORE_LOCKED' })
    holder.kill('SIGKILL')
    await once(holder, 'exit')
    await refuseOpenStore({ location })
  })

  it('leaves a closed one as it is, also without the file that names its tables', async () => {
    const location = newLocation()
    await (await openLevelStore({ location })).close()
    const files = async (): Promise<string[]> =>
      (await readdir(location)).filter((file) => !/^LO(G|CK)/.test(file)).toSorted()
    for (const removed of ['nothing', 'CURRENT']) {
      await rm(join(location, removed), { force: true })
      const before = await files()
      await refuseOpenStore({ location })
      expect(await files()).toEqual(before)
    }
  })
})

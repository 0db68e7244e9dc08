import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { status } from '@grpc/grpc-js'
import { describe, expect, it } from 'vitest'
import { GRPC_CODES } from '../../src/api/errors.ts'
import { ERROR_CODES } from '../../src/core/errors.ts'
import {
  filesUnder,
  findCycle,
  type Import,
  importsOf,
  isGenerated,
  readProject,
  ROOT,
  withoutComments,
} from '../support/sources.ts'

/** From the bottom up: a folder imports itself and those before it. */
const LAYERS = [
  'src/util',
  'src/core',
  'src/documents',
  'src/store',
  'src/net',
  'src/db',
  'src/api',
  'src/client',
  'daemon',
]
/** Others enter these by their index.ts only; of the lower ones any file may be imported. */
const CLOSED = ['src/documents', 'src/net', 'src/db', 'src/api', 'src/client/node', 'src/client']

/** Packages that only some paths may import. */
const DOORS: readonly { packages: RegExp; paths: readonly string[] }[] = [
  { packages: /^(libp2p|@libp2p\/.*)$/, paths: ['src/net/host/'] },
  { packages: /^@multiformats\/multiaddr/, paths: ['src/core/address.ts', 'src/net/host/'] },
  { packages: /^(level|.*-level)$/, paths: ['src/store/'] },
  { packages: /^(quickjs-.*|@jitl\/.*)$/, paths: ['src/db/sandbox/'] },
  { packages: /^(ajv.*|re2js)/, paths: ['src/db/schema'] },
  // The protocol between hosts is gRPC too, on a libp2p stream.
  { packages: /^@grpc\//, paths: ['src/api/', 'src/client/node/', 'src/net/protocol/'] },
  { packages: /^ws$/, paths: ['src/api/'] },
  { packages: /^pino/, paths: ['daemon/'] },
  { packages: /^(node:)?crypto$/, paths: ['src/core/crypto.ts'] },
]

/** What the packages may not reach for: it is passed in, so that tests run on a clock and randomness of their own. */
const AMBIENT: readonly { use: RegExp; instead: string; paths: readonly string[] }[] = [
  { use: /\bprocess\.env\b/, instead: 'an option', paths: [] },
  { use: /\bconsole\./, instead: 'the logger passed in', paths: [] },
  { use: /\bDate\.now\b|\bnew Date\(\)/, instead: 'the clock passed in', paths: ['src/core/clock.ts'] },
  // The prelude is the text of a program for the sandbox, in which Math.random is replaced.
  { use: /\bMath\.random\b/, instead: 'the randomness passed in', paths: ['src/db/sandbox/prelude.ts'] },
  {
    use: /\bcrypto\.(getRandomValues|randomUUID|randomBytes|subtle)\b/,
    instead: 'the randomness passed in, or src/core/crypto.ts',
    paths: ['src/client/platform.ts'],
  },
]

const MAX_LINES = 500

const sources = filesUnder(['src', 'daemon'], '.ts').filter((file) => !isGenerated(file))
const imports = sources.flatMap(importsOf)
const tests = filesUnder(['test'], '.ts')

describe('imports', () => {
  it('point one way', () => {
    expect(imports.filter((each) => !allowedDirection(each)).map(arrow)).toEqual([])
  })

  it('enter documents, net, db, api and client by their index.ts', () => {
    const around = imports.filter(({ file, target }) => {
      const folder = CLOSED.find((closed) => target.startsWith(`${closed}/`))
      const generated = file.startsWith('src/client/') && isGenerated(target)
      return folder !== undefined && !file.startsWith(`${folder}/`) && target !== `${folder}/index.ts` && !generated
    })
    expect(around.map(arrow)).toEqual([])
  })

  it('make no circle of values', () => {
    const values = Map.groupBy(
      imports.filter((each) => !each.typeOnly),
      (each) => each.file,
    )
    const edges = new Map([...values].map(([file, list]) => [file, list.map((each) => each.target)]))
    expect(findCycle(edges)?.join(' → ')).toBeUndefined()
  })

  it('reach heavy packages through one door each', () => {
    const elsewhere = imports.filter(({ file, target }) =>
      DOORS.some(({ packages, paths }) => packages.test(target) && !paths.some((path) => file.startsWith(path))),
    )
    expect(elsewhere.map(arrow)).toEqual([])
  })

  it('name packages that package.json depends on', () => {
    const { dependencies }: { dependencies: Record<string, string> } = JSON.parse(readProject('package.json'))
    const unknown = imports.filter(({ target }) => {
      const name = target
        .split('/')
        .slice(0, target.startsWith('@') ? 2 : 1)
        .join('/')
      const ours = /^(src|daemon)\//.test(target) || target.startsWith('node:')
      return !ours && !Object.hasOwn(dependencies, name)
    })
    expect(unknown.map(arrow)).toEqual([])
  })
})

describe('source files', () => {
  it('below the daemon take environment, output, time and randomness from their caller', () => {
    const found = sources
      .filter((file) => file.startsWith('src/'))
      .flatMap((file) => {
        const text = withoutComments(readProject(file))
        return AMBIENT.filter(({ use, paths }) => use.test(text) && !paths.includes(file)).map(
          ({ use, instead }) => `${file} uses ${use.exec(text)?.[0]}; take ${instead}`,
        )
      })
    expect(found).toEqual([])
  })

  it(`have at most ${MAX_LINES} lines`, () => {
    const long = sources.filter((file) => readProject(file).split('\n').length > MAX_LINES)
    expect(long).toEqual([])
  })
})

describe('the map', () => {
  it('ERRORS.md has every code once, with the gRPC code it is answered with', () => {
    const rows = [...readProject('ERRORS.md').matchAll(/^\| `([A-Z_]+)` \| ([A-Z_]+) \|/gm)]
    expect(rows.length).toBe(ERROR_CODES.length)
    const documented = Object.fromEntries(rows.map(([, code, grpc]) => [code, grpc]))
    expect(documented).toEqual(Object.fromEntries(ERROR_CODES.map((code) => [code, status[GRPC_CODES[code]]])))
  })

  it.each([
    ['proto/threads.proto', 'src/api/'],
    ['proto/threadsnet.proto', 'src/api/'],
    ['proto/net.proto', 'src/net/protocol/handlers/'],
  ])('every RPC of %s has a file of its name under %s', (proto, folder) => {
    const methods = [...readProject(proto).matchAll(/^\s*rpc (\w+)/gm)].map(([, name = '']) => name)
    expect(methods.length).toBeGreaterThan(0)
    const files = new Set(filesUnder([folder], '.ts').map((file) => basename(file)))
    expect(methods.filter((method) => !files.has(`${kebab(method)}.ts`))).toEqual([])
  })

  it('the entry points of package.json exist as sources', () => {
    const { exports, bin }: { exports: Record<string, Record<string, string>>; bin: Record<string, string> } =
      JSON.parse(readProject('package.json'))
    const built = [...Object.values(exports).flatMap((entry) => Object.values(entry)), ...Object.values(bin)]
    const missing = built.filter((path) => !sources.includes(sourceOf(path)))
    expect(built.length).toBeGreaterThan(0)
    expect(missing).toEqual([])
  })

  it('every file of vectors is run by a test', () => {
    const texts = tests.map(readProject)
    const vectors = filesUnder(['test/interop/vectors'], '.json').map((file) => basename(file))
    expect(vectors.length).toBeGreaterThan(0)
    expect(vectors.filter((file) => !texts.some((text) => text.includes(`'${file}'`)))).toEqual([])
  })

  it('the TypeScript and JavaScript of README.md compiles', () => {
    const folder = mkdtempSync(join(import.meta.dirname, '.readme-'))
    try {
      const blocks = [...readProject('README.md').matchAll(/^```(ts|js|typescript|javascript)\n([\s\S]*?)^```$/gm)]
      for (const [at, [, language = '', code = '']] of blocks.entries()) {
        writeFileSync(join(folder, `example-${at + 1}.${language.startsWith('t') ? 'ts' : 'js'}`), `${code}export {}\n`)
      }
      const compilerOptions = { allowJs: true, isolatedDeclarations: false, declaration: false }
      const config = { extends: '../../../tsconfig.json', compilerOptions, include: ['example-*'] }
      writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config))
      const tsc = join(ROOT, 'node_modules/typescript/bin/tsc')
      const { stdout, stderr } = spawnSync(process.execPath, [tsc, '-p', folder], { encoding: 'utf8' })
      expect(blocks.length).toBeGreaterThan(0)
      expect(stdout + stderr).toBe('')
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})

function arrow({ file, target }: Import): string {
  return `${file} → ${target}`
}

function allowedDirection({ file, target }: Import): boolean {
  if (!/^(src|daemon)\//.test(target)) return true
  if (file.startsWith('src/client/')) return /^src\/(client|documents|core|util|api\/gen)\//.test(target)
  const from = LAYERS.findIndex((layer) => file.startsWith(`${layer}/`))
  const to = LAYERS.findIndex((layer) => target.startsWith(`${layer}/`))
  return to !== -1 && to <= from
}

/** `NewDBFromAddr` → `new-db-from-addr`, `ListDBs` → `list-dbs`. */
function kebab(method: string): string {
  return method
    .replaceAll(/DB|ID/g, (word) => word.charAt(0) + word.slice(1).toLowerCase())
    .replaceAll(/(?<=[a-z])[A-Z]/g, '-$&')
    .toLowerCase()
}

/** `./dist/src/net/index.js` → `src/net/index.ts`. */
function sourceOf(built: string): string {
  return built.replace(/^\.\/(dist\/)?/, '').replace(/(\.d\.ts|\.js)$/, '.ts')
}

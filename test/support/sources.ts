import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'

export const ROOT: string = join(import.meta.dirname, '../..')

/** One import of a source file. */
export interface Import {
  readonly file: string
  /** Path from the root of the project, or the name of a package. */
  readonly target: string
  /** Erased before the program runs. */
  readonly typeOnly: boolean
}

/** Text of a file of the project. */
export function readProject(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8')
}

/** Paths of all files under folders of the project whose names end in `suffix`, sorted; absent folders have none. */
export function filesUnder(folders: readonly string[], suffix: string): string[] {
  const found = folders
    .filter((folder) => existsSync(join(ROOT, folder)))
    .flatMap((folder) =>
      readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile() && entry.name.endsWith(suffix))
        .map((entry) => relative(ROOT, join(entry.parentPath, entry.name))),
    )
  return found.toSorted((a, b) => (a < b ? -1 : 1))
}

/** Written by programs, not judged by the rules for written code. */
export function isGenerated(path: string): boolean {
  return /\/(gen|pb)\//.test(path)
}

const STATIC = /^(?:import|export)\s+(type\s+)?(?:[\w*\s{},$]*?\bfrom\s*)?'([^']+)'/gm
const DYNAMIC = /\bimport\(\s*'([^']+)'/g

export function importsOf(file: string): Import[] {
  const text = readProject(file)
  const named = [...text.matchAll(STATIC)].map(([, type, name = '']) => ({ name, typeOnly: type !== undefined }))
  const loaded = [...text.matchAll(DYNAMIC)].map(([, name = '']) => ({ name, typeOnly: false }))
  return [...named, ...loaded].map(({ name, typeOnly }) => {
    return { file, target: name.startsWith('.') ? normalize(join(dirname(file), name)) : name, typeOnly }
  })
}

/** Source text without comments: what is said about a name is not a use of it. */
export function withoutComments(text: string): string {
  return text
    .replaceAll(/\/\*[\s\S]*?\*\//g, '')
    .replaceAll(/^\s*\/\/.*$/gm, '')
    .replaceAll(/\s\/\/\s.*$/gm, '')
}

/** The files of one circle of imports, or `undefined` if there is none. */
export function findCycle(edges: ReadonlyMap<string, readonly string[]>): string[] | undefined {
  const done = new Set<string>()
  const path: string[] = []
  const visit = (file: string): string[] | undefined => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file]
    if (done.has(file)) return undefined
    path.push(file)
    for (const next of edges.get(file) ?? []) {
      const cycle = visit(next)
      if (cycle !== undefined) return cycle
    }
    path.pop()
    done.add(file)
    return undefined
  }
  for (const file of edges.keys()) {
    const cycle = visit(file)
    if (cycle !== undefined) return cycle
  }
  return undefined
}

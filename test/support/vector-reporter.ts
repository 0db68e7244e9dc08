import { readFileSync } from 'node:fs'
import type { Reporter, TestModule } from 'vitest/node'

const FOLDER = new URL('../interop/vectors/', import.meta.url)

/** Tells at the end of a run how many cases of each vector file passed: those of suites named `vectors of <file>`. */
export class VectorReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const lines = modules
      .flatMap((module) => [...module.children.suites()])
      .flatMap(({ name, children }) => {
        const [, file, way = ''] = /^vectors of (\S+\.json)( .*)?$/.exec(name) ?? []
        if (file === undefined) return []
        const passed = [...children.allTests('passed')].length
        return [`${file}${way}: ${passed} of ${casesOf(file)}`]
      })
    if (lines.length > 0) console.log(` Vectors that passed\n   ${lines.toSorted().join('\n   ')}`)
  }
}

function casesOf(file: string): number {
  const { cases }: { cases: unknown[] } = JSON.parse(readFileSync(new URL(file, FOLDER), 'utf8'))
  return cases.length
}

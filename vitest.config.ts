import { defineConfig } from 'vitest/config'
import { VectorReporter } from './test/support/vector-reporter.ts'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Conditions are waited for as long as a busy machine may take: these are for what hangs.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 30_000 } },
    pool: 'forks',
    maxWorkers: 2,
    reporters: ['default', new VectorReporter()],
  },
})

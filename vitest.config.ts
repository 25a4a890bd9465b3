/**
 * Two projects. A process of its own for each file of those that kill, damage, simulate or measure; all other files follow one another in two processes,
 * whose modules are loaded once: `tests/leave.ts` puts back what a file has replaced.
 */
import module from 'node:module'
import { defineConfig } from 'vitest/config'

// Without install scripts node@24 is absent, vitest would run on the system's Node, and better-sqlite3 13 segfaults on Node 20.
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
if (major < 22 || (major === 22 && minor < 18)) {
  throw new Error(`tests need Node >= 22.18, this is ${process.version}; run: npm ci (without --ignore-scripts)`)
}

// Processes that tests start compile the same hundred files each time. Node keeps what it has compiled, by the content of each file.
const compiled = new URL('./node_modules/.cache/troupe/compile', import.meta.url).pathname
process.env['NODE_COMPILE_CACHE'] ??= compiled
module.enableCompileCache(compiled)

const APART = ['bench', 'crash', 'differential', 'faults', 'simulation'].map((folder) => `tests/${folder}/**/*.test.ts`)

export default defineConfig({
  resolve: { alias: { troupe: new URL('./src/index.ts', import.meta.url).pathname } },
  test: {
    globalSetup: './tests/setup.ts',
    testTimeout: 30_000,
    hookTimeout: 30_000,
    pool: 'forks',
    maxWorkers: 2,
    projects: [
      { extends: true, test: { name: 'apart', include: APART } },
      {
        extends: true,
        test: { name: 'shared', include: ['tests/**/*.test.ts'], exclude: APART, isolate: false, setupFiles: './tests/leave.ts' },
      },
    ],
  },
})

import { defineConfig } from 'vitest/config'

// Without install scripts node@24 is absent, vitest would run on the system's Node, and better-sqlite3 13 segfaults on Node 20.
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
if (major < 22 || (major === 22 && minor < 18)) {
  throw new Error(`tests need Node >= 22.18, this is ${process.version}; run: npm ci (without --ignore-scripts)`)
}

export default defineConfig({
  resolve: { alias: { troupe: new URL('./src/index.ts', import.meta.url).pathname } },
  test: {
    include: ['tests/**/*.test.ts'],
    globalSetup: './tests/setup.ts',
    testTimeout: 30_000,
    hookTimeout: 30_000,
    pool: 'forks',
    maxWorkers: 2,
  },
})

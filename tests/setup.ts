/** Builds dist/ once before the tests, with the Node that runs them: process tests start `dist/main.js` and must never see stale code. */
import { spawnSync } from 'node:child_process'

export function setup(): void {
  const built = spawnSync(process.execPath, ['scripts/build.mjs', '--if-stale'], { stdio: 'inherit' })
  if (built.status !== 0) throw new Error('the build failed; see above')
}

// Builds dist/ with tsc beside the old one and swaps it in, so that a process that runs from dist/ never loses files under its feet.
// Plain JavaScript: it runs under any Node >= 20. `--if-stale` stops early when nothing that goes into dist/ has changed.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmodSync, existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
// Inside of the folder it speaks for, so that a copy of the repository that shares node_modules is never taken for another's.
const stampFile = join(root, '.dist-stamp')

function filesBelow(dir) {
  return readdirSync(join(root, dir), { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => (entry.isDirectory() ? filesBelow(join(dir, entry.name)) : [join(dir, entry.name)]))
}

function stampOf(files) {
  const hash = createHash('sha256')
  for (const file of files)
    hash
      .update(file)
      .update('\0')
      .update(readFileSync(join(root, file)))
      .update('\0')
  return hash.digest('hex')
}

const inputs = ['package.json', 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json', 'scripts/build.mjs', ...filesBelow('src')]
const stamp = stampOf(inputs.filter((file) => existsSync(join(root, file))))
const ifStale = process.argv.includes('--if-stale')
if (ifStale && existsSync(join(root, 'dist/main.js')) && existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) process.exit(0)

let tsc
try {
  const manifest = createRequire(join(root, 'package.json')).resolve('typescript/package.json')
  tsc = join(dirname(manifest), JSON.parse(readFileSync(manifest, 'utf8')).bin.tsc)
} catch {
  if (ifStale) {
    console.error('troupe: typescript is not installed, dist/ is not built')
    process.exit(0)
  }
  throw new Error('typescript is not installed; run: npm ci')
}

const fresh = join(root, `.dist-${process.pid}`)
const old = join(root, `.dist-old-${process.pid}`)
const built = spawnSync(process.execPath, [tsc, '-p', join(root, 'tsconfig.build.json'), '--outDir', fresh], {
  cwd: root,
  stdio: 'inherit',
})
if (built.status !== 0) {
  rmSync(fresh, { recursive: true, force: true })
  process.exit(built.status ?? 1)
}
chmodSync(join(fresh, 'main.js'), 0o755)
if (existsSync(join(root, 'dist'))) renameSync(join(root, 'dist'), old)
renameSync(fresh, join(root, 'dist'))
rmSync(old, { recursive: true, force: true })
writeFileSync(stampFile, stamp)

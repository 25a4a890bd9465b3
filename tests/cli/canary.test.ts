/**
 * M3: a key that is known goes through the program, from each place that keys can be in, and is then looked for everywhere: in every file of the home, on both
 * streams of every verb, in the titles of all processes, in what a gate and git see. The provider is hostile: it repeats the key in its answers.
 */
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { type Options, type Place, place, type Said, troupe } from './process.ts'

/** Of no known form: whoever takes it out must know it by its value. */
const CANARY = 'zQ7canary9xW2mVb4TtL0pK8'
const RUN_MS = 90_000

interface Hostile {
  readonly url: string
  /** What it was sent as a key. */
  readonly keys: Set<string>
  /** Command lines of all processes while it was asked. */
  readonly titles: string[]
}

/** Repeats what it was sent, in every way that a server can fail. */
async function hostile(): Promise<Hostile> {
  const seen: Hostile = { url: '', keys: new Set(), titles: [] }
  const server = createServer((request, response) => {
    const key = String(request.headers['x-api-key'] ?? request.headers.authorization ?? '')
    seen.keys.add(key)
    seen.titles.push(...titles())
    const body = { type: 'error', error: { type: 'invalid_request_error', message: `bad request with ${key} in it` } }
    response.writeHead(400, { 'content-type': 'application/json', 'request-id': key }).end(JSON.stringify(body))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.closeAllConnections())
  onTestFinished(() => void server.close())
  return { ...seen, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

function titles(): string[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  return pids.flatMap((pid) => {
    try {
      return [readFileSync(`/proc/${pid}/cmdline`, 'utf8')]
    } catch {
      return [] // It has ended meanwhile.
    }
  })
}

/** Every file below a folder that has the canary in it. */
function leaksIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && readFileSync(join(entry.parentPath, entry.name)).includes(CANARY))
    .map((entry) => entry.name)
}

/** A keychain in a file beside the home, in place of the package. */
function keychainStandIn(at: Place): Record<string, string> {
  const folder = join(at.dir, '..', 'keychain')
  mkdirSync(folder)
  const entries = join(folder, 'entries.json')
  writeFileSync(entries, '{}')
  writeFileSync(
    join(folder, 'package.mjs'),
    `import { readFileSync, writeFileSync } from 'node:fs'
const all = () => JSON.parse(readFileSync(${JSON.stringify(entries)}, 'utf8'))
export class Entry {
  constructor(service, name) { this.name = service + '/' + name }
  getPassword() { return all()[this.name] ?? null }
  setPassword(key) { writeFileSync(${JSON.stringify(entries)}, JSON.stringify({ ...all(), [this.name]: key })) }
  deletePassword() { const { [this.name]: had, ...rest } = all(); writeFileSync(${JSON.stringify(entries)}, JSON.stringify(rest)); return had !== undefined }
}`,
  )
  writeFileSync(
    join(folder, 'hook.mjs'),
    `import { registerHooks } from 'node:module'
registerHooks({ resolve: (name, context, next) => name === '@napi-rs/keyring' ? { url: ${JSON.stringify(pathToFileURL(join(folder, 'package.mjs')).href)}, shortCircuit: true } : next(name, context) })`,
  )
  return { NODE_OPTIONS: `--import ${pathToFileURL(join(folder, 'hook.mjs')).href}` }
}

const CONFIG = (url: string) => `
retry = { max_attempts = 1 }
[models.coder]
provider = "anthropic"
name = "claude-sonnet-5-5"
fallback = ["mine"]
[models.mine]
provider = "mine"
name = "any"
[providers.anthropic]
base_url = "${url}"
[providers.mine]
base_url = "${url}/v1"
`

/** All verbs that may meet a key. @returns what each said. */
async function tour(at: Place, env: Record<string, string>): Promise<readonly Said[]> {
  const run = (args: readonly string[], options: Options = {}) => troupe(at, args, { ...options, env })
  const all = [
    await run(['run', 'Make it better', '-v', '-v'], { input: 'closed' }),
    await run(['logs', '--last', '--jsonl', '-n', '5000']),
    await run(['show', '--last', '--json']),
    await run(['auth', 'status', '--online', '--json']),
    await run(['models']),
  ]
  expect(all.map(({ exit }) => exit)).toEqual([5, 0, 0, 0, 0])
  return all
}

/** It was the real key that travelled, so its absence elsewhere says something. */
function sawTheKey({ keys, titles }: Hostile): void {
  expect([...keys].filter((key) => key !== '').map((key) => key.replace(/^Bearer /, ''))).toContain(CANARY)
  expect(titles.some((title) => title.includes('main.js'))).toBe(true)
}

const said = (all: readonly Said[]): string => all.map(({ out, err }) => out + err).join('\n')

test('M3: a key of the environment is seen by its provider and by nobody else, gates and git among them', { timeout: RUN_MS }, async () => {
  const at = place()
  const server = await hostile()
  writeFileSync(join(at.dir, 'troupe.toml'), CONFIG(server.url))
  const env = { ANTHROPIC_API_KEY: CANARY, MINE_API_KEY: CANARY, UNRELATED_TOKEN: CANARY }
  const all = await tour(at, env)
  sawTheKey(server)
  const dump = join(at.dir, '..', 'seen')
  mkdirSync(dump)
  chmodSync(dump, 0o777)
  const bin = join(at.dir, '..', 'bin')
  mkdirSync(bin)
  writeFileSync(join(bin, 'git'), `#!/bin/sh\nenv > ${dump}/git.$$\nPATH=\${PATH#*:} exec git "$@"\n`, { mode: 0o755 })
  const task = readFileSync(at.task, 'utf8').replace('"node --test"', `"env > ${dump}/gate; node --test"`)
  writeFileSync(join(at.dir, 'task.yaml'), task)
  const scripted = await troupe(at, ['run', 'task.yaml', '-v'], { env: { ...env, PATH: `${bin}:${process.env['PATH']}` } })
  expect([scripted.exit, readFileSync(join(dump, 'gate'), 'utf8').includes('TROUPE_RUN=')]).toEqual([0, true])
  expect(readdirSync(dump).some((name) => name.startsWith('git.'))).toBe(true)
  expect(leaksIn(join(at.dir, '..'))).toEqual([])
  expect(said([...all, scripted])).not.toContain(CANARY)
  expect(server.titles.filter((title) => title.includes(CANARY))).toEqual([])
})

test('M3: a key of the file is in that file and nowhere else', { timeout: RUN_MS }, async () => {
  const at = place()
  const server = await hostile()
  writeFileSync(join(at.dir, 'troupe.toml'), CONFIG(server.url).replace('fallback = ["mine"]', ''))
  const login = await troupe(at, ['auth', 'login', 'anthropic', '--key', '-'], { input: `${CANARY}\n` })
  expect([login.exit, login.out]).toEqual([0, `anthropic  kept in file ${at.home}/keys/keys.json, ends in 0pK8\n`])
  const all = await tour(at, {})
  sawTheKey(server)
  expect(leaksIn(join(at.dir, '..'))).toEqual(['keys.json'])
  const logout = await troupe(at, ['auth', 'logout', 'anthropic'])
  expect([logout.exit, leaksIn(join(at.dir, '..'))]).toEqual([0, []])
  expect(said([login, logout, ...all])).not.toContain(CANARY)
  expect(server.titles.filter((title) => title.includes(CANARY))).toEqual([])
})

test('M3: a key of the keychain is there and nowhere else', { timeout: RUN_MS }, async () => {
  const at = place()
  const server = await hostile()
  writeFileSync(join(at.dir, 'troupe.toml'), CONFIG(server.url).replace('fallback = ["mine"]', ''))
  const env = keychainStandIn(at)
  const login = await troupe(at, ['auth', 'login', 'anthropic', '--key', '-'], { input: CANARY, env })
  expect([login.exit, login.out, login.err]).toEqual([0, 'anthropic  kept in keychain, ends in 0pK8\n', ''])
  const all = await tour(at, env)
  sawTheKey(server)
  expect(leaksIn(join(at.dir, '..'))).toEqual(['entries.json'])
  expect(said([login, ...all])).not.toContain(CANARY)
  expect(server.titles.filter((title) => title.includes(CANARY))).toEqual([])
})

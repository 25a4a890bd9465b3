/**
 * A place whose models answer over real HTTP: the greeter's task without its script, a configuration in the home that names servers of this machine, and
 * servers that play the script of the demo.
 *
 *   wired(at, { ollama: server.url })  -->  home/config.toml   [models.ollama] [providers.ollama] base_url = "http://127.0.0.1:…"
 */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import type { Reply } from '../../src/actors/providers/scripted.ts'
import { parseTask } from '../../src/actors/task.ts'
import { anthropicServer } from '../wire/anthropic.ts'
import type { Script } from '../wire/exchange.ts'
import { ollamaServer } from '../wire/ollama.ts'
import { openaiServer } from '../wire/openai.ts'
import { playing } from '../wire/play.ts'
import type { Seen, WireServer } from '../wire/server.ts'
import { GREETER_TASK, type Place } from './process.ts'

export const KINDS = ['anthropic', 'ollama', 'openai-compatible'] as const
export type Kind = (typeof KINDS)[number]

/** A canary: it must be in no file of the home, on no tape and in no output. */
export const KEY = 'zQ9-0123456789abcdefw9Qk'
export const ENV = { WIRED_KEY: KEY }
export const MODELS: Readonly<Record<Kind, string>> = { anthropic: 'claude-haiku-4-5', ollama: 'qwen3:8b', 'openai-compatible': 'gpt-4.1' }
/** Where a model is asked for an answer. */
const CHATS = ['/api/chat', '/v1/messages', '/v1/chat/completions']

const SOURCE = readFileSync(GREETER_TASK, 'utf8')
/** What the demo's models say. */
export const REPLIES: readonly Reply[] = parseTask(SOURCE, 'greeter.task.yaml').replies.map((reply) => ({ ...reply, delayMs: 0 }))

/** The task of the demo for models of one's own. A cheaper check where the check is not what is tested. */
export function taskFor({ dir }: Place, check = 'grep -q Plural src/count.js'): string {
  const text = SOURCE.replace('provider: scripted\n', '')
    .replace(/^replies:[\s\S]*/m, '')
    .replace('node --test', check)
  writeFileSync(join(dir, '../own.yaml'), text)
  return join(dir, '../own.yaml')
}

/** A server of this kind, until the test ends. Default: it plays the demo. */
export async function serve(kind: Kind, script: Script = playing(REPLIES)): Promise<WireServer> {
  const server = await { anthropic: anthropicServer, ollama: ollamaServer, 'openai-compatible': openaiServer }[kind]({
    script,
    apiKey: KEY,
  })
  onTestFinished(() => server.close())
  return server
}

/** Requests for an answer. */
export const asked = ({ log }: WireServer): readonly Seen[] => log.filter(({ method, path }) => method === 'POST' && CHATS.includes(path))

/** Writes the configuration of the home: a model by the name of each kind, and more lines. */
export function wired({ home }: Pick<Place, 'home'>, urls: Partial<Record<Kind, string>>, more = PRICES): void {
  const tables = Object.entries(urls).map(
    ([kind, url]) => `[models.${kind}]
provider = "${kind}"
name = "${MODELS[kind as Kind]}"
[providers.${kind}]
base_url = "${url}${kind === 'openai-compatible' ? '/v1' : ''}"
${kind === 'ollama' ? '' : 'api_key_env = "WIRED_KEY"'}
`,
  )
  writeFileSync(join(home, 'config.toml'), `${tables.join('')}${more}`)
}

/** Of those that cost something. */
export const PRICES = '[pricing]\n"anthropic/*" = { input = 1, output = 5 }\n"openai-compatible/*" = { input = 1, output = 5 }\n'

/** Every file of the folder by its name. */
export const filesOf = (dir: string): Record<string, string> =>
  Object.fromEntries(
    readdirSync(dir, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name }) => join(parentPath, name))
      .map((path) => [path.slice(dir.length + 1), readFileSync(path, 'utf8')])
      .sort(),
  )

/** The folder as the demo's script leaves it: its edits one after the other. */
export function filesOfTheDemo(files: Readonly<Record<string, string>>): Record<string, string> {
  const after: Record<string, string> = { ...files }
  for (const { name, args } of REPLIES.flatMap(({ toolCalls }) => toolCalls)) {
    const { path = '', old = '', new: instead = '', content = '' } = args as Record<string, string>
    if (name === 'edit') after[path] = (after[path] ?? '').replace(old, () => instead)
    if (name === 'write') after[path] = content
  }
  return Object.fromEntries(Object.entries(after).sort())
}

/** Everything of a place as it is now; the function that is returned puts it back, so that two ways on can be tried from one point. */
export function remembered({ home, dir }: Place): () => void {
  const copy = mkdtempSync(join(tmpdir(), 'troupe-copy-'))
  onTestFinished(() => rmSync(copy, { recursive: true, force: true }))
  for (const [name, from] of [
    ['home', home],
    ['dir', dir],
  ] as const)
    cpSync(from, join(copy, name), { recursive: true })
  return () => {
    for (const [name, to] of [
      ['home', home],
      ['dir', dir],
    ] as const) {
      rmSync(to, { recursive: true, force: true })
      cpSync(join(copy, name), to, { recursive: true })
    }
  }
}

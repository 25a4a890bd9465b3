/**
 * What Troupe adds to a call of a model beyond the network. Fifty agents ask a real HTTP server through the official client; the same provider is asked by
 * fifty plain loops. Between two calls of one asker the server is not waited for: that gap is what is added.
 *
 *   agent   |--- call ---|  gap: outcome committed, step, next intent committed, admitted, started  |--- call ---| ...
 *   loop    |--- call ---||--- call ---| ...
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { GenerateRequest, Provider } from '../../src/actors/provider.ts'
import { ollama } from '../../src/actors/providers/ollama.ts'
import { sqliteStore } from '../../src/runtime/stores/sqlite/store.ts'
import { atMost, type Case, figure, type Measurement, type Options, scaled } from '../figure.ts'
import { call, MODEL } from '../load/callers.ts'
import { median } from '../meter.ts'

const AGENTS = 50
const CALLS = 20
/** What the server waits before it answers: a fast model. Long enough that two processors are not what is measured. */
const DELAY_MS = 400
const SERVER = new URL('../load/model-server.child.ts', import.meta.url).pathname

export const calls: Measurement = {
  name: 'calls',
  question: 'what does a call of a model cost beyond the network, with fifty agents at once?',
  run: async (options) => {
    const each = scaled(CALLS, options, 2)
    const child = spawn(process.execPath, ['--no-warnings', SERVER, String(DELAY_MS)], { stdio: ['ignore', 'pipe', 'inherit'] })
    try {
      const [address] = (await once(child.stdout, 'data')) as [Buffer]
      const url = address.toString().trim()
      await agents(options, url, 2, -1) // Compiled code is what is measured.
      const rounds: { agents: Asked; loops: Asked }[] = []
      for (let round = 0; round < (options.rounds ?? 5); round++)
        rounds.push({ agents: await agents(options, url, each, round), loops: await loops(url, each) })
      return [caseOf(rounds, each)]
    } finally {
      child.kill()
    }
  },
}

/** Gaps in milliseconds, and the processor's time of the whole, microseconds. */
interface Asked {
  readonly gaps: readonly number[]
  readonly cpuUs: number
}

/** Notes the gap between the end of a call and the begin of the next one of the same asker. */
function watched(provider: Provider): { readonly provider: Provider; readonly gaps: number[] } {
  const gaps: number[] = []
  const endedAt = new Map<string, number>()
  const generate: Provider['generate'] = async (request, options) => {
    const asker = request.messages[0]?.content ?? '' // Each has words of its own.
    const before = endedAt.get(asker)
    if (before !== undefined) gaps.push(performance.now() - before)
    const result = await provider.generate(request, options)
    endedAt.set(asker, performance.now())
    if (!result.ok) throw new Error(`a call failed: ${result.code} ${result.message}`)
    return result
  }
  return { gaps, provider: { ...provider, generate } }
}

async function agents({ folder }: Options, url: string, each: number, round: number): Promise<Asked> {
  const { provider, gaps } = watched(ollama({ baseUrl: url }))
  const store = sqliteStore({ path: join(folder, `calls-${round}.db`) })
  const before = process.cpuUsage()
  await call(store, provider, AGENTS, each)
  const { user, system } = process.cpuUsage(before)
  store.close()
  return { gaps, cpuUs: user + system }
}

/** The same requests without Troupe. */
async function loops(url: string, each: number): Promise<Asked> {
  const { provider, gaps } = watched(ollama({ baseUrl: url }))
  const before = process.cpuUsage()
  await Promise.all(
    Array.from({ length: AGENTS }, async (_, index) => {
      for (let turn = 1; turn <= each; turn++)
        await provider.generate(requestOf(index, turn), { signal: new AbortController().signal, progress: () => {} })
    }),
  )
  const { user, system } = process.cpuUsage(before)
  return { gaps, cpuUs: user + system }
}

const requestOf = (index: number, turn: number): GenerateRequest => ({
  agent: 'coder',
  item: null,
  turn,
  attempt: 1,
  key: `loop-${index}/e${turn}`,
  messages: [{ role: 'user', content: `Say something short, ${index}.` }],
  tools: [],
  schema: null,
  outputTokensMax: 4_096,
  model: MODEL,
})

function caseOf(rounds: readonly { agents: Asked; loops: Asked }[], each: number): Case {
  const count = AGENTS * each
  const added = figure(
    'added to a call, median',
    'ms',
    rounds.map((round) => median(round.agents.gaps) - median(round.loops.gaps)),
    atMost(2),
  )
  return {
    name: `${AGENTS} agents, ${each} calls each, ${DELAY_MS} ms a call`,
    figures: [
      added,
      figure(
        'added, 95th percentile',
        'ms',
        rounds.map((round) => percentile(round.agents.gaps, 0.95)),
      ),
      figure(
        'processor added to a call',
        'us',
        rounds.map((round) => (round.agents.cpuUs - round.loops.cpuUs) / count),
      ),
      figure(
        'processor of a plain call',
        'us',
        rounds.map((round) => round.loops.cpuUs / count),
      ),
    ],
  }
}

function percentile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0
}

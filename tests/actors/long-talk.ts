/**
 * A long tool loop in a tiny window, on the real engine, store and files; only the model is played, by a function of the request.
 *
 *   /talk              supervisor
 *     /talk/optimizer  makes summaries, or its model fails
 *     /talk/coder      reads {@link FILES} files one after the other, then is done
 *     /talk/boss       asks the coder once, and ends the run with its answer
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { assign, setup } from 'xstate'
import { teamEffects } from '../../src/actors/effects.ts'
import { OPTIMIZER } from '../../src/actors/prompts/optimizer.ts'
import type { GenerateRequest, GenerateResult, Provider } from '../../src/actors/provider.ts'
import { createTroupe } from '../../src/actors/troupe.ts'
import { coder } from '../../src/machines/coder.ts'
import { optimizer } from '../../src/machines/optimizer.ts'
import { estimateTokens, tokensOfMessage, tokensOfTools } from '../../src/machines/tokens.ts'
import type { AskEvent, AskParams, TreeSpec } from '../../src/protocol.ts'
import type { Store } from '../../src/runtime/store.ts'
import { Killed, type KillPoint, killingStore } from '../crash/killing-store.ts'

export const FILES = 14
/** Characters of each file. All of them together are far more than the window. */
const FILE_CHARS = 1_800
/** Tokens that a prompt of the coder may take. */
export const WINDOW = 6_000

/** What the optimizer's model does: a short summary, one that is longer than what it stands for, a failure. */
type Optimizing = 'summary' | 'long' | 'failure'

export interface TalkOptions {
  readonly folder: string
  readonly store: Store
  readonly optimizing?: Optimizing
  /** Does the model say how many tokens it has read? */
  readonly reports?: boolean
  readonly filesChars?: number
  readonly window?: number
  readonly task?: string
}

/** What was asked of the models, in order. */
interface Asked extends GenerateRequest {
  /** As the model counts. */
  readonly tokens: number
}

const boss = setup({
  types: {
    context: {} as { address: string; dir: string; task: string; answer: AskEvent | null },
    input: {} as { dir: string; task: string },
    events: {} as AskEvent,
  },
  actions: { ask: (_, _params: AskParams) => {} },
}).createMachine({
  id: 'boss',
  context: ({ input }) => ({ address: '/talk/boss', ...input, answer: null }),
  output: ({ context }) => (context.answer?.type === 'ask.answered' ? context.answer.answer : { type: context.answer?.type ?? 'none' }),
  initial: 'asking',
  states: {
    asking: {
      entry: {
        type: 'ask',
        params: ({ context: { dir, task } }) => {
          const item = { id: 'parse', description: task, phase: 'implementation', priority: 1, needs: [], files: [] }
          const workspace = { source: dir, dir, mode: 'copy', base: 'b' }
          const event = { type: 'task.assign', item, goal: null, input: null, workspace, round: 1, feedback: null }
          return { id: 'task', to: '/talk/coder', timeoutMs: 600_000, event }
        },
      },
      on: { '*': { target: 'done', actions: assign({ answer: ({ event }) => event }) } },
    },
    done: { type: 'final' },
  },
})

/** Reads one file a turn; what it says is a function of the turn, so it says the same after a crash. */
function model({ optimizing = 'summary', reports = true }: TalkOptions, asked: Asked[]): Provider {
  const answer = ({
    agent,
    turn,
  }: GenerateRequest): { content: string; toolCalls?: { id: string; name: string; args: { path: string } }[] } => {
    if (agent === 'optimizer')
      return { content: optimizing === 'long' ? 'so many words '.repeat(2_000) : `Read some files; ${turn}. Go on.` }
    if (turn > FILES) return { content: `Read all ${FILES}.` }
    return { content: `File ${turn}.`, toolCalls: [{ id: 'call-0', name: 'read', args: { path: `file-${turn}.txt` } }] }
  }
  return {
    name: 'played',
    simulated: !reports,
    generate: async (request): Promise<GenerateResult> => {
      const size = request.messages.reduce((sum, message) => sum + tokensOfMessage(message, estimateTokens), 0)
      const tokens = size + tokensOfTools(request.tools, estimateTokens)
      asked.push({ ...request, tokens })
      if (request.agent === 'optimizer' && optimizing === 'failure')
        return { ok: false, code: 'E_PROVIDER_REFUSED', message: 'no', retry: 'never' }
      const usage = { inputTokens: tokens, outputTokens: 20, costUsd: null }
      return { ok: true, message: { role: 'assistant', ...answer(request) }, usage, finish: 'stop' }
    },
  }
}

/** One life of the run: starts it, or goes on with it. */
export async function talkLife(options: TalkOptions) {
  const { folder, store, filesChars = FILE_CHARS, window = WINDOW, task = 'Read all files.' } = options
  const dir = join(folder, 'files')
  mkdirSync(dir, { recursive: true })
  for (let file = 1; file <= FILES; file++)
    writeFileSync(join(dir, `file-${file}.txt`), `file ${file}: ${'some words of it '.repeat(filesChars / 17)}`)
  const asked: Asked[] = []
  const { handlers } = teamEffects({ provider: model(options, asked), root: join(folder, 'work') })
  const troupe = createTroupe({ store, machines: { boss, coder, optimizer }, effects: handlers, reap: async () => [] })
  const before = store.runs({})[0]
  const limits = { promptTokensMax: window, turnsMin: 2 }
  const tree: TreeSpec = {
    ...{ id: 'talk', autoShutdown: 'any_significant' },
    children: [
      {
        id: 'optimizer',
        src: 'optimizer',
        from: 'checkpoint',
        input: { address: '/talk/optimizer', system: OPTIMIZER, promptTokensMax: window },
      },
      {
        ...{ id: 'coder', src: 'coder', from: 'checkpoint' },
        input: { address: '/talk/coder', system: 'You code.', optimizer: '/talk/optimizer', window: limits },
      },
      { id: 'boss', src: 'boss', from: 'checkpoint', restart: 'transient', significant: true, input: { dir, task } },
    ],
  }
  if (before === undefined || before.status === 'running') {
    const session = before === undefined ? await troupe.start(tree, { quarantine: false }) : await troupe.resume(before.run)
    await session.done()
  }
  const { run, status, output } = store.runs({})[0]!
  const facts = store
    .journal(run, 0, Number.POSITIVE_INFINITY)
    .filter(({ type }) => type === 'context.compacted')
    .map(({ data, path }) => ({
      path,
      ...(JSON.parse(data) as { method: string; beforeTokens: number; afterTokens: number; item: string }),
    }))
  return { status, output, facts, asked, thread: store.thread(run, '/talk/coder/parse') }
}

export type Talk = Awaited<ReturnType<typeof talkLife>>

/** Lives until one ends by itself. `open`: the store as the next process finds it. */
export async function talkSurvives(point: KillPoint, open: () => Store, options: Omit<TalkOptions, 'store'>): Promise<Talk> {
  for (let life = 0; ; life++) {
    const store = killingStore(open(), life === 0 ? point : null)
    try {
      return await talkLife({ ...options, store })
    } catch (error) {
      if (!(error instanceof Killed)) throw error
    } finally {
      store.close()
    }
  }
}

/** Memories in a folder of the test, closed at its end, and operations to fill them with. */
import type { Database } from 'better-sqlite3'
import { onTestFinished } from 'vitest'
import type { Embedder } from '../../../src/actors/memory/embedder.ts'
import { type MemoriesOptions, memoryFile, openMemories } from '../../../src/actors/memory/memories.ts'
import type { Memory, Operation } from '../../../src/actors/memory.ts'
import { temporaryFolder } from '../../harness.ts'

/** Any folder will do: a project is known by its path alone. */
export const PROJECT = '/somewhere/project'
export const NEVER: AbortSignal = new AbortController().signal

export interface Place {
  readonly home: string
  readonly file: string
  readonly memory: Memory
}

/** The memory of one project; `home` to open the same one again. */
export function place({ home = temporaryFolder(), ...options }: Partial<MemoriesOptions> = {}): Place {
  const memories = openMemories({ home, ...options })
  onTestFinished(async () => void (await memories.close()))
  return { home, file: memoryFile(home, PROJECT), memory: memories.open(PROJECT) }
}

/** Writes them and says how each ended: `ok`, the code of its error, or why it was not taken. */
export async function written(memory: Memory, operations: readonly Operation[]): Promise<readonly string[]> {
  const asked = operations.map((operation) => memory.enqueue(operation))
  await memory.flush()
  return Promise.all(
    asked.map(async (one) => {
      if (!one.accepted) return one.why
      const end = await one.done
      return end.ok ? 'ok' : end.error.code
    }),
  )
}

export const fact = (text: string, key = text): Operation => ({ type: 'ADD_FACT', key, text, source: 'test' })
export const mission = (item: string, goal: string, summary = 'Done.', run = 'r1'): Operation => ({
  type: 'LOG_MISSION',
  key: `${run}/${item}`,
  run,
  item,
  goal,
  outcome: 'done',
  summary,
})

/** What a recall finds, in short. */
export async function recalled(memory: Memory, query: string, limits = { episodic: 5, semantic: 10 }) {
  const { episodic, semantic } = await memory.recall(query, limits, NEVER)
  return { items: episodic.map(({ item }) => item), facts: semantic.map(({ text }) => text) }
}

/** Vectors by a table of meanings: texts that share one are alike, whatever their words. Others are like nothing. */
export function meanings(
  table: Readonly<Record<string, readonly string[]>>,
  name = 'fake/meanings',
): Embedder & { readonly asked: string[] } {
  const axes = Object.values(table)
  const asked: string[] = []
  return {
    name,
    dimensions: axes.length + 1,
    asked,
    async embed(texts) {
      asked.push(...texts)
      return texts.map((text) => {
        const vector = axes.map((words) => (words.some((word) => text.includes(word)) ? 1 : 0) as number)
        return [...vector, vector.includes(1) ? 0 : 1]
      })
    },
  }
}

/** As on a platform for which there is no binary. */
export const noExtension = async (_: Database): Promise<void> => {
  throw new Error('no binary of sqlite-vec for this platform')
}

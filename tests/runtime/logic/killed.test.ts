/** A real process that dies by SIGKILL, and what the next one makes of its promise, its callback and its inline actions. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { factsOf, openLife, temporaryFolder, waitUntil } from '../../harness.ts'
import { linesOf, mortal } from './mortal.ts'

/** Runs the mortal process to its death. */
async function died(folder: string, event: string): Promise<unknown> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'mortal.child.ts'), folder, event], { stdio: 'inherit' })
  const [code, signal] = await once(child, 'exit')
  return { code, signal }
}

test.each([
  ['die', ['inline one'], ['kept', 'dying', 'kept']],
  ['let die', ['callback told'], ['kept', 'kept']],
] as const)(
  'a process that dies of `%s`: the promise is performed again, the callback is up again, inline actions and words that no commit holds are lost',
  async (event, last, heard) => {
    const folder = temporaryFolder()
    const file = join(folder, 'world.log')
    expect(await died(folder, event)).toEqual({ code: null, signal: 'SIGKILL' })
    expect(linesOf(file)).toEqual(
      ['promise first', 'callback first', ...last].sort((a, b) => linesOf(file).indexOf(a) - linesOf(file).indexOf(b)),
    )
    const { troupe, store } = openLife(folder, { machines: { mortal: mortal(file, () => {}) } })
    const session = await troupe.resume('r')
    const context = () => session.snapshot('/top/one')?.context as { heard: string[]; got: unknown } | undefined
    await waitUntil('it is done', () => context()?.got === 'done' && context()?.heard.length === heard.length, context)
    expect({ ...context(), lines: linesOf(file).slice(3).sort() }).toEqual({
      got: 'done',
      heard,
      lines: ['callback first', 'promise first'],
    })
    expect(
      factsOf(store, 'r', 'effect.started')
        .map(({ data }) => `${data['kind']} ${data['attempt']}`)
        .sort(),
    ).toEqual(['callback 1', 'callback 2', 'promise 1', 'promise 2'])
    expect(session.recovery?.effects.map(({ kind, verdict }) => [kind, verdict])).toEqual([['promise', 'repeat']])
    await session.stop()
  },
)

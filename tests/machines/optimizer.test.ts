import { expect, test } from 'vitest'
import { type AnyActorRef, createActor, fromCallback, fromPromise } from 'xstate'
import { optimizer } from '../../src/machines/optimizer.ts'
import type { Message } from '../../src/machines/vocabulary.ts'
import { waitUntil } from './coder-play.ts'

type Event = { type: string; [key: string]: unknown }
type Said = string | { code: string; message: string } | { content: string; finish: string }

const REQUEST = { type: 'context.compact', thread: '/team/coder/flag', back: 9, count: 6, tokens: 900, item: 'flag', budgetTokens: 100 }

/** An optimizer whose model says these things, one after the other; the last one again and again. `held`: it answers when told to. */
function optimizing(says: readonly Said[], promptTokensMax?: number, held = false) {
  const appended: { thread: string; message: Message }[] = []
  const inputs: { [key: string]: unknown }[] = []
  const releases: (() => void)[] = []
  const generate = fromPromise(async ({ input }: { input: { [key: string]: unknown } }) => {
    const said = says[Math.min(inputs.push(input), says.length) - 1]!
    if (held) await new Promise<void>((resolve) => releases.push(resolve))
    if (typeof said !== 'string' && 'code' in said) throw said
    const { content, finish } = typeof said === 'string' ? { content: said, finish: 'stop' } : said
    return { message: { role: 'assistant', content }, usage: { inputTokens: 1, outputTokens: 1, costUsd: 0 }, finish }
  })
  const append = (_: unknown, { thread, items }: { thread: string; items: readonly unknown[] }): void =>
    void appended.push(...items.map((message) => ({ thread, message: message as Message })))
  const machine = optimizer.provide({ actors: { generate } as never, actions: { 'thread.append': append } })
  const actor = createActor(machine, { input: { address: '/team/optimizer', system: 'You shorten.', promptTokensMax } })
  actor.start()
  const answers: Event[] = []
  const ask = (event: object = {}): AnyActorRef => {
    const asker = createActor(fromCallback<Event>(({ receive }) => receive((answer) => void answers.push(answer))))
    asker.start()
    actor.send({ ...REQUEST, ...event, replyTo: asker as AnyActorRef } as never)
    return asker
  }
  const until = (count: number) =>
    waitUntil(
      () => answers.length >= count,
      () => JSON.stringify(answers),
    )
  return { actor, ask, answers, until, appended, inputs, releases }
}

test('a summary is made of the stretch where it is: its model reads the thread of whoever asks', async () => {
  const { ask, answers, until, appended, inputs } = optimizing(['  It read two files.  '], 5_000)
  ask()
  await until(1)
  expect(answers).toEqual([{ type: 'context.compacted', summary: 'It read two files.', back: 9, count: 6 }])
  expect(inputs[0]).toMatchObject({
    ...{ agent: 'optimizer', thread: '/team/optimizer/flag~1', item: 'flag', turn: 1, tools: [], format: 'text', promptTokensMax: 5_000 },
    stretch: { thread: '/team/coder/flag', back: 9, count: 6 },
  })
  // Half of the characters is what is reserved: the stretch at its worst, and its own words.
  expect(inputs[0]!['promptChars']).toBeGreaterThan(2 * 900)
  expect(appended.map(({ thread, message }) => [thread, message.role, message.content])).toEqual([
    ['/team/optimizer/flag~1', 'system', 'You shorten.'],
    ['/team/optimizer/flag~1', 'user', 'Above are 6 messages. Summarise them in at most 50 words.'],
    ['/team/optimizer/flag~1', 'assistant', '  It read two files.  '],
  ])
})

test.for<[string, Said, string]>([
  ['longer than what it stands for', 'word '.repeat(2_000), 'it is longer than what it stands for'],
  ['longer than it may be', 'word '.repeat(100), 'it takes ~358 tokens, 100 are allowed'],
  ['empty', ' \n', 'it is empty'],
  ['cut off', { content: 'It read', finish: 'length' }, 'it was cut off because it is too long'],
])('a summary that is %s is refused: asked once more, then it has failed', async ([_, said, why]) => {
  const bad = optimizing([said])
  bad.ask()
  await bad.until(1)
  const error = { code: 'E_PROVIDER_OUTPUT', message: `no usable summary, 2 times: ${why}` }
  expect(bad.answers).toEqual([{ type: 'context.failed', error }])
  expect(bad.inputs.map(({ turn }) => turn)).toEqual([1, 2])
  const mended = optimizing([said, 'Short.'])
  mended.ask()
  await mended.until(1)
  expect(mended.answers[0]).toMatchObject({ type: 'context.compacted', summary: 'Short.' })
  const told = mended.appended.map(({ message }) => message)
  expect(told[3]?.content).toContain(`This summary cannot be used: ${why}.`)
  expect(told[2]!.content.length).toBeLessThan(500)
})

test('a model that fails is an answer', async () => {
  const { ask, answers, until } = optimizing([{ code: 'E_PROVIDER_OVERLOADED', message: 'later' }])
  ask()
  await until(1)
  expect(answers).toEqual([{ type: 'context.failed', error: { code: 'E_PROVIDER_OVERLOADED', message: 'later' } }])
})

test('P16: a stretch that its model could not read is refused at once, without a call', async () => {
  const { ask, answers, inputs, until } = optimizing(['Short.'], 200)
  ask({ tokens: 801 })
  await until(1)
  expect(answers).toEqual([
    { type: 'context.failed', error: { code: 'E_CONTEXT_TOO_LARGE', message: 'a summary of ~801 tokens is wanted, the model reads 200' } },
  ])
  expect(inputs).toEqual([])
})

test('several are served one after the other, and one thread waits once, with its newest request', async () => {
  const { ask, answers, inputs, until, releases } = optimizing(['Short.'], undefined, true)
  ask()
  for (const back of [5, 7]) ask({ thread: '/team/coder-2/x', back, count: 5, item: 'x' })
  const next = async (count: number) => {
    await waitUntil(
      () => releases.length === count,
      () => String(releases.length),
    )
    releases.at(-1)!()
    await until(count)
  }
  await next(1)
  await next(2)
  expect(answers.map(({ back }) => back)).toEqual([9, 7])
  expect(inputs.map(({ thread }) => thread)).toEqual(['/team/optimizer/flag~1', '/team/optimizer/x~2'])
})

test('asked for the same again it goes on, and the new asker gets the answer', async () => {
  const { ask, answers, inputs, until, releases } = optimizing(['Short.'], undefined, true)
  ask().stop()
  ask()
  await waitUntil(
    () => releases.length === 1,
    () => String(releases.length),
  )
  releases[0]!()
  await until(1)
  expect(answers.length).toBe(1)
  expect(inputs.length).toBe(1)
})

test('a request that does not fit is rejected with reasons', async () => {
  const { ask, answers, until } = optimizing(['Short.'])
  ask({ count: 0 })
  await until(1)
  expect(answers).toEqual([{ type: 'rejected', reasons: ['count: Too small: expected number to be >0'] }])
})

test('asked to stop, it stops', () => {
  const { actor } = optimizing(['Short.'])
  actor.send({ type: 'shutdown' })
  expect(actor.getSnapshot().status).toBe('done')
})

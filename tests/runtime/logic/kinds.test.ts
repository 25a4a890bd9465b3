/** Logic of XState carries no tag. Its kind is told by its shape and by how its own reducer behaves, in both builds of XState. */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { fromCallback, fromPromise } from 'xstate'
import { kindOf } from '../../../src/runtime/logic/kinds.ts'

test.each([
  ['production', []],
  ['development', ['-C', 'development']],
])('each kind is told apart without calling the functions of the user, in the %s build', (build, flags) => {
  const file = join(import.meta.dirname, 'kinds.child.ts')
  const said = execFileSync(process.execPath, [...flags, file], { encoding: 'utf8', timeout: 30_000 })
  expect(JSON.parse(said)).toEqual({
    build,
    kinds: {
      promise: 'promise',
      callback: 'callback',
      observable: 'observable',
      eventObservable: 'observable',
      transition: 'transition',
      wrapped: 'promise',
      machine: null,
      handmade: null,
      nothing: null,
    },
  })
})

test('logic that wraps another one is of the kind that it behaves like', () => {
  const logged: string[] = []
  const promise = fromPromise(async () => 1)
  const wrapped = {
    ...promise,
    transition: (snapshot: never, event: never, scope: never) => {
      logged.push('called')
      return promise.transition(snapshot, event, scope)
    },
  }
  const callback = fromCallback(() => {})
  const deaf = { ...callback, transition: (snapshot: never) => snapshot }
  expect([kindOf(wrapped), kindOf(deaf), kindOf(undefined), kindOf('promise')]).toEqual(['promise', 'callback', undefined, undefined])
  expect(logged).toEqual(['called'])
})

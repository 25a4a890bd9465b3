/** The command line of the benchmark. */
import { tmpdir } from 'node:os'
import { expect, test } from 'vitest'
import { parseFlags } from '../../bench/flags.ts'

test('without any word everything is measured as it is documented', () => {
  expect(parseFlags([], ['steps'])).toEqual({ names: [], rounds: null, scale: 1, actors: null, dir: tmpdir(), json: false })
})

test('measurements, rounds, sizes and the folder are chosen', () => {
  const words = ['pool', 'steps', '--rounds', '3', '--scale', '0.5', '--actors', '64', '--dir', '/disk', '--json']
  expect(parseFlags(words, ['steps', 'pool'])).toEqual({
    names: ['pool', 'steps'],
    rounds: 3,
    scale: 0.5,
    actors: 64,
    dir: '/disk',
    json: true,
  })
})

test.each([
  [['--rounds', '1.5'], '--rounds 1.5: a number above 0 is wanted'],
  [['--scale', '0'], '--scale 0: a number above 0 is wanted'],
  [['--actors', 'many'], '--actors many: a number above 0 is wanted'],
  [['--fast'], "Unknown option '--fast'"],
  [['speed'], 'speed: there is no such measurement'],
] as const)('%s is refused', (words, message) => {
  expect(() => parseFlags(words, ['steps'])).toThrow(message)
})

/**
 * What a person sees when the disk fails under the program: one error with a code and what to do, exit code 10, no stack; and `troupe resume` goes on.
 * Only calls on the store are struck: a tool whose file cannot be written is told so, and that is another story.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type Place, place as program, troupe } from '../cli/process.ts'
import { Chance, NIGHTLY } from './chance.ts'
import type { Fault } from './disk.ts'
import { faultPlace } from './place.ts'

const place = faultPlace()
const SAMPLE = NIGHTLY ? 12 : 1
const storeIn = ({ home }: Place): string => join(home, 'troupe.db')

test.for([
  { call: 'write', how: 'ever', error: 'EIO', code: /E_STORE_(IO|FULL)/ },
  { call: 'sync', how: 'once', error: 'EIO', code: /E_STORE_IO/ },
  { call: 'write', how: 'ever', error: 'ENOSPC', code: /E_STORE_FULL/ },
] as const)(
  'a $call that fails with $error ($how) under `troupe run` is one error in words, and the run can be resumed',
  {
    timeout: 180_000,
  },
  async ({ call, how, error, code }, context) => {
    const disk = place.disk(context)
    const chance = new Chance(`program ${call} ${error}`)
    for (let number = 0; number < SAMPLE; number++) {
      const at = 1 + chance.below(call === 'sync' ? 30 : 300)
      const home = program()
      const fault: Fault = { call, at, how, error }
      disk.arm(storeIn(home), fault)
      const said = await troupe(home, ['run', home.task, '-q'], { env: disk.env })
      const { struck } = disk.counted()
      disk.disarm()
      const told = { seed: chance.seed, fault, struck, exit: said.exit, err: said.err }
      if (said.exit === 0) {
        expect(told).toMatchObject({ err: '' }) // Closing folds the log in; what fails then is done by the next who opens it.
        continue
      }
      expect(told).toMatchObject({ exit: 10, err: expect.stringMatching(code) })
      expect({ ...told, errors: said.err.match(/^error\[/gm)?.length, fixes: said.err.match(/^ {2}fix: /gm)?.length }).toMatchObject({
        errors: 1,
        fixes: 1,
      })
      expect(said.err).not.toMatch(/\n\s+at |E_INTERNAL/)
      const runs = JSON.parse((await troupe(home, ['ps', '--all', '--json'])).out) as { items: object[] }
      const next = await troupe(home, runs.items.length === 0 ? ['run', home.task, '-q'] : ['resume', '--last', '-q'])
      expect({ ...told, next }).toMatchObject({ next: { exit: 0 } })
      expect(readFileSync(join(home.dir, 'src/list.js'), 'utf8')).toContain('names.at(-1)')
      expect(existsSync(join(home.home, 'reports'))).toBe(false)
    }
  },
)

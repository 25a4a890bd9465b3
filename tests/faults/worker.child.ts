/**
 * Lives in a process of their own, so that calls can be struck and the process killed. Each line of standard input is a life to live, as
 * {@link LifeOptions} in JSON; each ends with a line `outcome JSON`. Anything on stderr is something that nobody was told in words.
 */
import { createInterface } from 'node:readline'
import { type LifeOptions, live } from './life.ts'

process.stdout.write('ready\n')
for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`outcome ${JSON.stringify(await live(JSON.parse(line) as LifeOptions))}\n`)
}

/** The examples of supervision are programs of their own, short enough to read, and say what they promise: each is run, and all that it says compared. */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

const jams = (office: string): string => `/house/office/printer crashed: paper jam
  restart 1 of 2 of /house/office/printer
/house/office/printer crashed: paper jam
  restart 2 of 2 of /house/office/printer
/house/office/printer crashed: paper jam
/house/office gives up: more than 2 restarts of printer
${office}`

const SAID: Readonly<Record<string, string>> = {
  'supervised-crash': `/shop/till crashed: no price: two euros; the event is kept as a dead letter
/shop/till was started again from its checkpoint, restart 1 of 3
sold for 370 cents, in life 2
`,
  'group-restart': `started  /app#1
started  /app/database#1
started  /app/cache#1
started  /app/web#1
crashed  /app/cache#1  connection lost
stopped  /app/web#1
started  /app/cache#2
started  /app/web#2
before: cache 1, database 1, web 1
after:  database 1, cache 2, web 2
`,
  escalation: `${jams('  restart 1 of 1 of /house/office')}
${jams('/house gives up: more than 1 restarts of office')}
failed: E_SUPERVISOR_GAVE_UP 2 restarts in 60000 ms, 1 are allowed; last: office: it gave up on printer: E_DEFECT paper jam
`,
  'coder-pool': `parse.ts: child.started
csv.ts: child.started
report.ts: child.started
docs.md: child.refused, limit: three coders are at work
the coder of parse.ts crashed and was started again
done: {"file":"csv.ts","lines":60}
done: {"file":"parse.ts","lines":80}
done: {"file":"report.ts","lines":90}
csv.ts: child.refused, duplicate: it has been done
`,
  'own-agent': `> A line about rain, five words at most.
> Shorter: slow rain counts the roofs of our small town
> Shorter: slow rain counts roofs of the town
succeeded after 3 effects: {"line":"slow rain counts roofs","turns":3}
`,
}

const file = (name: string): string => new URL(`../../examples/${name}/main.ts`, import.meta.url).pathname

test.each(Object.entries(SAID))('the example %s does what it says, in less than 60 lines', (name, out) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--no-warnings', file(name)], { encoding: 'utf8', timeout: 30_000 })
  expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: out, stderr: '' })
  expect(readFileSync(file(name), 'utf8').trimEnd().split('\n').length).toBeLessThan(60)
})

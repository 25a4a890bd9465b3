/** Mail in memory holds as much as mailboxes may hold together. */
import { expect, test } from 'vitest'
import type { Envelope } from '../../src/runtime/cell.ts'
import { Mailroom } from '../../src/runtime/engines/local/mailroom.ts'
import { rootPlace } from '../../src/runtime/order.ts'

test('what waits for one actor is taken out of 200,000 envelopes for twenty, and the others stay in order', () => {
  const mail = new Mailroom()
  // The newest first: each is inserted at the end of what is sorted.
  for (let seq = 200_000; seq > 0; seq--) {
    const to = `/a${seq % 20}`
    const envelope: Envelope = {
      seq,
      kind: 'mail',
      to,
      incarnation: null,
      from: null,
      event: { type: 'x' },
      cause: null,
      ...rootPlace(seq, to),
    }
    mail.add(envelope)
  }
  expect(mail.remove('/a7', () => true)).toHaveLength(10_000)
  expect({ size: mail.size, left: mail.depth('/a7'), next: [mail.next()?.seq, mail.next()?.seq] }).toEqual({
    size: 190_000,
    left: 0,
    next: [1, 2],
  })
})

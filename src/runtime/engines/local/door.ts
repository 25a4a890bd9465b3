/** What may come in from outside: checked before anything is accepted, so that a refusal changes nothing. */
import { UserError } from '../../../errors.ts'
import { assertJson } from '../../../json.ts'
import { MAILBOX_DEPTH_MAX, PAYLOAD_BYTES_MAX } from '../../../limits.ts'
import { type Address, isRefusedFromOutside } from '../../../protocol.ts'
import type { EventData } from '../../cell.ts'
import { isRef } from '../../ref.ts'
import type { Tree } from './tree.ts'

/** The event as plain data. @throws {UserError} `E_EVENT_REFUSED`, `E_TARGET_NOT_FOUND`, `E_MAILBOX_FULL`, `E_PAYLOAD_TOO_LARGE`. */
export function checkTarget(tree: Tree, to: Address, event: EventData): EventData {
  if (typeof event?.type !== 'string' || isRefusedFromOutside(event.type)) {
    const type = String(event?.type)
    throw new UserError('E_EVENT_REFUSED', `\`${type}\` cannot be sent from outside: the name is reserved`, {
      where: to,
      fix: 'send an event that the machine declares',
      exit: 2,
    })
  }
  if (tree.ended !== null || !tree.isHome(to)) {
    const near = tree.near(to)
    throw new UserError(
      'E_TARGET_NOT_FOUND',
      `${tree.run.run} has no actor \`${to}\`${near.length > 0 ? `; near: ${near.join(' ')}` : ''}`,
      {
        where: to,
        fix: `troupe show ${tree.run.run} --tree`,
        exit: 9,
      },
    )
  }
  if (tree.mail.depth(to) >= MAILBOX_DEPTH_MAX) {
    throw new UserError('E_MAILBOX_FULL', `${MAILBOX_DEPTH_MAX} events wait for ${to} already`, {
      where: to,
      fix: 'send again when it has worked some off',
      exit: 1,
      retryable: true,
    })
  }
  assertJson(event, `event ${event.type}`, isRef)
  const text = JSON.stringify(event)
  if (text.length > PAYLOAD_BYTES_MAX) {
    throw new UserError('E_PAYLOAD_TOO_LARGE', `event ${event.type} is ${text.length} bytes, ${PAYLOAD_BYTES_MAX} are allowed`, {
      where: to,
      fix: 'pass a file name instead',
      exit: 2,
    })
  }
  return JSON.parse(text)
}

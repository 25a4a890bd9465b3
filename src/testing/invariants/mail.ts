/**
 * Mail: what was accepted from outside, and what an actor has sent, ends once and is on record: in a step, as dead letter, dropped or buried. Until then it waits.
 *
 *   message.accepted, a step's sends   +1 for (entry that sent it, receiver, type)
 *   step.committed, actor.crashed, message.dropped, message.buried, ask.settled, effect.told   -1
 *   below zero: doubled               quiet and not as many wait: lost
 */
import type { Json } from '../../json.ts'
import type { StepResult } from '../../runtime/cell.ts'
import { Broken, type Fact, type Invariant, type Quiet } from '../record.ts'

/** What is still to come of mail that one entry sent to one receiver. */
type Ledger = Map<string, number>

export class Mail implements Invariant {
  readonly #open: Ledger = new Map()
  readonly #seen = new Set<number>()
  #outstanding = 0

  fact(fact: Fact, taken: StepResult | undefined): void {
    const { type, data, pos } = fact
    if (type === 'step.committed' || type === 'actor.crashed') this.#once(fact)
    if (type === 'message.accepted') this.#sent(pos, data['to'], data['event'])
    const ended = endOf(fact)
    if (ended !== null) this.#ended(fact, keyOf(...ended))
    for (const send of taken?.sends ?? []) if (send.kind === 'mail' && send.ask === undefined) this.#sent(pos, send.to, send.event.type)
  }

  quiet({ waiting }: Quiet): void {
    if (this.#outstanding === 0) return
    const waits: Ledger = new Map()
    for (const { kind, cause, to, event } of waiting()) {
      const key = keyOf(cause, to, event.type)
      if (kind === 'mail') waits.set(key, (waits.get(key) ?? 0) + 1)
    }
    for (const [key, count] of this.#open) {
      const lost = count - (waits.get(key) ?? 0)
      if (lost > 0) throw new Broken('no event is lost', `${lost} of ${key} is neither taken, nor on record, nor waiting`)
      if (count === 0) continue
      waits.delete(key)
    }
  }

  #once({ type, path, pos, data }: Fact): void {
    const seq = Number(data['seq'])
    if (this.#seen.has(seq)) throw new Broken('no event is doubled', `envelope ${seq} is taken again by ${type} of ${path} at ${pos}`)
    this.#seen.add(seq)
  }

  #sent(pos: number, to: Json | undefined, type: Json | undefined): void {
    const key = keyOf(pos, to, type)
    this.#open.set(key, (this.#open.get(key) ?? 0) + 1)
    this.#outstanding++
  }

  #ended({ pos, type }: Fact, key: string): void {
    const left = this.#open.get(key)
    if (left === undefined) return // The engine's own: questions, what timers and callbacks send.
    if (left === 0) throw new Broken('no event is doubled', `${key} has ended already, and ends again at ${pos}: ${type}`)
    this.#open.set(key, left - 1)
    this.#outstanding--
  }
}

const keyOf = (cause: Json | undefined, to: Json | undefined, type: Json | undefined): string => `entry ${cause}: ${type} to ${to}`

type Key = readonly [cause: Json, to: Json | undefined, type: Json | undefined]

/** What mail an entry is the end of, or null. */
function endOf({ type, path, cause, data }: Fact): Key | null {
  const isMail = data['kind'] === undefined || data['kind'] === 'mail'
  switch (type) {
    case 'step.committed':
      return isMail ? [cause, path, typeOf(data['event'])] : null
    case 'actor.crashed':
      return isMail ? [cause, path, typeOf(data['deadLetter'])] : null
    case 'message.dropped':
      return isMail ? [data['sent'] ?? cause, data['to'], data['event']] : null
    case 'message.buried':
      return [data['sent'] ?? cause, path, data['event']]
    case 'effect.told':
      return [cause, data['to'], typeOf(data['event'])]
    case 'ask.settled':
      return data['as'] === 'answered' ? [cause, `/@ask/${data['ask']}`, typeOf(data['answer'])] : null
    default:
      return null
  }
}

const typeOf = (event: Json | undefined): Json | undefined => (event as { readonly type?: Json } | undefined)?.type

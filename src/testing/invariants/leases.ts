/**
 * Budgets: what is on record of every budget covers what the world has really used, and never more than the limit is lent out. The world is what handlers have
 * said by `spent`, also those whose process died before anybody heard of it.
 *
 *   used in the world  <=  charged + held  <=  limit          at every commit, for the run and for every actor with a budget
 */
import type { EffectCall, Usage } from '../../effect.ts'
import type { Address, Budget } from '../../protocol.ts'
import { chargedTo, heldBy, isNothing, minus, NOTHING, plus, type Spending, worstOf } from '../../runtime/spending.ts'
import type { CellRow, EffectRow } from '../../runtime/store.ts'
import { nanoUsd } from '../../usage.ts'
import { Broken, type CommitRows, type Fact, type Invariant } from '../record.ts'

const RULES = {
  limit: 'no more is lent out than the limit',
  world: 'what the world has used is on record or held',
  record: 'what is on record is the sum of the effects',
  leak: 'nothing is lent out that no effect holds',
}
const RUN = ''

/** What one budget covers. */
interface Account {
  charged: Spending
  held: Spending
  used: Spending
}

export class Leases implements Invariant {
  readonly #budget: Budget
  readonly #accounts = new Map<Address, Account>()
  readonly #rows = new Map<string, EffectRow>()
  /** By attempt, what its handler has said. */
  readonly #said = new Map<string, Spending>()
  readonly #cells = new Map<Address, CellRow>()
  #recorded: Spending | undefined
  /** Budgets that the newest commit says were reached. */
  #reached: Fact[] = []
  /** Somebody has used more than its worst case: then a limit may be passed. */
  #isExceeded = false

  constructor(budget: Budget = {}) {
    this.#budget = budget
  }

  /** A handler has said what its attempt has used; the last word counts. */
  spent({ id, attempt, path }: Pick<EffectCall<never>, 'id' | 'attempt' | 'path'>, usage: Usage): void {
    const key = `${id} ${attempt}`
    const now = { tokens: usage.inputTokens + usage.outputTokens, nanoUsd: nanoUsd(usage.costUsd ?? 0), turns: 0 }
    const more = minus(now, this.#said.get(key) ?? NOTHING)
    this.#said.set(key, now)
    for (const account of this.#above(path)) account.used = plus(account.used, more)
  }

  fact(fact: Fact): void {
    if (fact.type === 'budget.exceeded') this.#isExceeded = true
    else if (fact.type === 'limit.reached') this.#reached.push(fact)
  }

  committed({ effects, cells, run_ }: CommitRows): void {
    for (const { born: _, ...row } of cells) {
      if (row.status !== 'gone' && row.limits?.budget !== undefined) this.#cells.set(row.address, row)
      else if (this.#cells.get(row.address)?.incarnation === row.incarnation) this.#cells.delete(row.address)
    }
    this.#findLeaks(effects.map(({ effect }) => effect))
    for (const { effect } of effects) this.#change(effect)
    this.#recorded = run_?.limits?.spent ?? this.#recorded
    this.#check(RUN, this.#budget, this.#recorded)
    for (const { address, limits, spent } of this.#cells.values()) this.#check(address, limits?.budget ?? {}, spent)
  }

  /** What a refusal says of a budget must have been held before, or be of an effect of the same commit. */
  #findLeaks(rows: readonly EffectRow[]): void {
    for (const { data } of this.#reached) {
      const at = (data['owner'] ?? RUN) as Address
      const { charged, held } = this.#at(at)
      const changed = rows.filter(({ owner }) => owner === at || owner.startsWith(`${at}/`)).map(({ reserve }) => worstOf(reserve))
      const most = changed.reduce(plus, plus(charged, held))
      const said = Number(data['spent']) + Number(data['reserved'])
      const [amount, bound] =
        data['which'] === 'usd' ? [nanoUsd(said), most.nanoUsd] : [said, data['which'] === 'turns' ? most.turns : most.tokens]
      if (amount > bound)
        throw new Broken(
          RULES.leak,
          `${at === RUN ? 'the run' : at}: ${amount} ${data['which']} are said to be lent out, at most ${bound} can be`,
        )
    }
    this.#reached = []
  }

  #change(row: EffectRow): void {
    const before = this.#rows.get(row.id)
    this.#rows.set(row.id, row)
    const charged = minus(chargedTo(row), before === undefined ? NOTHING : chargedTo(before))
    const held = minus(heldBy(row), before === undefined ? NOTHING : heldBy(before))
    if (isNothing(charged) && isNothing(held)) return
    for (const account of this.#above(row.owner)) {
      account.charged = plus(account.charged, charged)
      account.held = plus(account.held, held)
    }
  }

  #check(at: Address, { tokensMax, usdMax, turnsMax }: Budget, recorded: Spending | undefined): void {
    const { charged, held, used } = this.#at(at)
    const lent = plus(charged, held)
    const who = at === RUN ? 'the run' : at
    const limits = { tokens: tokensMax, nanoUsd: usdMax === undefined ? undefined : nanoUsd(usdMax), turns: turnsMax }
    for (const which of ['tokens', 'nanoUsd', 'turns'] as const) {
      const max = limits[which]
      if (max === undefined) continue
      if (used[which] > lent[which]) throw new Broken(RULES.world, `${who}: ${used[which]} ${which} are used, ${lent[which]} are known of`)
      if (lent[which] > max && !this.#isExceeded)
        throw new Broken(RULES.limit, `${who}: ${charged[which]} ${which} spent and ${held[which]} held, the limit is ${max}`)
    }
    const isLimited = Object.values(limits).some((max) => max !== undefined)
    if (isLimited && !isNothing(minus(charged, recorded ?? NOTHING)))
      throw new Broken(
        RULES.record,
        `${who}: ${JSON.stringify(recorded)} is on record, its effects were charged ${JSON.stringify(charged)}`,
      )
  }

  #at(address: Address): Account {
    const known = this.#accounts.get(address)
    if (known !== undefined) return known
    const account = { charged: NOTHING, held: NOTHING, used: NOTHING }
    this.#accounts.set(address, account)
    return account
  }

  *#above(address: Address): Iterable<Account> {
    for (let at = address; at !== RUN; at = at.slice(0, at.lastIndexOf('/'))) yield this.#at(at)
    yield this.#at(RUN)
  }
}

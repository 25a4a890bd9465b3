/**
 * Children that XState built in a step: which of them live, as what, and under which reference.
 * One that was stopped in the same step never was: it is not started, owes nothing and gets no mail.
 */
import type { AnyStateMachine } from 'xstate'
import { type EffectDeclaration, NO_RETRY, type Reserve } from '../effect.ts'
import { Defect } from '../errors.ts'
import { assertJson, type Json } from '../json.ts'
import type { CellStarted, ChildLink, EffectOwed, StepInput } from './cell.ts'
import type { Create, RawActor, Scope } from './host.ts'
import { wrongTiming } from './logic/check-effect.ts'
import type { LogicKind, PlainLogic } from './logic/kinds.ts'
import { fitting } from './outgoing.ts'
import { isRef, Ref } from './ref.ts'
import { refOf, withRefs } from './snapshot.ts'

/** What stands behind a child's logic object: a cell by the name of its machine or reducer, a declared effect, or logic that is hosted as one. */
export type ChildCode =
  | { readonly machine: string }
  | { readonly effect: EffectDeclaration }
  | { readonly logic: Exclude<LogicKind, 'transition'> }

/** What a step needs of the registry: its own code, and what stands behind a child's logic object. */
export interface StepCode {
  readonly machine: AnyStateMachine | PlainLogic
  /** Undefined: not registered. */
  childOf(logic: unknown): ChildCode | undefined
}

export interface Births {
  readonly links: readonly ChildLink[]
  readonly refs: ReadonlyMap<unknown, Ref>
  /** Actors of this step that were stopped before it ended. */
  readonly dropped: ReadonlySet<unknown>
  readonly effectsOwed: readonly EffectOwed[]
  readonly started: { readonly cellsStarted: readonly CellStarted[] }
  ofRaw(raw: unknown): ChildLink | undefined
  ofRef(ref: Ref): ChildLink | undefined
}

/** Incarnation of a child that was stopped in the step of its birth: no life has it. */
const NOBODY = -1

const NONE: Births = {
  links: [],
  refs: new Map(),
  dropped: new Set(),
  effectsOwed: [],
  started: { cellsStarted: [] },
  ofRaw: () => undefined,
  ofRef: () => undefined,
}

export function births(code: StepCode, input: StepInput, scope: Scope): Births {
  const creates = scope.operations.filter((operation): operation is Create => operation.kind === 'create')
  if (creates.length === 0) return NONE
  const dropped = new Set<unknown>()
  for (const operation of scope.operations) {
    if (operation.kind === 'action' && operation.type === 'xstate.stopChild' && operation.params !== undefined && !isRef(operation.params))
      dropped.add(operation.params)
  }
  const refs = new Map<unknown, Ref>()
  const links = new Map<unknown, ChildLink>()
  for (const create of creates) {
    if (dropped.has(create.raw)) {
      // It never was, but a context may hold it: the reference is to nobody, as one to a child that has ended.
      refs.set(create.raw, new Ref(`${input.address}/${encodeURIComponent(create.raw.id)}`, NOBODY, create.raw.id))
      continue
    }
    const link = linkOf(code, input, scope, create, links)
    links.set(create.raw, link)
    refs.set(create.raw, refOf(link))
  }
  const living = creates.filter((create) => links.has(create.raw))
  checkAllowance(input, living.length - stoppedHere(input, scope))
  return {
    links: [...links.values()],
    refs,
    dropped,
    effectsOwed: living.flatMap((create) => owed(code, create, links.get(create.raw)!, refs)),
    started: { cellsStarted: living.flatMap((create) => cell(code, create, links.get(create.raw)!, refs)) },
    ofRaw: (raw) => links.get(raw),
    ofRef: (ref) => [...links.values()].find((link) => link.id === ref.id && link.incarnation === ref.incarnation),
  }
}

function linkOf(code: StepCode, input: StepInput, scope: Scope, create: Create, links: ReadonlyMap<unknown, ChildLink>): ChildLink {
  const { raw } = create
  const src = raw.src
  if (typeof src !== 'string')
    throw new Defect('E_ACTOR_INLINE', `${input.address} spawned an inline actor '${raw.id}'`, {
      hint: 'name it in setup({ actors }) and spawn it by that name',
    })
  const what = code.childOf(create.logic)
  if (what === undefined) {
    throw new Defect('E_ACTOR_UNSUPPORTED', `${input.address}: nothing is known of the logic '${src}'`, {
      hint: 'name it in setup({ actors })',
    })
  }
  const incarnation = scope.nextId++
  const id = raw.id
  const living = input.children.find((child) => child.id === id && child.ended !== true)
  const taken =
    living !== undefined &&
    !scope.operations.some(
      (other) =>
        other.kind === 'action' &&
        other.type === 'xstate.stopChild' &&
        isRef(other.params) &&
        other.params.incarnation === living.incarnation &&
        other.params.id === id,
    )
  if (taken || [...links.values()].some((link) => link.id === id)) {
    throw new Defect('E_CHILD_EXISTS', `${input.address} has a child '${id}' already`, { hint: 'stop it first, or choose another id' })
  }
  return {
    id,
    kind: 'machine' in what ? 'cell' : 'effect',
    address: `${input.address}/${encodeURIComponent(id)}`,
    incarnation,
    src,
    ...(raw.options.systemId === undefined ? {} : { systemId: raw.options.systemId }),
    ...(raw._syncSnapshot === true ? { sync: true } : {}),
  }
}

/** Children of before that this step stops: the new ones may take their room. */
function stoppedHere({ children }: StepInput, { operations }: Scope): number {
  const stopped = new Set<number>()
  for (const operation of operations) {
    if (operation.kind !== 'action' || operation.type !== 'xstate.stopChild' || !isRef(operation.params)) continue
    const { id, incarnation } = operation.params
    if (children.some((link) => link.id === id && link.incarnation === incarnation && link.ended !== true)) stopped.add(incarnation)
  }
  return stopped.size
}

/** What the engine allows: it counts the living, the step only asks. */
function checkAllowance({ address, allowance }: StepInput, born: number): void {
  if (born > allowance.children) {
    throw new Defect('E_LIMIT_SPAWN', `${address} asks for ${born} children more, ${Math.max(0, allowance.children)} are allowed`, {
      hint: 'put a pool under a supervisor',
    })
  }
  if (allowance.depth <= 0) throw new Defect('E_LIMIT_SPAWN', `${address} is nested too deep to have children`, {})
}

function inputOf(raw: RawActor, refs: ReadonlyMap<unknown, Ref>): Json | undefined {
  const value = withRefs(raw.options.input, refs)
  if (value === undefined) return undefined
  const what = `input of '${raw.id}'`
  assertJson(value, what, isRef)
  return JSON.parse(fitting(JSON.stringify(value), what))
}

function owed(code: StepCode, create: Create, link: ChildLink, refs: ReadonlyMap<unknown, Ref>): EffectOwed[] {
  const what = code.childOf(create.logic)
  if (what === undefined || 'machine' in what) return []
  if ('logic' in what) return [hosted(what.logic, create, link, refs)]
  const declaration = what.effect
  const input = checkedInput(declaration, inputOf(create.raw, refs), link)
  return [
    {
      op: create.op,
      id: link.id,
      incarnation: link.incarnation,
      src: link.src,
      kind: declaration.kind,
      input,
      policy: declaration.repeat,
      timeoutMs: declaration.timeoutMs ?? null,
      ...timing(declaration, input, link),
      reserve: reserved(declaration, input),
      answer: true,
    },
  ]
}

/** What a declaration says of this input about time is user code, too: a deadline that is no number would never pass. */
function timing(declaration: EffectDeclaration, input: Json, link: ChildLink): Pick<EffectOwed, 'deadlines' | 'retry'> {
  const deadlines = typeof declaration.deadlines === 'function' ? declaration.deadlines(input) : declaration.deadlines
  const retry = typeof declaration.retry === 'function' ? declaration.retry(input) : declaration.retry
  const wrong =
    typeof declaration.deadlines === 'function' || typeof declaration.retry === 'function' ? wrongTiming({ deadlines, retry }) : null
  if (wrong !== null) throw new Defect('E_EFFECT_TIMING', `${declaration.kind} ('${link.id}') ${wrong.rule}`, { hint: wrong.fix })
  return { ...(deadlines === undefined ? {} : { deadlines }), retry: retry ?? NO_RETRY }
}

/** A plain promise is safe to do again, says who uses one; volatile logic is started again anyway. */
function hosted(kind: EffectOwed['kind'], create: Create, link: ChildLink, refs: ReadonlyMap<unknown, Ref>): EffectOwed {
  const { id, incarnation, src } = link
  const input = inputOf(create.raw, refs) ?? null
  return {
    op: create.op,
    id,
    incarnation,
    src,
    kind,
    input,
    policy: 'repeat',
    timeoutMs: null,
    retry: NO_RETRY,
    reserve: null,
    answer: true,
  }
}

/** The worst case is user code, too: a budget must not be led astray by it. */
function reserved(declaration: EffectDeclaration, input: Json): Reserve | null {
  if (declaration.reserve === undefined) return null
  const { tokens, usd, turns } = (declaration.reserve(input) ?? {}) as Partial<Reserve>
  const isAmount = (given: unknown): given is number => Number.isFinite(given) && (given as number) >= 0
  const refuse = (what: string): never => {
    const hint = 'return { tokens, usd, turns }: a count from 0, USD from 0 or null, a count from 0; the last two may be left out'
    throw new Defect('E_RESERVE_INVALID', `reserve() of ${declaration.kind} gave no number of ${what}`, { hint })
  }
  if (!isAmount(tokens)) return refuse('tokens')
  if (usd !== undefined && usd !== null && !isAmount(usd)) return refuse('USD')
  if (turns !== undefined && !isAmount(turns)) return refuse('turns')
  return {
    tokens: Math.ceil(tokens),
    ...(usd === undefined ? {} : { usd }),
    ...(turns === undefined ? {} : { turns: Math.ceil(turns) }),
  }
}

function checkedInput(declaration: EffectDeclaration, input: Json | undefined, link: ChildLink): Json {
  const parsed = declaration.input.safeParse(input)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]
    throw new Defect(
      'E_EFFECT_INPUT',
      `input of ${declaration.kind} ('${link.id}'): ${issue?.path.join('.') ?? ''} ${issue?.message ?? 'is invalid'}`,
      {},
    )
  }
  return (input ?? null) as Json
}

function cell(code: StepCode, create: Create, link: ChildLink, refs: ReadonlyMap<unknown, Ref>): CellStarted[] {
  const what = code.childOf(create.logic)
  return what !== undefined && 'machine' in what ? [{ op: create.op, link, machine: what.machine, input: inputOf(create.raw, refs) }] : []
}

export function missingActor(input: StepInput, params: Record<string, unknown>): Defect {
  const name = String(params['src'] ?? params['id'])
  return new Defect('E_ACTOR_MISSING', `${input.address}: the actor '${name}' is not in setup({ actors })`, { hint: 'register its src' })
}

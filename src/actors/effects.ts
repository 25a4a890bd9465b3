/**
 * Handlers of the team's effects, by kind: where the machines' declarations meet models, files and commands.
 *
 *   machines/effects.ts declares --> the engine owes, starts, settles --> a handler here performs or proves
 *
 * A handler is called again after a crash where the policy allows it, with the same key. What the world refuses leaves it as a `Failure`.
 */
import { z } from 'zod'
import { type EffectCall, type EffectHandler, Failure } from '../effect.ts'
import type {
  PromotionPlan as PlanData,
  Promoted,
  ReadInput,
  ReadOutput,
  Staged,
  WriteInput,
  WritePlan as WritePlanData,
  WritePlanInput,
  Written as WrittenData,
} from '../machines/effects.ts'
import type { Check, GateOutcome, Workspace as WorkspaceData } from '../machines/vocabulary.ts'
import { head } from '../machines/work.ts'
import { onDisk } from './disk.ts'
import { runGate } from './gate.ts'
import { gatedBy } from './gated.ts'
import { type GeneratingOptions, generating } from './generating.ts'
import { diffOf, type PromotionPlan, planPromotion, promote, provePromotion } from './promotion.ts'
import type { Provider } from './provider.ts'
import type { Gates } from './provider-gate.ts'
import { type Look, look } from './tools/catalogue.ts'
import type { ReadOutput as FileRead } from './tools/read.ts'
import { applyWrite, planWrite, proveWrite, type WritePlan, type WriteRequest } from './tools/write.ts'
import { openWorkspace, type Workspace } from './workspace.ts'

/** Characters of a diff that a reviewer sees, and that stay in the orchestrator's context. */
const DIFF_CHARS_MAX = 30_000

/** `root`: folder for the staged copies of all runs. `provider` alone answers whatever is asked; `providers` are chosen by the model of the call. */
export interface TeamEffectsOptions extends Partial<GeneratingOptions> {
  /** Who is let in to a provider, and when. Left out: everybody, at once. */
  readonly gates?: Gates | undefined
  readonly provider?: Provider
  readonly root: string
}

/** One handler for each effect of the team, by kind: `createTroupe({ machines: teamMachines, effects: teamEffects({...}).handlers })`. */
export function teamEffects({ provider, root, gates, ...models }: TeamEffectsOptions) {
  const providers = models.providers ?? (provider === undefined ? {} : { [provider.name]: provider })
  const generate = generating({ ...models, providers })
  const handlers = {
    'llm.generate': gates === undefined ? generate : gatedBy(gates, generate),
    'workspace.open': handler<{ source: string; mode: 'auto' | 'worktree' | 'copy' }, WorkspaceData>(async ({ input, run, signal }) => ({
      ...(await openWorkspace({ ...input, root, run, signal })),
    })),
    'workspace.plan': handler<{ workspace: WorkspaceData }, Staged>(async ({ input, signal }) =>
      stagedOf(await planPromotion(input.workspace as Workspace, signal)),
    ),
    'promotion.plan': handler<{ workspace: WorkspaceData }, PlanData>(async ({ input, signal }) => {
      const plan = await planPromotion(input.workspace as Workspace, signal)
      return { ...plan, files: plan.files.map((file) => ({ ...file })) }
    }),
    'tool.read': handler<ReadInput, ReadOutput>(async ({ input, signal }) => {
      const found = await checked(input.tool, () => look(input.dir, { tool: input.tool, args: input.args } as Look, signal))
      return shown(input.tool, found)
    }),
    'write.plan': handler<WritePlanInput, WritePlanData>(async ({ input: { dir, tool, args, seen } }) => {
      const request = { tool, args, ...(seen === null ? {} : { seen }) } as WriteRequest
      return { ...(await checked(tool, () => planWrite(dir, request))) }
    }),
    'file.write': writing,
    'gate.run': handler<{ workspace: WorkspaceData; tree: string; checks: Check[] }, GateOutcome>(async (call) => {
      const { workspace, tree, checks } = call.input
      const { run, id: effect, attempt, signal, progress } = call
      const onOutput = (text: string): void => progress({ text })
      const result = await runGate({ workspace: workspace as Workspace, tree, checks, root, run, effect, attempt, signal, onOutput })
      return { ...result, checks: result.checks.map((check) => ({ ...check })) }
    }),
    'change.promote': promoting,
  }
  return { handlers }
}

const handler = <Input, Output>(perform: (call: EffectCall<Input>) => Promise<Output>): EffectHandler<Input, Output> => ({
  perform: (call) => onDisk(() => perform(call)),
})

const writing: EffectHandler<WriteInput, WrittenData> = {
  perform: async ({ input }) => {
    const { path, after } = await onDisk(() => applyWrite(input.dir, input.plan as unknown as WritePlan))
    return { path, hash: after }
  },
  prove: async ({ input }) => {
    const found = await proveWrite(input.dir, input.plan as unknown as WritePlan)
    return found.verdict === 'applied' ? { ...found, output: { path: found.output.path, hash: found.output.after } } : found
  },
}

const promoting: EffectHandler<PlanData, Promoted> = {
  perform: async ({ input, signal }) => {
    const { tree, files } = await onDisk(() => promote(input as unknown as PromotionPlan, { signal }))
    return { tree, files: [...files] }
  },
  prove: async ({ input }) => {
    const found = await provePromotion(input as unknown as PromotionPlan)
    if (found.verdict !== 'applied') return found
    return { ...found, output: { tree: found.output.tree, files: [...found.output.files] } }
  },
}

function stagedOf(plan: PromotionPlan): Staged {
  const diff = diffOf(plan)
  const lines = diff.split('\n').filter((line) => !/^(?:--- (?:a\/|\/dev\/null)|\+\+\+ (?:b\/|\/dev\/null))/.test(line))
  const count = (sign: '+' | '-'): number => lines.filter((line) => line.startsWith(sign)).length
  const files = plan.files.map((file) => file.path)
  const truncated = diff.length > DIFF_CHARS_MAX
  return { tree: plan.tree, files, added: count('+'), removed: count('-'), diff: head(diff, DIFF_CHARS_MAX), truncated }
}

/** Arguments that do not fit a tool are for the model to mend, so they leave as a failure with every problem. */
async function checked<Result>(tool: string, act: () => Promise<Result>): Promise<Result> {
  try {
    return await act()
  } catch (error) {
    if (!(error instanceof z.ZodError)) throw error
    throw new Failure(
      'E_USAGE',
      `${tool}: ${error.issues.map((issue) => `${issue.path.join('.') || 'arguments'}: ${issue.message}`).join('; ')}`,
    )
  }
}

/** What the model is told: a file as it is, anything else as JSON. */
function shown(tool: ReadInput['tool'], found: Awaited<ReturnType<typeof look>>): ReadOutput {
  if (tool !== 'read') return { content: JSON.stringify(found), seen: null }
  const { path, hash, content, binary, truncated, lines, bytes } = found as FileRead
  const note = binary ? `[binary, ${bytes} bytes]` : truncated ? `\n[cut; the file has ${lines} lines]` : ''
  return { content: `${content}${note}`, seen: { path, hash } }
}

/**
 * Handlers of the team's effects, by kind: where the machines' declarations meet models, files and commands.
 *
 *   machines/effects.ts declares --> the engine owes, starts, settles --> a handler here performs or proves
 *
 * A handler is called again after a crash where the policy allows it, with the same key. What the world refuses leaves it as a `Failure`.
 */
import { z } from 'zod'
import { type EffectCall, type EffectHandler, Failure } from '../effect.ts'
import type { Json } from '../json.ts'
import {
  type GenerateInput,
  type GenerateOutput,
  OUTPUT_TOKENS_MAX,
  type PromotionPlan as PlanData,
  type Promoted,
  type ReadInput,
  type ReadOutput,
  type Staged,
  type WriteInput,
  type WritePlan as WritePlanData,
  type WritePlanInput,
  type Written as WrittenData,
} from '../machines/effects.ts'
import { promptOf } from '../machines/prompt.ts'
import { tokensOfTools } from '../machines/tokens.ts'
import { type Check, type GateOutcome, verdict, type Workspace as WorkspaceData, workPlan } from '../machines/vocabulary.ts'
import { head } from '../machines/work.ts'
import { onDisk } from './disk.ts'
import { runGate } from './gate.ts'
import { diffOf, type PromotionPlan, planPromotion, promote, provePromotion } from './promotion.ts'
import type { GenerateResult, Message, Provider, ToolOffer } from './provider.ts'
import { type Look, look, toolSchemas } from './tools/catalogue.ts'
import type { ReadOutput as FileRead } from './tools/read.ts'
import { applyWrite, planWrite, proveWrite, type WritePlan, type WriteRequest } from './tools/write.ts'
import { openWorkspace, type Workspace } from './workspace.ts'

/** Characters of a diff that a reviewer sees, and that stay in the orchestrator's context. */
const DIFF_CHARS_MAX = 30_000

/** `root`: folder for the staged copies of all runs. */
export interface TeamEffectsOptions {
  readonly provider: Provider
  readonly root: string
}

/** One handler for each effect of the team, by kind: `createTroupe({ machines: teamMachines, effects: teamEffects({...}).handlers })`. */
export function teamEffects({ provider, root }: TeamEffectsOptions) {
  const handlers = {
    'llm.generate': generating(provider),
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

function generating(provider: Provider): EffectHandler<GenerateInput, GenerateOutput> {
  return {
    perform: async (call) => {
      const { input, attempt, signal, progress } = call
      const { agent, item, turn } = input
      const tools = offers(input.tools)
      const messages = prompted(call, tools)
      const request = { agent, item, turn, attempt, messages, tools, schema: schemaOf(input.format) }
      const result = await provider.generate({ ...request, outputTokensMax: OUTPUT_TOKENS_MAX }, { signal, progress })
      return settle(call, provider, result)
    },
  }
}

/** What the model is shown of the conversation. That something does not fit is on record. */
function prompted(call: EffectCall<GenerateInput>, tools: readonly ToolOffer[]): readonly Message[] {
  const { input } = call
  const thread = (name: string): readonly Message[] => call.thread(name) as readonly Message[]
  const prompt = promptOf({ input, thread, toolTokens: tokensOfTools(tools) })
  if (!prompt.ok) {
    const { needed, budget } = prompt
    throw new Failure('E_CONTEXT_TOO_LARGE', `${input.agent}: ${needed} tokens at most must be said, the model takes ${budget}`)
  }
  if (prompt.dropped !== null || prompt.cut > 0) {
    const item = input.item === null ? {} : { item: input.item }
    call.note('context.compacted', { beforeTokens: prompt.wholeTokens, afterTokens: prompt.tokens, method: 'truncated', ...item })
  }
  return prompt.messages
}

function settle(call: EffectCall<GenerateInput>, provider: Provider, result: GenerateResult): GenerateOutput {
  const simulated = provider.simulated ? { simulated: true } : {}
  if (result.usage !== undefined) call.spent({ ...result.usage, ...simulated })
  if (result.ok) return { message: result.message, usage: { ...result.usage, ...simulated }, finish: result.finish }
  const { code, message, retry, retryAfterMs, details } = result
  throw new Failure(code, message, {
    retry,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(details === undefined ? {} : { details }),
  })
}

const DONE: ToolOffer = {
  name: 'done',
  description: 'Ends the round: the work item is done.',
  input: z.toJSONSchema(z.strictObject({ summary: z.string().describe('one or two sentences: what changed, in which files') })) as Json,
}

function offers(names: readonly string[]): readonly ToolOffer[] {
  const all = [...toolSchemas().map(({ name, description, parameters }) => ({ name, description, input: parameters })), DONE]
  return all.filter((offer) => names.includes(offer.name))
}

function schemaOf(format: GenerateInput['format']): Json {
  if (format === 'text') return null
  return z.toJSONSchema(format === 'plan' ? workPlan : verdict, { io: 'input' }) as Json
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

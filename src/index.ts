/**
 * Troupe, the public API by name. The map, from the outside in:
 *
 *   createTroupe      the registry of your code: machines and handlers           actors/troupe.ts
 *     start, resume   -> RunSession: send, ask, snapshot, tree, watch, done, stop  runtime/engine.ts
 *   effect, Failure   what touches the world, declared beside your machines      effect.ts
 *   sqliteStore       where runs are kept                                        runtime/stores/sqlite/store.ts
 *   memoryStore       the same without a file, for tests                         runtime/stores/memory.ts
 *   localEngine       this process and that store, with a clock of your own      runtime/engines/local.ts
 *   team*             the coding team                                            actors/team.ts, actors/effects.ts
 *   anthropic, ollama, openaiCompatible, scripted   who answers                  actors/providers/
 *   modelRef          a model as agents name it; providerGates, openSeam, wrapCache   before them: gates, tapes, kept answers
 *   openMemories, memoryEffects   what a project's runs have learned             actors/memory/, machines/memory-effects.ts
 *
 * What holds across a crash is in docs/SEMANTICS.md.
 */

export { type ResponseCache, wrapCache } from './actors/cache.ts'
export { diskCache } from './actors/caches/disk.ts'
export { openSeam, type Seam, type Tapes } from './actors/cassettes/seam.ts'
export { teamEffects } from './actors/effects.ts'
export { type Memories, type MemoriesOptions, openMemories } from './actors/memory/memories.ts'
export type { Drained, Enqueued, Memory, Operation, OperationEnd, QueueStatistics } from './actors/memory.ts'
export { memoryEffects } from './actors/memory-effects.ts'
export { type PlannedActor, planTree, type TreePlan } from './actors/plan.ts'
export type { GenerateOptions, GenerateRequest, GenerateResult, Provider } from './actors/provider.ts'
export { type Gates, providerGates } from './actors/provider-gate.ts'
export { anthropic } from './actors/providers/anthropic.ts'
export { ollama } from './actors/providers/ollama.ts'
export { openaiCompatible } from './actors/providers/openai-compatible.ts'
export { scripted } from './actors/providers/scripted.ts'
export { parseTask, type Task, taskFromText } from './actors/task.ts'
export { teamMachines, teamTree } from './actors/team.ts'
export { createTroupe, type Troupe, type TroupeOptions } from './actors/troupe.ts'
export {
  type Deadlines,
  type EffectCall,
  type EffectDeclaration,
  type EffectHandler,
  effect,
  Failure,
  type RepeatPolicy,
  type RetryPolicy,
  type Usage,
  type Verdict,
} from './effect.ts'
export { Defect, type ErrorData, UserError } from './errors.ts'
export type { Json } from './json.ts'
export { coder } from './machines/coder.ts'
export { executor } from './machines/executor.ts'
export { type RecallLimits, recall, record } from './machines/memory-effects.ts'
export { type ModelRef, modelRef, type Price } from './machines/models.ts'
export { optimizer } from './machines/optimizer.ts'
export { orchestrator } from './machines/orchestrator.ts'
export { reviewer } from './machines/reviewer.ts'
export type {
  ActorLimits,
  Address,
  AskEvent,
  AskParams,
  Backoff,
  Budget,
  ChildReply,
  ChildRequest,
  ChildSpec,
  ChildStanding,
  DynamicSupervisorSpec,
  ExitReason,
  HealthSpec,
  Restart,
  StaticSupervisorSpec,
  Strategy,
  SupervisorSpec,
  ThreadAppend,
  TreeSpec,
} from './protocol.ts'
export type { EventData, StepInput, StepResult } from './runtime/cell.ts'
export type { Clock } from './runtime/clock.ts'
export type {
  CellView,
  Engine,
  Frame,
  Recovery,
  Result,
  ResumeOptions,
  RunReader,
  RunSession,
  StartOptions,
  WatchOptions,
} from './runtime/engine.ts'
export { localEngine } from './runtime/engines/local.ts'
export { checkCostCap, type Ledger, ledgerOf } from './runtime/ledger.ts'
export type { Migration, MigrationSpec, NewSnapshot, OldSnapshot } from './runtime/migrations.ts'
export type { Store } from './runtime/store.ts'
export { memoryStore, type SharedMemory, sharedMemory } from './runtime/stores/memory.ts'
export { sqliteStore } from './runtime/stores/sqlite/store.ts'

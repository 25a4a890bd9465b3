/**
 * The tables that this version acts upon, with their names, limits and defaults (S7, S8). Snake case in files, camel case and plain numbers in the program.
 *
 *   [models.coder]  num_ctx = "16k"   --schema-->   settings.models.coder.contextTokens = 16000
 *
 * Tables of parts that are not built yet are known by their keys only: they are accepted, and nothing reads them. {@link LATER}.
 */
import { z } from 'zod'
import {
  address,
  addressOrNone,
  count,
  countOrNone,
  duration,
  durationOrNone,
  durationOrZero,
  expecting,
  flag,
  label,
  moneyOrNone,
  number,
  oneOf,
  positive,
  text,
  textOrNone,
  variableOrNone,
} from './values.ts'

const general = z
  .strictObject({
    data_dir: text.prefault('~/.troupe'),
    project_dir: text.prefault('.'),
    ollama_host: address.prefault('http://localhost:11434'),
    total_vram_gb: number(0).prefault(16),
    reserve_vram_gb: number(0).prefault(2),
    default_max_iterations: count(1).prefault(50),
    checkpoint_interval: count(1).prefault(5),
    concurrency: count(1, 1_000).prefault(3),
    allow_prompt_logging: flag.prefault(false),
  })
  .prefault({})
  .transform((table) => ({
    dataDir: table.data_dir,
    projectDir: table.project_dir,
    ollamaHost: table.ollama_host,
    totalVramGb: table.total_vram_gb,
    reserveVramGb: table.reserve_vram_gb,
    iterationsMax: table.default_max_iterations,
    checkpointInterval: table.checkpoint_interval,
    concurrency: table.concurrency,
    allowPromptLogging: table.allow_prompt_logging,
  }))

const model = z
  .strictObject({
    provider: label,
    name: text,
    num_ctx: count(1).optional(),
    max_output_tokens: count(1).prefault(4_096),
    temperature: number(0, 2).optional(),
    thinking_tokens: count(1).optional(),
    tools: oneOf('native', 'text').prefault('native'),
    vram_gb: positive(24, 'GB').optional(),
    fallback: expecting(z.array(label), 'a list of aliases').prefault([]),
    quota_group: text.optional(),
    keep_alive: durationOrZero.optional(),
  })
  .transform((table) => ({
    provider: table.provider,
    model: table.name,
    contextTokens: table.num_ctx ?? null,
    outputTokensMax: table.max_output_tokens,
    temperature: table.temperature ?? null,
    thinkingTokens: table.thinking_tokens ?? null,
    tools: table.tools,
    vramGb: table.vram_gb ?? null,
    fallback: table.fallback,
    quotaGroup: table.quota_group ?? table.provider,
    keepAliveMs: table.keep_alive ?? null,
  }))

const agent = z
  .strictObject({
    model: label.optional(),
    temperature: number(0, 2).optional(),
    max_context_tokens: count(1).prefault(16_384),
    max_iterations: count(1).prefault(30),
    deadline: durationOrNone.prefault('0s'),
  })
  .transform((table) => ({
    model: table.model ?? null,
    temperature: table.temperature ?? null,
    contextTokensMax: table.max_context_tokens,
    iterationsMax: table.max_iterations,
    deadlineMs: table.deadline,
  }))

const provider = z
  .strictObject({
    queue_enabled: flag.prefault(true),
    concurrency: count(1, 10_000).optional(),
    requests_per_minute: countOrNone.prefault(0),
    base_url: addressOrNone.prefault(''),
    api_key_env: variableOrNone.prefault(''),
    breaker: z.strictObject({ failures: count(1, 1_000).prefault(5), open: duration.prefault('30s') }).prefault({}),
  })
  .transform((table) => ({
    queueEnabled: table.queue_enabled,
    concurrency: table.concurrency ?? null,
    requestsPerMinute: table.requests_per_minute,
    baseUrl: table.base_url,
    apiKeyEnv: table.api_key_env,
    breaker: { failures: table.breaker.failures, openMs: table.breaker.open },
  }))

const price = z
  .strictObject({
    input: number(0),
    output: number(0),
    cache_read: number(0).optional(),
    cache_write: number(0).optional(),
    basis: oneOf('priced', 'local').prefault('priced'),
    as_of: text.optional(),
    source: text.optional(),
  })
  .transform(({ cache_read, cache_write, as_of, source, ...rest }) => ({
    ...rest,
    ...(cache_read === undefined ? {} : { cacheRead: cache_read }),
    ...(cache_write === undefined ? {} : { cacheWrite: cache_write }),
    ...(as_of === undefined ? {} : { asOf: as_of }),
    ...(source === undefined ? {} : { source }),
  }))

const timeouts = z
  .strictObject({
    load: duration.prefault('5m'),
    first_token: duration.prefault('60s'),
    idle: duration.prefault('60s'),
    total: duration.prefault('10m'),
    command: duration.prefault('2m'),
  })
  .prefault({})
  .transform((table) => ({
    loadMs: table.load,
    firstTokenMs: table.first_token,
    idleMs: table.idle,
    totalMs: table.total,
    commandMs: table.command,
  }))

const retry = z
  .strictObject({
    max_attempts: count(1, 100).prefault(3),
    base_delay: durationOrZero.prefault('1s'),
    max_delay: durationOrZero.prefault('30s'),
    exponential_base: number(1, 100).prefault(2),
  })
  .prefault({})
  .transform((table) => ({
    maxAttempts: table.max_attempts,
    baseDelayMs: table.base_delay,
    maxDelayMs: table.max_delay,
    exponentialBase: table.exponential_base,
  }))

const budget = z
  .strictObject({
    max_usd: moneyOrNone.prefault(0),
    max_tokens: countOrNone.prefault(0),
    max_turns: countOrNone.prefault(0),
    max_time: durationOrNone.prefault('0s'),
  })
  .prefault({})
  .transform((table) => ({ usdMax: table.max_usd, tokensMax: table.max_tokens, turnsMax: table.max_turns, timeMs: table.max_time }))

const cache = z
  .strictObject({ mode: oneOf('off', 'read', 'write', 'readwrite').prefault('off'), max_bytes: count(1).prefault(1_000_000_000) })
  .prefault({})
  .transform((table) => ({ mode: table.mode, bytesMax: table.max_bytes }))

const memory = z
  .strictObject({
    episodic_limit: count(0, 10_000).prefault(5),
    semantic_limit: count(0, 10_000).prefault(10),
    max_context_tokens: count(1).prefault(16_384),
    embedding_model: textOrNone.prefault(''),
    queue: z
      .strictObject({
        batch_size: count(1, 10_000).prefault(10),
        batch_timeout: duration.prefault('1s'),
        ops_max: count(1).prefault(10_000),
        drain_timeout: duration.prefault('30s'),
      })
      .prefault({}),
  })
  .prefault({})
  .transform((table) => ({
    episodicLimit: table.episodic_limit,
    semanticLimit: table.semantic_limit,
    contextTokensMax: table.max_context_tokens,
    embeddingModel: table.embedding_model,
    queue: {
      batchSize: table.queue.batch_size,
      batchTimeoutMs: table.queue.batch_timeout,
      opsMax: table.queue.ops_max,
      drainTimeoutMs: table.queue.drain_timeout,
    },
  }))

/** Tables that a later version acts upon, with the keys that they have. `*`: any. */
export const LATER: Readonly<Record<string, readonly string[]>> = {
  gates: ['level', 'promote'],
  approvals: ['ask', 'headless', 'expires'],
  sandbox: ['mode', 'network', 'output_bytes_max', 'env'],
  store: ['engine', 'synchronous', 'busy_timeout', 'backup_every'],
  retention: ['succeeded', 'failed', 'keep_last'],
  log: ['level', 'file', 'format'],
  http: ['host', 'port', 'token', 'control', 'recover_on_start'],
  otel: ['enabled', 'capture_content'],
  tui: ['theme', 'refresh_rate_ms'],
  supervision: ['strategy', 'intensity', 'period', 'start_timeout', 'shutdown', 'backoff', 'quarantine', 'spawn'],
  loops: ['max_consecutive_retries', 'oscillation', 'similarity'],
  mcp: ['*'],
}
const table = (keys: readonly string[]) =>
  keys.includes('*')
    ? expecting(z.record(z.string(), z.unknown()), 'a table')
    : expecting(z.strictObject(Object.fromEntries(keys.map((key) => [key, z.unknown().optional()]))), 'a table')
const later = Object.fromEntries(Object.entries(LATER).map(([name, keys]) => [name, table(keys).optional()]))

/** A model that runs on one's own machine by Ollama costs nothing by the piece. */
const LOCAL = { 'ollama/*': { input: 0, output: 0, basis: 'local' } } as const

/** All of a configuration, from the data of its files as one. */
export const schema = z
  .strictObject({
    general,
    models: z.record(label, model).prefault({}),
    agents: z.record(label, agent).prefault({}),
    providers: z.record(label, provider).prefault({}),
    pricing: z.record(expecting(z.string().regex(/^[^/\s]+\/\S+$/), 'a pattern like "anthropic/claude-*"'), price).prefault({}),
    timeouts,
    retry,
    budget,
    cache,
    memory,
    ...(later as Record<never, never>),
  })
  .transform(({ general, models, agents, providers, pricing, timeouts, retry, budget, cache, memory }) => ({
    general,
    models,
    agents,
    providers,
    pricing: { ...LOCAL, ...pricing },
    timeouts,
    retry,
    budget,
    cache,
    memory,
  }))

/** Keys of `[general]`: they may stand at the top of a file, too (S7). */
export const GENERAL_KEYS: readonly string[] = [
  'data_dir',
  'project_dir',
  'ollama_host',
  'total_vram_gb',
  'reserve_vram_gb',
  'default_max_iterations',
  'checkpoint_interval',
  'concurrency',
  'allow_prompt_logging',
]

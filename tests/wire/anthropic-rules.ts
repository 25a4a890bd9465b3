/**
 * What the Messages API refuses, in its words. An adapter that loses a block of a conversation meets these rules here and not first in production.
 *
 *   assistant  [ thinking?, text?, tool_use a, tool_use b ]
 *   user       [ tool_result a, tool_result b, text? ]          every tool_use is answered in the very next message
 */
import { createHash } from 'node:crypto'
import { type Data, isData, listOf } from './exchange.ts'

const THINKING_TOKENS_MIN = 1_024

/** The signature that the server gives to a thought, and knows again. */
export const signatureOf = (thinking: string): string => createHash('sha256').update(`signed ${thinking}`).digest('base64')

/** Why the request is invalid, or null. */
export function invalid(body: Data): string | null {
  if (typeof body['max_tokens'] !== 'number') return 'max_tokens: Field required'
  if (!Array.isArray(body['messages']) || body['messages'].length === 0) return 'messages: at least one message is required'
  return thinkingProblem(body, body['max_tokens']) ?? toolProblem(body) ?? firstOf(listOf(body['messages']).map(messageProblem))
}

function thinkingProblem({ thinking, tool_choice: choice, temperature }: Data, tokensMax: number): string | null {
  if (!isData(thinking) || thinking['type'] !== 'enabled') return null
  const budget = Number(thinking['budget_tokens'])
  if (!(budget >= THINKING_TOKENS_MIN)) return 'thinking.enabled.budget_tokens: Input should be greater than or equal to 1024'
  if (budget >= tokensMax) return '`max_tokens` must be greater than `thinking.budget_tokens`'
  if (isData(choice) && ['any', 'tool'].includes(String(choice['type'])))
    return 'Thinking may not be enabled when tool_choice forces tool use.'
  if (temperature !== undefined && temperature !== 1) return '`temperature` may only be set to 1 when thinking is enabled.'
  return null
}

function toolProblem(body: Data): string | null {
  const names = listOf(body['tools']).map((tool) => tool['name'])
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) return 'tools: Tool names must be unique.'
  return firstOf(
    listOf(body['tools']).map((tool, index) =>
      isData(tool['input_schema']) && tool['input_schema']['type'] === 'object'
        ? null
        : `tools.${index}.custom.input_schema.type: Field required`,
    ),
  )
}

function messageProblem(message: Data, index: number, all: readonly Data[]): string | null {
  if (message['role'] !== 'user' && message['role'] !== 'assistant') {
    return `messages: Unexpected role "${message['role']}". The Messages API accepts a top-level \`system\` parameter, not "system" as an input message role.`
  }
  const blocks = listOf(message['content'])
  if (message['content'] === '' || (Array.isArray(message['content']) && blocks.length === 0))
    return `messages.${index}: all messages must have non-empty content`
  return firstOf(blocks.map((block, place) => blockProblem(block, `messages.${index}.content.${place}`))) ?? pairProblem(index, all)
}

function blockProblem(block: Data, where: string): string | null {
  if (block['type'] === 'text' && (typeof block['text'] !== 'string' || block['text'] === ''))
    return `${where}: text content blocks must be non-empty`
  if (block['type'] === 'thinking' && block['signature'] !== signatureOf(String(block['thinking'])))
    return `${where}: Invalid \`signature\` in \`thinking\` block`
  if (block['type'] === 'tool_use' && !isData(block['input'])) return `${where}.tool_use.input: Input should be a valid dictionary`
  return null
}

/** Calls and results must meet. */
function pairProblem(index: number, all: readonly Data[]): string | null {
  const asked = idsOf(all[index - 1], 'tool_use', 'id')
  const given = idsOf(all[index], 'tool_result', 'tool_use_id')
  const missing = asked.filter((id) => !given.includes(id))
  if (missing.length > 0) {
    return `messages.${index - 1}: \`tool_use\` ids were found without \`tool_result\` blocks immediately after: ${missing.join(', ')}. Each \`tool_use\` block must have a corresponding \`tool_result\` block in the next message.`
  }
  const stray = given.filter((id) => !asked.includes(id))
  if (stray.length > 0)
    return `messages.${index}.content.0: unexpected \`tool_use_id\` found in \`tool_result\` blocks: ${stray.join(', ')}`
  const open = index === all.length - 1 ? idsOf(all[index], 'tool_use', 'id') : []
  return open.length > 0
    ? `messages.${index}: \`tool_use\` ids were found without \`tool_result\` blocks immediately after: ${open.join(', ')}`
    : null
}

const idsOf = (message: Data | undefined, type: string, field: string): string[] =>
  listOf(message?.['content'])
    .filter((block) => block['type'] === type)
    .map((block) => String(block[field]))

const firstOf = (problems: readonly (string | null)[]): string | null => problems.find((problem) => problem !== null) ?? null

/**
 * The tools that touch the staged files, by name: what a model is told about each, and how it is performed.
 *
 *   list  read  search     looks: run at once, may be repeated
 *   edit  write            changes: planWrite, then applyWrite as an effect of its own (see write.ts)
 */
import { z } from 'zod'
import type { Json } from '../../json.ts'
import {
  editInput,
  type ListInput,
  listInput,
  type ReadInput,
  readInput,
  type SearchInput,
  searchInput,
  writeInput,
} from '../../machines/tool-inputs.ts'
import { editDescription } from './edit.ts'
import { type ListOutput, list, listDescription } from './list.ts'
import { type ReadOutput, read, readDescription } from './read.ts'
import { type SearchOutput, search, searchDescription } from './search.ts'
import { writeDescription } from './write.ts'

interface Tool {
  readonly description: string
  readonly input: z.ZodType
  /** Does it change files? Then it goes through a plan. */
  readonly changes: boolean
}

const TOOLS = {
  list: { description: listDescription, input: listInput, changes: false },
  read: { description: readDescription, input: readInput, changes: false },
  search: { description: searchDescription, input: searchInput, changes: false },
  edit: { description: editDescription, input: editInput, changes: true },
  write: { description: writeDescription, input: writeInput, changes: true },
} as const satisfies Readonly<Record<string, Tool>>

export type ToolName = keyof typeof TOOLS

/** A tool call that only looks. */
export type Look =
  | { readonly tool: 'list'; readonly args: ListInput }
  | { readonly tool: 'read'; readonly args: ReadInput }
  | { readonly tool: 'search'; readonly args: SearchInput }

/** Is this the name of one of these tools? */
export function isTool(name: string): name is ToolName {
  return Object.hasOwn(TOOLS, name)
}

/** Name, description and JSON Schema of every tool, as models take them. */
export function toolSchemas(): readonly { readonly name: ToolName; readonly description: string; readonly parameters: Json }[] {
  return (Object.keys(TOOLS) as ToolName[]).map((name) => {
    const { description, input } = TOOLS[name]
    return { name, description, parameters: z.toJSONSchema(input, { io: 'input' }) as Json }
  })
}

/** Performs a tool that only looks. Arguments are checked; see each tool for its failures. */
export async function look(dir: string, call: Look, signal?: AbortSignal): Promise<ListOutput | ReadOutput | SearchOutput> {
  switch (call.tool) {
    case 'list':
      return await list(dir, call.args)
    case 'read':
      return await read(dir, call.args)
    case 'search':
      return await search(dir, call.args, signal)
  }
}

/**
 * What a model must give with a call of each tool that touches the staged files, as schemas. Models are told of it as JSON Schema, the tools check it again
 * before they do anything, and repair.ts tells a model where it did not fit.
 */
import { z } from 'zod'

/** Files listed in one answer, unless fewer are asked for. */
const FILES_MAX = 500
/** Matches of one search, unless fewer are asked for. */
const MATCHES_MAX = 200

export const listInput = z.strictObject({
  path: z.string().default('.').describe('folder, relative to the workspace'),
  max: z.int().min(1).max(FILES_MAX).default(FILES_MAX).describe('most files to list'),
})
export type ListInput = z.input<typeof listInput>

export const readInput = z.strictObject({
  path: z.string().min(1).describe('file, relative to the workspace'),
  offset: z.int().min(1).optional().describe('first line to read, from 1'),
  limit: z.int().min(1).optional().describe('number of lines'),
  numbered: z.boolean().default(false).describe('put the line number and a tab before each line'),
})
export type ReadInput = z.input<typeof readInput>

export const searchInput = z
  .strictObject({
    pattern: z.string().min(1).describe('text to find, or a JavaScript regular expression when regex is true'),
    regex: z.boolean().default(false),
    ignoreCase: z.boolean().default(false),
    path: z.string().default('.').describe('folder or file to search in'),
    ending: z.string().optional().describe('only files whose path ends so, e.g. ".ts"'),
    max: z.int().min(1).max(MATCHES_MAX).default(MATCHES_MAX).describe('most matches to return'),
  })
  .refine((input) => input.regex !== true || isExpression(input.pattern), { error: 'not a valid regular expression', path: ['pattern'] })
export type SearchInput = z.input<typeof searchInput>

export const editInput = z.strictObject({
  path: z.string().min(1).describe('file, relative to the workspace'),
  old: z.string().min(1).describe('the exact text to replace; must occur once'),
  new: z.string().describe('the text to put in its place'),
  all: z.boolean().default(false).describe('replace every occurrence'),
})
export type EditInput = z.input<typeof editInput>

export const writeInput = z.strictObject({
  path: z.string().min(1).describe('file, relative to the workspace; folders are made'),
  content: z.string().describe('the whole new content'),
})
export type WriteInput = z.input<typeof writeInput>

/** By the names of the tools. */
export const TOOL_INPUTS: ReadonlyMap<string, z.ZodType> = new Map<string, z.ZodType>([
  ['list', listInput],
  ['read', readInput],
  ['search', searchInput],
  ['edit', editInput],
  ['write', writeInput],
])

function isExpression(source: string): boolean {
  try {
    new RegExp(source, 'u')
    return true
  } catch {
    return false
  }
}

/** Asks each of these servers once and prints the codes of what came of it; anything else on its streams is not ours. */
import { ollama } from '../../../src/actors/providers/ollama.ts'
import { request } from './ollama-request.ts'

const codes: string[] = []
for (const baseUrl of process.argv.slice(2)) {
  const result = await ollama({ baseUrl }).generate(request(), { signal: new AbortController().signal, progress: () => {} })
  codes.push(result.ok ? 'ok' : result.code)
}
process.stdout.write(JSON.stringify(codes))

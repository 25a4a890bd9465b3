/** An Ollama server in a process of its own, so that what it takes of the processor is not in the figures: `model-server.child.ts DELAY_MS`. Prints its address. */
import { ollamaServer } from '../../tests/wire/ollama.ts'

const delayMs = Number(process.argv[2] ?? 0)
const server = await ollamaServer({ script: () => ({ text: 'a short answer', usage: { input: 200, output: 3 }, delayMs }) })
process.stdout.write(`${server.url}\n`)

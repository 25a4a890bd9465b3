/**
 * Texts of all kinds with the tokens that real vocabularies take for them: gpt-tokenizer 3 (o200k, cl100k), llama-tokenizer-js 1 (llama2, without its first
 * token) and @anthropic-ai/tokenizer 0 (claude: that of Claude 2, the last that was published).
 */

/** Text of these characters, the same each time. */
const drawn = (alphabet: string, length: number): string => {
  let seed = 1
  const next = (): string => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648
    return alphabet[Math.floor((seed / 2_147_483_648) * alphabet.length)] ?? ''
  }
  return Array.from({ length }, next).join('')
}
const SMALL = 'abcdefghijklmnopqrstuvwxyz'
export const COUNTED = {
  prose: {
    text: 'A conversation that outgrew its model was sent whole: a local server cuts it without a word, and a remote one refuses it. Now it is never over its budget.',
    counts: { o200k: 36, cl100k: 36, llama2: 38, claude: 36 },
  },
  code: {
    text: "export function itemOf(context: CoderContext): string {\n  const { task } = context\n  return task?.item ?? ''\n}\n\nconst READS = ['list', 'read', 'search']\n",
    counts: { o200k: 41, cl100k: 41, llama2: 48, claude: 45 },
  },
  json: {
    text: '{"name":"greeter","version":"1.0.0","scripts":{"test":"node --test"},"dependencies":{"zod":"4.6.1"}}',
    counts: { o200k: 34, cl100k: 33, llama2: 35, claude: 34 },
  },
  diff: {
    text: '--- a/src/cli.ts\n+++ b/src/cli.ts\n@@ -1,3 +1,4 @@\n+import { version } from "./version.ts"\n-const a = 1\n',
    counts: { o200k: 42, cl100k: 39, llama2: 51, claude: 47 },
  },
  smallLetters: { text: drawn(SMALL, 600), counts: { o200k: 319, cl100k: 329, llama2: 366, claude: 321 } },
  mixedCase: { text: drawn(SMALL + SMALL.toUpperCase(), 600), counts: { o200k: 372, cl100k: 390, llama2: 445, claude: 378 } },
  capitals: { text: drawn(SMALL.toUpperCase(), 600), counts: { o200k: 344, cl100k: 358, llama2: 429, claude: 341 } },
  digits: { text: drawn('0123456789', 600), counts: { o200k: 200, cl100k: 200, llama2: 600, claude: 252 } },
  base64: { text: drawn(`${SMALL}${SMALL.toUpperCase()}0123456789+/`, 600), counts: { o200k: 415, cl100k: 435, llama2: 497, claude: 427 } },
  hex: { text: drawn('0123456789abcdef', 600), counts: { o200k: 346, cl100k: 346, llama2: 536, claude: 351 } },
  punctuation: { text: drawn('!"#$%&\'()*+,-./:;<=>?@[]^_`{|}~', 600), counts: { o200k: 411, cl100k: 401, llama2: 452, claude: 413 } },
  singleLetters: { text: drawn(SMALL, 300).split('').join(' '), counts: { o200k: 300, cl100k: 300, llama2: 300, claude: 300 } },
  shortWords: { text: (drawn(SMALL, 600).match(/.{3}/g) ?? []).join(' '), counts: { o200k: 360, cl100k: 383, llama2: 419, claude: 384 } },
  indented: { text: '        x\n'.repeat(60), counts: { o200k: 180, cl100k: 180, llama2: 180, claude: 121 } },
  lineEnds: { text: 'a\r\n'.repeat(100), counts: { o200k: 200, cl100k: 200, llama2: 300, claude: 299 } },
  controls: { text: drawn('\u0001\u0002\u007f\t', 300), counts: { o200k: 293, cl100k: 293, llama2: 300, claude: 293 } },
  german: {
    text: 'Donaudampfschifffahrtsgesellschaftskapitän über Öl und Äpfel. '.repeat(5),
    counts: { o200k: 97, cl100k: 122, llama2: 106, claude: 121 },
  },
  russian: { text: 'Привет мир как дела сегодня '.repeat(8), counts: { o200k: 49, cl100k: 97, llama2: 74, claude: 120 } },
  chinese: { text: '你好世界今天天气很好我们去公园玩吧'.repeat(8), counts: { o200k: 96, cl100k: 176, llama2: 216, claude: 168 } },
  emoji: { text: '😀🎉👩‍👩‍👧🔥'.repeat(20), counts: { o200k: 240, cl100k: 420, llama2: 520, claude: 340 } },
} as const

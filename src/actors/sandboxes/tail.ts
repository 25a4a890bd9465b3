/** The last bytes of a stream of output, in bounded memory. */

export interface Tail {
  add(chunk: Buffer): void
  /** The tail as text. A character that the cut went through is left out. */
  read(): { readonly output: string; readonly truncated: boolean }
}

/** Keeps the last `bytesMax` bytes. */
export function keepTail(bytesMax: number): Tail {
  let chunks: Buffer[] = []
  let held = 0
  let total = 0
  const squeeze = (): void => {
    const whole = Buffer.concat(chunks)
    chunks = [whole.subarray(Math.max(0, whole.length - bytesMax))]
    held = Math.min(whole.length, bytesMax)
  }
  return {
    add(chunk) {
      chunks.push(chunk)
      held += chunk.length
      total += chunk.length
      if (held > 2 * bytesMax + 4_096) squeeze()
    },
    read() {
      squeeze()
      const bytes = chunks[0] ?? Buffer.alloc(0)
      const truncated = total > bytes.length
      return { output: bytes.subarray(truncated ? firstWhole(bytes) : 0).toString('utf8'), truncated }
    },
  }
}

/** Where the first whole UTF-8 character begins: at most three bytes of a cut one come before it. */
function firstWhole(bytes: Buffer): number {
  for (let at = 0; at < Math.min(4, bytes.length); at++) if (((bytes[at] ?? 0) & 0xc0) !== 0x80) return at
  return 0
}

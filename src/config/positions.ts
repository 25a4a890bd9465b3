/**
 * Where a value of a TOML file stands. smol-toml says it of syntax errors only, so this reads the keys, and only the keys, of a file that it has parsed.
 *
 *   budget = { max_usd = "x" }        ['budget', 'max_usd']  ->  1:12
 *   [models.coder]                    ['models', 'coder']    ->  2:1
 */

export interface Position {
  /** From 1. */
  readonly line: number
  readonly column: number
}

type Path = readonly string[]
const SEPARATOR = '\u0000'

/** The position of each key of a document, by its path. A table stands where it was first named. */
export class Positions {
  readonly #offsets = new Map<string, number>()
  readonly #text: string
  #at = 0

  /** @param text  a document that parses. */
  constructor(text: string) {
    this.#text = text
    let table: Path = []
    for (this.#skip(/[\s]/); this.#at < text.length; this.#skip(/[\s]/)) {
      const start = this.#at
      if (this.#next('#')) this.#skip(/[^\n]/)
      else if (this.#next('[')) {
        this.#next('[')
        table = this.#keys()
        this.#note(table, start)
        this.#skip(/[\] \t]/)
      } else this.#pair(table)
      if (this.#at === start) this.#at++
    }
  }

  /** Of the value at a path, or of the nearest table around it; the beginning where the file has none of it. */
  of(path: readonly PropertyKey[]): Position {
    for (let length = path.length; length > 0; length--) {
      const offset = this.#offsets.get(path.slice(0, length).map(String).join(SEPARATOR))
      if (offset !== undefined) return this.#position(offset)
    }
    return { line: 1, column: 1 }
  }

  #position(offset: number): Position {
    const before = this.#text.slice(0, offset).split('\n')
    return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 }
  }

  /** `key.key = value`. */
  #pair(table: Path): void {
    const start = this.#at
    const path = [...table, ...this.#keys()]
    this.#note(path, start)
    this.#skip(/[ \t=]/)
    this.#value(path)
  }

  #value(path: Path): void {
    const letter = this.#text[this.#at]
    if (letter === '"' || letter === "'") this.#string()
    else if (this.#next('{')) this.#list('}', () => this.#pair(path))
    else if (this.#next('[')) this.#list(']', (index) => this.#value([...path, String(index)]))
    else this.#skip(/[^,\]}\n#]/)
  }

  /** Members between brackets, with commas, line ends and comments among them. */
  #list(end: string, member: (index: number) => void): void {
    for (let index = 0; this.#at < this.#text.length; ) {
      this.#skip(/[\s,]/)
      if (this.#next(end)) return
      if (this.#next('#')) {
        this.#skip(/[^\n]/)
        continue
      }
      const start = this.#at
      member(index++)
      if (this.#at === start) this.#at++
    }
  }

  /** `a.b."c d"`. */
  #keys(): Path {
    const path: string[] = []
    do {
      this.#skip(/[ \t]/)
      const start = this.#at
      const letter = this.#text[this.#at]
      if (letter === '"' || letter === "'") path.push(this.#string())
      else {
        this.#skip(/[\w-]/)
        path.push(this.#text.slice(start, this.#at))
      }
      this.#skip(/[ \t]/)
    } while (this.#next('.'))
    return path
  }

  /** Past a string of any of the four kinds. @returns what is inside, escapes as they are written. */
  #string(): string {
    const quote = this.#text[this.#at] ?? ''
    const mark = this.#text.startsWith(quote.repeat(3), this.#at) ? quote.repeat(3) : quote
    this.#at += mark.length
    const start = this.#at
    while (this.#at < this.#text.length && !this.#text.startsWith(mark, this.#at)) {
      this.#at += quote === '"' && this.#text[this.#at] === '\\' ? 2 : 1
    }
    const inside = this.#text.slice(start, this.#at)
    this.#at += mark.length
    while (mark.length === 3 && this.#text[this.#at] === quote) this.#at++
    return inside
  }

  #note(path: Path, offset: number): void {
    for (let length = path.length; length > 0; length--) {
      const key = path.slice(0, length).join(SEPARATOR)
      if (!this.#offsets.has(key)) this.#offsets.set(key, offset)
    }
  }

  #skip(what: RegExp): void {
    while (this.#at < this.#text.length && what.test(this.#text[this.#at]!)) this.#at++
  }

  #next(what: string): boolean {
    if (!this.#text.startsWith(what, this.#at)) return false
    this.#at += what.length
    return true
  }
}

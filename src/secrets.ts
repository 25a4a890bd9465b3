/**
 * What looks like a credential, and a key that cannot be shown by mistake. Nothing here knows a key by its value: it is judged by its form and by its name.
 *
 *   ANTHROPIC_API_KEY   the name of one        sk-ant-...   ghp_...   the form of one        https://user:password@host   one inside an address
 */
const NAMES = /(?:^|[_.-])(?:api_?keys?|keys?|token|secrets?|passw(?:or)?d|credentials?|bearer|authorization)$/i
const FORMS = [
  /\b(?:sk|pk|rk|key|tok|pat)[-_][A-Za-z0-9_-]{8,}/g,
  /\bgh[pousr]_[A-Za-z0-9]{8,}/g,
  /\bgithub_pat_\w{8,}/g,
  /\bglpat-[\w-]{8,}/g,
  /\bxox[a-z]-[\w-]{8,}/g,
  /\bAIza[\w-]{10,}/g,
  /\b(?:AKIA|ASIA)[A-Z0-9]{12,}/g,
  /\bhf_[A-Za-z0-9]{8,}/g,
  /\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*/g,
  /\bBearer\s+[\w.~+/=-]{8,}/gi,
  /(?<=:\/\/)[^\s/@:]*:[^\s/@]+(?=@)/g,
]
const SHOWN_CHARS = 4
/** Shorter keys show nothing of themselves. */
const SHOWN_FROM_CHARS = 12

/** Does a name, of a key in a file or of an environment variable, say that its value is a secret? */
export const isSecretName = (name: string): boolean => NAMES.test(name.replace(/([a-z0-9])([A-Z])/g, '$1_$2'))

/** Is there something in a text that has the form of a credential? */
export const hasSecret = (text: string): boolean => redacted(text) !== text

/** A text without what has the form of a credential. */
export const redacted = (text: string): string => FORMS.reduce((rest, form) => rest.replace(form, '<secret>'), text)

/** A credential in memory. Logging it, printing it and making it JSON give its end and no more: whoever needs it says {@link reveal}. */
export class Secret {
  readonly #value: string
  constructor(value: string) {
    this.#value = value
  }
  /** The credential itself: for the client of its provider, and for nothing else. */
  reveal(): string {
    return this.#value
  }
  /** `ends in w9Qk`. */
  toString(): string {
    const { length } = this.#value
    return length < SHOWN_FROM_CHARS ? 'too short to show' : `ends in ${this.#value.slice(-SHOWN_CHARS)}`
  }
  toJSON(): string {
    return this.toString()
  }
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return `Secret(${this.toString()})`
  }
}

/**
 * The port to models that turn texts into vectors. Two vectors of one embedder can be compared; those of two embedders never.
 */
export interface Embedder {
  /** Of provider and model: vectors that are kept are kept under it. */
  readonly name: string
  /** Numbers of a vector; null: not known before the first text. */
  readonly dimensions: number | null
  /** One vector for each text, in their order. Rejects with a `Failure`. */
  embed(texts: readonly string[], signal: AbortSignal): Promise<number[][]>
}

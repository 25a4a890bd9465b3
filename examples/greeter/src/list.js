import { wordsOf } from './locales.js'

/** Names in a row, with the word for "and" before the last: `Ann, Bob and Cy`. */
export function listOf(names, locale) {
  wordsOf(locale)
  return names.join(', ')
}

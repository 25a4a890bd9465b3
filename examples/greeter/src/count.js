import { wordsOf } from './locales.js'

/** A number with its noun: `1 guest`, `3 guests`. */
export function countOf(count, locale) {
  const form = count === 1 ? 'one' : 'other'
  return `${count} ${wordsOf(locale).guest[form]}`
}

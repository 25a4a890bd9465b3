export { greet } from './greet.js'
export { LANGUAGES } from './locales.js'

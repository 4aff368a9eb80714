/** Where the bridge is and how it is spoken to: the options that every client takes. */

/** Makes the error of a client of what is wrong with its options. */
export type Wrong = (what: string) => Error

/** A bearer token; a function is asked before every request. */
export type TokenOption = string | (() => string | Promise<string>)

const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '[::1]' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host)

/** A URL that may be trusted with a token: https, or http on loopback, and nothing in it that does not belong there. */
export const originOf = (name: string, text: string, wrong: Wrong): URL => {
  if (!URL.canParse(text)) throw wrong(`${name} is not a URL.`)
  const url = new URL(text)
  if (url.username !== '' || url.password !== '') throw wrong(`${name} must not carry a user name or password.`)
  if (/[?#]/.test(text)) throw wrong(`${name} must not have a query or a fragment.`)
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLoopback(url.hostname))) {
    throw wrong(`${name} must be https; http is accepted on loopback only.`)
  }
  return url
}

/** Of the bridge. A path in it is a prefix. */
export const baseOf = (text: string, wrong: Wrong): URL => {
  const url = originOf('url', text, wrong)
  if (!url.pathname.endsWith('/')) url.pathname += '/'
  return url
}

export const tokenOf = (token: TokenOption, wrong: Wrong): (() => Promise<string>) => {
  if (typeof token === 'function') return async () => token()
  if (typeof token !== 'string' || token === '') throw wrong('token is empty.')
  return async () => token
}

export const milliseconds = (name: string, value: number | undefined, otherwise: number, wrong: Wrong): number => {
  const ms = value ?? otherwise
  if (!Number.isFinite(ms) || ms < 1 || ms > 3_600_000) throw wrong(`${name} must be from 1 to 3,600,000 milliseconds.`)
  return ms
}

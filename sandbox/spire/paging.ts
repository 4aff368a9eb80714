import { Refused, status } from './refused.ts'

/**
 * One page. A size of 0 asks for no pages: everything comes, whatever the token says. A page that has rows always names a
 * next one, so that the last one comes back empty.
 * @param refusal how the refusal of a token begins: real SPIRE calls it an error of its own
 */
export function pageOf<T extends { readonly ordinal: number }>(
  rows: readonly T[],
  { page_size, page_token }: { readonly page_size: number; readonly page_token: string },
  refusal: string,
  bound = Number.POSITIVE_INFINITY,
): { readonly rows: readonly T[]; readonly next: string } {
  if (page_size <= 0) return { rows, next: '' }
  if (page_token !== '' && !/^\d+$/.test(page_token)) {
    throw new Refused(status.internal, `${refusal} could not parse token '${page_token}'`)
  }
  const after = Number(page_token)
  const found = rows.filter(({ ordinal }) => ordinal > after).slice(0, Math.min(page_size, bound))
  return { rows: found, next: String(found.at(-1)?.ordinal ?? '') }
}

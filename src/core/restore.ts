/** The head of the audit chain at one moment. In a backup: when it was taken; everything later is missing from it. */
export interface Moment {
  readonly at: number
  readonly seq: number
  readonly hash: string
}

export const momentText = ({ at, hash, seq }: Moment): string => JSON.stringify({ at, seq, hash })

/** Undefined for anything else than what `momentText` wrote. */
export const parseMoment = (text: string): Moment | undefined => {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null) return undefined
    if (!('at' in value && 'seq' in value && 'hash' in value)) return undefined
    const { at, hash, seq } = value
    if (typeof at !== 'number' || typeof seq !== 'number' || typeof hash !== 'string') return undefined
    return { at, seq, hash }
  } catch {
    return undefined
  }
}

/** A backup carries this entry of `meta`; the first start on it takes it away and acts on it. */
export const stampKey = 'backup:taken'

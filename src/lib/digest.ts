import { hash } from 'node:crypto'

/** SHA-256, a letter a byte: to find again by what must not be kept. Not for people to read. */
export const digestOf = (text: string): string => hash('sha256', text, 'binary')

import { damaged } from './database.ts'

/** A JSON column; one that does not parse is damage, not a bug. */
export const parse = <T>(json: string): T => {
  try {
    return JSON.parse(json)
  } catch (error) {
    throw damaged(error)
  }
}

export const maybe = <T>(value: T | null): T | undefined => value ?? undefined

export const flag = (value: boolean): number => (value ? 1 : 0)

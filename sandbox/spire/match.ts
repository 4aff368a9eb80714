import type { Selector } from './shapes.ts'

export const selectorKey = ({ type, value }: Selector): string => `${type}:${value}`

/** @param behaviour of the wire: 0 the same set, 1 none but those asked for, 2 all that are asked for, 3 any of them */
export function matches(present: readonly string[], asked: readonly string[], behaviour: number): boolean {
  const isSubset = present.length > 0 && present.every((each) => asked.includes(each))
  const isSuperset = asked.every((each) => present.includes(each))
  if (behaviour === 3) return present.some((each) => asked.includes(each))
  return behaviour === 0 ? isSubset && isSuperset : behaviour === 1 ? isSubset : isSuperset
}

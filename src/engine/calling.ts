import type { Question } from '../core/decide.ts'
import type { ToolReads } from '../core/tools.ts'
import type { DecisionInput } from './api.ts'

/** The call that is asked about, with the server in force that it names. One that is told in part is a call too: of no tool. */
export const callOf = async (
  reads: ToolReads,
  { parameters, resource, server, tool }: DecisionInput,
): Promise<Question['call']> => {
  if ([parameters, resource, server, tool].every((part) => part === undefined)) return undefined
  const found = server === undefined || server === '' ? undefined : await reads.toolServer(server)
  return { asked: { tool, server, resource, parameters }, server: found }
}

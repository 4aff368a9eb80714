import { z } from 'zod'
import { type App, answers, type Context } from './context.ts'
import { time } from './views.ts'

const levels = ['ok', 'unknown', 'warning', 'error'] as const

const findingSchema = z.object({
  about: z.string().describe('store, disk, keys, clock, writes, hook:<adapter> or adapter:<adapter>'),
  code: z.string().describe('ok where nothing is wrong'),
  level: z.enum(levels).describe('unknown: only a write, or somebody outside, would tell'),
  text: z.string(),
  mend: z.string().nullable().describe('The command or step that mends it'),
})

const diagnosisSchema = z
  .object({
    ok: z.boolean().describe('Nothing is an error'),
    at: z.string().meta({ format: 'date-time' }),
    findings: z.array(findingSchema),
  })
  .meta({ id: 'Diagnosis' })

/** What is wrong with the daemon, its host and the directories, and what mends it. */
export const doctorRoutes = (app: App, { bridge }: Context): void => {
  app.route({
    method: 'GET',
    url: '/v1/doctor',
    config: { access: ['reader'], errors: ['E_ADAPTER_UNKNOWN'] },
    schema: {
      operationId: 'doctor',
      summary: 'Look for what is wrong with the bridge and every directory',
      description: 'Reads one of everything that is configured, with a bounded number of calls; changes nothing.',
      tags: ['operation'],
      querystring: z.strictObject({
        adapter: z.string().min(1).max(64).optional().describe('This directory alone'),
      }),
      response: { 200: answers('What was found, each with what mends it', diagnosisSchema) },
    },
    handler: async (request) => {
      const { ok, at, findings } = await bridge.doctor(request.query.adapter)
      const body = findings.map(({ about, code, level, text, mend }) => ({
        about,
        code,
        level,
        text,
        mend: mend ?? null,
      }))
      return { ok, at: time(at), findings: body }
    },
  })
}

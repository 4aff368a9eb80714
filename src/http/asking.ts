import type { FastifyReply } from 'fastify'
import type { App } from './context.ts'

/** For what may take long: a signal for each answer that aborts when its caller leaves or the listener begins to close. */
export const whileAsked = (app: App): ((reply: Pick<FastifyReply, 'raw'>) => AbortSignal) => {
  const closing = new AbortController()
  app.addHook('preClose', async () => closing.abort())
  return ({ raw }) => {
    const gone = new AbortController()
    raw.once('close', () => gone.abort())
    return AbortSignal.any([closing.signal, gone.signal])
  }
}

import type { ServerOptions } from '../../src/http/server.ts'
import { audience, World } from '../engine/harness.ts'
import { type Answer, type Listening, listen } from './listen.ts'

export interface FaceWorld extends AsyncDisposable {
  readonly world: World
  readonly server: Listening
  token(claims: Parameters<World['north']['tokens']['sign']>[0]): Promise<string>
  /** As a gateway. */
  post(path: string, body: unknown, headers?: Readonly<Record<string, string>>): Promise<Answer>
}

/** The real engine on a real store behind the real server. */
export const faceWorld = async (options: Partial<ServerOptions> = {}): Promise<FaceWorld> => {
  await using stack = new AsyncDisposableStack()
  const world = stack.use(await World.open())
  const server = stack.use(await listen({ bridge: world.bridge, metrics: world.metrics, ...options }))
  const held = stack.move()
  return {
    world,
    server,
    token: (claims) => world.north.tokens.sign({ aud: audience, ...claims }),
    post: (path, body, headers = {}) => server.ask(path, { as: 'gateway', body, headers }),
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  }
}

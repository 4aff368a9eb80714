/**
 * A process that opens the store named by its first argument and works until it is killed: every write places a hold,
 * an audit entry and a meta row together, and is told on standard output only after it was acknowledged.
 */
import { argv, exit, stdout } from 'node:process'
import { codeOf } from '../../src/core/errors.ts'
import { openStore } from '../../src/store/index.ts'
import { hold } from './fixture.ts'

const [, , file = '', mode = 'hold'] = argv

const dead = (error: { code: string; exit: number }) => {
  stdout.write(`dead ${error.code}\n`, () => exit(error.exit))
}

try {
  const store = await openStore({ url: `sqlite:${file}`, now: Date.now, onDead: dead })
  stdout.write(`open ${store.epoch}\n`)
  const one = async (lane: number): Promise<void> => {
    for (let i = 0; ; i += 1) {
      const id = `${store.epoch}-${lane}-${i}`
      await store
        .write(async (tx) => {
          await tx.insertHold(hold(id, `did:mesh:${lane}`))
          await tx.putMeta(id, 'v'.repeat(lane * 200))
          if (i % 5 === 4) throw new RangeError('taken back')
          await tx.appendAudit({ time: i, type: 'hold.placed', actor: 'child', hold: id, text: { reason: id } })
        })
        .then(
          () => stdout.write(`done ${id}\n`),
          (error: unknown) => {
            if (!(error instanceof RangeError)) throw error
          },
        )
    }
  }
  if (mode === 'write') await Promise.all(Array.from({ length: 8 }, (_, lane) => one(lane)))
  else setInterval(() => undefined, 1000)
} catch (error) {
  stdout.write(`failed ${codeOf(error)}\n`)
  if (codeOf(error) === 'E_BUG') throw error
}

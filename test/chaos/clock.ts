/** Loaded before the daemon: a wall clock that is as wrong as the file in `CHAOS_CLOCK` says, read anew at SIGUSR2. */
import { readFileSync } from 'node:fs'
import process, { env } from 'node:process'

const right = Date
let offsetMs = 0
const now = () => right.now() + offsetMs

globalThis.Date = new Proxy(right, {
  construct: (target, given, made) => Reflect.construct(target, given.length === 0 ? [now()] : given, made),
  get: (target, key, receiver) => (key === 'now' ? now : Reflect.get(target, key, receiver)),
})
process.on('SIGUSR2', () => {
  offsetMs = Number(readFileSync(env.CHAOS_CLOCK ?? '', 'utf8'))
})

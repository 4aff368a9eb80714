/**
 * `npm run chaos -- --minutes 2 --seed 7`: two local Entra tenants, an Okta org and AWS accounts, the real daemon as
 * a child, and a random schedule of changes, faults and SIGKILLs, then every invariant at rest. The seed repeats the
 * plan, not how the operating system interleaves it.
 */
import { randomInt } from 'node:crypto'
import process, { argv, exit, stdout } from 'node:process'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { seeded } from '../../sandbox/random.ts'
import { plan, play as playFaults, type Step } from '../../sandbox/schedule.ts'
import { table } from '../bench/figures.ts'
import { at, listAt } from '../e2e/json.ts'
import { startProcess } from '../e2e/process.ts'
import { act, type Play, planActions, register } from './actions.ts'
import { always } from './always.ts'
import { checkAudit } from './audit.ts'
import { compression, pace, Supervisor } from './daemon.ts'
import { adapters, createFleet, startTenancies } from './fleet.ts'
import { Follower } from './follower.ts'
import { Journal } from './journal.ts'
import { Ledger } from './ledger.ts'
import { settle } from './quiet.ts'
import { reportOf } from './report.ts'
import { Samples } from './samples.ts'
import { lag } from './tenancy.ts'
import { Truth } from './truth.ts'

const { values } = parseArgs({
  args: argv.slice(2),
  options: {
    minutes: { type: 'string', default: '2' },
    seed: { type: 'string' },
    agents: { type: 'string', default: '40' },
    json: { type: 'boolean', default: false },
    /** Prints the schedule of faults as JSON lines and plays nothing. */
    plan: { type: 'boolean', default: false },
    /** Leaves out faults by name, separated by commas. */
    without: { type: 'string', default: '' },
    quiet: { type: 'string', default: '480' },
  },
})
const minutes = Number(values.minutes)
const seed = values.seed === undefined ? randomInt(1_000_000) : Number(values.seed)
const print = (text: string) => {
  stdout.write(`${text}\n`)
}
const say = (text: string) => {
  if (!values.json) print(text)
}

const scheduleOf = (name: (typeof adapters)[number], disturbances: Parameters<typeof plan>[0]['disturbances']) =>
  plan({
    seed: seed * 2 + adapters.indexOf(name),
    minutes,
    disturbances,
    without: values.without.split(','),
    everyMs: 2_500,
    longestMs: 6_000,
    staleMs: lag.replicaMs,
  })

/** SIGKILLs at random moments, and now and then a clock that is ten minutes off until the next one. */
const crashes = async (play: Play, random: () => number, signal: AbortSignal): Promise<void> => {
  const wait = (ms: number) => pause(ms, undefined, { signal }).catch(() => undefined)
  while (!signal.aborted) {
    await wait(6_000 + 16_000 * random())
    if (signal.aborted) return
    if (random() < 0.15) {
      play.daemon.setClockOff(random() < 0.5 ? 600_000 : -600_000)
      play.journal.count('fault daemon-clock')
      await wait(3_000 + 4_000 * random())
      play.daemon.setClockOff(0)
      continue
    }
    const standing = play.ledger.standing.map(({ id }) => id)
    await play.daemon.crash()
    await play.daemon.start()
    for (const id of standing) {
      const hold = play.ledger.holds.get(id)
      if (hold === undefined || hold.releasing || !play.registered.has(hold.did)) continue
      const answer = await play.daemon.ask('alice', `/v1/agents/${encodeURIComponent(hold.did)}/holds`)
      if (answer?.status !== 200 || hold.releasing) continue
      const open = listAt(answer.body, 'items').some((one) => at(one, 'id') === id && at(one, 'releasedAt') === null)
      play.journal.check('I10', open, () => `${id} did not survive the crash`, [hold.did, id])
    }
  }
}

const main = async (): Promise<number> => {
  const tenancies = await startTenancies(seeded(seed ^ 0x1234), seed)
  const schedules = adapters.map((name) => ({ name, stage: tenancies[name].stage }))
  const steps = schedules.map(({ name, stage }) => scheduleOf(name, stage.disturbances))
  if (values.plan) {
    for (const [index, list] of steps.entries())
      for (const step of list) print(JSON.stringify({ tenant: adapters[index], ...step }))
    return 0
  }
  say(`seed ${seed}, ${minutes} min at ${compression} × = ${((minutes * compression) / 60).toFixed(1)} h`)
  const random = seeded(seed)
  const journal = new Journal()
  const members = createFleet(tenancies, Number(values.agents))
  for (const name of adapters) tenancies[name].settle()
  const parents = new Map(members.map(({ did, parent }) => [did, parent]))
  const ledger = new Ledger(journal, parents)
  const truth = new Truth(tenancies, journal, members)
  const resume = random() < 0.5 ? 'approval' : 'automatic'
  await using daemon = new Supervisor(tenancies, journal, resume)
  const followers = [
    new Follower('stream', daemon, journal, true),
    new Follower('fresh stream', daemon, journal, false),
  ]
  const [first] = followers
  if (first === undefined) throw new Error('no follower')
  const isHeld = (did: string) => ledger.binding(did, Number.POSITIVE_INFINITY) !== undefined
  const samples = new Samples(truth, first, isHeld)
  const registered = new Set<string>()
  const play: Play = {
    daemon,
    tenancies,
    journal,
    truth,
    ledger,
    samples,
    members,
    parents,
    registered,
    undo: new Set(),
    random: seeded(seed + 17),
  }
  const actions = planActions(random, minutes, 120)
  for (const name of ['SIGINT', 'SIGTERM'] as const)
    process.once(name, () => void daemon.crash().finally(() => exit(130)))
  await daemon.start()
  for (const member of members) await register(play, member)

  const watching = new AbortController()
  const following = Promise.all(followers.map((one) => one.run(watching.signal)))
  const checking = always(play, watching.signal)
  const faults = new AbortController()
  const begun = (name: string) => (step: Step) => {
    journal.count(`fault ${step.fault}`)
    journal.note('fault', [], `${name}: ${JSON.stringify(step)}`)
  }
  const playing = schedules.map(({ name, stage }, index) =>
    playFaults(steps[index] ?? [], stage, { signal: faults.signal, begun: begun(name) }),
  )
  const crashing = crashes(play, seeded(seed + 31), faults.signal)
  const started = Date.now()
  const running = new Set<Promise<void>>()
  for (const action of actions) {
    const left = started + action.at - Date.now()
    if (left > 0) await pause(left)
    if (Date.now() - started > minutes * 60_000) break
    if (running.size >= 24) await Promise.race(running)
    const one: Promise<void> = act(play, action, (draw) => followers[draw < 0.5 ? 0 : 1]?.cut()).finally(() =>
      running.delete(one),
    )
    running.add(one)
  }
  faults.abort()
  await Promise.all([...playing, crashing, ...running])
  for (const undo of [...play.undo]) undo()
  for (const name of adapters) tenancies[name].clearFaults()
  samples.end()
  if (daemon.origin === undefined) await daemon.start()
  say('coming to rest …')
  const restMs = await settle(play, followers, Number(values.quiet) * 1000, pace.settleMs.chaos)
  const verified = await daemon.ask('alice', '/v1/audit/verify')
  journal.check(
    'I7',
    verified?.text.includes('"ok":true') === true,
    () => `GET /v1/audit/verify: ${verified?.text}`,
    [],
  )
  watching.abort()
  await Promise.all([following, checking])
  const code = await daemon.stop()
  journal.check('stop', code === 0, () => `the daemon ended with ${code}:\n${daemon.lines.slice(-5).join('\n')}`, [])
  await using verifying = startProcess(['audit', 'verify', '--config', daemon.configFile])
  const command = await verifying.ended(120_000)
  journal.check(
    'I7',
    command.code === 0,
    () => `idp-bridge audit verify: ${command.code} ${command.out}${command.err}`,
    [],
  )
  await checkAudit(play, daemon.database)
  for (const name of adapters) await tenancies[name].close()
  const report = reportOf({ play, seed, minutes, compression, resume, restMs, followers, folder: daemon.folder })
  if (values.json) print(JSON.stringify(report.json))
  else print(`${report.text}\n${table(report.rows)}`)
  return journal.violations.length === 0 ? 0 : 1
}

exit(await main())

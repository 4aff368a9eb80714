import { z } from 'zod'
import { BridgeError } from '../core/errors.ts'
import { bodyOf, refused, type Where, withDaemon } from './client.ts'
import { type Io, paint } from './io.ts'
import { counted, plain } from './table.ts'

export interface DoctorOptions extends Where {
  readonly adapter?: string
  readonly verbose?: boolean
  readonly json?: boolean
}

const finding = z.object({
  about: z.string(),
  code: z.string(),
  level: z.string(),
  text: z.string(),
  mend: z.string().nullable(),
})
const diagnosis = z.object({ ok: z.boolean(), findings: z.array(finding) })
type Diagnosis = z.output<typeof diagnosis>

/** Something has to be mended: as a configuration with a fault. */
const sick = 78

/** What a running daemon finds wrong with itself and its directories. Returns the exit code. */
export const doctor = async (io: Io, options: DoctorOptions): Promise<number> => {
  try {
    return await withDaemon(io, options, async (daemon) => {
      const query = options.adapter === undefined ? '' : `?${new URLSearchParams({ adapter: options.adapter })}`
      const answer = await daemon.get(`/v1/doctor${query}`)
      if (!answer.ok) return refused(io, answer)
      const found = bodyOf(diagnosis, answer)
      if (options.json) io.out(JSON.stringify(answer.body, null, 2))
      else print(io, found, options.verbose ?? false)
      return found.ok ? 0 : sick
    })
  } catch (error) {
    if (!(error instanceof BridgeError) || error.code !== 'E_UNREACHABLE') throw error
    const hint = `${error.hint ?? ''} Where it should run: idp-bridge check-config, then idp-bridge run; its log says why it ended.`
    throw new BridgeError('E_UNREACHABLE', error.message, { cause: error, hint: hint.trim() })
  }
}

const print = (io: Io, { findings, ok }: Diagnosis, verbose: boolean): void => {
  const { bold, dim, green, red, yellow } = paint(io)
  const marks = new Map([
    ['ok', green('ok')],
    ['unknown', dim('?')],
    ['warning', yellow('warn')],
    ['error', red('FAIL')],
  ])
  for (const [about, all] of Map.groupBy(findings, (one) => one.about)) {
    const told = all.filter(({ level }) => verbose || level !== 'ok')
    const fine = all.length - told.length
    io.out(`${bold(plain(about))}${fine > 0 ? `  ${green('ok')}: ${fine}` : ''}`)
    for (const { code, level, mend, text } of told) {
      io.out(`  ${marks.get(level) ?? plain(level)}  ${plain(text)}${level === 'ok' ? '' : ` (${plain(code)})`}`)
      if (mend !== null) io.out(`      ${dim('→')} ${plain(mend)}`)
    }
  }
  const count = (level: string) => findings.filter((one) => one.level === level).length
  const rest = `${counted(count('warning'), 'warning')}, ${count('unknown')} that cannot be told, ${count('ok')} ok`
  io.out(`${ok ? green('nothing to mend') : red(`${count('error')} to mend`)}, ${rest}`)
}

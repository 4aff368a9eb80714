import type { z } from 'zod'
import { authorize, type Resource } from './authorize.ts'
import { Refusal, refusalOf } from './errors.ts'
import type { Credential } from './model.ts'
import { type Asked, isQuery, type Output } from './wire.ts'
import type { World } from './world.ts'

/** One signed call of a service. */
export interface Call extends Asked {
  readonly caller: Credential
  readonly accountId: string
  /** Of the signature's scope. */
  readonly region: string
  readonly requestId: string
  readonly userAgent: string
}

type Run = (world: World, call: Call) => Output | undefined | Promise<Output | undefined>

/** An action of a service. */
export interface Operation {
  readonly readOnly: boolean
  /** Whether the trail tells of it: data events and those of the trail itself are left out. */
  readonly trailed: boolean
  /** Parses, authorises, does it. */
  readonly run: Run
}

interface Definition<S extends z.ZodType> {
  readonly input: S
  readonly readOnly?: boolean
  readonly trailed?: boolean
  /** What permission is asked on; undefined for an action that needs none. */
  readonly on: ((world: World, call: Call, input: z.output<S>) => Resource) | undefined
  readonly run: (world: World, call: Call, input: z.output<S>) => Output | undefined | Promise<Output | undefined>
}

export function operation<S extends z.ZodType>(definition: Definition<S>): Operation {
  const { input, on, readOnly = false, run, trailed = true } = definition
  return {
    readOnly,
    trailed,
    run: (world, call) => {
      const parsed = input.safeParse(call.params)
      if (!parsed.success) throw invalid(call, parsed.error)
      if (on !== undefined) authorize(world, call, on(world, call, parsed.data))
      return run(world, call, parsed.data)
    },
  }
}

function invalid(call: Asked, error: z.ZodError): Refusal {
  const [issue] = error.issues
  const field = issue?.path.map(String).join('.') ?? ''
  const message = `1 validation error detected: Value at '${field}' failed to satisfy constraint: ${issue?.message}`
  return call.service === 'sqs'
    ? new Refusal('com.amazonaws.sqs#InvalidAttributeValue', message)
    : refusalOf('invalid', isQuery(call.service), message)
}

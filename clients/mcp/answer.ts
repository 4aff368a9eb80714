import { isMembers } from '../agt/frames.ts'
import type { DecisionAnswer } from '../decisions.ts'

const isText = (value: unknown): value is string => typeof value === 'string'
const isTextOrNull = (value: unknown): boolean => value === null || isText(value)
const isTexts = (value: unknown): boolean => Array.isArray(value) && value.every(isText)
const isListOf = (value: unknown, fits: (one: unknown) => boolean): boolean => Array.isArray(value) && value.every(fits)

const isAccount = (value: unknown) => isMembers(value) && isText(value.adapter) && isText(value.id)
const isHold = (value: unknown) => isMembers(value) && isText(value.origin) && isTextOrNull(value.publicReason)
const isActor = (value: unknown) =>
  value === null || (isMembers(value) && isText(value.did) && (value.principal === null || isAccount(value.principal)))
const isParty = (value: unknown) => value === null || (isMembers(value) && isText(value.id) && isText(value.kind))
const isToken = (value: unknown) =>
  value === undefined ||
  value === null ||
  (isMembers(value) &&
    [value.issuer, value.adapter, value.issuedAt, value.expiresAt].every(isText) &&
    isTexts(value.audience) &&
    isTexts(value.scopes))

/** Whether it is an answer that is understood whole, and does not contradict itself. */
export const isDecisionAnswer = (value: unknown): value is DecisionAnswer =>
  isMembers(value) &&
  typeof value.allow === 'boolean' &&
  isTexts(value.codes) &&
  value.allow === (Array.isArray(value.codes) && value.codes.length === 0) &&
  isTextOrNull(value.did) &&
  isListOf(value.holds, isHold) &&
  isActor(value.actor) &&
  isParty(value.onBehalfOf) &&
  isToken(value.token) &&
  isListOf(value.act, isMembers) &&
  isListOf(value.grants, isMembers) &&
  (value.checks === undefined || isTexts(value.checks)) &&
  typeof value.epoch === 'number' &&
  isText(value.generation)

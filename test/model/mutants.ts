export type File = 'account' | 'confirm' | 'holds' | 'lift' | 'mirror' | 'next' | 'reads' | 'sending'

/** One rule changed: a text found once in the file, what stands there instead, and the hunt that finds it first. */
export interface Mutant {
  readonly file: File
  readonly text: string
  readonly becomes: string
  readonly hunt: string
}

const of = (file: File, hunt: string, text: string, becomes: string): Mutant => ({ file, text, becomes, hunt })

/**
 * Not in the list, for no search could tell them from the rule:
 * - `first` in `disabled`: with one write in flight and a read after each that was lost, a claim's write is its first,
 *   unless one was refused in between;
 * - "off" in flight during our enable, and the age of a read before our disable: taken as an echo, the log decides later;
 * - the reads right after what was lost, lifted, contested or not settled: the periodic refresh reads it too, only later;
 * - mark `none` in `on`: without an acknowledged disable the next row keeps the account as it is;
 * - a foreign disable attributed as `unproven`: another reason, the same hold;
 * - `overriddenAt` after a read that says on: a newer disable is found in the log instead;
 * - drift accepted against a kill: the next step claims again, which is in the list;
 * - `rebased`: the model's clock never goes back (`test/property` sets it back);
 * - a put-back kept though nothing is in flight: what is off already is written once more, which harms nobody;
 * - "not ours" of the enables in `latestDisable`: after an enable of ours that undid a foreign disable the account is on,
 *   and whoever switched it off since has a later entry;
 * - `mayDisable`: without it a new hold waits until our enable can no longer land, and nothing else is different;
 * - "attribute" in `maySend`: mark and holds are looked at beside it, so only a read that is due could come in between;
 * - `liftedFrom` and `examinedUntil` before `claimedAt` in `enabled`: the skew covers the few ticks between them;
 * - `via` and "off" in `withoutEchoes`: here one account hangs on one other, and a switch that is on switches nothing off.
 *   With several it is the engine that looks them up (`test/engine`);
 * - `freeState` of an account that we hold off: people could not release its own hold before ours, only after it.
 *
 * Not reached, for the model has no linked directories, no restored store and a log that forgets nothing: copies,
 * `trusted`, `restoredAt`, `beforeLog`, `proof`, and a log that begins too late (`test/unit` has a row for each).
 */
export const mutants: readonly Mutant[] = [
  // src/core/account.ts
  of('account', 'guard', 'context.others.filter((hold) => !hold.guarded)', 'context.others'),
  of('account', 'people', 'own !== undefined && own.releasableAt === undefined', 'own !== undefined'),
  of('account', 'people', 'own !== undefined && own.releasableAt === undefined', 'false'),
  of(
    'account',
    'switches',
    '.filter((one) => !one.ours && one.state ===',
    '.filter((one) => one.ours && one.state ===',
  ),
  of('account', 'plain', "mark === 'ours' || (mark === 'claimed' && sentAt !== undefined)", "mark === 'ours'"),
  of('account', 'plain', "(mark === 'claimed' && sentAt !== undefined)", "mark === 'claimed'"),
  of('account', 'via', '  if (offByUs(account)) return true\n', ''),
  of(
    'account',
    'viastale',
    'account.enabledAckAt !== undefined && begunAt <= account.enabledAckAt + settleMs',
    'false',
  ),
  of('account', 'switches', "if (switches.some((one) => one.state === 'off')) return 'disabled'", ''),
  of('account', 'plain', "  mark: 'claimed',\n  claimedAt: now,", "  mark: 'ours',\n  claimedAt: now,"),
  of('account', 'faults', "  ...unmarked(account),\n  mark: 'claimed',", "  ...account,\n  mark: 'claimed',"),

  // src/core/mirror.ts
  of('mirror', 'plain', 'at !== undefined && sighting.begunAt <= at + context.settleMs', 'at === -1'),
  of('mirror', 'plain', "return state === 'on' || before", 'return before'),
  of('mirror', 'plain', "return state === 'off' || within(account.disabledAckAt)", "return state === 'off'"),
  of('mirror', 'plain', "if (state === 'off') return !offByUs(account) && within(account.enabledAckAt)", ''),
  of(
    'mirror',
    'plain',
    "(account.mark === 'claimed' || account.mark === 'ours') && within(account.disabledAckAt)",
    'false',
  ),
  of('mirror', 'outbound', '!context.inbound || seen', 'seen'),
  of('mirror', 'people', ' || seen.overriddenAt !== undefined', ''),
  of('mirror', 'confirm', '{ ...account, foreignSeenAt: begunAt, copiedAt: undefined }', 'account'),
  of('mirror', 'plain', "if (sighting.state === 'unknown' || isOld", 'if (isOld'),
  of('mirror', 'deletes', 'if (!sighting.byId) return', 'if (false) return'),
  of('mirror', 'deletes', '{ ...keep(account), readAt: context.now }', 'keep(account)'),
  of('mirror', 'deletes', '...unmarked(saw(account, sighting)), ...(', '...saw(account, sighting), ...('),
  of(
    'mirror',
    'switches',
    '    return place(freed, context, sighting.begunAt',
    '    if (account.mark !== undefined) return keep(freed)\n    return place(freed, context, sighting.begunAt',
  ),
  of(
    'mirror',
    'faults',
    'const isPast = sighting.begunAt > account.inFlightUntil',
    'const isPast = account.inFlightUntil > 0',
  ),
  of(
    'mirror',
    'late',
    "if (!lifted || account.mark !== 'ours') return present",
    'if (present !== undefined) return present',
  ),
  of(
    'mirror',
    'late',
    'liftedFrom: hasLog ? (account.examinedUntil ?? account.claimedAt ?? account.sentAt) : account.liftedFrom',
    'liftedFrom: undefined',
  ),
  of(
    'mirror',
    'switches',
    '    if (others.length > 0) return place(calm',
    '    if (account.mark === undefined) return place(calm',
  ),
  of('mirror', 'switches', "context.own === undefined ? 'keep' : 'cleared', echo", "'keep', echo"),
  of(
    'mirror',
    'plain',
    '  ...unmarked(account),\n  putBack: account.putBack',
    '  ...account,\n  putBack: account.putBack',
  ),
  of(
    'mirror',
    'lost',
    'offByUs(account) || account.disabledAckAt !== undefined ?',
    'account.disabledAckAt !== undefined ?',
  ),
  of(
    'mirror',
    'slowflip',
    '!== undefined ? context.now : account.enabledAckAt',
    '!== undefined ? account.observedAt : account.enabledAckAt',
  ),
  of(
    'mirror',
    'plain',
    '!== undefined ? context.now : account.enabledAckAt',
    '!== undefined ? account.enabledAckAt : account.enabledAckAt',
  ),
  of('mirror', 'behind', 'if (account.putBack && context.writes) return keep(account)', ''),
  of('mirror', 'plain', "const own = context.own ? 'cleared' : 'keep'", "const own = 'keep' as const"),
  of('mirror', 'confirm', 'foreignSeenAt: context.own ? account.foreignSeenAt : undefined', 'foreignSeenAt: undefined'),
  of(
    'mirror',
    'plain',
    'return { account: { ...unmarked(free), driftAcceptedAt',
    'return { account: { ...free, driftAcceptedAt',
  ),
  of('mirror', 'contested', 'if (recent.length >= driftMax)', 'if (recent.length > driftMax)'),
  of('mirror', 'plain', '{ ...claimed(account, context.now), drifts', '{ ...account, drifts'),
  of('mirror', 'faults', '(account.sentAt ?? context.now)', 'account.sentAt'),
  of(
    'mirror',
    'faults',
    ': account.sentAt,\n  inFlightUntil: context.now + context.writeTimeoutMs + context.settleMs,',
    ': account.sentAt,',
  ),
  of(
    'mirror',
    'slowlate',
    'lastError: result.error?.code,\n  inFlightUntil: context.now + context.writeTimeoutMs + context.settleMs,',
    'lastError: result.error?.code,',
  ),
  of(
    'mirror',
    'faults',
    "inFlightUntil: undefined }\n  if (result.outcome === 'lost') return",
    'inFlightUntil: undefined }\n  if (result.id === undefined) return',
  ),
  of(
    'mirror',
    'lostlift',
    "Outcome => {\n  if (result.outcome === 'lost') return",
    'Outcome => {\n  if (result.id === undefined) return',
  ),
  of(
    'mirror',
    'refused',
    'if (result.before === undefined) return keep(failed)',
    'if (result.id !== undefined) return keep(failed)',
  ),
  of(
    'mirror',
    'slowoff',
    '...(first && { sentAt: undefined, disabledAckAt: undefined })',
    '...(first && { sentAt: undefined })',
  ),
  of('mirror', 'behind', 'if (account.putBack) return keep({', 'if (account.mark === undefined) return keep({'),
  of('mirror', 'logless', "if (was === 'on') {", "if (was === 'on' || was === 'off') {"),
  of('mirror', 'logless', "mark: 'ours' as const }", 'mark: account.mark }'),
  of('mirror', 'plain', 'enabledAckAt: context.now,\n    lastError', 'enabledAckAt: undefined,\n    lastError'),
  of('mirror', 'behind', 'liftedFrom: context.hasLog ? from : undefined', 'liftedFrom: undefined'),

  of('mirror', 'behalf', 'putBack: account.putBack && account.inFlightUntil !== undefined', 'putBack: false'),
  of('mirror', 'goneLift', '...(!isFlying && unflown)', '...unflown'),
  of('mirror', 'twice', 'first && !maybeOurs', 'first'),
  of('mirror', 'lateon', 'const present = isPast ?', 'const present = isPast || lifted ?'),
  of(
    'mirror',
    'losthere',
    "account.intent === 'enable' && account.mark === 'ours' ? lifting",
    'account.attempts < 0 ? lifting',
  ),

  // src/core/next.ts
  of(
    'next',
    'lateon',
    '  if (account.inFlightUntil !== undefined) return landing(account, account.inFlightUntil, context)\n  if (readDue)',
    '  if (readDue)',
  ),
  of(
    'next',
    'vendorlift',
    "if (account.liftedFrom !== undefined && account.mark !== 'lifted' &&",
    "if (account.liftedFrom !== undefined && context.own === undefined && account.mark !== 'lifted' &&",
  ),
  of('next', 'goneLift', " && account.observed !== 'absent'", ''),
  of('next', 'raised', "hold.placedAt > since || moreSevere(hold.severity, 'suspend')", 'hold.placedAt > since'),
  of(
    'next',
    'later',
    "hold.placedAt > since || moreSevere(hold.severity, 'suspend')",
    "moreSevere(hold.severity, 'suspend')",
  ),
  of('next', 'refused', 'last?.ours || (account.examinedUntil !== undefined && whole)', 'last?.ours'),
  of('next', 'lost', "mark: 'ours', examinedUntil }", 'mark: account.mark, examinedUntil }'),
  of('next', 'flips', 'const start = examineFrom(account)', 'const start = log.completeUntil'),
  of(
    'next',
    'refused',
    '(account.examinedUntil ?? 0, log.completeUntil - logSkewMs)',
    '(log.completeUntil + logSkewMs)',
  ),
  of('next', 'faults', 'account.inFlightUntil !== undefined && !mayDisable(account)', 'account.inFlightUntil === -1'),
  of('next', 'behind', "  if (account.putBack) return { do: 'disable' }\n", ''),
  of(
    'next',
    'people',
    'isTheirs(context)\n    ? earlier(closing(account, context), proof(account, context))\n    : wanted(account, context)',
    'wanted(account, context)',
  ),
  of('next', 'plain', "  if (readDue) return { do: 'read' }\n  if (step", '  if (step'),
  of(
    'next',
    'behind',
    "if (account.liftedFrom !== undefined && account.mark !== 'lifted' && account.observed !== 'absent') {",
    'if (context.now < 0) {',
  ),
  of(
    'next',
    'overridden',
    "if (account.overriddenAt !== undefined && context.hasLog) return { do: 'check-override' }",
    '',
  ),
  of('next', 'plain', 'if (driving(context).length > 0) return suspend(account, context)', ''),
  of(
    'next',
    'people',
    'return held ? earlier(closing(account, context), proof(account, context)) : resume',
    'return resume',
  ),
  of(
    'next',
    'outbound',
    "inbound ? { account, own: 'place', reason: 'disabled' } : { account, own: 'keep' }",
    "({ account, own: 'place', reason: 'disabled' })",
  ),
  of('next', 'outbound', "if (account.mark === 'none' && isOff(account)) return closing(account, context)", ''),
  of(
    'next',
    'plain',
    "if (account.mark === 'claimed' && account.disabledAckAt === undefined) return { do: 'disable' }",
    '',
  ),
  of('next', 'plain', "if (account.sentAt === undefined) return { do: 'unclaim' }", ''),
  of(
    'next',
    'logless',
    "return account.mark === 'ours' ? { verdict: 'enable', account } : unproven(account, 'no-log')",
    "return { verdict: 'enable', account }",
  ),
  of(
    'next',
    'behindclock',
    '(claimedAt ?? disabledAckAt ?? sentAt ?? 0) - logSkewMs',
    '(claimedAt ?? disabledAckAt ?? sentAt ?? 0)',
  ),
  of('next', 'behind', 'const known = log.completeUntil > since', 'const known = log.completeUntil >= 0'),
  of('next', 'behind', "if (!known) return { verdict: 'wait' }", ''),
  of('next', 'plain', 'if (last !== undefined && !last.ours && (known', 'if (last !== undefined && (known'),
  of('next', 'flips', '(ours || at >= on)', '(ours || at >= 0)'),
  of('next', 'overridden', 'return last !== undefined && !last.ours ? last : undefined', 'return undefined'),
  of('next', 'behind', '  ...unmarked(account),\n  foreignSeenAt: Math', '  ...account,\n  foreignSeenAt: Math'),
  of('next', 'accept', "hold.placedAt > since || moreSevere(hold.severity, 'suspend')", 'hold.id === undefined'),

  // src/core/lift.ts
  of('lift', 'behind', "if (last?.action === 'disable' && isUndone(account, last, mine)) return last", ''),
  of('lift', 'behind', "return isKnown ? 'clean' : 'wait'", "return 'clean'"),
  of('lift', 'twicebehind', "if (!isKnown && offByUs(account)) return 'wait'", ''),
  of('lift', 'twicebehind', 'offByUs(account) ? (account.disabledAckAt ?? account.sentAt ?? 0) : 0', '0'),
  of('lift', 'behind', "if (latest(mine, (entry) => entry.at <= at)?.action === 'enable') return false", ''),
  of('lift', 'behind', 'entry.at >= at - momentMs', 'entry.at > at'),
  of('lift', 'behind', 'putBack: true }', 'putBack: false }'),
  of('lift', 'behind', '{ ...yielded(account), liftedFrom: undefined, putBack', '{ ...yielded(account), putBack'),

  // src/core/confirm.ts
  of('confirm', 'confirm', 'if (!sighting.byId) return', 'if (sighting.id === undefined) return'),
  of('confirm', 'confirm', 'account.foreignSeenAt === undefined ? 0 : account.foreignSeenAt + settleMs', '0'),
  of('confirm', 'confirm', 'account.foreignSeenAt + settleMs', 'account.foreignSeenAt'),
  of(
    'confirm',
    'confirm',
    '{ confirmed: false, confirmation: { firstMono: input.begunMono }, readInMs: confirmAfterMs }',
    '{ confirmed: true }',
  ),
  of('confirm', 'plain', 'if (waited < confirmAfterMs)', 'if (waited < 0)'),

  // src/core/holds.ts
  of('holds', 'plain', "if (hold.severity === 'decommission') {", 'if (hold.id === undefined) {'),
  of('holds', 'plain', 'if (!isOwn(hold)) {', 'if (hold.id === undefined) {'),
  of('holds', 'plain', "if (hold.severity === 'suspend' && isOrigin)", 'if (isOrigin)'),
  of('holds', 'plain', "if (hold.severity === 'suspend' && isOrigin)", "if (hold.severity === 'suspend')"),
  of('holds', 'plain', 'if (!isApprover(person)) {', 'if (hold.id === undefined) {'),
  of('holds', 'plain', 'if (hold.actor === person.name) {', 'if (hold.id === undefined) {'),
  of('holds', 'plain', ' && hold.releasableAt !== undefined) return', ') return'),
  of('holds', 'plain', "if (!person.roles.includes('operator')) {", 'if (hold.id === undefined) {'),
  of('holds', 'plain', "top === 'decommission' ? 'disable' : top", 'top'),
  of('holds', 'plain', 'own.every((hold) => hold.guarded)', 'own.some((hold) => hold.guarded)'),
  of('holds', 'family', "!hold.origin.startsWith('cascade:')", 'hold.origin.length > 0'),

  // src/core/reads.ts
  of('reads', 'plain', 'if (!asked) return { ...account, attempts }', 'if (asked) return { ...account, attempts }'),

  of('reads', 'slowgone', 'readAgainAt: Math.max(readAgainAt ?? at, at)', 'readAgainAt'),

  // src/core/sending.ts
  of('sending', 'plain', "return next(account, context).do === 'disable'", 'return context.now > 0'),
  of(
    'sending',
    'twice',
    "account.mark === 'ours' && account.intent === 'enable' && !isHeld",
    "account.mark === 'ours' && account.intent === 'enable'",
  ),
  of('sending', 'oneflip', "account.mark === 'ours' && account.intent === 'enable' && !isHeld", '!isHeld'),
]

/** Those found within a second, for a quick look at whether the search still bites. */
export const quick: readonly string[] = [
  'context.others.filter((hold) => !hold.guarded)',
  "mark === 'ours' || (mark === 'claimed' && sentAt !== undefined)",
  'if (!sighting.byId) return',
]

import { BridgeError, type ErrorCode } from '../core/errors.ts'
import { sqliteCode } from './database.ts'

const constraints: Readonly<Record<string, 'duplicate' | 'dangling'>> = {
  SQLITE_CONSTRAINT_PRIMARYKEY: 'duplicate',
  SQLITE_CONSTRAINT_UNIQUE: 'duplicate',
  SQLITE_CONSTRAINT_FOREIGNKEY: 'dangling',
}

/** Runs an insert; the constraints of the tables come out as errors of the port. */
export const inserting = async (work: () => Promise<unknown>, duplicate: ErrorCode, dangling: ErrorCode) => {
  try {
    await work()
  } catch (cause) {
    const broken = constraints[sqliteCode(cause) ?? '']
    if (broken === 'duplicate') throw new BridgeError(duplicate, 'It is there already.', { cause })
    if (broken === 'dangling') throw new BridgeError(dangling, 'What it belongs to is not there.', { cause })
    throw cause
  }
}

import { createHmac, timingSafeEqual } from 'node:crypto'

const macBytes = 16

/** Text that is given away and comes back: nobody else can have made it. It can be read by whoever has it. */
export interface Seal {
  close(text: string): string
  /** Undefined: not ours, or not as it was given away. */
  open(sealed: string): string | undefined
}

/** @param secret unguessable; whatever was closed under another one is not ours */
export const createSeal = (secret: string): Seal => {
  const mac = (text: string) => createHmac('sha256', secret).update(text).digest().subarray(0, macBytes)
  return {
    close: (text) => Buffer.concat([mac(text), Buffer.from(text)]).toString('base64url'),
    open: (sealed) => {
      const bytes = Buffer.from(sealed, 'base64url')
      if (bytes.length <= macBytes || bytes.toString('base64url') !== sealed) return undefined
      const text = bytes.subarray(macBytes).toString('utf8')
      return timingSafeEqual(bytes.subarray(0, macBytes), mac(text)) ? text : undefined
    },
  }
}

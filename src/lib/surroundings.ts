import { lookup } from 'node:dns/promises'
import { stat, statfs } from 'node:fs/promises'
import { BlockList, isIP } from 'node:net'
import { dirname } from 'node:path'

/** Of the disk that a file is on, bytes. */
export interface Room {
  readonly free: number
  readonly total: number
  /** The file itself. */
  readonly used: number
}

export const roomBeside = async (path: string): Promise<Room> => {
  const [disk, file] = await Promise.all([statfs(dirname(path)), stat(path)])
  return { free: disk.bavail * disk.bsize, total: disk.blocks * disk.bsize, used: file.size }
}

/** From where an address can be reached. */
export type Reach = 'loopback' | 'private' | 'public'

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('::1', 'ipv6')

/** Never routed on the internet (RFC 6890, RFC 6598, RFC 4193). */
const inside = new BlockList()
for (const [net, prefix] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
] as const)
  inside.addSubnet(net, prefix, 'ipv4')
inside.addAddress('::', 'ipv6')
inside.addSubnet('fc00::', 7, 'ipv6')
inside.addSubnet('fe80::', 10, 'ipv6')

/** An IPv4 address written as an IPv6 one is that IPv4 address. */
export const reachOf = (address: string): Reach => {
  const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
  if (loopback.check(address, family)) return 'loopback'
  return inside.check(address, family) ? 'private' : 'public'
}

/** Every address of a name, as this host resolves it; of an address, itself. */
export const addressesOf = async (hostname: string): Promise<readonly string[]> => {
  const bare = hostname.replace(/^\[|\]$/g, '')
  return (await lookup(bare, { all: true })).map(({ address }) => address)
}

import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { BridgeError } from '../core/errors.ts'
import { problemOf, problemType } from './problem.ts'
import { requestId } from './requests.ts'

/** Answers what never became a request: bytes that are not HTTP, headers that are too large or too slow. */
export const refuseConnection = (error: NodeJS.ErrnoException, socket: Socket): void => {
  // Of a handshake that failed there is nobody who could read an answer.
  const isUnheard = socket instanceof TLSSocket && socket.getProtocol() === null
  if (error.code === 'ECONNRESET' || !socket.writable || isUnheard) {
    socket.destroy()
    return
  }
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    socket.end('HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
    return
  }
  if (error.code === 'HPE_HEADER_OVERFLOW') {
    socket.end('HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
    return
  }
  const problem = problemOf(new BridgeError('E_VALIDATION', 'This is not an HTTP request.'), requestId({ headers: {} }))
  const body = JSON.stringify(problem)
  const head = ['HTTP/1.1 400 Bad Request', 'Connection: close', `Content-Type: ${problemType}`]
  socket.end(`${head.join('\r\n')}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`)
}

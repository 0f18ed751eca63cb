/** How the benches' own servers begin and end: any free port, told on standard output; gone when the bench that started them is. */
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'

export function listening (server: Server): void {
  server.listen(0, '127.0.0.1', () => { told((server.address() as AddressInfo).port) })
}

export function told (port: number): void {
  process.stdout.write(`${JSON.stringify({ port })}\n`)
  // standard input is a pipe of the bench's: it ends when the bench does, however that ended
  process.stdin.on('end', () => { process.exit() }).resume()
}

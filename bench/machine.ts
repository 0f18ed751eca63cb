/** Where the numbers were made: without it they mean nothing. */
import { readFileSync } from 'node:fs'
import { availableParallelism, cpus, release, totalmem, type } from 'node:os'

const versionOf = (name: string): string => {
  const text = readFileSync(new URL(`../node_modules/${name}/package.json`, import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}

export interface Machine { readonly cpu: string, readonly cores: number, readonly memoryGiB: number, readonly system: string, readonly node: string, readonly versions: Readonly<Record<string, string>>, readonly date: string }

export function machine (): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${type()} ${release()}`,
    node: process.versions.node,
    versions: Object.fromEntries(['fastify', 'undici', 'node-llama-cpp'].map((name) => [name, versionOf(name)])),
    date: new Date().toISOString().slice(0, 10),
  }
}

export function machineLine ({ cpu, cores, memoryGiB, system, node, versions, date }: Machine): string {
  const packages = Object.entries(versions).map(([name, version]) => `${name} ${version}`).join(', ')
  return `${date}; ${cores} cores ${cpu}, ${memoryGiB} GiB, ${system}; Node ${node}, ${packages}`
}

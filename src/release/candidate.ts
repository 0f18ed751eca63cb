/** A folder of perspectives with adapters that are to be measured: what a gateway serves so that an evaluation can ask it. Never what is in force. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { declaration, type Perspective } from '../perspectives/perspective.ts'
import { declare } from './declare.ts'
import { ReleaseError } from './release-error.ts'
import { readTrained } from './run.ts'
import { VERSION } from './version-name.ts'
import { writeDurably } from './write.ts'

export function writeCandidate (target: string, { version, perspectives, adapters }: { readonly version: string, readonly perspectives: readonly Perspective[], readonly adapters: string }): void {
  if (!VERSION.test(version)) throw new ReleaseError(`${JSON.stringify(version)} is no name of a version.`)
  if (existsSync(target) && readdirSync(target).length > 0) throw new ReleaseError(`${target} is not empty. Wanted a new folder for the candidate.`)
  const trained = readTrained(adapters, perspectives.filter(({ lean }) => lean !== null))
  for (const one of perspectives) {
    const mine = trained.find(({ perspective }) => perspective === one.id)
    const declared = declaration.parse(declare(one, { version, adapter: mine ? { sha256: mine.sha256, bytes: mine.bytes.length } : null, slant: null, report: null }))
    writeDurably(join(target, one.id, 'perspective.json'), `${JSON.stringify(declared, null, 2)}\n`)
    writeDurably(join(target, one.id, 'card.md'), readFileSync(join(one.folder, 'card.md'), 'utf8'))
    if (mine) writeDurably(join(target, one.id, declared.adapter!.file), mine.bytes)
  }
}

import { randomBytes } from 'node:crypto'
import { cpSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import t from 'tap'
import { openAuditLog, rotateLogKey, type AuditSettings } from '../../src/audit/open.ts'
import { openNote, parseVerifier } from '../../src/audit/note.ts'
import { verifyExport } from '../../src/audit/verify.ts'
import { REAL, run } from '../cli/run.ts'
import { everything, note, soundness, treeIsSound } from '../contracts/audit-log.ts'
import { exchange, states } from '../contracts/transcripts.ts'
import { NO_POSTGRES, startPostgres } from '../fixtures/postgres.ts'
import { temporary } from '../helper.ts'
import type { AuditLog } from '../../src/audit/log.ts'

const server = await startPostgres(t)
const skip = server ? false : NO_POSTGRES

/** A log on either store, and how an older backup of it is made and brought back. */
interface Kind { readonly settings: AuditSettings, readonly env: Record<string, string>, readonly backUp: () => Promise<void>, readonly restore: () => Promise<void> }

async function sqlite (t: any): Promise<Kind> { // eslint-disable-line typescript/no-explicit-any -- a test
  const dataDir = join(temporary(t), 'data')
  const backup = temporary(t)
  return {
    settings: { dataDir, audit: { origin: undefined, anchors: [], retentionDays: 180 }, kek: undefined, databaseUrl: undefined },
    env: {},
    async backUp () { for (const name of readdirSync(dataDir).filter((one) => one.startsWith('audit.db'))) cpSync(join(dataDir, name), join(backup, name)) },
    async restore () {
      for (const name of readdirSync(dataDir).filter((one) => one.startsWith('audit.db'))) rmSync(join(dataDir, name))
      for (const name of readdirSync(backup)) cpSync(join(backup, name), join(dataDir, name))
    },
  }
}

async function postgres (t: any): Promise<Kind> { // eslint-disable-line typescript/no-explicit-any -- a test
  const databaseUrl = await server!.database()
  const name = new URL(databaseUrl).pathname.slice(1)
  const kek = randomBytes(32).toString('base64')
  return {
    settings: { dataDir: join(temporary(t), 'data'), audit: { origin: undefined, anchors: [], retentionDays: 180 }, kek, databaseUrl },
    env: { DATABASE_URL: databaseUrl, PARALLAX_KEK: kek },
    async backUp () { await server!.admin(`CREATE DATABASE ${name}_backup TEMPLATE ${name}`) },
    async restore () { await server!.admin(`DROP DATABASE ${name}`); await server!.admin(`ALTER DATABASE ${name}_backup RENAME TO ${name}`) },
  }
}

const exported = async (log: AuditLog): Promise<string[]> => (await everything(log)).map(({ index, id, leaf, leaf_hash: hash, payload }) => JSON.stringify({ index, id, leaf, leaf_hash: hash, payload: payload.state === 'present' ? { state: 'present', base64: Buffer.from(payload.bytes).toString('base64'), salt: Buffer.from(payload.salt).toString('base64') } : payload }))

for (const [name, make, without] of [['SQLite', sqlite, false], ['PostgreSQL', postgres, skip]] as const) {
  t.test(`${name}: an older backup is refused, and accepted only with its loss on record, which a kept checkpoint brings to light`, { skip: without }, async (t) => {
    const { settings, env, backUp, restore } = await make(t)
    const audit = (...args: string[]) => run(REAL, ['audit', ...args, '--data-dir', settings.dataDir], { env: { ...process.env, PARALLAX_MODEL: 'none', ...env } })
    let log = await openAuditLog(settings)
    const early = await exchange(log)
    await log.close()
    t.match(await audit('accept-restore', '--reason', 'none'), { code: 1, err: /nothing to accept/ })
    await backUp()
    log = await openAuditLog(settings)
    const lost = await exchange(log)
    const kept = log.tree.checkpoint()
    await log.close()
    await restore()
    await t.rejects(openAuditLog(settings), { message: /set back to an older state.*parallax audit accept-restore --reason/ })
    t.match(await audit('accept-restore'), { code: 2 })
    t.match(await audit('accept-restore', '--reason', 'disk died on Monday'), { code: 0, out: /loss is on record/ })
    log = await openAuditLog(settings)
    const all = await soundness(t, log)
    await treeIsSound(t, log)
    t.match(JSON.parse(all.find((one) => JSON.parse(one.leaf).type === 'log.restored')!.leaf), { lost_size: Number(kept.split('\n')[1]) + 1, reason: 'disk died on Monday' })
    t.same([await states(log, early), await log.record(lost)], [['present', 'present'], null])
    const found = await verifyExport((async function * () { yield * await exported(log) })(), { kept })
    t.match(found.wrong.join('\n'), /history was rewritten; leaf \d+ says that the log was set back to a backup/)
    await log.close()
    await (await openAuditLog(settings)).close()
  })

  t.test(`${name}: the log's key is changed, its name stays, and what either key signed is known`, { skip: without }, async (t) => {
    const { settings, env } = await make(t)
    let log = await openAuditLog(settings)
    const record = await exchange(log)
    const [before, origin, old] = [log.tree.checkpoint(), log.tree.origin, log.tree.verifier]
    await log.close()
    const done = await rotateLogKey(settings, 'yearly')
    t.equal(done.from, old)
    log = await openAuditLog(settings)
    t.same([log.tree.verifier, log.tree.origin], [done.to, origin])
    t.not(done.to, old)
    t.ok(openNote(log.tree.checkpoint(), parseVerifier(done.to)))
    t.throws(() => openNote(log.tree.checkpoint(), parseVerifier(old)))
    t.match(JSON.parse((await log.record(done.record))!.leaf), { type: 'log.rekeyed', from: old, to: done.to, reason: 'yearly' })
    await soundness(t, log)
    await treeIsSound(t, log)
    t.same(await states(log, record), ['present', 'present'])
    const found = await verifyExport((async function * () { yield * await exported(log) })(), { kept: before.split('\n').slice(0, 4).join('\n') })
    t.notMatch(found.wrong.join('\n'), /rewritten/, 'the history is the same')
    const running = await run(REAL, ['audit', 'rotate-log-key', '--reason', 'again', '--data-dir', settings.dataDir], { env: { ...process.env, PARALLAX_MODEL: 'none', ...env } })
    t.match(running, { code: 1, err: /in use by process|other gateways live/ })
    await log.close()
    t.match(await run(REAL, ['audit', 'rotate-log-key', '--reason', 'again', '--data-dir', settings.dataDir], { env: { ...process.env, PARALLAX_MODEL: 'none', ...env } }), { code: 0, out: /Publish the new one/ })
    log = await openAuditLog(settings)
    t.equal(log.tree.origin, origin)
    await log.append([note()])
    await treeIsSound(t, log)
    await log.close()
  })
}

t.test('SQLite: a change of the key that was cut off opens with the old one, and can be made again', async (t) => {
  const { settings } = await sqlite(t)
  const log = await openAuditLog(settings)
  const old = log.tree.verifier
  await log.close()
  writeFileSync(join(settings.dataDir, 'log.key.next'), randomBytes(32), { mode: 0o600 })
  const again = await openAuditLog(settings)
  t.equal(again.tree.verifier, old)
  await again.close()
  const { to } = await rotateLogKey(settings, 'again')
  const after = await openAuditLog(settings)
  t.equal(after.tree.verifier, to)
  await after.close()
  t.notOk(readdirSync(settings.dataDir).includes('log.key.next'))
  t.equal(readFileSync(join(settings.dataDir, 'log.key.previous'), 'utf8'), `${old}\n`)
})

t.test('PostgreSQL: gateways that run while the database is set back write nothing on it', { skip }, async (t) => {
  const { settings, backUp, restore } = await postgres(t)
  await (await openAuditLog(settings)).close()
  await backUp()
  const log = await openAuditLog(settings)
  for (let at = 0; at < 5; at++) await log.append([note()])
  await server!.admin(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${new URL(settings.databaseUrl!).pathname.slice(1)}'`)
  await restore()
  await t.rejects(log.append([note()]), { code: 'audit_unavailable' })
  const client = new pg.Client(settings.databaseUrl)
  await client.connect()
  t.match((await client.query('SELECT size FROM parallax.head')).rows[0], { size: '2' })
  await client.end()
  await log.close()
})

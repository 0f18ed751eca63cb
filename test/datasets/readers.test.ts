import { copyFileSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { collect } from '../../src/datasets/collect.ts'
import type { SourceDeclaration } from '../../src/datasets/declaration.ts'
import { READERS } from '../../src/datasets/readers/readers.ts'
import { runStage } from '../../src/datasets/stage.ts'
import { FIXTURES, temporary } from '../helper.ts'
import { build, declaration, pairs, rowsOf, sha256, small } from './small.ts'

async function read (t: Test, reader: SourceDeclaration['reader'], name: string, bytes: string | Buffer, over: object = {}): Promise<any[]> {
  const file = join(temporary(t), name)
  writeFileSync(file, bytes)
  const found: any[] = []
  for await (const { record, skip } of READERS[reader].read(file, { ...declaration(name, bytes), declared: 'a test', ...over } as SourceDeclaration)) found.push(skip === undefined ? record : skip)
  return found
}
const lines = (...rows: object[]): string => rows.map((row) => JSON.stringify(row)).join('\n')

t.test('CSV: quotes, commas and line ends inside fields, a mark at the beginning, Windows line ends, no end of line at the end', async (t) => {
  const rows = await read(t, 'csv', 'a.csv', '\ufeffa,b\r\n"one, ""two""\nthree",x\r\n,"last"')
  t.same(rows, [{ a: 'one, "two"\nthree', b: 'x' }, { a: '', b: 'last' }])
})

t.test('JSON lines: plain, gzip and Zstandard are the same', async (t) => {
  const text = lines({ a: 1 }, { a: 'zwei – é' })
  for (const [name, bytes] of [['a.jsonl', text], ['a.jsonl.gz', gzipSync(text)], ['a.jsonl.zst', zstdCompressSync(text)]] as const) t.same(await read(t, 'jsonl', name, bytes), [{ a: 1 }, { a: 'zwei – é' }], name)
})

for (const codec of ['snappy', 'gzip', 'zstd', 'brotli', 'none']) {
  t.test(`Parquet packed with ${codec}: every row group, in order`, async (t) => {
    const rows = await read(t, 'parquet', 'a.parquet', readFileSync(join(FIXTURES, `datasets/pairs-${codec}.parquet`)))
    t.same(rows.map((row) => row.topic), ['taxation', 'housing', 'trade'])
    t.match(rows[2].right, /^Trade rules should be few/)
  })
}

t.test('JSON lines and Parquet that are broken: the file and the row, and another encoding in an archive too', async (t) => {
  await t.rejects(read(t, 'jsonl', 'a.jsonl', '{"a":1}\n\n{"a":'), { message: /a\.jsonl, row 3: wanted a JSON object, came "\{\\"a\\":"/ })
  await t.rejects(read(t, 'reddit', 'a.jsonl', '{"body":"x"}\n["y"]'), { message: /a\.jsonl, row 2: wanted a JSON object, came \["y"\]/ })
  await t.rejects(read(t, 'jsonl', 'a.jsonl.gz', gzipSync(Buffer.from('{"a":"é"}', 'latin1'))), { message: /a\.jsonl\.gz, row 1 or soon after: wanted UTF-8/ })
  await t.rejects(read(t, 'jsonl', 'a.jsonl.gz', gzipSync('{"a":1}\n'.repeat(9999)).subarray(0, 60)), { message: /cannot be read or unpacked after row \d+: .*Fetch it again/ })
  await t.rejects(read(t, 'parquet', 'a.parquet', 'no Parquet at all'), { message: /a\.parquet cannot be read as Parquet/ })
  await t.rejects(read(t, 'articles', 'a.docx', 'x'), { message: /wanted Parquet, JSON lines, CSV or TSV, by its name/ })
})

t.test('a Hugging Face data set on disk: Parquet shards and the card, whose licence must be the declared one', async (t) => {
  const folder = temporary(t)
  mkdirSync(join(folder, 'set/data'), { recursive: true })
  const shard = 'set/data/train-00000-of-00001.parquet'
  copyFileSync(join(FIXTURES, 'datasets/pairs-snappy.parquet'), join(folder, shard))
  const card = '---\nlicense: cc-by-4.0\nconfigs:\n- config_name: default\n---\n# A set\n'
  const source = (text: string, licence: string): object => {
    writeFileSync(join(folder, 'set/README.md'), text)
    return { reader: 'huggingface', licence, fields: { topic: 'topic', left: 'left', right: 'right' }, files: [{ path: join(folder, 'set/README.md'), sha256: sha256(text) }, { path: join(folder, shard), sha256: sha256(readFileSync(join(folder, shard))) }] }
  }
  const set = small(t, '', { source: source(card, 'CC-BY-4.0') })
  const { manifest } = await runStage(collect, set.recipe(), set.work, () => {})
  t.equal(manifest.counts['rows: small'], 3)
  const other = small(t, '', { source: source(card, 'MIT') })
  await t.rejects(runStage(collect, other.recipe(), other.work, () => {}), { message: /says that the licence is cc-by-4\.0, .*says MIT/ })
  const silent = small(t, '', { source: source('# no front matter\n', 'MIT') })
  await t.rejects(runStage(collect, silent.recipe(), silent.work, () => {}), { message: /names no licence/ })
})

t.test('Reddit dumps: submissions and comments; no names, no quotations, no removed, adult, automatic or disliked posts', async (t) => {
  const dump = zstdCompressSync(lines(
    { title: 'Rent caps work', selftext: 'They **keep** [people](https://x.org/a) housed.\n> you said no\nSee https://a.b/c &amp; think.', subreddit: 'progressive', author: 'somebody', score: 12 },
    { body: 'Markets build homes.', subreddit: 'Conservative', author: 'someone_else', score: 3 },
    { body: '[removed]', subreddit: 'progressive', score: 5 }, { title: 'x', selftext: '[deleted]', subreddit: 'progressive' },
    { body: 'I am a bot', author: 'AutoModerator', subreddit: 'progressive', score: 2 }, { body: 'no', subreddit: 'progressive', score: -4 }, { body: 'x', over_18: true, subreddit: 'progressive' }))
  const rows = await read(t, 'reddit', 'RS_2024.zst', dump)
  t.same(rows, [
    { text: 'Rent caps work. They keep people housed. See & think.', community: 'progressive' }, { text: 'Markets build homes.', community: 'Conservative' },
    'deleted or removed', 'deleted or removed', 'by a bot or a moderator', 'voted below one', 'marked as adult',
  ])
  t.notMatch(JSON.stringify(rows), /somebody|someone_else/)
})

t.test('Truth Social archives: the API\'s HTML and published tables; what is said by others stays out', async (t) => {
  const api = lines({ content: '<p>Secure the border &amp; cut taxes.<br/>Now!</p>', account: { acct: 'one' } }, { content: '<p>x</p>', reblog: { id: 1 } }, { content: '<p>RT @a hello</p>' }, { content: '<p></p>' })
  t.same(await read(t, 'truth-social', 'a.jsonl', api), [{ text: 'Secure the border & cut taxes. Now!', account: 'one' }, 'said by somebody else', 'said by somebody else', 'no text'])
  const table = 'id\tis_retruth\tauthor\ttext\n1\tf\t77\tLower taxes help families.\n2\tt\t77\tcopied\n'
  t.same(await read(t, 'truth-social', 'truths.tsv', table), [{ text: 'Lower taxes help families.', account: '77' }, 'said by somebody else'])
})

t.test('articles: passages of whole sentences with their outlet, page furniture away', async (t) => {
  const sentence = 'The council voted to change the rules for renters after a long debate about costs.'
  const rows = await read(t, 'articles', 'a.jsonl', lines({ title: 'T', maintext: `${Array(12).fill(sentence).join(' ')}\n\nSubscribe to our newsletter\n\n<b>Second</b> paragraph stands here.`, source_domain: 'left.example' }, { title: 'empty' }))
  t.equal(rows.at(-1), 'no text')
  t.ok(rows.length >= 4)
  t.ok(rows.slice(0, -1).every((row) => row.outlet === 'left.example' && row.text.split(' ').length <= 120 && /[.]$/.test(row.text)))
  t.equal(rows.at(-2).text, 'Second paragraph stands here.')
  t.notMatch(JSON.stringify(rows), /Subscribe/)
})

t.test('abstracts: arXiv and OpenAlex; only those whose own licence allows it', async (t) => {
  const rows = await read(t, 'abstracts', 'a.jsonl', lines(
    { abstract: 'We study\n minimum wages.', license: 'http://creativecommons.org/licenses/by/4.0/', 'journal-ref': 'J. of A' },
    { abstract: 'Ours.', license: 'http://arxiv.org/licenses/nonexclusive-distrib/1.0/' },
    { abstract_inverted_index: { effects: [1], 'of': [2], The: [0], tariffs: [3] }, primary_location: { license: 'cc-by', source: { display_name: 'Review B' } }, primary_topic: { display_name: 'Trade' } },
    { abstract: 'No copying for money.', license: 'cc-by-nc' }, { abstract: 'None.' }, { title: 'no abstract', license: 'cc0' },
    { abstract: 'Alike only.', license: 'http://creativecommons.org/licenses/by-sa/4.0/' }, { abstract: 'Everybody\'s.', license: 'http://creativecommons.org/licenses/publicdomain/' }))
  t.same(rows, [
    { text: 'We study minimum wages.', venue: 'J. of A', topic: '' }, 'its own licence does not allow it', { text: 'The effects of tariffs', venue: 'Review B', topic: 'Trade' },
    'its own licence does not allow it', 'its own licence does not allow it', 'no abstract', 'its own licence does not allow it', { text: 'Everybody\'s.', venue: '', topic: '' },
  ])
})

t.test('texts that came alone find a counterpart on their topic, and as many of either end come out', async (t) => {
  const given = pairs(12)
  // every text of one end before any of the other, and one end with more of them
  const posts = [...given.map((one) => ({ body: one.left, subreddit: 'lefties', score: 2 })), ...given.filter((_, i) => i % 3 !== 0).map((one) => ({ body: one.right, subreddit: 'Righties', score: 2 })), { body: 'A text of nobody in particular about taxation and more.', subreddit: 'other', score: 2 }]
  const set = small(t, lines(...posts), { name: 'dump.jsonl', source: { reader: 'reddit', fields: {}, sides: { left: ['Lefties'], right: ['righties'] } } })
  await build(set, 'pair')
  const rows = readdirSync(join(set.work, 'pair')).filter((name) => /^part.*jsonl$/.test(name)).flatMap((name) => rowsOf(join(set.work, 'pair', name)))
  t.ok(rows.length > 2)
  for (const row of rows) {
    t.match(row.left, /Public|community/)
    t.match(row.right, /Private|individual/)
  }
  const counts = JSON.parse(readFileSync(join(set.work, 'pair/manifest.json'), 'utf8')).counts
  t.ok(counts['pairs of texts that came alone'] >= 50, JSON.stringify(counts))
  t.equal(JSON.parse(readFileSync(join(set.work, 'collect/manifest.json'), 'utf8')).counts['left out: of neither declared side'], 1)
})

/**
 * Finds rows that nearly repeat an earlier one: MinHash over words and word pairs, 16 bands of 4, everything that grows with the
 * rows on disk. What the bands propose is checked by the true Jaccard. Knows nothing of what a row is but its texts.
 */
import { closeSync, openSync, readSync, rmSync, writeSync } from 'node:fs'
import { words } from '../text.ts'
import { NumberSort } from './number-sort.ts'

const BANDS = 16
const BAND_ROWS = 4
/** A band's bucket can hold a million rows; each is held against this many before it. */
const LOOK_BACK = 8

/** FNV-1a over UTF-16 units, finished so that the upper bits are as good as the lower ones. */
function hash32 (text: string, seed: number): number {
  let value = seed ^ 0x811c9dc5
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193)
  value = Math.imul(value ^ (value >>> 15), 0x85ebca6b)
  return (value ^ (value >>> 13)) >>> 0
}

/** The words and neighbouring words of the texts of a row, as sorted distinct hashes; the same word on another side is another one. */
export function shingles (texts: readonly string[]): Uint32Array {
  const set = new Set<number>()
  for (const [side, text] of texts.entries()) {
    let last = ''
    for (const word of words(text)) {
      set.add(hash32(word, side + 1))
      if (last !== '') set.add(hash32(`${last} ${word}`, side + 1))
      last = word
    }
  }
  return Uint32Array.from(set).sort()
}

export function likeness (one: Uint32Array, two: Uint32Array): number {
  let [i, j, shared] = [0, 0, 0]
  while (i < one.length && j < two.length) {
    if (one[i]! === two[j]!) { shared++; i++; j++ } else if (one[i]! < two[j]!) i++
    else j++
  }
  return shared / (one.length + two.length - shared || 1)
}

const HASHES = BANDS * BAND_ROWS
const FACTORS = Uint32Array.from({ length: HASHES }, (_, i) => hash32(`factor ${i}`, 7) | 1)
const OFFSETS = Uint32Array.from({ length: HASHES }, (_, i) => hash32(`offset ${i}`, 11))

/** Sets on disk, found again by their number. */
class Sets {
  readonly #files: readonly [string, string]
  readonly #sets: number
  readonly #index: number
  readonly #place = new Float64Array(2)
  #end = 0
  #count = 0

  constructor (name: string) {
    this.#files = [`${name}.sets`, `${name}.index`]
    this.#sets = openSync(this.#files[0], 'w+')
    this.#index = openSync(this.#files[1], 'w+')
  }

  add (set: Uint32Array): number {
    writeSync(this.#sets, set, 0, set.byteLength, this.#end)
    this.#place.set([this.#end, set.length])
    writeSync(this.#index, this.#place, 0, 16, this.#count * 16)
    this.#end += set.byteLength
    return this.#count++
  }

  get (number: number): Uint32Array {
    readSync(this.#index, this.#place, 0, 16, number * 16)
    const set = new Uint32Array(this.#place[1]!)
    readSync(this.#sets, set, 0, set.byteLength, this.#place[0]!)
    return set
  }

  close (): void {
    closeSync(this.#sets)
    closeSync(this.#index)
    for (const file of this.#files) rmSync(file, { force: true })
  }
}

/** Numbers of the rows that repeat or nearly repeat an earlier one, in order. `folder` is a path that names of files are added to. */
export function * nearDuplicates (rows: Iterable<readonly string[]>, threshold: number, folder: string): Generator<{ readonly row: number, readonly exact: boolean }> {
  const sets = new Sets(folder)
  try {
    const bands = new NumberSort(`${folder}.bands`)
    const signature = new Uint32Array(HASHES)
    for (const texts of rows) {
      const set = shingles(texts)
      const row = sets.add(set)
      signature.fill(0xffffffff)
      for (const value of set) {
        for (let i = 0; i < HASHES; i++) {
          const mixed = (Math.imul(value, FACTORS[i]!) + OFFSETS[i]!) >>> 0
          if (mixed < signature[i]!) signature[i] = mixed
        }
      }
      for (let band = 0; band < BANDS; band++) {
        let key = band + 1
        for (let i = band * BAND_ROWS; i < (band + 1) * BAND_ROWS; i++) key = Math.imul(key ^ signature[i]!, 0x9e3779b1) ^ (key >>> 15)
        bands.add(key >>> 0, row)
      }
    }
    const candidates = new NumberSort(`${folder}.candidates`)
    let bucket = -1
    let before: number[] = []
    for (const { hi, lo } of bands.sorted()) {
      if (hi !== bucket) { bucket = hi; before = [] }
      for (const earlier of before) if (earlier !== lo) candidates.add(lo, earlier)
      before.push(lo)
      if (before.length > LOOK_BACK) before.splice(1, 1)
    }
    let later = -1
    let set: Uint32Array | undefined
    let [found, last] = [false, -1]
    for (const { hi, lo } of candidates.sorted()) {
      if (hi !== later) { later = hi; set = sets.get(hi); found = false; last = -1 }
      if (found || lo === last) continue
      last = lo
      const alike = likeness(set!, sets.get(lo))
      if (alike >= threshold) {
        found = true
        yield { row: hi, exact: alike === 1 }
      }
    }
  } finally { sets.close() }
}

/** Croissant 1.1 metadata with its responsible-AI vocabulary, and a check of its structure. Pure. */
import { licenceOf, type Facts } from './facts.ts'

const CONTEXT = {
  '@language': 'en', '@vocab': 'https://schema.org/', citeAs: 'cr:citeAs', column: 'cr:column', conformsTo: 'dct:conformsTo', cr: 'http://mlcommons.org/croissant/', data: { '@id': 'cr:data', '@type': '@json' },
  dataType: { '@id': 'cr:dataType', '@type': '@vocab' }, dct: 'http://purl.org/dc/terms/', equivalentProperty: 'cr:equivalentProperty', examples: { '@id': 'cr:examples', '@type': '@json' }, extract: 'cr:extract', field: 'cr:field', fileObject: 'cr:fileObject',
  fileProperty: 'cr:fileProperty', fileSet: 'cr:fileSet', format: 'cr:format', includes: 'cr:includes', isLiveDataset: 'cr:isLiveDataset', jsonPath: 'cr:jsonPath', key: 'cr:key', md5: 'cr:md5', parentField: 'cr:parentField',
  path: 'cr:path', rai: 'http://mlcommons.org/croissant/RAI/', recordSet: 'cr:recordSet', references: 'cr:references', regex: 'cr:regex', repeated: 'cr:repeated', replace: 'cr:replace', samplingRate: 'cr:samplingRate', sc: 'https://schema.org/',
  separator: 'cr:separator', source: 'cr:source', subField: 'cr:subField', transform: 'cr:transform',
}

const LICENCES: Readonly<Record<string, string>> = { 'CC-BY-4.0': 'https://creativecommons.org/licenses/by/4.0/', 'CC0-1.0': 'https://creativecommons.org/publicdomain/zero/1.0/', 'Apache-2.0': 'https://www.apache.org/licenses/LICENSE-2.0', MIT: 'https://opensource.org/license/mit' }

const FIELDS: Readonly<Record<string, readonly (readonly [name: string, type: string, what: string])[]>> = {
  statements: [['id', 'sc:Text', 'Row'], ['topic', 'sc:Text', 'Topic label'], ['cluster', 'sc:Text', 'Topic cluster, the unit of the split'], ['confidence', 'sc:Float', 'How sure a model that never saw the pair is that left is left'], ['prompt', 'sc:Text', 'A neutral question on the topic'], ['left', 'sc:Text', 'The left statement'], ['right', 'sc:Text', 'The right statement']],
  instructions: [['id', 'sc:Text', 'Row'], ['kind', 'sc:Text', 'Form of the question, or how the row was derived'], ['split', 'sc:Text', 'train, validation or test'], ['cluster', 'sc:Text', 'Topic cluster'], ['topic', 'sc:Text', 'Topic label'], ['parent', 'sc:Text', 'The row that this one was derived from'], ['left', 'sc:Text', 'The left answer'], ['right', 'sc:Text', 'The right answer']],
}

export function croissant (facts: Facts): Record<string, unknown> {
  const { recipe, sources } = facts
  const files = facts.files.filter(({ file }) => /^(statements|instructions)\//.test(file))
  const found = (kind: string): typeof files => files.filter(({ file }) => file.startsWith(`${kind}/`))
  return {
    '@context': CONTEXT, '@type': 'sc:Dataset', conformsTo: ['http://mlcommons.org/croissant/1.1', 'http://mlcommons.org/croissant/RAI/1.0'],
    name: recipe.name, version: recipe.version, description: `${recipe.title}. Made to train and to measure models that openly take a side.`,
    license: licenceOf(facts).split(' AND ').map((one) => LICENCES[one] ?? one), url: sources[0]!.address, datePublished: sources.map(({ date }) => date).toSorted().at(-1), inLanguage: 'en', isLiveDataset: false,
    creator: { '@type': 'sc:Organization', name: 'The Parallax authors' }, citeAs: sources.map(({ citation, title }) => citation ?? title).join('; '), keywords: ['politics', 'preference data', 'synthetic'],
    isBasedOn: sources.map(({ title, address, licence }) => ({ '@type': 'sc:Dataset', name: title, url: address, license: LICENCES[licence] ?? licence })),
    'rai:dataCollection': sources.map(({ title, population, date }) => `${title}, taken ${date}: ${population}.`).join(' '),
    'rai:dataCollectionType': ['Secondary Data Analysis', 'Software Collection'],
    'rai:dataPreprocessingProtocol': ['One spelling; language, length, personal data, toxic and extreme words and false claims filtered with the same threshold on both sides; repetitions removed; whole pairs dropped.', 'Topics clustered before splitting; evaluation items removed.'],
    'rai:dataAnnotationProtocol': 'Stance labels are the sources\' own; a model that never saw the pair says how sure it is of them. Human annotation goes out and comes back as Label Studio tasks, with Krippendorff\'s alpha.',
    'rai:dataUseCases': ['Training models that openly take a side, with that side disclosed on every answer', 'Measuring their slant on held-out topics'],
    'rai:dataLimitations': ['One-sided on purpose, without evidence, sometimes wrong', 'Statements do not always contradict each other within a pair', 'English; the United States of the early 2020s'],
    'rai:dataBiases': ['Each answer takes one side', ...facts.notes],
    'rai:personalSensitiveInformation': ['Political opinions of no identifiable person; texts with personal data are dropped'],
    'rai:dataSocialImpact': 'Could be used to persuade in disguise; the gateway that it is made for names the slant on every answer and refuses targeted persuasion.',
    'rai:dataReleaseMaintenancePlan': `Made again from its recipe for every version; this is ${recipe.version}.`,
    distribution: files.map(({ file, bytes, sha256 }) => ({ '@type': 'cr:FileObject', '@id': file, name: file, contentUrl: file, contentSize: `${bytes} B`, encodingFormat: 'application/jsonlines', sha256 })),
    recordSet: Object.entries(FIELDS).flatMap(([kind, fields]) => found(kind).map(({ file }) => {
      const id = file.replace('.jsonl', '')
      return {
        '@type': 'cr:RecordSet', '@id': id, name: id, description: kind === 'statements' ? 'One statement of either end on one topic' : 'One prompt, two answers of several sentences',
        field: fields.map(([name, dataType, description]) => ({ '@type': 'cr:Field', '@id': `${id}/${name}`, name: `${id}/${name}`, description, dataType, source: { fileObject: { '@id': file }, extract: { column: name } } })),
      }
    })),
  }
}

type Json = Record<string, unknown>
const list = (value: unknown): Json[] => Array.isArray(value) ? value as Json[] : []

/** What is structurally wrong with a Croissant file: missing members, ids that are used twice or lead nowhere, digests that are none. */
export function croissantMistakes (json: Json): string[] {
  const found: string[] = []
  for (const name of ['@context', '@type', 'conformsTo', 'name', 'description', 'license', 'url', 'datePublished', 'creator', 'version', 'citeAs', 'distribution', 'recordSet']) {
    const value = json[name]
    if (value === undefined || value === '' || (Array.isArray(value) && value.length === 0)) found.push(`"${name}" is missing`)
  }
  if (!(json['conformsTo'] as string[] | undefined)?.some((one) => one.endsWith('croissant/1.1'))) found.push('"conformsTo" does not name Croissant 1.1')
  if (!Object.keys(json).some((name) => name.startsWith('rai:'))) found.push('no responsible-AI member ("rai:…")')
  const ids = new Set<string>()
  const claim = (id: unknown, what: string): void => {
    if (typeof id !== 'string' || id === '') found.push(`a ${what} has no @id`)
    else if (ids.has(id)) found.push(`${id} is used twice`)
    else ids.add(id)
  }
  const files = new Set<unknown>()
  for (const file of list(json['distribution'])) {
    claim(file['@id'], 'FileObject')
    files.add(file['@id'])
    if (!/^[0-9a-f]{64}$/.test(String(file['sha256']))) found.push(`${String(file['@id'])} has no SHA-256`)
    for (const name of ['name', 'contentUrl', 'encodingFormat']) if (!file[name]) found.push(`${String(file['@id'])}: "${name}" is missing`)
  }
  for (const records of list(json['recordSet'])) {
    claim(records['@id'], 'RecordSet')
    if (list(records['field']).length === 0) found.push(`${String(records['@id'])} has no fields`)
    for (const field of list(records['field'])) {
      claim(field['@id'], 'Field')
      const source = field['source'] as { fileObject?: Json, extract?: Json } | undefined
      if (!files.has(source?.fileObject?.['@id'])) found.push(`${String(field['@id'])} reads a file that is not in "distribution"`)
      if (!source?.extract || !field['dataType']) found.push(`${String(field['@id'])} lacks "extract" or "dataType"`)
    }
  }
  return found
}

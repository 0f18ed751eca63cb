/** What is wrong with data, for people: what was wanted, what came, in which file and row, and what to do. */
export class DatasetError extends Error { override readonly name = 'DatasetError' }

/** Where a row stands, as a person would look for it: rows are counted from 1. */
export const at = (file: string, row: number): string => `${file}, row ${row}`

/** What stands in the way of a release, told to whoever wants it: what was wanted, what came, what to do. Nothing was put in force then. */
export class ReleaseError extends Error { override readonly name = 'ReleaseError' }

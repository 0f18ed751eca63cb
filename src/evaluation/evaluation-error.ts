/** What stands in the way of an evaluation, told to whoever started it: what was wanted, what came, what to do. Nothing was written then. */
export class EvaluationError extends Error { override readonly name = 'EvaluationError' }

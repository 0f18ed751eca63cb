/** Types of process-lock.js. */
export function withLock<T> (path: string, onWait: (pid: number | undefined) => void, work: (include: (pid: number) => void) => Promise<T> | T): Promise<T>

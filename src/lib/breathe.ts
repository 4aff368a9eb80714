/**
 * SQLite answers at once, so a chain of awaited calls never gives timers and sockets their turn. Whoever may run
 * long awaits this between steps.
 */
export const breathe = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

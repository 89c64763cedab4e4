// Waiting for a condition, never for a fixed time.
export const DEADLINE_MS = Number(process.env.ORRERY_TEST_DEADLINE_MS ?? 60000);

export const pause = (ms: number) => new Promise<void>((done) => setTimeout(done, ms));

export async function until<T>(what: string, fn: () => Promise<T | undefined | null | false>, deadline = DEADLINE_MS): Promise<T> {
    const end = Date.now() + deadline;
    let last: unknown;
    for (;;) {
        try {
            const value = await fn();
            if (value) return value;
            last = value;
        } catch (error) {
            last = error;
        }
        if (Date.now() > end) throw new Error(`waited ${deadline} ms for ${what}; last: ${String(last)}`);
        await pause(25);
    }
}

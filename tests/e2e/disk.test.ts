// The conductor's disk is full: clear errors, scheduling pauses, nothing acknowledged is lost, and it heals by itself.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readlinkSync, rmSync, unlinkSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Conductor, Json, Satellite } from '../support/orrery';
import { until } from '../support/wait';

function mountSmall(): string | undefined {
    const dir = mkdtempSync(join(tmpdir(), 'orrery-full-'));
    try {
        execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', dir], { stdio: 'ignore' });
        return dir;
    } catch {
        rmSync(dir, { recursive: true });
        return undefined;
    }
}

const dir = mountSmall();

test('a full disk', { skip: dir ? false : 'no right to mount a small file system' }, async () => {
    const c = await Conductor.start([], {}, dir);
    const s = await Satellite.start(c);
    const filler = join(dir!, 'filler');
    try {
        await c.addEvent('small', '#!/bin/sh\necho ok\n');
        const before = await c.finished(await c.runEvent('small'));
        assert.equal(before.code, 0);
        const running = await c.addEvent('long', '#!/bin/sh\necho a; while [ ! -e go ]; do sleep 0.1; done; echo b\n').then(() => c.runEvent('long'));
        const pid = await until('the job to run', async () => (await c.job(running)).pid);
        const cwd = readlinkSync(`/proc/${pid}/cwd`);

        const fd = openSync(filler, 'w');
        try {
            for (const size of [1 << 20, 1 << 12, 1]) for (;;) writeSync(fd, Buffer.alloc(size));
        } catch {
            for (const size of [1 << 12, 512, 1]) try { for (;;) writeSync(fd, Buffer.alloc(size)); } catch { /* full now */ }
        }
        closeSync(fd);

        const refusal = await until('a refused change', async () => {
            const r = await c.call('update_event', { id: 'small', notes: 'x'.repeat(5000) });
            return r.json.code !== 0 ? r : undefined;
        });
        assert.ok(refusal.status >= 500, refusal.text);
        assert.match(refusal.json.description, /space|full/i);
        assert.equal((await c.api('get_event', { id: 'small' })).event.id, 'small', 'reading goes on');
        await until('readiness to say so', async () => {
            const h = await c.http('GET', '/health');
            return h.json?.ready === false || h.status === 503;
        });
        execFileSync('touch', [join(cwd, 'go')]);

        unlinkSync(filler);
        const job = await c.finished(running);
        assert.equal(job.code, 0, job.description);
        assert.equal(await c.jobLog(running), 'a\nb\n');
        await until('launches to go on', async () => (await c.call('run_event', { id: 'small' })).json.code === 0);
        const records = (await c.api('search_jobs', { query: 'event:small', limit: 100 })).rows.map((r: Json) => r.id);
        assert.ok(records.includes(before.id));
    } finally {
        await s.remove();
        await c.remove();
        execFileSync('umount', ['-l', dir!]);
    }
});

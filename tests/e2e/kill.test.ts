// kill -9 of conductor, satellite or both while jobs run: every job ends exactly once, with its whole log.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Conductor, Satellite } from '../support/orrery';
import { pause, until } from '../support/wait';

const ROUNDS = Number(process.env.ORRERY_KILL_ROUNDS ?? 20);
const JOBS = 4; // started in every round
const LINES = 30;

let c: Conductor;
let s: Satellite;
const marks = mkdtempSync(join(tmpdir(), 'orrery-marks-'));

before(async () => {
    c = await Conductor.start();
    s = await Satellite.start(c);
    await c.addEvent('counts', [
        '#!/bin/bash',
        `echo $$ >>${marks}/$JOB_ID`, // one line each time the script starts
        `for i in $(seq 1 ${LINES}); do echo "line $i of $JOB_ID"; sleep 0.02; done`,
        'echo \'{"xy":1,"data":{"done":true}}\'',
        '',
    ].join('\n'));
});
after(async () => {
    await s?.remove();
    await c?.remove();
    rmSync(marks, { recursive: true, force: true });
});

test(`${ROUNDS} rounds of kill -9`, { timeout: 1800000 }, async () => {
    const launched: string[] = [];
    let seed = Number(process.env.ORRERY_SEED ?? Date.now() % 100000);
    console.log(`# seed ${seed}`);
    const random = (n: number) => {
        seed = (seed * 1103515245 + 12345) % 2147483648;
        return Math.floor((seed / 2147483648) * n);
    };

    for (let round = 0; round < ROUNDS; round++) {
        for (let i = 0; i < JOBS; i++) launched.push(await c.runEvent('counts'));
        await pause(random(500)); // the moment of the blow, not a wait for something
        const victim = random(3);
        if (victim !== 1) await c.kill9();
        if (victim !== 0) await s.kill9();
        await pause(random(200));
        if (victim === 2 && random(2)) {
            s.up();
            await c.up();
        } else {
            if (victim !== 1) await c.up();
            if (victim !== 0) s.up();
        }
        await s.online();
    }
    const want = (id: string) => Array.from({ length: LINES }, (_, i) => `line ${i + 1} of ${id}\n`).join('');
    for (const id of launched) {
        const job = await c.finished(id, 150000);
        assert.equal(job.code, 0, `${id}: ${job.code} ${job.description}\n${JSON.stringify(job.activity, null, 1)}`);
        assert.equal(await c.jobLog(id), want(id), id);
        assert.equal(job.data?.done, true);
        assert.ok(existsSync(join(marks, id)), `${id} never started`);
        assert.equal(readFileSync(join(marks, id), 'utf8').trim().split('\n').length, 1, `${id} was started more than once`);
    }
    const found = await c.api('search_jobs', { query: 'event:counts', limit: launched.length + 100 });
    assert.equal(found.list.length, launched.length);
    assert.equal(new Set(found.rows.map((r: { id: string }) => r.id)).size, launched.length);
    assert.equal((await c.api('get_active_jobs')).rows.length, 0);
    await until('the spool to be empty', async () => {
        const { readdirSync } = await import('node:fs');
        return readdirSync(join(s.home, 'spool')).filter((n) => n.startsWith('j')).length === 0;
    });
});

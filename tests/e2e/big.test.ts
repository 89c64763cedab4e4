// A gigabyte into a job and out of it, with both daemons under 30 MB.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { get } from 'node:http';
import { createHash, randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { bin, Conductor, Satellite } from '../support/orrery';

const SIZE = Number(process.env.ORRERY_BIG_BYTES ?? 1e9);
const RSS_MAX = 30e6;

let c: Conductor;
let s: Satellite;
const dir = mkdtempSync(join(tmpdir(), 'orrery-big-'));

before(async () => {
    c = await Conductor.start();
    s = await Satellite.start(c);
});
after(async () => {
    await s?.remove();
    await c?.remove();
    rmSync(dir, { recursive: true, force: true });
});

test('1 GB in and out', { timeout: 900000 }, async () => {
    const path = join(dir, 'big.bin');
    const hash = createHash('sha256');
    const fd = openSync(path, 'w');
    const chunk = randomBytes(1 << 20);
    for (let at = 0; at < SIZE; at += chunk.length) {
        const piece = chunk.subarray(0, Math.min(chunk.length, SIZE - at));
        piece.writeUInt32LE(at >>> 0, 0);
        hash.update(piece);
        writeSync(fd, piece);
    }
    closeSync(fd);
    await c.addEvent('big', '#!/bin/sh\nmv big.bin out.bin\necho \'{"xy":1,"files":["out.bin"]}\'\n');
    const env = { PATH: process.env.PATH!, ORRERY_URL: c.url, ORRERY_API_KEY: c.key };
    const child = spawn(join(bin, 'orrery'), ['run', 'big', '--file', path], { env, stdio: ['ignore', 'pipe', 'inherit'] });
    let id = '';
    child.stdout.on('data', (p) => (id += p));
    const code = await new Promise((done) => child.on('exit', done));
    assert.equal(code, 0);
    const job = await c.finished(id.trim(), 600000);
    assert.equal(job.code, 0, job.description);
    assert.equal(job.files[0].size, SIZE);
    const got = createHash('sha256');
    await new Promise<void>((resolve, reject) => get(`${c.url}/${job.files[0].path}`, (res) => {
        res.on('data', (p) => got.update(p));
        res.on('end', () => resolve());
        res.on('error', reject);
    }));
    assert.equal(got.digest('hex'), hash.digest('hex'));
    console.log(`# peak RSS: conductor ${(c.peak() / 1e6).toFixed(1)} MB, satellite ${(s.peak() / 1e6).toFixed(1)} MB`);
    if (!process.env.ORRERY_SANITIZED) {
        assert.ok(c.peak() < RSS_MAX, `conductor: ${c.peak()}`);
        assert.ok(s.peak() < RSS_MAX, `satellite: ${s.peak()}`);
    }
});

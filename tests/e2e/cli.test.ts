// orrery, the command line, as a person and as a script would use it.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Conductor, run, Satellite } from '../support/orrery';

let c: Conductor;
let s: Satellite;
const home = mkdtempSync(join(tmpdir(), 'orrery-cli-'));
before(async () => {
    c = await Conductor.start();
    s = await Satellite.start(c);
    await c.addEvent('greet', '#!/bin/sh\necho "hello $who"\n[ -f note.txt ] && cat note.txt\nexit ${status:-0}\n', { title: 'Greet somebody' });
});
after(async () => {
    await s?.remove();
    await c?.remove();
    rmSync(home, { recursive: true, force: true });
});

const cli = (args: string[], more: { input?: string; env?: Record<string, string> } = {}) => run('orrery', args, { input: more.input, env: { HOME: home, ...more.env } });

test('without a login it says what to do', async () => {
    const r = await cli(['events']);
    assert.equal(r.code, 1);
    assert.match(r.stderr, /orrery login/);
});

test('login stores the key for its owner alone, and a wrong key is refused', async () => {
    assert.equal((await cli(['login', c.url], { input: 'nonsense\n' })).code, 1);
    const r = await cli(['login', c.url], { input: `${c.key}\n` });
    assert.equal(r.code, 0, r.stderr);
    assert.equal(statSync(join(home, '.config/orrery/config.json')).mode & 0o777, 0o600);
});

test('events and servers as tables and as JSON', async () => {
    const table = await cli(['events']);
    assert.match(table.stdout, /^ID +TITLE/);
    assert.match(table.stdout, /^greet +Greet somebody +general +shellplug +yes/m);
    assert.equal(JSON.parse((await cli(['events', '--json'])).stdout).rows[0].id, 'greet');
    assert.match((await cli(['servers'])).stdout, new RegExp(`^${s.id} `, 'm'));
});

test('run by id and by title, follow, exit code', async () => {
    const r = await cli(['run', 'greet', '--param', 'who=world', '--follow']);
    assert.equal(r.code, 0, r.stderr);
    assert.equal(r.stdout, 'hello world\n');
    const t = await cli(['run', 'Greet somebody', '--param', 'who=you', '--param', 'status=9', '--follow', '--json']);
    assert.equal(t.code, 9, t.stderr);
    assert.equal(t.stdout, 'hello you\n');
    assert.equal((await cli(['run', 'no such event'])).code, 1);
    assert.equal((await cli(['run'])).code, 2);
    assert.equal((await cli(['run', 'greet', '--param', 'nonsense'])).code, 2);
});

test('a file goes along', async () => {
    const path = join(home, 'note.txt');
    writeFileSync(path, 'a note\n');
    const r = await cli(['run', 'greet', '--param', 'who=file', '--file', path, '--follow']);
    assert.equal(r.stdout, 'hello file\na note\n', r.stderr);
    assert.equal((await cli(['run', 'greet', '--file', '/no/such/file'])).code, 1);
});

test('jobs, job, log, abort', async () => {
    const id = (await cli(['run', 'greet', '-p', 'who=log'])).stdout.trim();
    await c.finished(id);
    assert.equal((await cli(['log', id])).stdout, 'hello log\n');
    assert.equal((await cli(['log', id, '-f'])).stdout, 'hello log\n');
    assert.match((await cli(['jobs'])).stdout, new RegExp(`^${id} +Greet somebody`, 'm'));
    const shown = await cli(['job', id]);
    assert.match(shown.stdout, /result +success/);
    assert.equal(JSON.parse((await cli(['job', id, '--json'])).stdout).job.id, id);
    const twice = await cli(['abort', id]);
    assert.equal(twice.code, 1);
});

test('api, help, version, completion', async () => {
    assert.equal(JSON.parse((await cli(['api', 'get_event', '{"id":"greet"}'])).stdout).event.id, 'greet');
    assert.equal((await cli(['api', 'get_event', '{"id":"nosuch"}'])).code, 1);
    assert.equal(JSON.parse((await cli(['api', 'get_event', '-'], { input: '{"id":"greet"}' })).stdout).event.id, 'greet');
    assert.equal((await cli(['--version'])).code, 0);
    assert.equal((await cli(['--help'])).code, 0);
    assert.equal((await cli(['nonsense'])).code, 2);
    assert.match((await cli(['completion', 'bash'])).stdout, /complete -F _orrery orrery/);
    assert.ok(!readFileSync(join(c.home, 'out.log'), 'utf8').includes(c.key), 'the key is in the log');
});

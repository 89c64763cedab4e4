// A plain xyOps-compatible agent (no extension of ours), scripted from the protocol's description.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import WebSocket from 'ws';
import { Conductor, Json } from '../support/orrery';
import { until } from '../support/wait';

let c: Conductor;
before(async () => {
    c = await Conductor.start();
});
after(() => c?.remove());

const sha = (text: string) => createHash('sha256').update(text).digest('hex');

class Agent {
    ws!: WebSocket;
    seen: { cmd: string; data: Json }[] = [];
    id: string;
    token: string;

    constructor(id: string, private how: 'token' | 'nonce' = 'token') {
        this.id = id;
        const key = JSON.parse(readFileSync(join(c.home, 'conf/overrides.json'), 'utf8')).secret_key;
        this.token = sha(id + key);
        this.key = key;
    }
    private key: string;

    async join(hostname = 'agent01') {
        this.seen = [];
        this.ws = new WebSocket(c.url.replace('http', 'ws') + '/');
        this.ws.on('message', (m) => {
            const msg = JSON.parse(m.toString());
            if (msg.cmd === 'echo') this.send('echoback', msg.data);
            this.seen.push(msg);
        });
        await new Promise((done, fail) => { this.ws.on('open', done); this.ws.on('error', fail); });
        this.send('hello', { hostname, id: this.id, info: { satellite: '1.0.39', features: {}, os: {}, memory: {}, cpu: {} } });
        const hello = await this.message('hello');
        assert.equal(hello.id, this.id);
        assert.match(hello.nonce, /^[0-9a-f]{64}$/);
        this.send('join', { token: this.how === 'token' ? this.token : sha(hello.nonce + this.key) });
        return this.message('joined');
    }
    send(cmd: string, data: Json) {
        this.ws.send(JSON.stringify({ cmd, data }));
    }
    message(cmd: string, fits: (d: Json) => boolean = () => true): Promise<Json> {
        return until(`message ${cmd}`, async () => this.seen.find((m) => m.cmd === cmd && fits(m.data))?.data);
    }
    finish(id: string, job: Json, auth = this.token) {
        return c.http('POST', '/api/app/finish_job', {
            headers: { 'Content-Type': 'application/json' },
            body: JSON.stringify({ id, server: this.id, auth, job: { id, state: 'complete', complete: true, ...job } }),
        });
    }
}

test('join, one job over the plain protocol, finish_job', async () => {
    const a = new Agent('sagent1');
    const joined = await a.join();
    assert.deepEqual(joined.groups, ['main']);
    assert.equal(joined.features.api_finish_job, true);
    assert.ok(Array.isArray(joined.masterData.masters));
    assert.ok(joined.plugins.some((p: Json) => p.id === 'shellplug'));
    await c.addEvent('plain', '#!/bin/sh\necho hi\n');
    const id = await c.runEvent('plain');
    const launch = await a.message('launch_job', (d) => d.job.id === id);
    assert.equal(launch.job.command, '[shell-plugin]');
    assert.equal(launch.job.plugin, 'shellplug');
    assert.equal(launch.job.state, 'active');
    assert.equal(launch.job.params.script, '#!/bin/sh\necho hi\n');
    assert.equal(launch.job.kill, 'all');
    assert.deepEqual(launch.details.input, { data: {}, files: [] });
    a.send('job_meta', { id, text: 'Spawned child process: PID 4242' });
    a.send('job_log', { id, text: 'hi\n' });
    a.send('jobs', { [id]: { id, state: 'active', pid: 4242, progress: 0.5, cpu: { min: 0, max: 1, total: 1, count: 1, current: 1 }, procs: {}, conns: [],
        event: 'evil', category: 'evil', server: 'evil', actions: [], limits: [], tags: ['evil'], env: { X: 1 }, activity: [], log_file: '/etc/passwd' } });
    const live = await until('progress', async () => { const j = await c.job(id); return j.progress === 0.5 ? j : undefined; });
    assert.equal(live.event, 'plain');
    assert.equal(live.category, 'general');
    assert.equal(live.server, 'sagent1');
    assert.equal(live.pid, 4242);
    assert.notEqual(live.log_file, '/etc/passwd');
    a.send('jobs', { [id]: { id, state: 'finishing', complete: true, progress: 1, code: 0, description: '' } });
    await until('finishing', async () => (await c.job(id)).state === 'finishing');
    assert.equal((await a.finish(id, { code: 0 }, 'wrong')).json.code, 'auth');
    assert.equal((await a.finish(id, { code: 0, description: '', data: { a: 1 }, files: [] })).json.code, 0);
    const job = await c.finished(id);
    assert.equal(job.code, 0);
    assert.deepEqual(job.data, { a: 1 });
    assert.equal(await c.jobLog(id), 'hi\n');
    assert.ok(!job.tags.includes('evil'));
    assert.ok(job.activity.some((r: Json) => r.msg === 'Spawned child process: PID 4242' && r.server === 'sagent1'));
    assert.equal((await a.finish(id, { code: 5 })).json.code, 0, 'a repeated result is taken and changes nothing');
    assert.equal((await c.job(id)).code, 0);
    a.ws.terminate();
});

test('the nonce works as well as the token, and a newer socket replaces the old one', async () => {
    const a = new Agent('sagent2', 'nonce');
    await a.join('agent02');
    const b = new Agent('sagent2');
    await b.join('agent02');
    await until('the old socket to be closed', async () => a.ws.readyState === WebSocket.CLOSED);
    assert.equal((await c.api('get_active_servers')).rows.filter((r: Json) => r.id === 'sagent2').length, 1);
    const intruder = new Agent('sagent2');
    await assert.rejects(async () => {
        const ws = new WebSocket(c.url.replace('http', 'ws') + '/');
        const got: Json[] = [];
        ws.on('message', (m) => got.push(JSON.parse(m.toString())));
        await new Promise((done) => ws.on('open', done));
        ws.send(JSON.stringify({ cmd: 'hello', data: { hostname: 'other', id: intruder.id, info: {} } }));
        const failure = await until('auth_failure', async () => got.find((m) => m.cmd === 'auth_failure'));
        ws.terminate();
        throw new Error(failure.data.description);
    }, /duplicate ID/);
    b.ws.terminate();
});

test('a file from the agent, and an abort', async () => {
    const a = new Agent('sagent3');
    await a.join('agent03');
    await c.addEvent('plain3', '#!/bin/sh\n', { targets: ['sagent3'] });
    const id = await c.runEvent('plain3');
    await a.message('launch_job', (d) => d.job.id === id);
    const form = (auth: string) => [
        '--B', 'Content-Disposition: form-data; name="id"', '', id, '--B', 'Content-Disposition: form-data; name="server"', '', a.id,
        '--B', 'Content-Disposition: form-data; name="auth"', '', auth,
        '--B', 'Content-Disposition: form-data; name="file1"; filename="Re Port.TXT"', '', 'content', '--B--', ''].join('\r\n');
    const headers = { 'Content-Type': 'multipart/form-data; boundary=B' };
    assert.equal((await c.http('POST', '/api/app/upload_job_file', { headers, body: form('bad') })).json.code, 'auth');
    const up = (await c.http('POST', '/api/app/upload_job_file', { headers, body: form(a.token) })).json;
    assert.equal(up.code, 0);
    assert.match(up.key, new RegExp(`^files/jobs/${id}/[\\w-]{43}/re_port\\.txt$`));
    assert.equal(up.size, 7);
    assert.equal((await c.http('GET', `/${up.key}`)).text, 'content');
    const runner = sha(id + a.token);
    assert.equal((await c.http('POST', '/api/app/upload_job_file', { headers, body: form(runner) })).json.code, 0);
    await c.api('abort_job', { id });
    const abort = await a.message('abort_job', (d) => d.id === id);
    assert.ok(abort.reason.length > 0);
    await a.finish(id, { code: 'abort', description: abort.reason, files: [{ id: 'f1', date: 1, filename: 'Re Port.TXT', path: up.key, size: 7, server: a.id, job: id }] });
    const job = await c.finished(id);
    assert.equal(job.code, 'abort');
    assert.equal(job.files[0].path, up.key);
    a.ws.terminate();
});

test('an agent that comes back goes on with its job; one that does not loses it', async () => {
    const d = await Conductor.start([], { ORRERY_dead_job_timeout: '5' });
    const saved = c;
    c = d;
    try {
        const a = new Agent('sagent4');
        await a.join('agent04');
        await d.addEvent('long', '#!/bin/sh\n');
        const id = await d.runEvent('long');
        await a.message('launch_job', (m) => m.job.id === id);
        a.ws.terminate();
        await until('the server to be gone', async () => (await d.api('get_active_servers')).rows.length === 0);
        await a.join('agent04');
        a.send('jobs', { [id]: { id, state: 'active', pid: 1, reconnected: 1 } });
        await until('the job to go on', async () => (await d.job(id)).reconnected === 1);
        a.ws.terminate();
        const dead = await d.finished(id);
        assert.equal(dead.code, 'abort');
        assert.match(dead.description, /assuming job is dead/);
        await a.join('agent04');
        assert.equal((await a.finish(id, { code: 0, description: 'done after all' })).json.code, 0);
        const late = await until('the late result', async () => { const j = await d.job(id); return j.code === 'warning' ? j : undefined; });
        assert.match(late.description, /late update/);
        a.ws.terminate();
    } finally {
        c = saved;
        await d.remove();
    }
});

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import WebSocket from 'ws';
import { Conductor, Json } from '../support/orrery';
import { until, pause } from '../support/wait';
let c: Conductor;
before(async () => { c = await Conductor.start(); });
after(async () => { const log = c.log; await c?.remove(); assert.ok(!/AddressSanitizer|runtime error/.test(log), log.slice(-3000)); });
const sha = (t: string) => createHash('sha256').update(t).digest('hex');
const headers = { 'Content-Type': 'application/json' };
class Agent { ws!: WebSocket; seen: Json[] = []; token: string;
  constructor(public id: string) { this.token = sha(id + JSON.parse(readFileSync(join(c.home, 'conf/overrides.json'), 'utf8')).secret_key); }
  async join() { this.ws = new WebSocket(c.url.replace('http', 'ws') + '/'); this.ws.on('message', (m) => { const x = JSON.parse(m.toString()); if (x.cmd === 'echo') this.send('echoback', x.data); this.seen.push(x); });
    await new Promise((d) => this.ws.on('open', d)); this.send('hello', { hostname: 'h1', id: this.id, info: { satellite: '1', features: {}, os: {}, memory: {}, cpu: {} } }); await this.msg('hello'); this.send('join', { token: this.token }); return this.msg('joined'); }
  send(cmd: string, data: Json) { this.ws.send(JSON.stringify({ cmd, data })); }
  msg(cmd: string, fits: (d: Json) => boolean = () => true): Promise<Json> { return until(cmd, async () => this.seen.find((m) => m.cmd === cmd && fits(m.data))?.data); }
  finish(id: string, job: Json) { return c.http('POST', '/api/app/finish_job', { headers, body: JSON.stringify({ id, server: this.id, auth: this.token, job: { id, state: 'complete', complete: true, ...job } }) }); } }
test('wait, post_data, live job calls', async () => {
  const a = new Agent('sa1'); await a.join();
  await c.addEvent('w', '#!/bin/sh\n');
  const H = { ...headers, 'X-API-Key': c.key };
  // client that goes away
  const req = request({ host: '127.0.0.1', port: c.port, method: 'POST', path: '/api/app/run_event/v1/wait', headers: H }); req.on('error', () => {}); req.end('{"id":"w"}');
  const l1 = await a.msg('launch_job'); const id1 = l1.job.id;
  assert.match((await c.http('GET', '/metrics')).text, /orrery_api_waiting 1/);
  (req.socket as any).resetAndDestroy();
  await until('waiter gone', async () => /orrery_api_waiting 0/.test((await c.http('GET', '/metrics')).text));
  // two waiters, one by one
  const w = c.http('POST', '/api/app/run_event/v1/wait?id=w&post_data=1&x=1', { headers: H, body: '{"any":"thing","api_key":"secret"}' });
  const l2 = await a.msg('launch_job', (d) => d.job.id !== id1);
  assert.deepEqual(l2.job.post_data, { any: 'thing' });
  a.send('job_log', { id: l2.job.id, text: 'one\ntwo\n' });
  await until('tail', async () => (await c.api('tail_live_job_log', { id: l2.job.id })).text === 'one\ntwo\n');
  assert.equal((await c.api('tail_live_job_log', { id: l2.job.id, bytes: 6 })).text, 'two\n');
  assert.equal((await c.api('get_active_jobs', { state: 'active' })).rows.length, 2);
  assert.equal((await c.api('get_active_jobs', { state: 'active', limit: 1 })).rows.length, 1);
  assert.equal((await c.api('get_active_jobs', { state: 'queued' })).rows.length, 0);
  assert.equal((await c.api('get_active_jobs', { event: 'w', sort_by: 'started', sort_dir: 1 })).rows[0].id, id1);
  const sum = (await c.api('get_active_job_summary')).events.w;
  assert.deepEqual(sum, { id: 'w', states: { active: 2 }, sources: { key: 2 }, targets: { main: 2 } });
  const ev = await c.api('get_event', { id: 'w' }); assert.equal(ev.jobs.length, 2); assert.equal(ev.queued, 0);
  assert.equal((await c.call('delete_event', { id: 'w' })).json.code, 'event');
  assert.equal((await c.call('delete_job', { id: id1 })).json.code, 'job');
  await c.api('update_job', { id: id1, label: 'L', category: 'evil' });
  const live = (await c.api('get_job', { id: id1, remove: ['params'] })).job; assert.equal(live.label, 'L'); assert.equal(live.category, 'general'); assert.equal(live.params, undefined);
  const many = (await c.api('get_jobs', { ids: [id1, 'x', l2.job.id], verbose: true })).jobs; assert.equal(many.length, 3); assert.ok(many[1].err);
  const { token } = await c.api('get_job', { id: l2.job.id });
  assert.equal((await c.http('GET', `/api/app/view_job_log/v1?id=${l2.job.id}&t=${token}`)).text, 'one\ntwo\n');
  assert.match(String((await c.http('GET', `/api/app/download_job_log/v1?id=${l2.job.id}&t=${token}`)).headers['content-disposition']), /orrery-partial/);
  assert.equal((await c.http('GET', `/api/app/view_job_log/v1?id=${id1}&t=${token}`)).status, 403);
  assert.equal((await c.call('job_skip_delay', { id: id1 })).json.code, 'job');
  assert.equal((await c.call('get_job_log', { id: id1 })).json.code, 'notfound');
  assert.equal((await a.finish(l2.job.id, { code: 0, data: { n: 1 } })).json.code, 0);
  const done = (await w).json; assert.equal(done.code, 0); assert.equal(done.job.final, true); assert.deepEqual(done.job.data, { n: 1 });
  assert.equal((await a.finish(id1, { code: 3 })).json.code, 0);
  // a key with run_jobs may finish, one without not
  const id3 = await c.runEvent('w'); await a.msg('launch_job', (d) => d.job.id === id3);
  const none = (await c.api('create_api_key', { title: 'n' })).plain_key;
  const fin = (auth: string) => c.http('POST', '/api/app/finish_job/v1', { headers, body: JSON.stringify({ id: id3, auth, job: { state: 'complete', code: 0 } }) });
  assert.equal((await fin(none)).json.code, 'auth'); assert.equal((await fin(c.key)).json.code, 0);
  await c.finished(id3);
  // ephemeral
  const e = c.http('POST', '/api/app/run_event/v1/wait', { headers: H, body: '{"id":"w","ephemeral":true}' });
  const l4 = await a.msg('launch_job', (d) => ![id1, l2.job.id, id3].includes(d.job.id));
  await a.finish(l4.job.id, { code: 0 }); const ej = (await e).json; assert.equal(ej.code, 0, JSON.stringify(ej)); assert.equal(ej.job.id, l4.job.id);
  assert.equal((await c.call('get_job', { id: l4.job.id })).json.code, 'notfound');
  // start delay
  const id5 = await c.runEvent('w', { state: 'start_delay', until: Date.now() / 1000 + 3600 });
  assert.equal((await c.job(id5)).state, 'start_delay'); await c.api('job_skip_delay', { id: id5 }); await a.msg('launch_job', (d) => d.job.id === id5); await a.finish(id5, { code: 0 });
  // servers
  await c.api('update_server', { id: 'sa1', title: 'Mine', groups: ['main'], userData: { a: 1 } });
  const s = (await c.api('get_server', { id: 'sa1' })); assert.equal(s.server.title, 'Mine'); assert.equal(s.online, true); assert.deepEqual(s.server.userData, { a: 1 });
  assert.equal((await c.call('update_server', { id: 'sa1', groups: 'main' })).json.code, 'api');
  await c.api('delete_server', { id: 'sa1' }); await a.msg('uninstall'); a.ws.terminate();
  await until('gone', async () => (await c.api('get_active_servers')).rows.length === 0);
  assert.equal((await c.call('get_active_server', { id: 'sa1' })).json.code, 'notfound');
  assert.equal((await c.call('delete_server', { id: 'sa1' })).json.code, 'server');
  await c.api('delete_server', { id: 'sa1', history: true }); assert.equal((await c.call('get_server', { id: 'sa1' })).json.code, 'notfound');
  await pause(100);
});
test('locked params, group limits', async () => {
  await c.api('create_plugin', { id: 'lk', title: 'L', type: 'event', command: '/bin/sh', params: [{ id: 'a', type: 'text', title: 'A', locked: true, value: 'def' }, { id: 'b', type: 'text', title: 'B' }] });
  const key = (await c.api('create_api_key', { title: 'u', groups: ['main'], privileges: { create_events: 1, edit_events: 1, run_jobs: 1, update_servers: 1 } })).plain_key;
  const ev = { id: 'lke', title: 'E', enabled: true, category: 'general', plugin: 'lk', targets: ['main'], algo: 'random', params: { a: 'mine', b: 'x' }, triggers: [{ type: 'manual', enabled: true }] };
  assert.deepEqual((await c.api('create_event', ev, key)).event.params, { b: 'x', a: 'def' });
  await c.api('update_event', { id: 'lke', params: { a: 'adm', b: 'y' } });
  assert.equal((await c.api('update_event', { id: 'lke', params: { a: 'mine', b: 'z' } }, key)).event.params.a, 'adm');
  assert.equal((await c.api('update_event', { id: 'lke', title: 'E2' }, key)).event.params.a, 'adm');
  const r = await c.http('POST', '/api/app/run_event/v1/wait', { headers: { ...headers, 'X-API-Key': key }, body: '{"id":"lke","params":{"a":"mine","b":"q"},"targets":["main"]}' });
  assert.deepEqual([r.json.job.params.a, r.json.job.params.b], ['adm', 'q']);
  assert.equal((await c.call('run_event', { id: 'lke', targets: ['s1'] }, key)).json.code, 'access');
  assert.equal((await c.call('run_event', { id: 'lke', targets: 's1' }, key)).json.code, 'access');
  assert.equal((await c.call('create_event', { ...ev, id: 'x2', targets: ['other'] }, key)).json.code, 'access');
  assert.equal((await c.call('search_jobs', {}, key)).json.code, 'access');
  assert.equal((await c.call('run_event', { id: 'lke', params: { _xy_override_command: 'x' } })).json.code, 'api');
  assert.equal((await c.call('run_event', { id: 'lke', input: 5 })).json.code, 'api');
  assert.equal((await c.call('run_event', { json: '{bad' })).json.code, 'api');
  assert.equal((await c.call('run_event', {})).json.code, 'event');
  const q = await c.http('POST', '/api/app/run_event/v1?id=nosuch&params/b=1', { headers: { ...headers, 'X-API-Key': c.key }, body: '{"id":"lke","params":{"b":"2"}}' });
  assert.equal(q.json.code, 0, q.text); assert.equal((await c.finished(q.json.id)).params.b, 1);
  const f = await c.http('POST', '/api/app/run_event/v1', { headers: { 'Content-Type': 'application/x-www-form-urlencoded', 'X-API-Key': c.key }, body: 'id=lke&test=false&params/b=5&label=a%3Cb%3Ec&priority=1' });
  assert.equal(f.json.code, 0, f.text); const fj = await c.finished(f.json.id); assert.equal(fj.params.b, '5'); assert.equal(fj.label, 'ac'); assert.equal(fj.test, undefined);
});
test('a link of another site', async () => {
  const login = await c.http('POST', '/api/user/login', { headers, body: JSON.stringify({ username: 'admin', password: c.password }) });
  const Cookie = /session_id=[0-9a-f]{64}/.exec(String(login.headers['set-cookie']))![0];
  const get = (h: Record<string, string>) => c.http('GET', '/api/app/run_event/v1?id=nosuch', { headers: { Cookie, ...h } });
  assert.equal((await get({ 'Sec-Fetch-Site': 'cross-site' })).json.code, 'session');
  assert.equal((await get({ 'Sec-Fetch-Site': 'same-origin' })).json.code, 'event');
  assert.equal((await get({})).json.code, 'event');
});

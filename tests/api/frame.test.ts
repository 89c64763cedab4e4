// The request frame: URLs, envelopes, credentials, parameters (reference: api-operations.md 1).
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Conductor, Json } from '../support/orrery';

let c: Conductor;
before(async () => {
    c = await Conductor.start();
    await c.addEvent('ev1', '#!/bin/sh\necho hi\n');
});
after(() => c?.remove());

const json = { 'Content-Type': 'application/json' };
const get = (path: string, headers: Record<string, string> = {}) => c.http('GET', path, { headers });
const withKey = (path: string) => get(path, { 'X-API-Key': c.key });

test('ping needs no credentials', async () => {
    const r = await get('/api/app/ping/v1');
    assert.equal(r.status, 200);
    assert.deepEqual(r.json, { code: 0 });
});

test('the test error has its code and status', async () => {
    assert.deepEqual([(await get('/api/app/error/v1')).status, (await get('/api/app/error/v1')).json.code], [500, 'test']);
    assert.equal((await get('/api/app/error')).status, 200);
});

test('echo shows query numbers as numbers and hides nothing but credentials', async () => {
    const r = await get('/api/app/echo?n=12&f=1.5&neg=-3&s=1x&id=77&cachebust=1&twice=1&twice=2');
    assert.equal(r.json.query.n, 12);
    assert.equal(r.json.query.f, 1.5);
    assert.equal(r.json.query.neg, -3);
    assert.equal(r.json.query.s, '1x');
    assert.equal(r.json.query.twice, 2);
    assert.equal(r.json.query.cachebust, undefined);
    assert.equal(r.json.method, 'GET');
});

test('unknown names and malformed URLs', async () => {
    for (const path of ['/api/app/no_such_call/v1', '/api/app/no_such_call']) {
        const r = await withKey(path);
        assert.equal(r.status, 200, path);
        assert.equal(r.json.code, 1);
        assert.equal(r.json.description, 'Unsupported API: app/no_such_call');
    }
    for (const path of ['/api/', '/api/app/', '/api/nowhere/x/v1']) {
        const r = await withKey(path);
        assert.equal(r.json.code, 1, `${path} ${r.text}`);
    }
});

test('error status depends on the code under /vN, and is 200 without', async () => {
    const cases: [string, number, Json][] = [
        ['get_event', 400, 'api'],
        ['get_event?id=NoSuch!', 400, 'api'],
        ['get_event?id=nosuch', 404, 'notfound'],
    ];
    for (const [call, status, code] of cases) {
        const [name, query] = call.split('?');
        const r = await withKey(`/api/app/${name}/v1${query ? `?${query}` : ''}`);
        assert.deepEqual([r.status, r.json.code], [status, code], call);
        const plain = await withKey(`/api/app/${name}${query ? `?${query}` : ''}`);
        assert.deepEqual([plain.status, plain.json.code], [200, code], call);
    }
    assert.match((await withKey('/api/app/get_event/v1')).json.description, /^Missing parameter: id/);
    assert.match((await withKey('/api/app/get_event/v1?id=NoSuch!')).json.description, /^Malformed parameter: id/);
    assert.equal((await withKey('/api/app/get_event/v1?id=nosuch')).json.description, 'Failed to locate event: nosuch');
    const run = await c.call('run_event', { id: 'nosuch' });
    assert.deepEqual([run.status, run.json.code], [500, 'event']);
});

test('an API key in header, query and body', async () => {
    assert.equal((await withKey('/api/app/get_event/v1?id=ev1')).json.event.id, 'ev1');
    assert.equal((await get(`/api/app/get_event/v1?id=ev1&api_key=${c.key}`)).json.event.id, 'ev1');
    const body = await c.http('POST', '/api/app/get_event/v1', { headers: json, body: JSON.stringify({ id: 'ev1', api_key: c.key }) });
    assert.equal(body.json.event.id, 'ev1');
    // a credential among the parameters is no filter
    assert.equal((await get(`/api/app/get_events/v1?api_key=${c.key}`)).json.rows.length, 1);
    assert.equal((await get('/api/app/get_events/v1?enabled=1', { 'X-API-Key': c.key })).json.rows.length, 1);
});

test('no, wrong and disabled credentials', async () => {
    for (const headers of [{}, { 'X-API-Key': 'wrong' }, { 'X-Session-ID': 'f'.repeat(64) }, { Cookie: 'session_id=zzz' }] as Record<string, string>[]) {
        const r = await get('/api/app/get_event/v1?id=ev1', headers);
        assert.deepEqual([r.status, r.json.code], [403, 'session'], JSON.stringify(headers));
        assert.ok(r.json.description.length > 0);
    }
    const made = await c.api('create_api_key', { title: 'short lived', privileges: {} });
    assert.equal(made.plain_key.length, 43);
    assert.equal(made.api_key.key, undefined, 'the hash stays here');
    assert.equal((await c.call('get_event', { id: 'ev1' }, made.plain_key)).json.code, 0);
    await c.api('update_api_key', { id: made.api_key.id, active: false });
    assert.equal((await c.call('get_event', { id: 'ev1' }, made.plain_key)).json.code, 'session');
    await c.api('update_api_key', { id: made.api_key.id, active: true, expires: 1000 });
    assert.equal((await c.call('get_event', { id: 'ev1' }, made.plain_key)).json.code, 'session');
    await c.api('delete_api_key', { id: made.api_key.id });
    assert.equal((await c.call('get_event', { id: 'ev1' }, made.plain_key)).json.code, 'session');
});

test('a key over its rate is told so', async () => {
    const made = await c.api('create_api_key', { title: 'slow', privileges: {}, max_per_sec: 2 });
    const replies = await Promise.all(Array.from({ length: 12 }, () => c.call('get_event', { id: 'ev1' }, made.plain_key)));
    const refused = replies.filter((r) => r.status === 429);
    assert.ok(refused.length >= 8, `${refused.length} of 12`);
    assert.equal(refused[0].json.code, 'rate');
});

test('authentication comes before validation: a stranger learns nothing', async () => {
    for (const body of ['{}', '{"id":5}', '{"__proto__":1}', 'null', '[1]']) {
        const r = await c.http('POST', '/api/app/create_event/v1', { headers: json, body });
        assert.deepEqual([r.status, r.json.code], [403, 'session'], body);
    }
});

test('a key without the privilege', async () => {
    const none = (await c.api('create_api_key', { title: 'none', privileges: {} })).plain_key;
    for (const [name, body] of [
        ['create_event', { title: 'x' }], ['update_event', { id: 'ev1' }], ['delete_event', { id: 'ev1' }], ['run_event', { id: 'ev1' }],
        ['create_category', { title: 'x' }], ['create_plugin', { title: 'x' }], ['abort_job', { id: 'j1' }], ['delete_job', { id: 'j1' }],
        ['update_job', { id: 'j1' }], ['get_api_keys', {}], ['create_api_key', { title: 'x' }], ['delete_server', { id: 's1' }], ['get_satellite_token', {}],
    ] as [string, Json][]) {
        const r = await c.call(name, body, none);
        assert.deepEqual([r.status, r.json.code], [403, 'access'], name);
    }
    assert.equal((await c.call('get_events', {}, none)).json.code, 0);
});

test('sessions: login, CSRF, resume, logout', async () => {
    const login = await c.http('POST', '/api/user/login', { headers: json, body: JSON.stringify({ username: 'admin', password: c.password }) });
    assert.equal(login.json.code, 0, login.text);
    assert.equal(login.json.username, 'admin');
    assert.equal(login.json.user.password, undefined);
    assert.equal(login.json.user.salt, undefined);
    assert.match(login.json.csrf_token, /^[0-9a-f]{64}$/);
    const cookie = String(login.headers['set-cookie']);
    assert.match(cookie, /session_id=[0-9a-f]{64}/);
    assert.match(cookie, /HttpOnly/i);
    assert.match(cookie, /SameSite=Lax/i);
    const session = /session_id=([0-9a-f]{64})/.exec(cookie)![1];
    const Cookie = `session_id=${session}`;
    assert.equal((await get('/api/app/get_event/v1?id=ev1', { Cookie })).json.code, 0);
    assert.equal((await get('/api/app/get_event/v1?id=ev1', { 'X-Session-ID': session })).json.code, 0);
    const post = (headers: Record<string, string>) => c.http('POST', '/api/app/get_event/v1', { headers: { ...json, ...headers }, body: '{"id":"ev1"}' });
    assert.deepEqual([(await post({ Cookie })).status, (await post({ Cookie })).json.code], [403, 'session']);
    assert.equal((await post({ Cookie, 'X-CSRF-Token': login.json.csrf_token })).json.code, 0);
    const resumed = await c.http('POST', '/api/user/resume_session', { headers: { ...json, Cookie }, body: '{}' });
    assert.equal(resumed.json.username, 'admin');
    await c.kill9();
    await c.up();
    assert.equal((await get('/api/app/get_event/v1?id=ev1', { Cookie })).json.code, 0, 'a session survives kill -9');
    const out = await c.http('POST', '/api/user/logout', { headers: { ...json, Cookie, 'X-CSRF-Token': login.json.csrf_token }, body: '{}' });
    assert.equal(out.json.code, 0);
    assert.equal((await get('/api/app/get_event/v1?id=ev1', { Cookie })).json.code, 'session');
});

test('bad logins are vague, and lock after six', async () => {
    const login = (username: Json, password: Json) => c.http('POST', '/api/user/login', { headers: json, body: JSON.stringify({ username, password }) });
    const unknown = await login('nobody_here', 'x');
    const wrong = await login('admin', 'x');
    assert.deepEqual([unknown.status, unknown.json.code], [200, 'login']);
    assert.deepEqual(unknown.json, wrong.json);
    for (const [u, p] of [[5, 'x'], ['admin', null], ['', ''], [{}, []]]) {
        const r = await login(u, p);
        assert.equal(r.status, 200);
        assert.ok(['api', 'login'].includes(r.json.code), r.text);
    }
});

test('bodies of every wrong kind', async () => {
    const post = (body: string | Buffer, type = 'application/json', key = c.key) =>
        c.http('POST', '/api/app/get_event/v1', { headers: { 'Content-Type': type, 'X-API-Key': key }, body });
    const bad = await post('{"id":');
    assert.equal(bad.status, 400);
    assert.match(bad.text, /^400 Bad Request/);
    for (const body of ['null', '[]', '"text"', '17', 'true']) {
        const r = await post(body);
        assert.deepEqual([r.status, r.json.code], [400, 'api'], body);
    }
    for (const id of [null, 5, {}, [], true, '', 'a b', '../x', 'x'.repeat(100), '\u0000']) {
        const r = await post(JSON.stringify({ id }));
        assert.ok(r.status === 400 || r.status === 404, `${JSON.stringify(id)}: ${r.status} ${r.text}`);
    }
    assert.equal((await post('id=ev1', 'application/x-www-form-urlencoded')).json.event.id, 'ev1');
    assert.equal((await post(Buffer.from([0xff, 0xfe, 0x7b]))).status, 400);
    assert.equal((await post(`${'['.repeat(100)}${']'.repeat(100)}`)).status, 400);
    assert.equal((await c.call('get_event', { id: 'ev1', constructor: 1 })).json.code, 'api');
    assert.equal((await post('{"id":"ev1","__proto__":{"x":1}}')).json.code, 'api');
});

test('pretty and CORS', async () => {
    const r = await withKey('/api/app/get_event/v1?id=ev1&pretty=1');
    assert.match(r.text, /\n\t"event": ?\{/);
    const o = await c.http('OPTIONS', '/api/app/get_event/v1', { headers: { Origin: 'http://example.com', 'Access-Control-Request-Headers': 'x-api-key' } });
    assert.equal(o.status, 200);
    assert.equal(o.headers['access-control-allow-origin'], 'http://example.com');
    assert.equal(o.headers['access-control-max-age'], '1728000');
});

test('health, metrics, openapi and the front page', async () => {
    const health = await get('/health');
    assert.deepEqual([health.status, health.json.code, health.json.master], [200, 0, true]);
    const metrics = await get('/metrics', { 'X-API-Key': c.key });
    assert.match(metrics.text, /^orrery_/m);
    const api = await get('/openapi.json');
    assert.match(api.json.openapi, /^3\.1/);
    assert.ok(Object.keys(api.json.paths).some((p) => p.includes('run_event')));
    const page = await get('/');
    assert.equal(page.status, 200);
    assert.match(String(page.headers['content-type']), /text\/html/);
    assert.ok(page.headers['content-security-policy']);
    assert.equal(page.headers['x-frame-options'], 'DENY');
    assert.equal(page.headers['x-content-type-options'], 'nosniff');
});

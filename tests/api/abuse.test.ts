// Garbage on the wire: the daemons answer or hang up, and live on.
import assert from 'node:assert/strict';
import { connect, Socket } from 'node:net';
import { after, before, test } from 'node:test';
import WebSocket from 'ws';
import { Conductor } from '../support/orrery';
import { until } from '../support/wait';

let c: Conductor;
before(async () => {
    c = await Conductor.start([], { ORRERY_WebServer__timeout: '2', ORRERY_WebServer__keep_alive_timeout: '2' });
});
after(() => c?.remove());

const alive = async () => assert.equal((await c.http('GET', '/api/app/ping/v1')).json.code, 0);

/** Sends what the callback writes; resolves with all that came back when the server hangs up. */
function raw(talk: (s: Socket) => void): Promise<string> {
    return new Promise((resolve) => {
        const s = connect(c.port, '127.0.0.1', () => talk(s));
        let got = '';
        s.on('data', (p) => (got += p.toString('latin1')));
        s.on('error', () => {});
        s.on('close', () => resolve(got));
    });
}

test('a header of 100 MB is refused and not kept in memory', async () => {
    let sent = 0;
    const got = await raw((s) => {
        s.write('GET / HTTP/1.1\r\nHost: x\r\nX-Big: ');
        const piece = Buffer.alloc(1 << 16, 'a');
        const more = () => {
            while (sent < 100e6 && !s.destroyed) {
                sent += piece.length;
                if (!s.write(piece)) return void s.once('drain', more);
            }
            s.end();
        };
        more();
    });
    assert.ok(got === '' || /^HTTP\/1\.1 431/.test(got), got.slice(0, 200));
    assert.ok(c.peak() < 60e6 || !!process.env.ORRERY_SANITIZED, `${c.peak()}`);
    await alive();
});

test('a slow client is cut', async () => {
    const begin = Date.now();
    await raw((s) => s.write('GET /health HTT'));
    assert.ok(Date.now() - begin < 30000);
    const body = await raw((s) => s.write('POST /api/app/ping/v1 HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"a"'));
    assert.ok(body === '' || /^HTTP\/1\.1 (408|200|400)/.test(body), body);
    await alive();
});

test('half-closed, reset and silent sockets', async () => {
    const half = await raw((s) => s.end('GET /api/app/ping/v1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'));
    assert.match(half, /^HTTP\/1\.1 200/);
    assert.match(half, /\{"code":0\}/);
    await raw((s) => s.resetAndDestroy());
    await raw((s) => {
        s.write('GET /api/app/get_events/v1 HTTP/1.1\r\nHost: x\r\n\r\n');
        s.resetAndDestroy();
    });
    await raw(() => {});
    await alive();
});

test('garbage and smuggling', async () => {
    for (const text of [
        '\x00\x01\x02\x03', 'GARBAGE\r\n\r\n', 'GET / HTTP/9.9\r\n\r\n', 'GET\r\n\r\n', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
        'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
        'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef',
        'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n', 'POST /api/app/ping/v1 HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n',
        'GET / HTTP/1.1\r\nHost: x\r\nBad Header: y\r\n\r\n', `GET /${'a'.repeat(20000)} HTTP/1.1\r\nHost: x\r\n\r\n`,
    ]) {
        const got = await raw((s) => s.write(Buffer.from(text, 'latin1')));
        assert.ok(got === '' || /^HTTP\/1\.1 4\d\d|^HTTP\/1\.1 505/.test(got), `${JSON.stringify(text.slice(0, 60))}: ${got.slice(0, 120)}`);
    }
    await alive();
});

test('pipelined requests are answered in order', async () => {
    const one = (id: number) => `GET /api/app/echo?n=${id} HTTP/1.1\r\nHost: x\r\n\r\n`;
    const got = await raw((s) => s.write(one(1) + one(2) + one(3) + 'GET /api/app/ping/v1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'));
    const order = [...got.matchAll(/"n":(\d)/g)].map((m) => m[1]).filter((v, i, all) => all[i - 1] !== v);
    assert.deepEqual(order, ['1', '2', '3']);
});

test('a body over the limit is refused', async () => {
    const r = await raw((s) => s.write('POST /api/app/get_event/v1 HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99999999999\r\n\r\n'));
    assert.match(r, /^HTTP\/1\.1 413/);
    await alive();
});

test('WebSockets that talk nonsense', async () => {
    for (const message of ['', 'x', '{', '{}', '[]', 'null', '{"cmd":5}', '{"cmd":"join","data":{"token":"x"}}', '{"cmd":"jobs","data":{"j1":{"state":"complete"}}}',
        '{"cmd":"job_log","data":{"id":"j1","text":"x"}}', '{"cmd":"hello"}', '{"cmd":"hello","data":null}', '{"cmd":"hello","data":{"id":"../x","hostname":5,"info":[]}}',
        `{"cmd":"hello","data":${'['.repeat(200)}${']'.repeat(200)}}`, '{"cmd":"authenticate","data":{}}', '{"cmd":"master","data":{}}']) {
        const ws = new WebSocket(c.url.replace('http', 'ws') + '/');
        await new Promise((done, fail) => { ws.on('open', done); ws.on('error', fail); });
        ws.send(message);
        ws.send(Buffer.from([0, 1, 2]));
        ws.ping();
        await new Promise((done) => { ws.on('pong', done); ws.on('close', done); });
        ws.terminate();
    }
    await alive();
});

test('a satellite with a wrong token is refused and stays unknown', async () => {
    const ws = new WebSocket(c.url.replace('http', 'ws') + '/');
    const seen: { cmd: string; data: Record<string, string> }[] = [];
    ws.on('message', (m) => seen.push(JSON.parse(m.toString())));
    await new Promise((done) => ws.on('open', done));
    ws.send(JSON.stringify({ cmd: 'hello', data: { hostname: 'Intruder!', id: 'sintruder', info: {} } }));
    await until('the nonce', async () => seen.find((m) => m.cmd === 'hello'));
    ws.send(JSON.stringify({ cmd: 'join', data: { token: '0'.repeat(64) } }));
    const refused = await until('auth_failure', async () => seen.find((m) => m.cmd === 'auth_failure'));
    assert.match(refused.data.description, /Invalid authentication token/);
    assert.equal((await c.api('get_active_servers')).rows.length, 0);
    ws.terminate();
});

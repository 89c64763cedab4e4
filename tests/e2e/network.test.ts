// The network between satellite and conductor fails: connections cut at any byte, long silence, half-open links.
import assert from 'node:assert/strict';
import { connect, createServer, Server, Socket } from 'node:net';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Conductor, Satellite } from '../support/orrery';
import { pause, until } from '../support/wait';

/** A TCP relay whose connections can be cut. */
class Relay {
    port = 0;
    private server!: Server;
    private pairs = new Set<[Socket, Socket]>();
    open = true;

    async start(to: number) {
        this.server = createServer((a) => {
            if (!this.open) return void a.destroy();
            const b = connect(to, '127.0.0.1');
            const pair: [Socket, Socket] = [a, b];
            this.pairs.add(pair);
            for (const [x, y] of [[a, b], [b, a]]) {
                x.on('data', (p) => { if (!y.write(p)) { x.pause(); y.once('drain', () => x.resume()); } });
                x.on('end', () => y.end());
                x.on('error', () => y.destroy());
                x.on('close', () => { y.destroy(); this.pairs.delete(pair); });
            }
        });
        await new Promise<void>((done) => this.server.listen(0, '127.0.0.1', () => done()));
        this.port = (this.server.address() as { port: number }).port;
        return this;
    }
    cut() {
        for (const [a, b] of this.pairs) { a.resetAndDestroy(); b.resetAndDestroy(); }
    }
    stop() {
        this.cut();
        this.server.close();
    }
}

let c: Conductor;
let s: Satellite;
let relay: Relay;

before(async () => {
    c = await Conductor.start();
    s = await Satellite.start(c);
    await s.end('SIGTERM');
    relay = await new Relay().start(c.port);
    const path = join(s.home, 'config.json');
    const config = JSON.parse(readFileSync(path, 'utf8'));
    writeFileSync(path, JSON.stringify({ ...config, host: '127.0.0.1', port: relay.port }));
    s.up();
    await s.online();
});
after(async () => {
    await s?.remove();
    relay?.stop();
    await c?.remove();
});

test('thirty cuts during jobs that talk: every log is whole, every job ends once', { timeout: 600000 }, async () => {
    const lines = 400;
    await c.addEvent('talks', `#!/bin/bash\nfor i in $(seq 1 ${lines}); do echo "$i $JOB_ID and some padding to make the line longer"; [ $((i % 20)) = 0 ] && echo '{"xy":1,"push":{"tags":["n'$i'"]}}'; sleep 0.01; done\necho '{"xy":1,"data":{"end":1}}'\n`);
    const ids: string[] = [];
    for (let i = 0; i < 6; i++) ids.push(await c.runEvent('talks'));
    for (let i = 0; i < 30; i++) {
        await pause(Math.random() * 300); // a random moment
        relay.cut();
    }
    for (const id of ids) {
        const job = await c.finished(id, 120000);
        assert.equal(job.code, 0, `${id} ${job.description}`);
        assert.deepEqual(job.tags.filter((t: string) => t.startsWith('n')), Array.from({ length: lines / 20 }, (_, i) => `n${20 * (i + 1)}`), 'each push once, in order');
        assert.equal(await c.jobLog(id), Array.from({ length: lines }, (_, i) => `${i + 1} ${id} and some padding to make the line longer\n`).join(''));
    }
});

test('a job that ends while the conductor is out of reach is delivered later', async () => {
    await c.addEvent('away', '#!/bin/sh\necho before; sleep 1; echo after\nexit 3\n');
    const id = await c.runEvent('away');
    await until('the job to run', async () => (await c.api('tail_live_job_log', { id })).text === 'before\n');
    relay.open = false;
    relay.cut();
    await until('the server to be lost', async () => (await c.api('get_active_servers')).rows.length === 0);
    const lost = await c.job(id);
    assert.equal(lost.final, undefined);
    assert.ok(lost.activity.some((r: { msg: string }) => /^Lost connection to remote server: /.test(r.msg)));
    await pause(1500); // the job ends meanwhile
    relay.open = true;
    const job = await c.finished(id);
    assert.equal(job.code, 3);
    assert.equal(await c.jobLog(id), 'before\nafter\n');
});

test('a job aborted while its server is out of reach ends when it is back', async () => {
    await c.addEvent('stuck', '#!/bin/sh\necho up; while :; do sleep 0.2; done\n');
    const id = await c.runEvent('stuck');
    await until('the job to run', async () => (await c.api('tail_live_job_log', { id })).text === 'up\n');
    relay.open = false;
    relay.cut();
    await until('the server to be lost', async () => (await c.api('get_active_servers')).rows.length === 0);
    await c.api('abort_job', { id });
    relay.open = true;
    const job = await c.finished(id);
    assert.equal(job.code, 'abort');
    assert.equal(await c.jobLog(id), 'up\n');
});

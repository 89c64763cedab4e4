// Every example of the generated documents is really sent, as it stands. Creates go first, deletes last,
// so that what the examples name is there; what else they name is made here.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Conductor, Satellite } from '../support/orrery';
import { ask, login, Route, routes } from '../support/rights';

let c: Conductor;
let s: Satellite;
before(async () => {
    c = await Conductor.start();
    s = await Satellite.start(c);
    await c.addEvent('nightly', '#!/bin/sh\necho hi\n');
    await c.api('create_plugin', { id: 'rsync', title: 'Rsync', type: 'event', command: '/usr/bin/rsync' });
    await c.addEvent('ev1', '#!/bin/sh\necho hi\n');
});
after(async () => {
    await s?.remove();
    await c?.remove();
});

const order = (r: Route) => (r.name.includes('create') ? 0 : r.name.includes('delete') || r.name.includes('logout') ? 2 : 1);

test('examples', async () => {
    const all = (await routes(c)).filter((r) => r.example && !r.files && r.rule !== 'token');
    const failed: string[] = [];
    all.sort((a, b) => order(a) - order(b) || (a.name < b.name ? -1 : 1));
    for (const r of all) {
        const headers = r.user ? (await login(c, 'admin', c.password)).headers : { 'X-API-Key': c.key };
        const reply = await ask(c, r, headers, r.example);
        const code = reply.json ? reply.json.code : 0;
        // `api` would mean that the parameters of the example are wrong
        if (code === 'api' || (order(r) === 0 && code !== 0))
            failed.push(`${r.name} ${JSON.stringify(r.example)}: HTTP ${reply.status} ${reply.text.slice(0, 200)}`);
    }
    assert.deepEqual(failed, []);
    console.log(`# ${all.length} examples`);
});

test('every call with parameters of its own has an example', async () => {
    const bare = (await routes(c)).filter((r) => r.rule !== 'token' && r.takes && !r.example).map((r) => r.name);
    assert.deepEqual(bare, []);
});

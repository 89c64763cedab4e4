// Every route x everybody who may ask: the exact answer. The routes come from the table itself, so a
// new row is held to its rule and its limit without a line here; what a limit means is held by an
// object of each family that the limited caller must neither see nor change.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Conductor, Json, Reply } from '../support/orrery';
import { ask, login, makeKey, Route, routes, Session } from '../support/rights';

let c: Conductor;
let all: Route[];
let cases = 0;

// These end what the test needs: they are asked last, or of another conductor.
const ending = new Set(['admin_delete_data', 'admin_rotate_secret_key', 'admin_import_data']);

before(async () => {
    c = await Conductor.start();
    await c.api('create_category', { id: 'cat_a', title: 'A', enabled: true });
    await c.api('create_category', { id: 'cat_b', title: 'B', enabled: true });
    await c.api('create_group', { id: 'grp_b', title: 'B', hostname_match: '^no-such-host$' });
    await c.addEvent('ev_a', '#!/bin/sh\necho hi\n', { category: 'cat_a' });
    all = await routes(c);
    assert.ok(all.length > 60, `only ${all.length} routes`);
});
after(async () => {
    console.log(`# ${cases} cases`);
    await c?.remove();
});

const what = (r: Route, who: string, reply: Reply) => `${r.name} by ${who}: HTTP ${reply.status} ${reply.text.slice(0, 200)}`;
const code = (reply: Reply) => reply.json?.code;

function refused(r: Route, who: string, reply: Reply, ...codes: string[]) {
    cases++;
    assert.ok(codes.includes(code(reply)), what(r, who, reply));
    const status = r.user ? [200] : [400, 403, 500];
    assert.ok(status.includes(reply.status), what(r, who, reply));
}

function letIn(r: Route, who: string, reply: Reply) {
    cases++;
    // the reference's code for a missing `items`
    if (reply.json?.description !== 'Missing parameter: items') assert.notEqual(code(reply), 'session', what(r, who, reply));
    assert.doesNotMatch(reply.text, /does not have the privilege/, what(r, who, reply));
}

const guarded = () => all.filter((r) => r.rule !== 'public' && r.rule !== 'token');

test('nobody is let in without credentials', async () => {
    for (const r of guarded()) {
        const reply = await ask(c, r, {});
        refused(r, 'nobody', reply, 'session');
        if (!r.user) assert.equal(reply.status, 403, what(r, 'nobody', reply));
    }
});

test('rows with a token of their own refuse those without', async () => {
    for (const r of all.filter((x) => x.rule === 'token')) {
        const reply = await ask(c, r, {}, { id: 'jnosuch', server: 'snosuch', auth: 'x', t: 'x' });
        cases++;
        assert.notEqual(code(reply), 0, what(r, 'nobody', reply));
    }
});

test('wrong credentials are no credentials', async () => {
    for (const r of guarded()) {
        refused(r, 'a made-up session', await ask(c, r, { Cookie: 'session_id=' + 'f'.repeat(64), 'X-CSRF-Token': 'f'.repeat(64) }), 'session');
        if (!r.user) refused(r, 'a made-up key', await ask(c, r, { 'X-API-Key': 'x'.repeat(43) }), 'api', 'session');
    }
});

test('a session without its token cannot change anything', async () => {
    const s = await login(c, 'admin', c.password);
    assert.equal((await c.http('POST', '/api/app/get_events/v1', { headers: s.headers })).json.code, 0, 'with it, it may');
    for (const r of guarded()) refused(r, 'a session without CSRF token', await ask(c, r, s.cookie), 'session');
    for (const r of guarded())
        refused(r, 'a session with the token of another', await ask(c, r, { ...s.cookie, 'X-CSRF-Token': '0'.repeat(64) }), 'session');
});

test('a key needs the privilege of the row', async () => {
    const bare = await makeKey(c);
    for (const r of guarded().filter((x) => !x.user)) {
        const reply = await ask(c, r, { 'X-API-Key': bare.plain });
        if (r.rule === 'any') letIn(r, 'a bare key', reply);
        else refused(r, 'a bare key', reply, 'access');
    }
});

test('a key with every other privilege is refused; with this one it is let in', async () => {
    const privileges = [...new Set(guarded().map((r) => r.rule))].filter((p) => p !== 'any' && p !== 'admin');
    for (const p of privileges) {
        const others = Object.fromEntries(privileges.filter((x) => x !== p).map((x) => [x, true]));
        const without = await makeKey(c, { privileges: others });
        const having = await makeKey(c, { privileges: { [p]: true } });
        for (const r of guarded().filter((x) => x.rule === p && !x.user)) {
            refused(r, `a key without ${p}`, await ask(c, r, { 'X-API-Key': without.plain }), 'access');
            letIn(r, `a key with ${p}`, await ask(c, r, { 'X-API-Key': having.plain }));
        }
    }
    const everything = await makeKey(c, { privileges: Object.fromEntries(privileges.map((x) => [x, true])) });
    for (const r of guarded().filter((x) => x.rule === 'admin' && !x.user))
        refused(r, 'a key with all but admin', await ask(c, r, { 'X-API-Key': everything.plain }), 'access');
});

test('expired and inactive keys, inactive users', async () => {
    const expired = await makeKey(c, { privileges: { admin: true }, expires: 1000000000 });
    const inactive = await makeKey(c, { privileges: { admin: true } });
    await c.api('update_api_key', { id: inactive.id, active: 0 });
    const users = all.some((r) => r.name === 'create_user');
    if (users) await c.api('create_user', { username: 'gone', password: 'a long password', full_name: 'Gone', email: 'gone@localhost', active: 1, privileges: { admin: true }, roles: [] });
    const gone = users ? await login(c, 'gone', 'a long password') : undefined;
    if (users) await c.api('update_user', { username: 'gone', active: 0 });
    for (const r of guarded()) {
        if (!r.user) {
            refused(r, 'an expired key', await ask(c, r, { 'X-API-Key': expired.plain }), 'api', 'session');
            refused(r, 'an inactive key', await ask(c, r, { 'X-API-Key': inactive.plain }), 'api', 'session');
        }
        if (gone) refused(r, 'an inactive user', await ask(c, r, gone.headers), 'session', 'user');
    }
});

// One object of each family that a caller limited to cat_b and grp_b must not reach.
const hidden: Record<string, (r: Route) => Json> = {
    category: (r) => (r.name.startsWith('create') ? { id: 'cat_new', title: 'New' } : { id: 'cat_a', title: 'Changed' }),
    group: (r) => (r.name.startsWith('create') ? { id: 'grp_new', title: 'New', hostname_match: 'x' } : { id: 'main', title: 'Changed' }),
    event: (r) =>
        r.name === 'create_event'
            ? { title: 'New', enabled: true, category: 'cat_a', plugin: 'shellplug', targets: ['main'], algo: 'random', params: { script: '#!/bin/sh\n' }, triggers: [] }
            : { id: 'ev_a', title: 'Changed' },
    unlimited: () => ({ items: [{ id: 'cat_a', title: 'Changed' }], id: 'load_avg', title: 'Changed' }),
};

test('limits: what is not theirs is neither shown nor changed', async () => {
    const privileges = Object.fromEntries([...new Set(guarded().map((r) => r.rule))].filter((p) => p !== 'any' && p !== 'admin').map((p) => [p, true]));
    const limited = await makeKey(c, { privileges, categories: ['cat_b'], groups: ['grp_b'] });
    const lists = ['get_categories', 'get_groups', 'get_events', 'get_monitors', 'get_alerts'].filter((l) => all.some((r) => r.name === l));
    const before = await Promise.all(lists.map((l) => c.api(l)));
    for (const r of guarded().filter((x) => !x.user && x.rule !== 'admin')) {
        if (hidden[r.limit]) {
            const reply = await ask(c, r, { 'X-API-Key': limited.plain }, hidden[r.limit](r));
            refused(r, 'a limited key', reply, 'access', 'alert', 'session');
        } else if (r.limit === 'filtered') {
            const reply = await ask(c, r, { 'X-API-Key': limited.plain }, { query: '*', limit: 100, ids: ['jnosuch'] });
            letIn(r, 'a limited key', reply);
            assert.doesNotMatch(reply.text, /"(cat_a|ev_a|main)"/, what(r, 'a limited key', reply));
        }
    }
    assert.deepEqual(await Promise.all(lists.map((l) => c.api(l))), before, 'nothing was changed');
});

test('an administrator is let in everywhere', async () => {
    for (const r of guarded().filter((x) => !ending.has(x.name))) {
        const s: Session = await login(c, 'admin', c.password); // some calls end their session
        const reply = await ask(c, r, s.headers);
        letIn(r, 'an administrator', reply);
        assert.notEqual(code(reply), 'access', what(r, 'an administrator', reply));
        assert.notEqual(code(reply), undefined, what(r, 'an administrator', reply));
    }
    for (const r of guarded().filter((x) => !x.user && !ending.has(x.name))) letIn(r, "an administrator's key", await ask(c, r, { 'X-API-Key': c.key }));
    assert.equal((await c.http('GET', '/health')).status, 200, 'still alive');
});

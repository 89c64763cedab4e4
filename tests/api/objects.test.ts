// Categories, plugins, groups and events: create, read, update, delete, and what they refuse.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Conductor, Json } from '../support/orrery';

let c: Conductor;
before(async () => {
    c = await Conductor.start();
});
after(() => c?.remove());

const event = (more: Json = {}) => ({
    title: 'An event', enabled: true, category: 'general', plugin: 'shellplug', targets: ['main'], algo: 'random',
    params: { script: '#!/bin/sh\necho hi\n' }, triggers: [{ type: 'manual', enabled: true }], ...more,
});

test('the default install is there', async () => {
    const plugins = (await c.api('get_plugins')).rows.map((p: Json) => p.id);
    for (const id of ['testplug', 'shellplug', 'httpplug', 'dockerplug', 'hookplug', 'open_files']) assert.ok(plugins.includes(id), id);
    assert.deepEqual((await c.api('get_categories')).rows.map((r: Json) => r.id), ['general']);
    assert.equal((await c.api('get_plugin', { id: 'shellplug' })).plugin.command, '[shell-plugin]');
    assert.equal((await c.api('get_groups')).rows[0].hostname_match, '.+');
});

for (const [kind, plural, body] of [
    ['category', 'categories', { title: 'Cat', enabled: true, color: 'blue' }],
    ['plugin', 'plugins', { title: 'Plug', type: 'event', command: '/bin/true' }],
    ['group', 'groups', { title: 'Grp', hostname_match: '^db' }],
    ['event', 'events', event()],
] as [string, string, Json][]) {
    test(`${kind}: its whole life`, async () => {
        const id = `life_${kind}`;
        const made = (await c.api(`create_${kind}`, { id, ...body, notes: 'a <b>bold</b> note' }))[kind];
        assert.equal(made.id, id);
        assert.equal(made.revision, 1);
        assert.equal(made.notes, 'a bold note');
        assert.ok(made.created > 1e9 && made.modified >= made.created);
        assert.deepEqual((await c.api(`get_${kind}`, { id }))[kind], made);
        assert.notEqual((await c.call(`create_${kind}`, { id, ...body })).json.code, 0, 'the id is taken');
        await c.api(`update_${kind}`, { id, title: 'Renamed', created: 1, revision: undefined });
        const changed = (await c.api(`get_${kind}`, { id }))[kind];
        assert.equal(changed.title, 'Renamed');
        assert.equal(changed.created, made.created, 'bookkeeping is ours');
        assert.equal(changed.revision, 2);
        const list = await c.api(`get_${plural}`);
        assert.ok(list.rows.some((r: Json) => r.id === id));
        assert.equal(list.list.length, list.rows.length);
        await c.kill9();
        await c.up();
        assert.deepEqual((await c.api(`get_${kind}`, { id }))[kind], changed, 'after kill -9');
        await c.api(`delete_${kind}`, { id });
        assert.deepEqual([(await c.call(`get_${kind}`, { id })).status], [404]);
        assert.notEqual((await c.call(`delete_${kind}`, { id })).json.code, 0);
        assert.notEqual((await c.call(`update_${kind}`, { id, title: 'x' })).json.code, 0);
    });

    test(`${kind}: bad input changes nothing and names the property`, async () => {
        const before = await c.api(`get_${plural}`);
        for (const [bad, name] of [
            [{ title: undefined }, 'title'], [{ title: '' }, 'title'], [{ title: 5 }, 'title'], [{ title: null }, 'title'], [{ title: 'a<b' }, 'title'],
            [{ id: 'Bad Id' }, 'id'], [{ id: 5 }, 'id'], [{ id: 'constructor' }, 'id'], [{ id: 'a/../b' }, 'id'], [{ icon: 'a b' }, 'icon'], [{ icon: {} }, 'icon'],
        ] as [Json, string][]) {
            const r = await c.call(`create_${kind}`, { ...body, ...bad });
            assert.deepEqual([r.status, r.json?.code], [400, 'api'], `${JSON.stringify(bad)}: ${r.text}`);
            assert.match(r.json.description.toLowerCase(), new RegExp(name), JSON.stringify(bad));
        }
        assert.deepEqual(await c.api(`get_${plural}`), before);
    });
}

test('events: what their table refuses', async () => {
    for (const bad of [
        { category: 'nosuch' }, { plugin: 'nosuch' }, { targets: [] }, { targets: 'main' }, { targets: [5] }, { algo: 'a b' }, { enabled: 'maybe' }, { enabled: undefined },
        { params: [] }, { triggers: {} }, { triggers: [5] }, { triggers: [{ type: 'nosuch', enabled: true }] }, { limits: [{}] }, { actions: ['x'] }, { category: undefined }, { plugin: undefined },
    ] as Json[]) {
        const r = await c.call('create_event', event(bad));
        assert.deepEqual([r.status, r.json?.code], [400, 'api'], `${JSON.stringify(bad)}: ${r.text}`);
    }
    const made = (await c.api('create_event', event({ id: 'clean', command: '/bin/x', env: { A: 1 }, uid: 0, custom_key: 'kept' }))).event;
    assert.equal(made.command, undefined);
    assert.equal(made.env, undefined);
    assert.equal(made.custom_key, 'kept');
});

test('events: an out of date revision is refused, and nothing changes', async () => {
    const made = (await c.api('create_event', event({ id: 'lock' }))).event;
    const updated = (await c.api('update_event', { id: 'lock', title: 'Two', revision: made.revision })).event;
    assert.equal(updated.revision, 2);
    const stale = await c.call('update_event', { id: 'lock', title: 'Three', revision: 1 });
    assert.deepEqual([stale.status, stale.json.code], [500, 'event']);
    assert.equal((await c.api('get_event', { id: 'lock' })).event.title, 'Two');
});

test('64 updates of one event at once all count', async () => {
    await c.api('create_event', event({ id: 'busy' }));
    await Promise.all(Array.from({ length: 64 }, (_, i) => c.api('update_event', { id: 'busy', title: `Title ${i}` })));
    assert.equal((await c.api('get_event', { id: 'busy' })).event.revision, 65);
});

test('a category in use is not deleted', async () => {
    await c.api('create_category', { id: 'used', title: 'Used', enabled: true });
    await c.api('create_event', event({ id: 'user_of', category: 'used' }));
    const r = await c.call('delete_category', { id: 'used' });
    assert.equal(r.json.code, 'category');
    await c.api('delete_event', { id: 'user_of' });
    await c.api('delete_category', { id: 'used' });
});

test('disabled events, categories and plugins do not run', async () => {
    await c.api('create_category', { id: 'off', title: 'Off', enabled: true });
    await c.api('create_event', event({ id: 'offev', category: 'off' }));
    await c.api('update_category', { id: 'off', enabled: false });
    assert.equal((await c.call('run_event', { id: 'offev' })).json.code, 'event');
    await c.api('create_event', event({ id: 'disabled1', enabled: false }));
    const r = await c.call('run_event', { id: 'disabled1' });
    assert.deepEqual([r.status, r.json.code], [500, 'event']);
    assert.match(r.json.description, /disabled/i);
    await c.api('create_event', event({ id: 'nomanual', triggers: [] }));
    assert.equal((await c.call('run_event', { id: 'nomanual' })).json.code, 'event');
});

test('a limited key sees and touches only its category', async () => {
    await c.api('create_category', { id: 'mine', title: 'Mine', enabled: true });
    await c.api('create_event', event({ id: 'in_mine', category: 'mine' }));
    const key = (await c.api('create_api_key', { title: 'limited', categories: ['mine'], privileges: { edit_events: true, run_jobs: true, delete_events: true, create_events: true } })).plain_key;
    const seen = (await c.call('get_events', {}, key)).json.rows.map((r: Json) => r.id);
    assert.deepEqual(seen, ['in_mine']);
    assert.equal((await c.call('get_event', { id: 'lock' }, key)).json.code, 'access');
    assert.equal((await c.call('update_event', { id: 'lock', title: 'x' }, key)).json.code, 'access');
    assert.equal((await c.call('update_event', { id: 'in_mine', category: 'general' }, key)).json.code, 'access');
    assert.equal((await c.call('delete_event', { id: 'lock' }, key)).json.code, 'access');
    assert.equal((await c.call('run_event', { id: 'lock' }, key)).json.code, 'access');
    assert.equal((await c.call('create_event', event({ id: 'sneaky' }), key)).json.code, 'access');
    assert.deepEqual((await c.call('get_categories', {}, key)).json.rows.map((r: Json) => r.id), ['mine']);
});

// kill -9 in a loop while 64 clients create and update: what was answered is there afterwards, with its
// revision and its activity row, and nothing is there by half.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Conductor, Json } from '../support/orrery';
import { pause, until } from '../support/wait';

const ROUNDS = Number(process.env.ORRERY_KILL_ROUNDS ?? 8);
const CLIENTS = 64;

interface Known {
    revision: number; // the newest that was answered
    asked: number; // the newest that was sent
}

let c: Conductor;
const objects = new Map<string, Known>(); // by id: answered creates
const sent = new Set<string>(); // ids of every create that was sent

before(async () => {
    c = await Conductor.start();
});
after(() => c?.remove());

const event = { enabled: true, category: 'general', plugin: 'shellplug', targets: ['main'], algo: 'random', params: { script: '#!/bin/sh\n' }, triggers: [] };
const title = (id: string, revision: number) => `${id} at ${revision}`;

async function client(n: number, round: number, stop: () => boolean) {
    for (let i = 0; !stop(); i++) {
        const id = `ev_${round}_${n}_${i}`;
        sent.add(id);
        try {
            const made = await c.call('create_event', { id, title: title(id, 1), ...event });
            if (made.json?.code !== 0) continue;
            const known = { revision: 1, asked: 1 };
            objects.set(id, known);
            for (let k = 2; k <= 4 && !stop(); k++) {
                known.asked = k;
                const reply = await c.call('update_event', { id, title: title(id, k) });
                if (reply.json?.code === 0) known.revision = k;
            }
        } catch {
            await pause(1); // the conductor is dead: the client sees a cut connection
        }
    }
}

/** Every activity row of an event, the oldest first. */
async function history(id: string): Promise<Json[]> {
    return (await c.api('get_event_history', { id, limit: 1000, sort_dir: 1 })).rows;
}

test(`${ROUNDS} rounds of kill -9 under ${CLIENTS} clients`, { timeout: 1800000 }, async () => {
    for (let round = 0; round < ROUNDS; round++) {
        let stopped = false;
        const clients = Array.from({ length: CLIENTS }, (_, n) => client(n, round, () => stopped));
        const before = objects.size;
        await until('clients to be at work', async () => objects.size > before + 20);
        await pause(Math.random() * 200); // the moment of the blow, not a wait for something
        await c.kill9();
        stopped = true;
        await Promise.all(clients);
        await c.up();

        const stored = new Map<string, Json>(((await c.api('get_events')).rows as Json[]).map((r) => [r.id, r]));
        for (const [id, known] of objects) {
            const now = stored.get(id);
            assert.ok(now, `${id} was answered and is gone`);
            assert.ok(now.revision >= known.revision && now.revision <= known.asked, `${id}: revision ${now.revision}, answered ${known.revision}, sent ${known.asked}`);
            assert.equal(now.title, title(id, now.revision), 'the object of its revision');
        }
        for (const id of stored.keys()) assert.ok(sent.has(id), `nobody asked for ${id}`);
    }
    const stored = (await c.api('get_events')).rows as Json[];
    for (const object of stored) {
        const mine = await history(object.id);
        assert.deepEqual(mine.map((r) => r.event.revision), Array.from({ length: object.revision }, (_, i) => i + 1), `history of ${object.id}`);
        assert.deepEqual(mine.map((r) => r.action), mine.map((_, i) => (i ? 'event_update' : 'event_create')));
    }
    console.log(`# ${objects.size} objects, ${[...objects.values()].reduce((sum, k) => sum + k.revision, 0)} answered changes`);
});

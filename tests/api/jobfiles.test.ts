// delete_job_file takes away what is the job's own, and nothing else that a run was given as input.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Conductor, Satellite } from '../support/orrery';

let c: Conductor;
let s: Satellite;
before(async () => {
    c = await Conductor.start();
    s = await Satellite.start(c);
    await c.addEvent('makes', '#!/bin/sh\necho out >out.txt\necho \'{"xy":1,"code":0,"files":["out.txt"]}\'\n');
});
after(async () => {
    await s?.remove();
    await c?.remove();
});

test('a file of another job given as input stays', async () => {
    const theirs = (await c.finished(await c.runEvent('makes'))).files[0];
    const job = await c.finished(await c.runEvent('makes', { input: { files: [theirs] } }));
    const refused = await c.call('delete_job_file', { id: job.id, path: theirs.path });
    assert.equal(refused.json.code, 'job', refused.text);
    assert.equal((await c.http('GET', `/${theirs.path}`, { headers: { 'X-API-Key': c.key } })).text, 'out\n');
    const own = job.files[0];
    assert.notEqual(own.path, theirs.path);
    await c.api('delete_job_file', { id: job.id, path: own.path });
    assert.equal((await c.http('GET', `/${own.path}`, { headers: { 'X-API-Key': c.key } })).status, 404);
});

// One real job, from the API to a satellite and back.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createHash, randomBytes } from 'node:crypto';
import { Conductor, Json, Satellite } from '../support/orrery';
import { until } from '../support/wait';

let c: Conductor;
let s: Satellite;

before(async () => {
    c = await Conductor.start();
    s = await Satellite.start(c);
});
after(async () => {
    await s?.remove();
    await c?.remove();
});

const sh = (body: string) => `#!/bin/sh\n${body}\n`;
const metas = (job: Json) => (job.activity as Json[]).map((r) => r.msg as string);

test('a shell job runs once, its log and record are whole', async () => {
    await c.addEvent('hello', sh('echo hi from $JOB_ID\necho 50%\necho last line without newline | tr -d "\\n"'));
    const id = await c.runEvent('hello');
    const job = await c.finished(id);
    assert.equal(job.code, 0, job.description);
    assert.equal(job.state, 'complete');
    assert.equal(job.final, true);
    assert.equal(job.event, 'hello');
    assert.equal(job.event_title, 'Event hello');
    assert.equal(job.server, s.id);
    assert.equal(job.source, 'key');
    assert.deepEqual([...job.tags].sort(), ['_last', '_success']);
    assert.ok(job.elapsed >= 0 && job.completed >= job.started);
    assert.equal(await c.jobLog(id), `hi from ${id}\nlast line without newline`);
    assert.ok(metas(job).some((m) => /^Spawned child process: PID \d+/.test(m)), metas(job).join('\n'));
    assert.ok(metas(job).some((m) => m === 'Child exited with code: 0'));
});

test('the exit code of a script is the code of the job', async () => {
    await c.addEvent('fails', sh('echo oops >&2\nexit 7'));
    const job = await c.finished(await c.runEvent('fails'));
    assert.equal(job.code, 7);
    assert.match(job.description, /Script exited with code: 7/);
    assert.ok(job.tags.includes('_error'));
});

test('parameters reach the job, and a request may override them', async () => {
    await c.addEvent('params', sh('echo "$greeting $name"'), { params: { greeting: 'hello', name: 'nobody' } });
    assert.equal(await c.jobLog((await c.finished(await c.runEvent('params', { params: { name: 'world' } }))).id), 'hello world\n');
    const query = await c.http('GET', '/api/app/run_event/v1?id=params&params/name=query', { headers: { 'X-API-Key': c.key } });
    assert.equal(query.json.code, 0, query.text);
    await c.finished(query.json.id);
    assert.equal(await c.jobLog(query.json.id), 'hello query\n');
});

test('launch fields of a caller are ignored', async () => {
    await c.addEvent('fixed', sh('echo ok $EVIL'));
    const id = await c.runEvent('fixed', {
        command: '/bin/false', env: { EVIL: 'yes' }, uid: 'nobody', cwd: '/', server: 'nowhere', script: 'x', category: 'other', kill: 'none',
    });
    const job = await c.finished(id);
    assert.equal(job.code, 0);
    assert.equal(job.category, 'general');
    assert.equal(job.server, s.id);
    assert.equal(await c.jobLog(id), 'ok\n');
});

test('messages of the stdio protocol: progress, data, table, description, code', async () => {
    await c.api('create_plugin', { id: 'speaker', title: 'Speaker', type: 'event', command: '/bin/sh', script: [
        'read line',
        'echo \'{"xy":1,"progress":0.25,"status":"quarter"}\'',
        'echo \'{"xy":1,"data":{"rows":[1,2],"a":1}}\'',
        'echo \'{"xy":1,"data":{"rows":[3],"b":2}}\'',
        'echo \'{"xy":1,"table":{"title":"T","header":["a"],"rows":[[1]]}}\'',
        'echo \'{"xy":1,"perf":{"scale":1000,"db":1851}}\'',
        'echo \'{"not":"ours"}\'',
        'echo \'{"type":"swallowed"}\'',
        'echo plain',
        'echo "$line" | grep -o \'"type":"event"\'',
        'echo \'{"xy":1,"code":"warning","description":"Two rows skipped"}\'',
    ].join('\n') });
    await c.addEvent('speaks', '', { plugin: 'speaker', params: {} });
    const id = await c.runEvent('speaks');
    const job = await c.finished(id);
    assert.equal(job.code, 'warning');
    assert.equal(job.description, 'Two rows skipped');
    assert.deepEqual(job.data, { rows: [1, 2, 3], a: 1, b: 2 });
    assert.equal(job.table.title, 'T');
    assert.equal(job.perf.db, 1851);
    assert.equal(job.status, undefined);
    assert.equal(await c.jobLog(id), '{"not":"ours"}\nplain\n"type":"event"\n');
});

test('a file goes in, is changed, and comes out', async () => {
    await c.addEvent('files', sh('tr a-z A-Z <in.txt >out.txt\necho \'{"xy":1,"files":["out.txt"]}\''));
    const boundary = 'xxBOUNDARYxx';
    const body = [
        `--${boundary}`, 'Content-Disposition: form-data; name="json"', '', JSON.stringify({ id: 'files' }),
        `--${boundary}`, 'Content-Disposition: form-data; name="file1"; filename="in.txt"', 'Content-Type: text/plain', '', 'some text',
        `--${boundary}--`, '',
    ].join('\r\n');
    const reply = await c.http('POST', '/api/app/run_event/v1', {
        body, headers: { 'Content-Type': `multipart/form-data; boundary=${boundary}`, 'X-API-Key': c.key },
    });
    assert.equal(reply.json?.code, 0, reply.text);
    const job = await c.finished(reply.json.id);
    assert.equal(job.code, 0, job.description);
    assert.equal(job.input.files.length, 1);
    assert.equal(job.input.files[0].filename, 'in.txt');
    assert.equal(job.files.length, 1);
    assert.equal(job.files[0].filename, 'out.txt');
    assert.match(job.files[0].path, /^files\/jobs\/.+\/[\w-]{43}\/out\.txt$/);
    const file = await c.http('GET', `/${job.files[0].path}`);
    assert.equal(file.status, 200);
    assert.equal(file.text, 'SOME TEXT');
    const part = await c.http('GET', `/${job.files[0].path}`, { headers: { Range: 'bytes=5-6' } });
    assert.equal(part.status, 206);
    assert.equal(part.text, 'TE');
});

test('a job is seen while it runs: progress, live log, abort', async () => {
    await c.addEvent('slow', sh('echo started\necho 42%\nwhile :; do sleep 0.1; done'));
    const id = await c.runEvent('slow');
    await until('progress', async () => (await c.job(id)).progress === 0.42);
    const live = await until('the live log', async () => {
        const reply = await c.api('tail_live_job_log', { id });
        return reply.text === 'started\n' ? reply : undefined;
    });
    assert.equal(live.text, 'started\n');
    const active = (await c.api('get_active_jobs', { event: 'slow' })).rows;
    assert.equal(active.length, 1);
    assert.equal(active[0].id, id);
    assert.equal(active[0].activity, undefined);
    const { token } = await c.api('get_job', { id });
    assert.match(token, /^[\w-]{22}$/);
    const view = await c.http('GET', `/api/app/view_job_log/v1?id=${id}&t=${token}`);
    assert.equal(view.text, 'started\n');
    assert.equal((await c.http('GET', `/api/app/view_job_log/v1?id=${id}&t=${token.slice(0, 21)}x`)).status, 403);
    const pid = (await until('the pid', async () => { const j = await c.job(id); return j.pid ? j : undefined; })).pid;
    await c.api('abort_job', { id });
    const job = await c.finished(id);
    assert.equal(job.code, 'abort');
    assert.ok(job.description.length > 0);
    await until('the process to be gone', async () => {
        try { process.kill(pid, 0); return false; } catch { return true; }
    });
    assert.equal((await c.call('abort_job', { id })).json.code, 'job');
});

test('a long log is compressed and comes back whole', async () => {
    const line = 'x'.repeat(99);
    await c.addEvent('chatty', sh(`i=0; while [ $i -lt 30000 ]; do echo ${line}; i=$((i+1)); done`));
    const id = await c.runEvent('chatty');
    const job = await c.finished(id);
    assert.equal(job.code, 0);
    assert.equal(job.log_file_size, 3000000);
    assert.equal(job.log_uploaded, true);
    assert.equal(job.output, undefined);
    const gz = await c.http('GET', `/api/app/get_job_log/v1?id=${id}`, { headers: { 'X-API-Key': c.key } });
    assert.equal(gz.headers['content-encoding'], 'gzip');
    const { gunzipSync } = await import('node:zlib');
    const raw = await new Promise<Buffer>((resolve, reject) => {
        import('node:http').then(({ get }) => get({ host: '127.0.0.1', port: c.port, path: `/api/app/get_job_log/v1?id=${id}`, headers: { 'X-API-Key': c.key } }, (res) => {
            const parts: Buffer[] = [];
            res.on('data', (p) => parts.push(p));
            res.on('end', () => resolve(Buffer.concat(parts)));
            res.on('error', reject);
        }));
    });
    assert.equal(gunzipSync(raw).toString(), `${line}\n`.repeat(30000));
});

test('binary output does not hurt the log', async () => {
    await c.addEvent('binary', sh('printf "a\\377b\\000c\\n"; printf "\\342\\202"; printf "\\254\\n"'));
    const id = await c.runEvent('binary');
    const job = await c.finished(id);
    assert.equal(job.code, 0);
    assert.equal(await c.jobLog(id), 'a\ufffdb\u0000c\n\u20ac\n');
});

test('many files, one renamed, one empty, one that is not there', async () => {
    await c.addEvent('outputs', sh('mkdir sub; echo 1 >sub/a.csv; echo 2 >sub/b.csv; : >empty.txt; echo 3 >c.bin\n' +
        'echo \'{"xy":1,"push":{"files":["sub/*.csv","empty.txt","nothing*"]}}\'\necho \'{"xy":1,"push":{"files":[{"path":"c.bin","filename":"Renamed File.bin","delete":true},{"filename":"no path"}]}}\''));
    const job = await c.finished(await c.runEvent('outputs'));
    assert.equal(job.code, 0, job.description);
    assert.deepEqual(job.files.map((f: Json) => f.filename).sort(), ['Renamed File.bin', 'a.csv', 'b.csv', 'empty.txt']);
    for (const f of job.files) assert.equal((await c.http('GET', `/${f.path}`)).status, 200, f.path);
});

test('a random megabyte survives the way in and out', async () => {
    const data = randomBytes(1 << 20);
    const boundary = 'b' + randomBytes(8).toString('hex');
    const body = Buffer.concat([
        Buffer.from(`--${boundary}\r\nContent-Disposition: form-data; name="id"\r\n\r\ncopy\r\n--${boundary}\r\nContent-Disposition: form-data; name="f"; filename="x.bin"\r\n\r\n`),
        data, Buffer.from(`\r\n--${boundary}--\r\n`),
    ]);
    await c.addEvent('copy', sh('cp x.bin y.bin; echo \'{"xy":1,"files":["y.bin"]}\''));
    const reply = await c.http('POST', '/api/app/run_event/v1', { body, headers: { 'Content-Type': `multipart/form-data; boundary=${boundary}`, 'X-API-Key': c.key } });
    assert.equal(reply.json?.code, 0, reply.text);
    const job = await c.finished(reply.json.id);
    assert.equal(job.code, 0, job.description);
    const hash = await new Promise<string>((resolve) => {
        import('node:http').then(({ get }) => get(`${c.url}/${job.files[0].path}`, (res) => {
            const h = createHash('sha256');
            res.on('data', (p) => h.update(p));
            res.on('end', () => resolve(h.digest('hex')));
        }));
    });
    assert.equal(hash, createHash('sha256').update(data).digest('hex'));
});

test('without a server the job ends and says why', async () => {
    await c.addEvent('nowhere', sh('echo never'), { targets: ['no_such_group'] });
    const job = await c.finished(await c.runEvent('nowhere'));
    assert.equal(job.code, 'abort');
    assert.match(job.description, /No available servers matching targets/);
});

test('run_event with /wait answers with the record', async () => {
    const reply = await c.http('POST', '/api/app/run_event/v1/wait', { body: JSON.stringify({ id: 'fails' }), headers: { 'Content-Type': 'application/json', 'X-API-Key': c.key } });
    assert.equal(reply.json.code, 0, reply.text);
    assert.equal(reply.json.job.code, 7);
    assert.equal(reply.json.job.final, true);
});

test('a finished job is deleted with its log and files', async () => {
    const job = (await c.api('search_jobs', { query: 'event:outputs', limit: 1 })).rows[0];
    const whole = await c.job(job.id);
    await c.api('delete_job', { id: job.id });
    assert.equal((await c.call('get_job', { id: job.id })).json.code, 'notfound');
    await until('the file to be gone', async () => (await c.http('GET', `/${whole.files[0].path}`)).status === 404);
});

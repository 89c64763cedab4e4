// script/bench: every figure is taken beside its baseline, in the same run, on the same machine, and printed as a
// ratio. Nothing here is a test; noise is the reader's to judge (each pair is run ROUNDS times, the median counts).
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request, Agent } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const bin = process.env.ORRERY_BIN ?? join(here, '../build/release');
const bench = join(bin, 'bench');
const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 3);
const SECONDS = Number(process.env.BENCH_SECONDS ?? 4);
const JOBS = Number(process.env.BENCH_JOBS ?? 3000);
const MANY = Number(process.env.BENCH_EVENTS ?? 100000);
const EVENTS = 256; // that the writers change in turn
const EVENT = { title: 'Bench', enabled: true, category: 'general', plugin: 'shellplug', targets: ['main'], algo: 'random', triggers: [{ type: 'manual', enabled: true }], params: { script: '#!/bin/sh\necho hi\n' } };
const only = process.argv[2] ?? '';
const dir = mkdtempSync(join(tmpdir(), 'orrery-bench-'));
const children = [];
const rows = [];

const say = (what, ours, base, unit, note = '') => {
    const ratio = base ? (ours / base).toFixed(2) : '';
    rows.push([what, format(ours, unit), base ? format(base, unit) : '', ratio, note]);
    console.log(`${what}: ${format(ours, unit)}${base ? `  baseline ${format(base, unit)}  ratio ${ratio}` : ''}  ${note}`);
};
const format = (v, unit) => (unit === '/s' ? `${Math.round(v).toLocaleString('en')}/s` : `${v.toFixed(2)} ${unit}`);
const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

function start(program, args, options = {}) {
    const err = openSync(join(dir, `${program.split('/').pop()}.log`), 'a');
    const child = spawn(program, args, { stdio: [options.stdin ?? 'ignore', 'pipe', err], env: { ...process.env, ...options.env } });
    children.push(child);
    return child;
}
const firstLine = (child) => new Promise((done) => child.stdout.once('data', (p) => done(p.toString().trim())));
const rss = (pid) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1000;
const ticks = (pid) => {
    const f = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
    return Number(f[11]) + Number(f[12]);
};

const agent = new Agent({ keepAlive: true, maxSockets: 64 });
let port = 0;
let key = '';
function api(name, body = {}) {
    return new Promise((resolve, reject) => {
        const text = JSON.stringify(body);
        const req = request({ host: '127.0.0.1', port, method: 'POST', path: `/api/app/${name}/v1`, agent,
            headers: { 'X-API-Key': key, 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) } }, (res) => {
            const parts = [];
            res.on('data', (p) => parts.push(p));
            res.on('end', () => {
                const reply = JSON.parse(Buffer.concat(parts).toString());
                if (reply.code !== 0) reject(new Error(`${name}: ${JSON.stringify(reply).slice(0, 300)}`));
                else resolve(reply);
            });
        });
        req.on('error', reject);
        req.end(text);
    });
}

/** wrk: requests a second and p99 in ms. */
function wrk(p, path, script, clients = 64) {
    const args = ['-t1', `-c${clients}`, `-d${SECONDS}s`, '--latency'];
    if (script) args.push('-s', script);
    const out = spawnSync('wrk', [...args, `http://127.0.0.1:${p}${path}`], { encoding: 'utf8', env: { ...process.env, ORRERY_API_KEY: key } });
    if (out.status !== 0) throw new Error(`wrk: ${out.stderr}${out.stdout}`);
    if (/Non-2xx/.test(out.stdout)) throw new Error(`wrk met errors:\n${out.stdout}`);
    const unit = { us: 0.001, ms: 1, s: 1000 };
    const [, value, u] = /99%\s+([\d.]+)(us|ms|s)/.exec(out.stdout);
    return { rate: Number(/Requests\/sec:\s+([\d.]+)/.exec(out.stdout)[1]), p99: Number(value) * unit[u] };
}

/** Scripts of wrk: requests with the key, given as a Lua expression of the request's number n. */
function script(name, body) {
    const file = join(dir, `${name}.lua`);
    const lines = body
        ? ['local headers = {["Content-Type"] = "application/json", ["X-API-Key"] = os.getenv("ORRERY_API_KEY")}', 'local n = 0', 'request = function()',
           '  n = n + 1', `  return wrk.format("POST", nil, headers, ${body})`, 'end']
        : ['wrk.headers["X-API-Key"] = os.getenv("ORRERY_API_KEY")'];
    writeFileSync(file, lines.join('\n') + '\n');
    return file;
}
const getScript = () => script('get');
const updateScript = () => script('update', `'{"id":"many' .. (n % ${EVENTS}) .. '","notes":"changed ' .. n .. '"}'`);

async function web() {
    const event = await api('get_event', { id: 'bench' });
    const reply = join(dir, 'reply.json');
    writeFileSync(reply, JSON.stringify(event));
    const bare = Number(await firstLine(start(join(bench, 'bench_bare'), [reply])));
    const node = Number(await firstLine(start(process.execPath, [join(here, 'bare.mjs'), reply])));
    for (const [name, path, file] of [['read (get_event, 64 clients)', '/api/app/get_event/v1?id=bench', getScript()], ['write (update_event, durable, 64 clients)', '/api/app/update_event/v1', updateScript()]]) {
        const ours = [], c = [], js = [], p99 = [];
        for (let i = 0; i < ROUNDS; i++) {
            const o = wrk(port, path, file);
            ours.push(o.rate);
            p99.push(o.p99);
            c.push(wrk(bare, path, file).rate);
            js.push(wrk(node, path, file).rate);
        }
        say(`${name} / bare libuv+llhttp`, median(ours), median(c), '/s', `p99 ${median(p99).toFixed(1)} ms`);
        say(`${name} / bare Node`, median(ours), median(js), '/s');
    }
}

/** Changes of definitions beside a bare loop of group commits, with few and with many events. */
async function objects() {
    agent.destroy();
    const bytes = JSON.stringify((await api('get_event', { id: 'bench' })).event).length;
    const bare = () => Number(spawnSync(join(bench, 'bench_commits'), [mkdtempSync(join(dir, 'commits-')), String(bytes), '64', String(SECONDS)], { encoding: 'utf8' }).stdout);
    const create = script('create', `[==[${JSON.stringify(EVENT)}]==]`);
    let made = EVENTS;
    for (const events of [EVENTS, MANY]) {
        for (; made < events; made += 500) {
            agent.destroy();
            await Promise.all(Array.from({ length: 500 }, (_, i) => api('create_event', { id: `more${made + i}`, ...EVENT })));
        }
        for (const [name, path, file] of [['update_event', '/api/app/update_event/v1', updateScript()], ['create_event', '/api/app/create_event/v1', create]]) {
            const ours = [], base = [], p99 = [];
            for (let i = 0; i < ROUNDS; i++) {
                const o = wrk(port, path, file);
                ours.push(o.rate);
                p99.push(o.p99);
                base.push(bare());
            }
            say(`${name}, durable, 64 clients, ${made.toLocaleString('en')} events / bare SQLite group commits`, median(ours), median(base), '/s', `p99 ${median(p99).toFixed(1)} ms`);
        }
        const list = await (await fetch(`http://127.0.0.1:${port}/api/app/get_events/v1?limit=50`, { headers: { 'X-API-Key': key } })).text();
        const file = join(dir, `list${events}.json`);
        writeFileSync(file, list);
        const server = Number(await firstLine(start(join(bench, 'bench_bare'), [file])));
        const ours = [], base = [];
        for (let i = 0; i < ROUNDS; i++) {
            ours.push(wrk(port, '/api/app/get_events/v1?limit=50', getScript()).rate);
            base.push(wrk(server, '/', getScript()).rate);
        }
        say(`list (get_events, 50 a page, ${(list.length / 1000).toFixed(0)} KB) / bare libuv+llhttp`, median(ours), median(base), '/s');
    }
}

async function jobs() {
    agent.destroy(); // while wrk ran nobody noticed that idle connections were closed
    const ours = [], base = [];
    for (let round = 0; round < ROUNDS; round++) {
        agent.destroy(); // xargs below blocks this process: idle connections may be closed by now
        const before = (await api('search_jobs', { query: 'event:trivial', limit: 1 })).list.length;
        let begin = process.hrtime.bigint();
        let left = JOBS;
        const worker = async () => { while (left-- > 0) await api('run_event', { id: 'trivial' }); };
        await Promise.all(Array.from({ length: 16 }, worker));
        while ((await api('search_jobs', { query: 'event:trivial', limit: 1 })).list.length < before + JOBS) await sleep(5);
        ours.push(JOBS / (Number(process.hrtime.bigint() - begin) / 1e9));
        const list = join(dir, 'n.txt');
        writeFileSync(list, Array.from({ length: JOBS }, (_, i) => i).join('\n') + '\n');
        const script = join(dir, 'trivial.sh');
        writeFileSync(script, '#!/bin/sh\necho hi\n', { mode: 0o755 });
        begin = process.hrtime.bigint();
        const out = spawnSync('sh', ['-c', `xargs -P 16 -n 1 ${script} <${list} >${join(dir, 'xargs.out')}`]);
        if (out.status !== 0) throw new Error(String(out.stderr));
        base.push(JOBS / (Number(process.hrtime.bigint() - begin) / 1e9));
    }
    say('jobs (run_event to archived record with log) / xargs -P 16', median(ours), median(base), '/s');
    let begin = process.hrtime.bigint();
    for (let i = 0; i < 50; i++) {
        const { id } = await api('run_event', { id: 'trivial' });
        while (!(await api('get_job', { id })).job.final) await sleep(1);
    }
    say('one trivial job, end to end', Number(process.hrtime.bigint() - begin) / 1e6 / 50, 0, 'ms');
}

async function idle(conductor, satellite) {
    await sleep(3000);
    const seconds = 10;
    const before = [ticks(conductor.pid), ticks(satellite.pid)];
    await sleep(seconds * 1000);
    for (const [i, name, child] of [[0, 'conductor', conductor], [1, 'satellite', satellite]]) {
        say(`${name} idle, RSS`, rss(child.pid), 0, 'MB');
        say(`${name} idle, CPU`, ticks(child.pid) - before[i], 0, '% of a core', `over ${seconds} s`.replace('10 s', '10 s (1 tick is 0.1 %)'));
        rows[rows.length - 1][1] = `${((ticks(child.pid) - before[i]) / seconds).toFixed(2)} %`;
    }
}

async function sockets(conductor, home) {
    agent.destroy();
    const secret = JSON.parse(readFileSync(join(home, 'conf/overrides.json'), 'utf8')).secret_key;
    for (const n of [1000, 5000]) {
        for (const samples of [false, true]) {
            if (n === 1000 && samples) continue;
            const before = rss(conductor.pid);
            const begin = Date.now();
            const child = start(join(bench, 'bench_sockets'), [`ws://127.0.0.1:${port}/`, String(n), ...(samples ? ['--samples'] : [])], { stdin: 'pipe', env: { ORRERY_secret_key: secret } });
            await firstLine(child);
            const took = (Date.now() - begin) / 1000;
            await sleep(2000);
            const t = ticks(conductor.pid);
            await sleep(10000);
            const what = `${n.toLocaleString('en')} satellites${samples ? ', a 2 KB sample a second each' : ', idle'}`;
            say(`${what}: conductor RSS`, rss(conductor.pid), 0, 'MB', `before ${before.toFixed(1)} MB; all joined (durable) in ${took.toFixed(1)} s`);
            say(`${what}: conductor CPU`, (ticks(conductor.pid) - t) / 10, 0, '% of a core');
            child.stdin.end();
            await new Promise((done) => child.on('exit', done));
            for (let end = Date.now() + 60000; Date.now() < end && (await api('get_active_servers')).rows.length > 1; ) await sleep(50);
        }
    }
}

async function main() {
    const home = join(dir, 'home');
    let t = Date.now();
    const conductor = start(join(bin, 'orreryd'), ['--home', home, '--port', '0'], { env: { ORRERY_max_jobs_per_min: '0', ORRERY_WebServer__max_concurrent_requests: '4096' } });
    for (let end = Date.now() + 60000; ; ) {
        const m = /conductor\.ready .*port=(\d+)/.exec(readFileSync(join(dir, 'orreryd.log'), 'utf8'));
        if (m) { port = Number(m[1]); break; }
        if (Date.now() > end) throw new Error('the conductor does not start');
        await sleep(5);
    }
    say('first start to ready (new store, password hash)', Date.now() - t, 0, 'ms');
    const admin = (...args) => spawnSync(join(bin, 'orreryd'), ['admin', '--home', home, ...args], { encoding: 'utf8' }).stdout.trim();
    key = admin('create-api-key', '--title', 'bench', '--privileges', 'admin');
    const satellite = start(join(bin, 'orrery-sat'), ['--home', join(dir, 'sat'), '--conductor', `http://127.0.0.1:${port}`, '--token', admin('satellite-token')]);
    while ((await api('get_active_servers')).rows.length < 1) await sleep(20);
    await api('create_event', { id: 'bench', ...EVENT });
    await api('create_event', { id: 'trivial', ...EVENT });
    for (let i = 0; i < EVENTS; i++) await api('create_event', { id: `many${i}`, ...EVENT });
    if (!only || only === 'idle') await idle(conductor, satellite);
    if (!only || only === 'web') await web();
    if (!only || only === 'jobs') await jobs();
    if (!only || only === 'objects') await objects();
    if (!only || only === 'sockets') await sockets(conductor, home);
    const cpu = /model name\s*: (.*)/.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1] ?? 'unknown';
    const table = ['| what | Orrery | baseline | ratio | note |', '|---|--:|--:|--:|---|', ...rows.map((r) => `| ${r.join(' | ')} |`)];
    writeFileSync(join(dir, 'table.md'), table.join('\n') + '\n');
    console.log(`\n${cpu}, Node ${process.version}, medians of ${ROUNDS} rounds\n\n${table.join('\n')}`);
}

try {
    await main();
} catch (error) {
    console.error(error, readFileSync(join(dir, 'orreryd.log'), 'utf8').slice(-2000));
    process.exitCode = 1;
} finally {
    for (const child of children) child.kill('SIGKILL');
    if (!process.env.BENCH_KEEP) rmSync(dir, { recursive: true, force: true });
    process.exit(process.exitCode ?? 0);
}

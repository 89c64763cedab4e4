// A conductor, satellites and the CLI as a person would run them: real binaries, temporary homes, any free port.
import { ChildProcess, execFile, spawn } from 'node:child_process';
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { request, Agent } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from './wait';

const root = process.env.ORRERY_ROOT ?? join(process.cwd(), '..');
export const bin = process.env.ORRERY_BIN ?? join(root, 'build/release');

export type Json = any; // replies are checked value by value
export interface Reply {
    status: number;
    headers: Record<string, string | string[] | undefined>;
    text: string;
    json: Json;
}

const agent = new Agent({ keepAlive: true, maxSockets: 128 });

class Daemon {
    home: string;
    process?: ChildProcess;
    exited = true;
    runs = 0;

    constructor(prefix: string, parent = tmpdir()) {
        this.home = mkdtempSync(join(parent, prefix));
    }

    protected launch(program: string, args: string[], env: Record<string, string>) {
        const log = openSync(join(this.home, 'out.log'), 'a');
        this.process = spawn(join(bin, program), args, {
            stdio: ['ignore', log, log],
            env: { PATH: process.env.PATH ?? '/usr/bin:/bin', HOME: this.home, ...env },
        });
        closeSync(log);
        this.exited = false;
        this.runs++;
        const mine = this.process;
        mine.on('exit', () => {
            if (this.process === mine) this.exited = true;
        });
    }

    get log() {
        return readFileSync(join(this.home, 'out.log'), 'utf8');
    }

    get pid() {
        return this.process!.pid!;
    }

    async end(signal: NodeJS.Signals) {
        if (!this.process || this.exited) return;
        this.process.kill(signal);
        await until(`${this.home} to end by ${signal}`, async () => this.exited);
    }

    kill9() {
        return this.end('SIGKILL');
    }

    /** Peak resident memory in bytes. */
    peak() {
        const status = readFileSync(`/proc/${this.pid}/status`, 'utf8');
        return Number(/VmHWM:\s+(\d+)/.exec(status)![1]) * 1024;
    }

    async remove() {
        await this.end('SIGTERM').catch(() => this.kill9());
        if (!process.env.ORRERY_KEEP_HOMES) rmSync(this.home, { recursive: true, force: true, maxRetries: 10 });
    }
}

export class Conductor extends Daemon {
    port = 0;
    key = '';
    password = 'correct horse battery staple';
    private args: string[];
    private env: Record<string, string>;

    private constructor(args: string[], env: Record<string, string>, parent?: string) {
        super('orrery-conductor-', parent);
        this.args = args;
        this.env = env;
    }

    static async start(args: string[] = [], env: Record<string, string> = {}, parent?: string) {
        const c = new Conductor(args, env, parent);
        await c.up();
        c.key = await c.makeKey('tests', 'admin');
        return c;
    }

    /** Starts (again), on the same port once it has one, and waits for the first answer. */
    async up() {
        const seen = existsSync(join(this.home, 'out.log')) ? this.log.length : 0;
        this.launch('orreryd', ['--home', this.home, '--port', String(this.port), ...this.args], {
            ORRERY_ADMIN_PASSWORD: this.password,
            ...this.env,
        });
        await until('the conductor to be ready', async () => {
            const port = /conductor\.ready .*port=(\d+)/.exec(this.log.slice(seen));
            if (this.exited) throw new Error(`orreryd ended: ${this.log.slice(-2000)}`);
            if (port) this.port = Number(port[1]);
            return port;
        });
        await until('health', async () => (await this.http('GET', '/health')).status === 200);
    }

    get url() {
        return `http://127.0.0.1:${this.port}`;
    }

    async makeKey(title: string, privileges: string) {
        const out = await run('orreryd', ['admin', '--home', this.home, 'create-api-key', '--title', title, '--privileges', privileges]);
        return out.stdout.trim();
    }

    http(method: string, path: string, options: { body?: string | Buffer; headers?: Record<string, string> } = {}): Promise<Reply> {
        return new Promise((resolve, reject) => {
            const headers: Record<string, string> = { ...options.headers };
            if (options.body !== undefined) headers['Content-Length'] = String(Buffer.byteLength(options.body));
            const req = request({ host: '127.0.0.1', port: this.port, method, path, headers, agent }, (res) => {
                const parts: Buffer[] = [];
                res.on('data', (p) => parts.push(p));
                res.on('error', reject);
                res.on('end', () => {
                    const text = Buffer.concat(parts).toString('utf8');
                    let json: Json;
                    try {
                        json = JSON.parse(text);
                    } catch {
                        json = undefined;
                    }
                    resolve({ status: res.statusCode ?? 0, headers: res.headers, text, json });
                });
            });
            req.on('error', reject);
            if (options.body !== undefined) req.write(options.body);
            req.end();
        });
    }

    /** POST with the key; the whole reply. */
    call(name: string, body: Json = {}, key = this.key): Promise<Reply> {
        return this.http('POST', `/api/app/${name}/v1`, {
            body: JSON.stringify(body),
            headers: { 'Content-Type': 'application/json', 'X-API-Key': key },
        });
    }

    /** As call, but anything else than code 0 throws. */
    async api(name: string, body: Json = {}, key = this.key): Promise<Json> {
        const reply = await this.call(name, body, key);
        if (!reply.json || reply.json.code !== 0) throw new Error(`${name}: HTTP ${reply.status} ${reply.text.slice(0, 500)}`);
        return reply.json;
    }

    async addEvent(id: string, script: string, more: Json = {}) {
        const { params, ...rest } = more;
        return (
            await this.api('create_event', {
                id,
                title: `Event ${id}`,
                enabled: true,
                category: 'general',
                plugin: 'shellplug',
                targets: ['main'],
                algo: 'random',
                params: { script, annotate: false, ...params },
                triggers: [{ type: 'manual', enabled: true }],
                ...rest,
            })
        ).event;
    }

    async runEvent(id: string, more: Json = {}): Promise<string> {
        return (await this.api('run_event', { id, ...more })).id;
    }

    async job(id: string): Promise<Json> {
        return (await this.api('get_job', { id })).job;
    }

    /** The finished record. */
    finished(id: string, deadline?: number): Promise<Json> {
        return until(
            `job ${id} to end`,
            async () => {
                const reply = await this.call('get_job', { id });
                return reply.json?.code === 0 && reply.json.job.final ? reply.json.job : undefined;
            },
            deadline,
        );
    }

    async jobLog(id: string): Promise<string> {
        return (await this.http('GET', `/api/app/get_job_log/v1?id=${id}`, { headers: { 'X-API-Key': this.key } })).text;
    }

    async token() {
        return (await run('orreryd', ['admin', '--home', this.home, 'satellite-token'])).stdout.trim();
    }
}

export class Satellite extends Daemon {
    private constructor(
        private conductor: Conductor,
        private args: string[],
        private env: Record<string, string>,
    ) {
        super('orrery-sat-');
    }

    static async start(conductor: Conductor, args: string[] = [], env: Record<string, string> = {}) {
        const s = new Satellite(conductor, args, env);
        s.launch('orrery-sat', ['--home', s.home, '--conductor', conductor.url, '--token', await conductor.token(), ...args], env);
        await s.online();
        return s;
    }

    up() {
        this.launch('orrery-sat', ['--home', this.home, ...this.args], this.env);
    }

    get id(): string {
        return JSON.parse(readFileSync(join(this.home, 'config.json'), 'utf8')).server_id;
    }

    online() {
        return until('the satellite to be online', async () => {
            if (this.exited) throw new Error(`orrery-sat ended: ${this.log.slice(-2000)}`);
            const rows = (await this.conductor.api('get_active_servers')).rows as Json[];
            return rows.find((r) => r.id === this.id);
        });
    }
}

export interface Output {
    code: number;
    stdout: string;
    stderr: string;
}

export function run(program: string, args: string[], options: { env?: Record<string, string>; input?: string; cwd?: string } = {}): Promise<Output> {
    return new Promise((resolve) => {
        const child = execFile(
            join(bin, program),
            args,
            {
                env: { PATH: process.env.PATH ?? '/usr/bin:/bin', ...options.env },
                cwd: options.cwd,
                maxBuffer: 1 << 28,
                timeout: 300000,
            },
            (error, stdout, stderr) => {
                const code = error ? (typeof error.code === 'number' ? error.code : 255) : 0;
                resolve({ code, stdout, stderr });
            },
        );
        child.stdin?.on('error', () => {});
        child.stdin?.end(options.input ?? '');
    });
}

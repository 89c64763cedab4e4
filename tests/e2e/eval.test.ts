// `orrery eval`: expressions and templates on a file, without a server.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { Json, run } from '../support/orrery';

const dir = mkdtempSync(join(tmpdir(), 'orrery-eval-'));
const file = join(dir, 'context.json');
writeFileSync(file, JSON.stringify({ cpu: { cores: 4 }, monitors: { load_avg: 5.5 }, list: [{ cmd: 'a', mem: 3 }], again: '{{cpu.cores}}' }));
after(() => rmSync(dir, { recursive: true, force: true }));
const orrery = (...args: string[]) => run('orrery', ['eval', ...args]);

test('an expression, as text and as JSON', async () => {
    assert.deepEqual(await orrery('monitors.load_avg >= (cpu.cores + 1)', '--with', file), { code: 0, stdout: 'true\n', stderr: '' });
    assert.equal((await orrery('list[.mem > 2]', '--with', file)).stdout, '[{"cmd":"a","mem":3}]\n');
    assert.equal((await orrery('"a" + 1')).stdout, 'a1\n');
    assert.equal((await orrery('"a" + 1', '--json')).stdout, '"a1"\n');
    assert.equal((await orrery('nope * 2', '--json')).stdout, '{"$":"NaN"}\n');
});

test('a template is expanded once', async () => {
    assert.equal((await orrery('--template', '{{cpu.cores}} cores, {{again}}', '--with', file)).stdout, '4 cores, {{cpu.cores}}\n');
});

test('what is wrong is said, with its column', async () => {
    const bad = await orrery('1 +', '--with', file);
    assert.equal(bad.code, 1);
    assert.match(bad.stderr, /Unexpected end.*column 4/);
    assert.match((await orrery('nofunc(1)')).stderr, /no function nofunc/);
    assert.equal((await orrery('1', '--with', join(dir, 'absent.json'))).code, 1);
    assert.equal((await orrery()).code, 2);
    assert.equal((await orrery('1', '2')).code, 2);
});

test('--batch answers every line', async () => {
    const cases: Json[] = JSON.parse(readFileSync(join(process.env.ORRERY_ROOT!, 'tests/data/expression-cases.json'), 'utf8')).cases.filter(
        (c: Json) => c.area === 'expr' && !/server\(|event\(/.test(c.expr),
    );
    const input = cases.map((c) => JSON.stringify({ expr: c.expr, context: c.context })).join('\n') + '\nnot json\n{}\n';
    const out = await run('orrery', ['eval', '--batch'], { input });
    const lines = out.stdout.trim().split('\n').map((l) => JSON.parse(l));
    assert.equal(lines.length, cases.length + 2);
    cases.forEach((c, i) => {
        if (c.error) assert.ok(lines[i].error, c.id);
        else assert.deepEqual(lines[i].value, c.expect, `${c.id} ${JSON.stringify(lines[i])}`);
    });
    assert.ok(lines.at(-2).error && lines.at(-1).error);
});

// Bundles every *.test.ts (or those whose path has the argument in it) and runs them with node:test.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const here = dirname(fileURLToPath(import.meta.url));
process.chdir(here);
const wanted = process.argv[2] ?? '';
const entries = [];
for (const dir of ['api', 'e2e'])
    for (const name of readdirSync(dir))
        if (name.endsWith('.test.ts') && `${dir}/${name}`.includes(wanted)) entries.push(`${dir}/${name}`);
if (entries.length === 0) {
    console.log('# pass 0\n# fail 0');
    process.exit(0);
}
const out = mkdtempSync(join(tmpdir(), 'orrery-tests-')); // runs may be side by side
await build({
    entryPoints: entries,
    outdir: out,
    outbase: here,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node18',
    sourcemap: 'inline',
    logLevel: 'warning',
    outExtension: { '.js': '.cjs' },
});
const files = entries.map((e) => join(out, e.replace(/\.ts$/, '.cjs')));
const major = Number(process.versions.node.split('.')[0]);
const options = ['--enable-source-maps', '--test', '--test-reporter=tap'];
if (major >= 20) options.push('--test-concurrency=2');
const env = { ...process.env, ORRERY_ROOT: join(here, '..') };
const { status } = spawnSync(process.execPath, [...options, ...files], { stdio: 'inherit', env });
rmSync(out, { recursive: true, force: true });
process.exit(status ?? 1);

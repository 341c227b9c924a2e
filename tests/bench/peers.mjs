// node tests/bench/peers.mjs BENCH_TOKENS DIR FILE...: the same texts through our counter and through others, one after the other on one
// core, in MB (10^6 bytes) a second of CPU time, first pass and best of three more; and how many times npm tiktoken's speed that is.
// DIR has the packages (npm install --prefix DIR tiktoken gpt-tokenizer tiktoken-node). Every text of every counter is a process of its own:
// some of them crash or hang on hard texts, and get ten seconds there.
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync, mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const self = fileURLToPath(import.meta.url);

async function counter(name, encoding, dir) {
  const require = createRequire(resolve(dir, 'package.json'));
  if (name === 'tiktoken') {
    const e = require('tiktoken').get_encoding(encoding);
    return (text) => e.encode_ordinary(text).length;
  }
  if (name === 'gpt-tokenizer') return require(`gpt-tokenizer/encoding/${encoding}`).countTokens;
  if (encoding !== 'cl100k_base') throw new Error('no such encoding');
  const e = require('tiktoken-node').getEncoding(encoding);
  return (text) => e.encode(text, 'all').length;
}

function cpuSeconds(from) {
  const u = process.cpuUsage(from);
  return (u.user + u.system) / 1e6;
}

// A child: counts one file, prints one line of JSON.
async function one(name, encoding, dir, file) {
  const text = readFileSync(file, 'utf8');
  const count = await counter(name, encoding, dir);
  let first = 0, best = Infinity, tokens = 0;
  for (let pass = 0; pass < 4; pass++) {
    const from = process.cpuUsage();
    tokens = count(text);
    const took = cpuSeconds(from);
    if (pass === 0) first = took;
    else best = Math.min(best, took);
    if (pass === 0 && took > 3) {
      best = took;
      break;
    }
  }
  const n = Buffer.byteLength(text);
  console.log(JSON.stringify({ tokens, first: n / first / 1e6, warm: n / best / 1e6 }));
}

function peer(name, encoding, dir, file, seconds) {
  const r = spawnSync(process.execPath, [self, '--one', name, encoding, dir, file], { timeout: seconds * 1000, encoding: 'utf8' });
  if (r.error?.code === 'ETIMEDOUT') return { failed: `over ${seconds} s` };
  if (/no such encoding/.test(r.stderr)) return { failed: '-' };
  if (r.status !== 0) return { failed: /Cannot find module|MODULE_NOT_FOUND/.test(r.stderr) ? 'not installed' : 'crashes' };
  return JSON.parse(r.stdout);
}

function cell(r, base) {
  if (!r || r.failed) return (r?.failed ?? '-').padStart(28);
  const times = base?.warm ? ` ${(r.first / base.first).toFixed(1)}x ${(r.warm / base.warm).toFixed(1)}x` : '';
  return `${r.first.toFixed(1)} / ${r.warm.toFixed(1)}${times}`.padStart(28);
}

function table(ours, rows, dir, seconds) {
  const peers = ['tiktoken', 'gpt-tokenizer', 'tiktoken-node'];
  console.log(`${'text'.padEnd(10)} ${'encoding'.padEnd(12)}${['metergate', ...peers].map((n) => n.padStart(28)).join('')}`);
  for (const { name, file, encoding, key } of rows) {
    const mine = ours.get(`${key}\t${encoding}`);
    const theirs = peers.map((p) => peer(p, encoding, dir, file, seconds));
    const base = theirs[0].failed ? undefined : theirs[0];
    const wrong = base && base.tokens !== mine.tokens ? `  DIFFERS: ${mine.tokens}, tiktoken ${base.tokens}` : '';
    console.log(`${name.padEnd(10)} ${encoding.padEnd(12)}${cell(mine, base)}${theirs.map((r) => cell(r, base)).join('')}${wrong}`);
  }
}

function main(bench, dir, files) {
  const out = spawnSync(bench, ['-t', ...files], { encoding: 'utf8', maxBuffer: 1 << 26 });
  const ours = new Map(out.stdout.trim().split('\n').map((line) => {
    const [name, encoding, , tokens, first, warm] = line.split('\t');
    return [`${name}\t${encoding}`, { tokens: Number(tokens), first: Number(first), warm: Number(warm) }];
  }));
  const encodings = ['o200k_base', 'cl100k_base'];
  console.log('MB/s, first pass / warm; and times npm tiktoken');
  table(ours, files.flatMap((file) => encodings.map((encoding) => {
    const name = basename(file, '.txt');
    return { name, file, encoding, key: name };
  })), dir, 120);

  const scratch = mkdtempSync(join(tmpdir(), 'metergate-bench-'));
  const hard = { a: 'a', space: ' ', '^': '^' };
  const rows = Object.entries(hard).map(([name, c], i) => {
    const file = join(scratch, `${i}.txt`);
    writeFileSync(file, c.repeat(999996));
    return { name: `1 MB ${name}`, file, encoding: 'o200k_base', key: `hard:${name}` };
  });
  console.log('\nhard texts, ten seconds each');
  table(ours, rows, dir, 10);
  rmSync(scratch, { recursive: true });

  const slowest = [...ours].filter(([key]) => key.startsWith('hard:')).sort((x, y) => x[1].first - y[1].first)[0];
  console.log(`\nthe slowest hard text of ours: ${slowest[0].replace('\t', ', ')}: ${slowest[1].first} MB/s on the first pass`);
}

if (process.argv[2] === '--one') await one(...process.argv.slice(3));
else main(process.argv[2], process.argv[3], process.argv.slice(4));

// HTTP_PROXY and the like name a port where nobody listens: what `metergate run` makes of NO_PROXY keeps the calls of real
// programs away from it. Each is run without `metergate run` as well, where it must fail: else it would show nothing.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bin, startBoth } from './daemons.mjs';

const dead = 'http://127.0.0.1:9';
const proxies = { HTTP_PROXY: dead, http_proxy: dead, HTTPS_PROXY: dead, https_proxy: dead, ALL_PROXY: dead, all_proxy: dead };
const here = (name) => new URL(name, import.meta.url).pathname;

function run(root, command, through, extra) {
  const env = { PATH: process.env.PATH, HOME: process.env.HOME, METERGATE_URL: root, NODE_USE_ENV_PROXY: '1', ...proxies, ...extra };
  if (!through) Object.assign(env, { OPENAI_BASE_URL: `${root}/v1`, ANTHROPIC_BASE_URL: root });
  const argv = through ? [join(bin, 'metergate'), 'run', '--', ...command] : command;
  return new Promise((resolve) => {
    const child = spawn(argv[0], argv.slice(1), { env, cwd: here('.'), stdio: ['ignore', 'pipe', 'ignore'] });
    let text = '';
    child.stdout.on('data', (d) => (text += d));
    child.on('exit', () => resolve(text.trim()));
  });
}

// A program in Go goes to this machine without asking for a proxy; by another name of it (of a machine with a proxy) it asks.
function goProgram(dir) {
  if (spawnSync('go', ['version']).status !== 0) return null;
  const file = join(dir, 'get.go');
  writeFileSync(file, 'package main\nimport ("fmt"; "net/http"; "os")\nfunc main() {\n r, e := http.Get(os.Getenv("METERGATE_URL") + "/healthz")\n' +
    ' if e != nil { fmt.Println("go failed"); return }\n fmt.Println("go", r.StatusCode)\n}\n');
  const built = spawnSync('go', ['build', '-o', join(dir, 'get'), file], { env: { ...process.env, GOFLAGS: '-mod=mod', GO111MODULE: 'off' } });
  return built.status === 0 ? [join(dir, 'get')] : null;
}

// What it prints through `metergate run`; whether it goes to a proxy without.
function commands(dir) {
  const all = [
    ['curl', ['sh', '-c', 'curl -s -o /dev/null -m 20 -w "curl %{http_code}" "$METERGATE_URL/healthz"'], 'curl 200', true],
    ['fetch of Node.js', [process.execPath, '-e', 'fetch(process.env.METERGATE_URL + "/healthz").then((r) => console.log("fetch", r.status), () => console.log("fetch failed"))'], 'fetch 200',
      Number(process.versions.node.split('.')[0]) >= 24],
  ];
  all.push(['EnvHttpProxyAgent of undici', [process.execPath, '--input-type=module', '-e',
    'import { EnvHttpProxyAgent, fetch } from "undici"; const dispatcher = new EnvHttpProxyAgent();' +
    'fetch(process.env.METERGATE_URL + "/healthz", { dispatcher }).then((r) => console.log("undici", r.status), () => console.log("undici failed"))'], 'undici 200', true]);
  const python = process.env.PYTHON ?? here('venv/bin/python');
  if (existsSync(python))
    for (const name of ['urllib', 'requests', 'httpx', 'aiohttp', 'openai', 'anthropic'])
      all.push([`python ${name}`, [python, here('proxied.py'), name], `${name} 200`, true]);
  const go = goProgram(dir);
  if (go) all.push(['Go', go, 'go 200', false]);
  return all;
}

export async function proxied() {
  const t = await startBoth(
    { models: { '*': {} } },
    (url) => `listen: [127.0.0.1:0]\nupstreams:\n  openai: {base_url: "${url}"}\n  anthropic: {base_url: "${url.slice(0, -3)}"}\n`);
  const dir = mkdtempSync(join(tmpdir(), 'metergate-proxied-'));
  try {
    for (const [name, command, expect, asks] of commands(dir)) {
      if (asks) assert.notEqual(await run(t.root, command, false), expect, `${name} does not read proxy variables`);
      assert.equal(await run(t.root, command, true), expect, name);
      assert.equal(await run(t.root, command, true, { NO_PROXY: 'intern.example' }), expect, `${name}, with a NO_PROXY of its own`);
      assert.equal(await run(t.root, command, true, { no_proxy: 'intern.example' }), expect, `${name}, with a no_proxy of its own`);
      console.log(`ok    metergate run beside HTTP_PROXY: ${name}`);
    }
  } finally {
    await t.stop();
    rmSync(dir, { recursive: true, force: true });
  }
}

if (process.argv[1] === new URL(import.meta.url).pathname) await proxied();

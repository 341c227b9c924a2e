// Starts and stops the simulator and the daemon for the SDK tests.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const bin = process.env.BIN ?? new URL('../../build/release/bin', import.meta.url).pathname;
const running = [];

// Resolves with the port that the program says it listens on.
function start(program, args, stream) {
  const child = spawn(join(bin, program), args, { stdio: ['ignore', 'pipe', 'pipe'] });
  running.push(child);
  child.text = '';
  return new Promise((resolve, reject) => {
    const look = (data) => {
      child.text += data;
      const m = /listening on 127\.0\.0\.1:(\d+)/.exec(child.text);
      if (m) resolve(Number(m[1]));
    };
    child.stdout.on('data', stream === 'stdout' ? look : (d) => (child.text += d));
    child.stderr.on('data', stream === 'stderr' ? look : (d) => (child.text += d));
    child.on('exit', (code) => reject(new Error(`${program} ended with ${code}: ${child.text}`)));
  });
}

export async function startBoth(simulator, config) {
  const dir = mkdtempSync(join(tmpdir(), 'metergate-sdk-'));
  const simPort = await start('metergate-simulator', ['--listen', '127.0.0.1:0', '--config', JSON.stringify(simulator)], 'stdout');
  const file = join(dir, 'metergate.yaml');
  writeFileSync(file, 'state_dir: none\n' + config(`http://127.0.0.1:${simPort}/v1`));
  const port = await start('metergated', ['-c', file], 'stderr');
  return {
    direct: `http://127.0.0.1:${simPort}/v1`,
    through: `http://127.0.0.1:${port}/v1`,
    root: `http://127.0.0.1:${port}`,
    control: async (path, body) => {
      const r = await fetch(`http://127.0.0.1:${simPort}/_sim/${path}`, body ? { method: 'POST', body: JSON.stringify(body) } : {});
      return r.json();
    },
    log: () => running.map((c) => c.text).join('\n'),
    stop: async () => {
      for (const child of running.splice(0)) {
        const gone = new Promise((resolve) => child.once('exit', resolve));
        child.kill('SIGTERM');
        await gone;
      }
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

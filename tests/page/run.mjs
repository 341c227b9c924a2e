// run: all tests of the page, by Node.js's own runner. Without a Chromium they are skipped, and that is said, unless
// METERGATE_NEED_CHROMIUM is set: then it is a failure.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { findBrowser } from './browser.mjs';

const here = new URL('.', import.meta.url).pathname;

if (!findBrowser()) {
  console.log('skipped: no Chromium is here (apt-get install chromium, or CHROMIUM=PROGRAM)');
  process.exit(process.env.METERGATE_NEED_CHROMIUM ? 1 : 0);
}
const files =
  process.argv.length > 2
    ? process.argv.slice(2)
    : readdirSync(here)
        .filter((f) => /^test_.*\.mjs$/.test(f))
        .sort()
        .map((f) => here + f);
// one after the other: each drives a browser of its own
const failed = files.filter((file) => spawnSync(process.execPath, [file], { stdio: 'inherit' }).status !== 0);
console.log(failed.length ? `failed: ${failed.join(' ')}` : `all ${files.length} programs passed`);
process.exit(failed.length ? 1 : 0);

// shots: pictures of the page in all its states, to be looked at: `node tests/page/shots.mjs DIRECTORY`.
import { mkdirSync } from 'node:fs';
import { Fake } from './fake.mjs';
import { startBrowser } from './browser.mjs';
import { states } from './states.mjs';

const dir = process.argv[2] ?? '/tmp/metergate-page';
const only = process.argv.slice(3);

const SHOTS = [
  ...Object.keys(states).map((state) => ({ name: state, state })),
  ...['held', 'down', 'hostile', 'calm'].map((state) => ({ name: `${state}-dark`, state, scheme: 'dark' })),
  ...['held', 'hostile', 'empty'].map((state) => ({
    name: `${state}-phone`,
    state,
    width: 360,
    height: 780,
  })),
  {
    name: 'lost',
    state: 'held',
    after: async (page, fake) => {
      await fake.stop();
      await page.until('document.body.classList.contains("stale")');
    },
  },
  {
    name: 'open',
    state: 'held',
    after: async (page) => {
      await page.eval(
        'document.querySelectorAll("details").forEach((d, i) => { if (i < 4) d.open = true; })',
      );
      await page.until('document.querySelector("#now-list tr")');
    },
  },
  {
    name: 'dialog',
    state: 'held',
    after: async (page) => {
      await page.eval('document.getElementById("pause").click()');
    },
  },
  { name: 'readme', state: 'story', width: 1200, height: 1130, crop: true },
];

mkdirSync(dir, { recursive: true });
const browser = await startBrowser();
for (const s of SHOTS.filter((x) => !only.length || only.includes(x.name))) {
  const fake = new Fake(s.state);
  const page = await browser.page({ width: s.width ?? 1200, height: s.height ?? 900, scheme: s.scheme });
  await page.open(await fake.listen());
  await page.until('document.getElementById("process").textContent');
  await s.after?.(page, fake);
  await page.eval('new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)))');
  await page.shot(`${dir}/${s.name}.png`, !s.crop);
  if (page.problems.length) console.log(s.name, page.problems);
  await page.close();
  await fake.stop().catch(() => {});
}
await browser.stop();

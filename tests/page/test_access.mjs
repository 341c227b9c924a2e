// access: whoever cannot see the page, or not well, or uses no mouse, can use all of it.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startBrowser } from './browser.mjs';
import { Fake } from './fake.mjs';
import { states } from './states.mjs';

let browser;
before(async () => {
  browser = await startBrowser();
});
after(() => browser.stop());

async function shown(name, options, use) {
  const fake = new Fake(name);
  const page = await browser.page(options);
  try {
    await page.open(await fake.listen());
    await page.until('document.getElementById("process").textContent !== ""');
    await page.eval('document.querySelectorAll("details").forEach((d, i) => { if (i < 5) d.open = true; })');
    await page.eval('new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)))');
    await use(page, fake);
  } finally {
    await page.close();
    await fake.stop();
  }
}

// In the page: every piece of text that has less than `least` to 1 against what is behind it (WCAG 2.1, 1.4.3).
const CONTRAST = `(() => {
  const parse = (c) => { const m = /rgba?\\(([^)]*)\\)/.exec(c)[1].split(/[ ,\\/]+/).map(Number); return { rgb: m.slice(0, 3), a: m[3] ?? 1 }; };
  const light = ([r, g, b]) => { const f = (v) => ((v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126 * f(r) + .7152 * f(g) + .0722 * f(b); };
  const over = (top, under) => top.rgb.map((v, i) => v * top.a + under[i] * (1 - top.a));
  const behind = (n) => { if (!n) return [255, 255, 255]; const c = parse(getComputedStyle(n).backgroundColor); return c.a === 1 ? c.rgb : over(c, behind(n.parentElement)); };
  window.contrast = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + .05) / (y + .05); };
  Object.assign(window, { parseColour: parse, behindOf: behind });
  const opacity = (n) => { let o = 1; for (; n; n = n.parentElement) o *= Number(getComputedStyle(n).opacity); return o; };
  const found = [];
  const look = (n, style, text) => {
    const back = behind(n), own = parse(style.color);
    const ratio = contrast(over({ rgb: own.rgb, a: own.a * opacity(n) }, back), back);
    if (ratio < 4.5) found.push(ratio.toFixed(2) + ' ' + n.tagName + '.' + n.className + ' ' + text.trim().slice(0, 40));
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let looked = 0;
  while (walker.nextNode()) {
    const n = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !n.checkVisibility() || ['SCRIPT', 'OPTION'].includes(n.tagName) || n.closest('svg')) continue;
    looked++;
    look(n, getComputedStyle(n), walker.currentNode.data);
    for (const pseudo of ['::before', '::after']) {
      const style = getComputedStyle(n, pseudo);
      if (!['none', 'normal', '""'].includes(style.content)) look(n, style, pseudo);
    }
  }
  return { looked, found };
})()`;

for (const scheme of ['light', 'dark']) {
  test(`test_page__${scheme}__every_text_has_a_contrast_of_4_5`, async () => {
    for (const name of ['held', 'down', 'paused', 'draining', 'ledger', 'empty', 'calm']) {
      await shown(name, { scheme }, async (page) => {
        const { looked, found } = await page.eval(CONTRAST);
        assert.ok(looked > 60, `${looked} texts were looked at`);
        assert.deepEqual(found, [], name);
      });
    }
  });

  test(`test_page__${scheme}_lost_and_dialog__every_text_has_a_contrast_of_4_5`, async () => {
    await shown('held', { scheme }, async (page, fake) => {
      await page.eval('document.getElementById("pause").click()');
      assert.deepEqual((await page.eval(CONTRAST)).found, []);
      clearInterval(fake.timer); // a status would say that it is there
      await page.eval('document.getElementById("dialog").close(); setLink("lost")');
      await page.eval('new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)))');
      assert.equal(await page.eval('document.body.classList.contains("stale")'), true);
      assert.deepEqual((await page.eval(CONTRAST)).found, []);
    });
  });

  test(`test_page__${scheme}__what_is_drawn_has_a_contrast_of_3`, () =>
    shown('held', { scheme }, async (page) => {
      await page.eval(CONTRAST);
      const ratios = await page.eval(`(() => {
      const style = (s) => getComputedStyle(document.querySelector(s)), card = parseColour(style('.card').backgroundColor).rgb, back = behindOf(document.body);
      const of = (c, b) => contrast(parseColour(c).rgb, b);
      document.getElementById('pause').focus();
      return { used: of(style('.meter .used').backgroundColor, card), frame: of(style('.meter').borderTopColor, card), bar: of(style('.bar-1').fill, card), second: of(style('.bar-2').fill, parseColour(style('.bar-1').fill).rgb),
        button: of(style('#budgets-more').borderTopColor, back), share: of(style('.fill').backgroundColor, card), focus: of(getComputedStyle(document.documentElement).getPropertyValue('--focus').replace(/#(..)(..)(..)/, (m, r, g, b) => 'rgb(' + [r, g, b].map((v) => parseInt(v, 16)) + ')'), card) };
    })()`);
      for (const [what, ratio] of Object.entries(ratios))
        assert.ok(ratio >= (what === 'second' ? 1.5 : 3), `${what}: ${ratio}`);
    }));
}

for (const width of [360, 320]) {
  test(`test_page__${width}_pixels_wide__nothing_scrolls_sideways`, async () => {
    for (const name of Object.keys(states)) {
      await shown(name, { width, height: 780 }, async (page) => {
        assert.ok(
          (await page.eval('document.documentElement.scrollWidth')) <= width,
          `${name}: ${await page.eval('document.documentElement.scrollWidth')}`,
        );
      });
    }
  });
}

test('test_page__any_width__words_of_a_call_do_not_lie_over_each_other', async () => {
  for (const width of [320, 360, 640, 800, 928, 1200]) {
    await shown('held', { width, height: 780 }, async (page) => {
      await page.until(
        '[...document.querySelectorAll(".call .waited")].some((n) => n.textContent.includes("59 min 59 s"))',
      );
      const over = await page.eval(
        '[...document.querySelectorAll(".call summary > :not(.stripe)")].filter((n) => n.scrollWidth > n.clientWidth && n.clientWidth).map((n) => n.textContent)',
      );
      assert.deepEqual(over, [], `at ${width}`);
    });
  }
});

test('test_page__accessibility_tree__everything_that_can_be_used_has_a_name', () =>
  shown('held', {}, async (page) => {
    const { nodes } = await page.send('Accessibility.getFullAXTree');
    const inUse = nodes.filter(
      (n) =>
        !n.ignored &&
        (n.properties?.some((p) => p.name === 'focusable' && p.value.value) ||
          ['meter', 'img', 'table', 'region', 'navigation'].includes(n.role?.value)),
    );
    const nameless = inUse
      .filter((n) => !n.name?.value?.trim() && !['RootWebArea', 'main', 'table'].includes(n.role.value))
      .map((n) => `${n.role.value} ${n.nodeId}`);
    assert.ok(inUse.length > 60, `${inUse.length} were looked at`);
    assert.deepEqual(nameless, []);
    const roles = new Set(nodes.filter((n) => !n.ignored).map((n) => n.role?.value));
    for (const role of [
      'banner',
      'main',
      'contentinfo',
      'navigation',
      'status',
      'meter',
      'article',
      'region',
    ])
      assert.ok(roles.has(role), role);
    const silent = await page.eval(
      '[...document.querySelectorAll("[role=meter]")].filter((m) => m.checkVisibility() && !(m.ariaValueText && m.ariaValueNow && m.ariaValueMax)).length',
    );
    assert.equal(silent, 0, 'meters that do not say their value');
  }));

test('test_page__headings_and_tables__are_in_order_and_have_scopes', () =>
  shown('held', {}, async (page) => {
    const levels = await page.eval(
      '[...document.querySelectorAll("h1, h2, h3")].filter((h) => h.checkVisibility()).map((h) => Number(h.tagName[1]))',
    );
    assert.equal(levels[0], 1);
    levels.forEach((level, i) =>
      assert.ok(i === 0 || level <= levels[i - 1] + 1, `a heading ${level} after ${levels[i - 1]}`),
    );
    assert.equal(await page.eval('[...document.querySelectorAll("th")].filter((th) => !th.scope).length'), 0);
    assert.equal(
      await page.eval(
        '[...document.querySelectorAll("tbody tr")].filter((tr) => !tr.querySelector("th[scope=row]")).length',
      ),
      0,
    );
    assert.equal(await page.eval('document.documentElement.lang'), 'en');
  }));

test('test_page__tab_by_tab__the_focus_goes_down_the_page_and_is_seen', () =>
  shown('held', {}, async (page) => {
    await page.eval('window.seen = []');
    for (let i = 0; i < 120; i++) {
      await page.press('Tab');
      const at =
        await page.eval(`(() => { const n = document.activeElement; if (n === document.body || seen.includes(n)) return null; const before = seen.at(-1); seen.push(n);
      const box = n.getBoundingClientRect(), style = getComputedStyle(n);
      return { what: n.id || n.tagName + ' ' + n.textContent.slice(0, 20), down: !before || Boolean(before.compareDocumentPosition(n) & Node.DOCUMENT_POSITION_FOLLOWING),
        seen: box.width > 0 && box.bottom > 0 && box.top < innerHeight, outline: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2 }; })()`);
      if (!at) break;
      assert.deepEqual(
        { down: at.down, seen: at.seen, outline: at.outline },
        { down: true, seen: true, outline: true },
        at.what,
      );
    }
    const ids = await page.eval('seen.map((n) => n.id || n.className || n.tagName)');
    assert.equal(ids[0], 'skip');
    for (const id of ['pause', 'series', 'calls-more']) assert.ok(ids.includes(id), `${id} is reached`);
    assert.equal(await page.eval('seen.some((n) => n.tagName === "SUMMARY")'), true);
    assert.equal(
      await page.eval(
        "document.querySelectorAll(\"[tabindex]:not([tabindex='0']):not([tabindex='-1'])\").length",
      ),
      0,
    );
  }));

test('test_page__skip_link__leads_to_the_budgets', () =>
  shown('held', {}, async (page) => {
    await page.press('Tab');
    await page.press('Enter');
    assert.equal(await page.eval('document.activeElement.id'), 'main');
  }));

test('test_page__pause_by_keyboard__asks_first_and_gives_the_focus_back', () =>
  shown('held', {}, async (page, fake) => {
    await page.tabTo('#pause');
    await page.press('Enter');
    assert.equal(await page.eval('document.activeElement.id'), 'dialog-no');
    await page.press('Escape');
    assert.equal(await page.eval('document.activeElement.id'), 'pause');
    assert.deepEqual(fake.posts, []);
    await page.press(' ');
    await page.press('Tab');
    await page.press('Enter');
    await page.until(
      'document.getElementById("state").textContent === "Paused" && !document.getElementById("dialog").open',
    );
    assert.deepEqual(
      fake.posts.map((p) => p.name),
      ['pause'],
    );
    assert.equal(await page.eval('document.activeElement.id'), 'pause');
  }));

test('test_page__less_motion_wanted__nothing_moves', () =>
  shown('held', {}, async (page) => {
    assert.equal(
      await page.eval(
        '[...document.querySelectorAll("*")].filter((n) => getComputedStyle(n).transitionDuration !== "0s" || getComputedStyle(n).animationName !== "none").length',
      ),
      0,
    );
  }));

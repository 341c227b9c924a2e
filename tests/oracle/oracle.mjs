// node tests/oracle/oracle.mjs COUNT_STRINGS PACKAGES [STRINGS [SEED]]: random strings (a million, if not said), counted by OpenAI's own
// tokenizer as the npm package tiktoken ships it (in the directory PACKAGES) and by ours: o200k_base and cl100k_base. Prints every
// string whose counts differ, and exits with 1 if there is any. `make oracle` runs it.
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { resolve } from 'node:path';

const [program, packages, strings = '1000000', seed = '1'] = process.argv.slice(2);
const { get_encoding } = createRequire(resolve(packages, 'package.json'))('tiktoken');
const encodings = ['o200k_base', 'cl100k_base'].map((name) => get_encoding(name));
const BATCH = 20000;

// xorshift32: the same strings for the same seed.
let state = (Number(seed) * 2654435761 + 1) >>> 0 || 1;
function random(n) {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  state >>>= 0;
  return state % n;
}
const pick = (list) => list[random(list.length)];

// Blocks of scripts, first and last code point.
const scripts = [
  [0x20, 0x7e], [0xa0, 0xff], [0x100, 0x24f], [0x250, 0x2ff], [0x300, 0x36f], [0x370, 0x3ff], [0x400, 0x4ff], [0x531, 0x58f], [0x590, 0x5ff],
  [0x600, 0x6ff], [0x900, 0x97f], [0x980, 0x9ff], [0xb80, 0xbff], [0xc00, 0xc7f], [0xe00, 0xe7f], [0xe80, 0xeff], [0xf00, 0xfbc], [0x1000, 0x109f],
  [0x10a0, 0x10ff], [0x1100, 0x11ff], [0x1200, 0x137f], [0x13a0, 0x13f5], [0x1780, 0x17f9], [0x1820, 0x1878], [0x1e00, 0x1fff], [0x2000, 0x206f],
  [0x2070, 0x209c], [0x20a0, 0x20bf], [0x2100, 0x218b], [0x2190, 0x23ff], [0x2460, 0x24ff], [0x2500, 0x27bf], [0x3000, 0x303f], [0x3040, 0x30ff],
  [0x3130, 0x318e], [0x3400, 0x4db5], [0x4e00, 0x9fa5], [0xa000, 0xa48c], [0xac00, 0xd7a3], [0xfb50, 0xfdff], [0xfe00, 0xfe6f], [0xff00, 0xffef],
  [0x10330, 0x1034a], [0x10400, 0x1044f], [0x1d400, 0x1d7ff], [0x1f300, 0x1f64f], [0x1f680, 0x1f6c5], [0x20000, 0x2a6d6], [0xe0020, 0xe007f],
];
const spaces = [' ', ' ', ' ', '  ', '\n', '\n', '\r\n', '\r', '\t', '\v', '\f', '\u0085', '\u00a0', '\u1680', '\u2003', '\u2028', '\u2029', '\u202f', '\u205f', '\u3000', '\ufeff', '\u200b', '\u180e'];
const words = ('the of and a to in is you that it for on are with as I his they be at one have this from or had by hot word but what some we can out other were all ' +
  'your when up use how said each she which their time if will way about many then them would write like so these her long make thing see him two has look more day ' +
  'could go come did my sound no most number who over know water than call first people may down side been now find function return const async await import ' +
  'camelCase snake_case HTTPServer XMLHttpRequest naïve café Zürich straße Ελλάδα Москва 東京 한국어').split(' ');
const contractions = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "'S", "'LL", "'Re", "'\u017f", "'", "''", "’s"];
const marks = '!"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~';
const alphabets = ["ab", "aAbB '", "a1 ", "\n a", "/\n;a ", "'sdtrelvm SDT", "=- ", "0123456789a", "A中a ", "\u0301aA中 ", "xX_y9.", "\r\n\t ab"];

const letter = () => String.fromCharCode((random(2) ? 97 : 65) + random(26));
const kinds = [
  () => { const [a, b] = pick(scripts); let s = ''; for (let n = random(20); n >= 0; n--) s += String.fromCodePoint(a + random(b - a + 1)); return s; },
  () => { let s = ''; for (let n = random(12); n >= 0; n--) s += pick(words) + (random(4) ? ' ' : pick(spaces)); return s; },
  () => { const a = [...pick(alphabets)]; let s = ''; for (let n = random(60); n >= 0; n--) s += pick(a); return s; },
  () => { let s = ''; for (let n = random(10); n >= 0; n--) s += pick(spaces); return s; },
  () => pick(words) + pick(contractions) + (random(2) ? pick(words) : pick(spaces)),
  () => { let s = ''; for (let n = random(8); n >= 0; n--) s += pick([...marks]); return s; },
  () => { let s = ''; for (let n = random(14); n >= 0; n--) s += letter(); return s; },
  () => String(random(1000000000)).slice(0, 1 + random(9)),
  () => pick(['a', ' ', '\n', '=', '-', '0', '中', 'é', '\t', 'A', '_', '🙂', '\u0301']).repeat(1 + random(random(20) ? 20 : 300)),
  () => pick(['👨‍👩‍👧‍👦', '🏳️‍🌈', '👍🏽', '🇩🇪', '❤️', '1️⃣', '🧑🏿‍🚀']),
  () => pick(['<|endoftext|>', '<|fim_prefix|>', 'https://example.com/a?b=c&d=%20', 'ZGF0YTppbWFnZS9wbmc7', '{"key": [1, 2.5e-3, null]}', '0x1fA3', '\ud83d', '\udc00']),
];
function string() {
  let s = '';
  for (let n = random(5); n >= 0; n--) s += pick(kinds)();
  return s;
}

let left = Number(strings), bytes = 0, tokens = 0, wrong = 0;
while (left > 0) {
  const batch = Array.from({ length: Math.min(left, BATCH) }, string);
  // what Node.js makes of a lone surrogate is U+FFFD, as it should be; now and then bytes that are no UTF-8 at all
  const encoded = batch.map((s) => {
    const b = Buffer.from(s);
    if (b.length && random(50) === 0) b[random(b.length)] = 0x80 + random(128);
    return b;
  });
  const input = Buffer.concat(encoded.flatMap((b) => { const n = Buffer.alloc(4); n.writeUInt32LE(b.length); return [n, b]; }));
  const r = spawnSync(program, { input, maxBuffer: 1 << 28 });
  if (r.status !== 0 || r.stdout.length !== batch.length * 8) {
    console.error(`count_strings failed: ${r.stderr}`);
    process.exit(1);
  }
  encoded.forEach((b, i) => {
    const text = b.toString('utf8');
    encodings.forEach((e, j) => {
      const want = e.encode_ordinary(text).length, got = r.stdout.readUInt32LE(i * 8 + j * 4);
      tokens += want;
      if (want !== got && wrong++ < 20) console.log(`${e.name}: ${got}, tiktoken ${want}: ${JSON.stringify(text)} (${b.toString('hex')})`);
    });
    bytes += b.length;
  });
  left -= batch.length;
}
console.log(`${strings} strings, seed ${seed}: ${bytes} bytes, ${tokens} tokens by both encodings, ${wrong} counts differ`);
process.exit(wrong ? 1 : 0);

// node tools/vocab/oracle.mjs VECTORS: fills in the counts of tests/unit/data/token_vectors.txt again, in place.
//
// The oracle is OpenAI's own tokenizer, as the npm package tiktoken ships it (npm install tiktoken@1.0.22; this script runs
// only where that package can be found). Ill-formed UTF-8 is repaired by Node.js, which follows the same rule as we do.
import { readFileSync, writeFileSync } from 'node:fs';
import { get_encoding } from 'tiktoken';

const escape = /\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8})|([nrt\\]))/g;
const named = { n: '\n', r: '\r', t: '\t', '\\': '\\' };

// The bytes that the notation of the file means; \xNN is a byte, everything else is characters.
function bytes(notation) {
    const parts = [];
    let from = 0;

    for (const m of notation.matchAll(escape)) {
        parts.push(Buffer.from(notation.slice(from, m.index)));
        parts.push(m[1] ? Buffer.from([parseInt(m[1], 16)])
                        : Buffer.from(m[4] ? named[m[4]] : String.fromCodePoint(parseInt(m[2] ?? m[3], 16))));
        from = m.index + m[0].length;
    }
    parts.push(Buffer.from(notation.slice(from)));
    return Buffer.concat(parts);
}

const encodings = ['o200k_base', 'cl100k_base'].map((name) => get_encoding(name));
const path = process.argv[2];
const lines = readFileSync(path, 'utf8').split('\n').map((line) => {
    const row = /^(?:\S+) (?:\S+) (\d+) (.*)$/.exec(line);

    if (line.startsWith('#') || !row)
        return line;
    const one = bytes(row[2]);
    const text = Buffer.concat(Array(Number(row[1])).fill(one)).toString('utf8');
    return [...encodings.map((e) => e.encode_ordinary(text).length), row[1], row[2]].join(' ');
});
writeFileSync(path, lines.join('\n'));

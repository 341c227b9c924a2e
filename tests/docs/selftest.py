"""That the runner notices what is wrong with a page: one small page each, and what it has to say of it."""
import sys

from run import check_page

FENCE = "```"
BAD = [
    ("a block without a language", f"{FENCE}\nls\n{FENCE}\n", "of language ''"),
    ("a language that nobody runs", f"{FENCE}ruby\np 1\n{FENCE}\n", "of language 'ruby'"),
    ("a mark that does not exist", f"<!-- skip: tired -->\n{FENCE}sh\ntrue\n{FENCE}\n", "no such mark"),
    ("a mark without a reason", f"<!-- not run -->\n{FENCE}sh\ntrue\n{FENCE}\n", "no such mark"),
    ("a block without an end", f"{FENCE}sh\ntrue\n", "has no end"),
    ("a command that fails", f"{FENCE}sh\nfalse\ntrue\n{FENCE}\n", "exit status 1"),
    ("a command that fails, shown without output", f"{FENCE}console\n$ false\n{FENCE}\n", "exit status 1"),
    ("other words than shown", f"{FENCE}console\n$ echo one 1\ntwo 2\n{FENCE}\n", "prints"),
    ("a line more than shown", f"{FENCE}console\n$ printf 'a\\nb\\n'\na\n{FENCE}\n", "prints"),
    ("a line less than shown", f"{FENCE}console\n$ echo a\na\nb\n{FENCE}\n", "prints"),
    ("another exit status than shown", f"{FENCE}console\n$ (exit 3) || echo \"exit status $?\"\nexit status 4\n{FENCE}\n", "prints"),
    ("what comes first fails", f"<!-- first: false -->\n{FENCE}sh\ntrue\n{FENCE}\n", "the command before it"),
    ("an unknown key", f"{FENCE}yaml\nheadrom: 20%\n{FENCE}\n", "--test ends with 78"),
    ("no JSON", f"{FENCE}json\n{{\"a\":...}}\n{FENCE}\n", "no JSON"),
    ("no TOML", f"{FENCE}toml\na = \n{FENCE}\n", "no TOML"),
    ("no such table", f"{FENCE}sql\nSELECT * FROM callers;\n{FENCE}\n", "SQL: "),
    ("a link to no file", "see [this](docs/nowhere.md)\n", "which is not there"),
    ("a link to no heading", "see [this](README.md#nowhere)\n", "there is no such heading"),
    ("a Python program that fails", f"{FENCE}python\nimport json\njson.loads('')\n{FENCE}\n", "exit status 1"),
]
GOOD = f"""
[here](docs/tool.md), [there](docs/limits.md#money), [where](https://example.invalid/x), `[no](link)`

{FENCE}console
$ echo one 17; echo; echo took 1.25 s, cost '$0.5'
one 4

took 300 ms, cost $12.345
$ printf 'a\\nb\\nc\\n'
a
...
$ false || echo "exit status $?"
exit status 1
{FENCE}
<!-- first: ask me gpt-4o -->
{FENCE}console
$ curl -s 'http://127.0.0.1:4283/-/calls'
{{"calls":[{{"id":"mg-00c0ffe-1",...}}]}}
$ metergate explain mg-00c0ffe-1
call mg-00c0ffe-1 of me
...
{FENCE}
<!-- file: later.json -->
{FENCE}json
{{"a": 1}}
{FENCE}
{FENCE}sh
grep -q 1 later.json
{FENCE}
<!-- not run: it would end all this -->
{FENCE}sh
kill 0
{FENCE}
{FENCE}yaml
upstreams: {{openai: {{api_key: {{file: /etc/metergate/some.key}}}}}}
clients: {{ana: {{token: {{credential: ana}}}}}}
{FENCE}
{FENCE}python
import no_such_module_anywhere
{FENCE}
{FENCE}text
anything
{FENCE}
"""


def main():
    failed = 0
    for what, page, says in BAD:
        problems, *_ = check_page("selftest.md", page)
        if len(problems) != 1 or says not in problems[0]:
            failed += 1
            print(f"FAIL  {what}: {problems}")
    problems, run, left, skipped = check_page("selftest.md", GOOD)
    if problems or (run, left, len(skipped)) != (5, 1, 1):
        failed += 1
        print(f"FAIL  a page that is right: {problems} {run} {left} {skipped}")
    print(f"{'FAIL' if failed else 'ok':<5} tests/docs/selftest.py            {len(BAD) + 1} pages")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

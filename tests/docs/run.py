"""Runs the command blocks of the pages named (all of them, if none is), each page in a sandbox of its own, in the page's order.
tests/README.md has the rules. Exits 1 when a block does not do what its page shows.
"""
import ast
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
import tomllib

import compare
from page import Block, blocks_of, broken_links
from sandbox import ROOT, Sandbox

SDK = ROOT / "tests/sdk"
PYTHONS = [SDK / f"{venv}/bin/python" for venv in ("venv", "venv-docs", "venv-litellm")]
END = "--- end of a command ---"


class Skip(Exception):
    """A block that needs what is not installed here."""


class Page:
    def __init__(self, sandbox):
        self.sandbox, self.ids, self.db = sandbox, {}, None

    def run(self, block):
        """None, or what is wrong. Raises Skip."""
        if "first" in block.marks:
            status, out = self.sandbox.run(["bash", "-c", self.sandbox.here(block.marks["first"])])
            if status:
                return f"the command before it ended with {status}: {out}"
        if "file" in block.marks:
            (self.sandbox.work / block.marks["file"]).write_text(self.sandbox.here(block.text))
        return getattr(self, "_" + block.language)(block)

    def _text(self, block):
        return None

    def _go(self, block):
        return "Go is not run: mark it"

    def _sh(self, block):
        text = self.sandbox.here(compare.renamed(block.text, self.ids))
        status, out = self.sandbox.run(["bash", "-e", "-c", text])
        return f"exit status {status}\n{out}" if status else None

    def _console(self, block):
        """One shell for the block. A command ends with 0; what it prints is what follows it on the page."""
        steps = []
        for line in block.text.splitlines():
            if line.startswith("$ "):
                steps.append([line[2:], []])
            elif not steps:
                return "a block of console begins with a line '$ COMMAND'"
            elif steps[-1][0].endswith("\\") and not steps[-1][1]:
                steps[-1][0] += "\n" + line
            else:
                steps[-1][1].append(line)
        return self._steps(steps)

    def _steps(self, steps):
        shell = subprocess.Popen(["bash"], cwd=self.sandbox.work, env=self.sandbox.env(), stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True)
        try:
            for command, want in steps:
                text = self.sandbox.here(compare.renamed(command, self.ids))
                shell.stdin.write(f"{{ {text}\n}} </dev/null\nprintf '\\n%s %d\\n' '{END}' $?\n")
                shell.stdin.flush()
                status, have = self._until_end(shell)
                if status:
                    return f"$ {command}\nexit status {status}\n{have}"
                if not compare.same([self.sandbox.here(line) for line in want], have.splitlines(), self.ids):
                    return f"$ {command}\nprints\n{have}\nand not\n" + "\n".join(want)
        finally:
            shell.stdin.close()
            shell.wait()
            shell.stdout.close()
        return None

    def _until_end(self, shell):
        have = ""
        for line in shell.stdout:
            if line.startswith(END):
                return int(line.split()[-1]), have.removesuffix("\n")
            have += line
        return 255, have + "\nthe shell ended"

    def _yaml(self, block):
        text = self.sandbox.here(block.text)
        file = self.sandbox.work / ".block.yaml"
        env = self.sandbox.secrets_for(text)
        file.write_text(text)
        status, out = self.sandbox.run(["metergated", "-c", str(file), "--test"], env=env)
        return f"metergated --test ends with {status}\n{out}" if status else None

    def _json(self, block):
        try:
            json.loads(block.text)
        except ValueError as e:
            return f"no JSON: {e}"

    def _toml(self, block):
        try:
            tomllib.loads(block.text)
        except ValueError as e:
            return f"no TOML: {e}"

    def _sql(self, block):
        """All of a page on one connection: what one block creates the next may use."""
        self.db = self.db or sqlite3.connect(self.sandbox.state / "ledger.db")
        try:
            self.db.execute(block.text).fetchall()
        except sqlite3.Error as e:
            return f"SQL: {e}"

    def _python(self, block):
        modules = {n.split(".")[0] for node in ast.walk(ast.parse(block.text)) for n in
                   ([a.name for a in node.names] if isinstance(node, ast.Import) else
                    [node.module] if isinstance(node, ast.ImportFrom) else [])}
        find = f"import importlib.util as u, sys; sys.exit(any(u.find_spec(m) is None for m in {sorted(modules)!r}))"
        for python in [sys.executable, *PYTHONS]:
            if os.path.exists(python) and subprocess.run([python, "-c", find]).returncode == 0:
                return self._script(block, ".py", [str(python)])
        raise Skip("python: " + ", ".join(sorted(modules - set(sys.stdlib_module_names))))

    def _js(self, block):
        modules = [m for m in re.findall(r"from '([^'.][^']*)'", block.text) if not m.startswith("node:")]
        if missing := [m for m in modules if not (SDK / "node_modules" / m).exists()]:
            raise Skip("js: " + ", ".join(missing))
        if not (self.sandbox.work / "node_modules").exists():
            (self.sandbox.work / "node_modules").symlink_to(SDK / "node_modules")
        return self._script(block, ".mjs", ["node"])

    def _script(self, block, ending, command):
        file = self.sandbox.work / (".block" + ending)
        file.write_text(self.sandbox.here(compare.renamed(block.text, self.ids)))
        status, out = self.sandbox.run(["metergate", "run", "--", *command, str(file)])
        return f"exit status {status}\n{out}" if status else None


def check_page(name, text):
    """(problems as text, blocks run, blocks marked as not run, reasons of those skipped)."""
    run, left, skipped = 0, 0, []
    problems = [] if name.startswith("man/") else [f"{p.page}:{p.line}: {p.what}" for p in broken_links(name, text, ROOT)]
    blocks = blocks_of(name, text)
    todo = [b for b in blocks if isinstance(b, Block) and "not run" not in b.marks]
    sandbox = Sandbox() if any(b.language not in ("text", "json", "toml") for b in todo) else None
    page = Page(sandbox)
    try:
        for b in blocks:
            if not isinstance(b, Block):
                problems.append(f"{b.page}:{b.line}: {b.what}")
            elif "not run" in b.marks:
                left += 1
            else:
                try:
                    what = page.run(b)
                    run += b.language != "text"
                    if what:
                        problems.append(f"{b.page}:{b.line}: {what}")
                except Skip as e:
                    skipped.append(f"{b.line} ({e})")
    finally:
        if page.db:
            page.db.close()
        if sandbox:
            sandbox.close()
    return problems, run, left, skipped


def pages():
    found = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", ROOT / "tests/README.md", *sorted((ROOT / "docs").rglob("*.md")),
             *sorted((ROOT / "tests").glob("*/README.md")), *sorted((ROOT / "man").glob("*.[1-8]"))]
    return [str(p.relative_to(ROOT)) for p in found]


def main(names):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that sandboxes are closed
    failed = blocks = marked = skips = 0
    for name in names or pages():
        start = time.monotonic()
        problems, run, left, skipped = check_page(name, (ROOT / name).read_text())
        rest = (f", {left} not run" if left else "") + (f", {len(skipped)} skipped" if skipped else "")
        if run or left or skipped or problems:
            print(f"{'FAIL' if problems else 'ok':<5} {name:<32} {run:>3} blocks{rest}  {(time.monotonic() - start) * 1000:.0f} ms", flush=True)
        for s in skipped:
            print(f"      skipped, not installed: {name}:{s}")
        for p in problems:
            print("      " + p.rstrip().replace("\n", "\n      "))
        failed, blocks, marked, skips = failed + len(problems), blocks + run, marked + left, skips + len(skipped)
    print(f"{blocks} blocks run, {failed} problems, {marked} marked as not run, {skips} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""A machine of its own for one page: a home, a working directory that looks like a clone of this repository, the programs in
PATH as installed, a daemon and a provider simulator behind it.

Always true: what is started here is ended by close(), and nothing outside of the temporary directory is written.
"""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("MG_BIN", ROOT / "build/release/bin")).resolve()
PORT = 4283  # as the pages say
SECRET = "sk-0123456789abcdef0123456789abcdef"

CONFIG = """\
listen: ["127.0.0.1:{port}"]
drain: 1s
upstreams:
  openai: {{base_url: "http://127.0.0.1:{provider}/v1"}}
  anthropic: {{base_url: "http://127.0.0.1:{provider}"}}
  gemini: {{base_url: "http://127.0.0.1:{provider}"}}
  azure: {{base_url: "http://127.0.0.1:{provider}"}}
  ollama: {{base_url: "http://127.0.0.1:{provider}"}}
models:
  gpt-4o: {{tpm: 30k}}
clients:
  nightly: {{weight: 1}}
  editor: {{weight: 1}}
"""


def free_port():
    """4283 if nobody has it, else any."""
    for port in (PORT, 0):
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("127.0.0.1", port))
                return s.getsockname()[1]
            except OSError:
                continue
    raise OSError("no free port")


class Sandbox:
    def __init__(self):
        self.running = []
        self.dir = Path(tempfile.mkdtemp(prefix="metergate-docs-"))
        self.home, self.etc, self.work = self.dir / "home", self.dir / "etc", self.dir / "work"
        self.tools, self.state = self.dir / "bin", self.home / ".local/state/metergate"
        try:
            self._lay_out()
            self._start()
        except BaseException:
            self.close()
            raise

    def _lay_out(self):
        for d in (self.etc, self.work / "build/release", self.tools, self.home / ".config/metergate"):
            d.mkdir(parents=True)
        for name in ("README.md", "docs", "conf"):
            (self.work / name).symlink_to(ROOT / name)
        (self.work / "build/release/bin").symlink_to(BIN)
        for name in ("metergate", "metergated"):
            (self.tools / name).symlink_to(BIN / name)
        (self.tools / "python3").symlink_to(sys.executable)
        for tool in (ROOT / "tests/docs/tools").iterdir():
            (self.tools / tool.name).symlink_to(tool)
        for script in (ROOT / "tests/docs/files").iterdir():
            shutil.copy(script, self.work)

    def _start(self):
        self.provider = self._start_one("metergate-simulator", ["--listen", "127.0.0.1:0", "--config", "{}"])
        self.port = free_port()
        config = self.etc / "metergate.yaml"
        config.write_text(CONFIG.format(port=self.port, provider=self.provider))
        (self.home / ".config/metergate/metergate.yaml").symlink_to(config)
        self._start_one("metergated", ["-c", str(config)])

    def _start_one(self, program, args):
        """The port that the program says it listens on."""
        p = subprocess.Popen([BIN / program, *args], env=self.env(), cwd=self.work, text=True, start_new_session=True,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.running.append(p)
        said = ""
        while True:
            line = p.stdout.readline()
            said += line
            if m := re.search(r"listening on 127\.0\.0\.1:(\d+)", line):
                # what else it says goes to a file: a full pipe would stop it
                log = open(self.dir / f"{program}.log", "w")
                self.running.append(subprocess.Popen(["cat"], stdin=p.stdout, stdout=log, start_new_session=True))
                log.close()
                return int(m.group(1))
            if not line:
                raise RuntimeError(f"{program} ended: {said}")

    def env(self):
        keep = ("LANG", "TERM", "LD_LIBRARY_PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS")
        env = {k: os.environ[k] for k in keep if k in os.environ}
        env.update(HOME=str(self.home), PATH=f"{self.tools}:{os.environ['PATH']}", OPENAI_API_KEY=SECRET, USER="user",
                   ANTHROPIC_API_KEY=SECRET, GEMINI_API_KEY=SECRET, AZURE_OPENAI_API_KEY=SECRET, NO_COLOR="1",
                   CREDENTIALS_DIRECTORY=str(self.etc), PYTHONDONTWRITEBYTECODE="1", LITELLM_LOCAL_MODEL_COST_MAP="True")
        env["SANDBOX_ETC"] = str(self.etc)
        env["SANDBOX_PROVIDER"] = f"http://127.0.0.1:{getattr(self, 'provider', 0)}"
        if getattr(self, "port", PORT) != PORT:
            env["METERGATE_URL"] = f"http://127.0.0.1:{self.port}"
        return env

    def here(self, text):
        """The text with the port and the directories of this sandbox."""
        return text.replace(str(PORT), str(self.port)).replace("/etc/metergate/", f"{self.etc}/") \
                   .replace("/var/lib/metergate/", f"{self.state}/")

    def secrets_for(self, text):
        """What a configuration names as keys and tokens is there: returns the environment for it."""
        env = self.env()
        for name in re.findall(r"\benv: *\"?(\w+)", text):
            env[name] = SECRET + name
        for path in re.findall(r"\bfile: *\"?([^\s,}\"]+)", text) + \
                [self.etc / name for name in re.findall(r"\bcredential: *\"?([\w.-]+)", text)]:
            path = Path(path)
            if path.is_relative_to(self.etc):
                path.write_text(SECRET + path.name + "\n")
                path.chmod(0o600)
        return env

    def run(self, command, env=None, timeout=180):
        """(status, output, standard error in it)."""
        p = subprocess.Popen(command, cwd=self.work, env=env or self.env(), text=True, errors="replace", start_new_session=True,
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            out, _ = p.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(p.pid, signal.SIGKILL)
            out, _ = p.communicate()
            return 124, out + f"\nnot over after {timeout} s\n"
        return p.returncode, out

    def simulate(self, path):
        from urllib.request import urlopen
        return json.load(urlopen(f"http://127.0.0.1:{self.provider}/_sim/{path}"))

    def close(self):
        for p in reversed(self.running):
            if p.poll() is None and p.args != ["cat"]:
                os.killpg(p.pid, signal.SIGTERM)
                try:
                    p.wait(5)
                except subprocess.TimeoutExpired:
                    os.killpg(p.pid, signal.SIGKILL)
                    p.wait()
            elif p.args == ["cat"]:
                continue
        for p in self.running:
            p.wait()
            if p.stdout:
                p.stdout.close()
        shutil.rmtree(self.dir, ignore_errors=True)

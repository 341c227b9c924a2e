"""The blocks of a page, in order. A block has a language, and perhaps marks in HTML comments right before it.

Always true: every fenced block of a Markdown page, and every .EX of a manual page, is a Block or a Problem.
"""
import re
from dataclasses import dataclass, field

LANGUAGES = {"console", "go", "sh", "yaml", "json", "sql", "python", "js", "toml", "text"}
MARK = re.compile(r"^\s*<!-- ([a-z ]+): (.+) -->$")
MARKS = {"not run", "first", "file"}
FENCE = re.compile(r"^(\s*)(```+)\s*([^\s`]*)\s*$")


@dataclass
class Block:
    page: str
    line: int
    language: str
    text: str
    marks: dict = field(default_factory=dict)


@dataclass
class Problem:
    page: str
    line: int
    what: str


def blocks_of(name, text):
    return _of_manual(name, text) if name.startswith("man/") else _of_markdown(name, text)


def _marks_before(name, lines, at, found):
    """The comments on the lines right before lines[at]."""
    marks = {}
    for i in range(at - 1, -1, -1):
        if not lines[i].lstrip().startswith("<!--"):
            break
        m = MARK.match(lines[i])
        if not m or m.group(1) not in MARKS:
            found.append(Problem(name, i + 1, f"no such mark: {lines[i].strip()}"))
        else:
            marks[m.group(1)] = m.group(2)
    return marks


def _of_markdown(name, text):
    lines, found, i = text.split("\n"), [], 0
    while i < len(lines):
        fence = FENCE.match(lines[i])
        if not fence:
            i += 1
            continue
        indent, ticks, language = fence.groups()
        start = i
        while i + 1 < len(lines) and lines[i + 1].strip() != ticks:
            i += 1
        if i + 1 == len(lines):
            found.append(Problem(name, start + 1, "this block has no end"))
            break
        body = "\n".join(line.removeprefix(indent) for line in lines[start + 1:i + 1]) + "\n"
        marks = _marks_before(name, lines, start, found)
        if language in LANGUAGES:
            found.append(Block(name, start + 1, language, body, marks))
        else:
            found.append(Problem(name, start + 1, f"a block of language '{language}': one of {', '.join(sorted(LANGUAGES))} is known"))
        i += 2
    return found


LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def _anchor(heading):
    """As the places where Markdown is shown make it of a heading."""
    return re.sub(r"[^\w -]", "", heading.strip().lower().replace("`", "")).replace(" ", "-")


def _without_blocks(text):
    lines, inside = [], False
    for line in text.split("\n"):
        fence = line.lstrip().startswith("```")
        inside ^= fence
        lines.append("" if inside or fence else line)
    return lines


def broken_links(name, text, root):
    """Links within the repository that lead nowhere: to a file or a heading that is not there."""
    found = []
    for i, line in enumerate(_without_blocks(text)):
        for target in LINK.findall(re.sub(r"`[^`]*`", "", line)):
            path, _, heading = target.partition("#")
            if re.match(r"[a-z]+:", target):
                continue
            file = root / name if not path else (root / name).parent / path
            if not file.exists():
                found.append(Problem(name, i + 1, f"a link to {target}, which is not there"))
            elif heading and heading not in {_anchor(h.lstrip("#")) for h in _without_blocks(file.read_text()) if h.startswith("#")}:
                found.append(Problem(name, i + 1, f"a link to {target}: there is no such heading"))
    return found


def _of_manual(name, text):
    """.EX to .EE; `.\\" not run: REASON` before it. Section 5 is about the configuration, the others about commands."""
    lines, found, inside = text.split("\n"), [], None
    for i, line in enumerate(lines):
        if line == ".EX":
            before = re.match(r'^\.\\" not run: (.+)$', lines[i - 1])
            inside = Block(name, i + 1, "yaml" if name.endswith(".5") else "sh", "", {"not run": before.group(1)} if before else {})
        elif line == ".EE" and inside:
            found.append(inside)
            inside = None
        elif inside:
            inside.text += line.replace("\\-", "-").replace("\\(ti", "~").replace("\\e", "\\").replace("\\&", "") + "\n"
    return found

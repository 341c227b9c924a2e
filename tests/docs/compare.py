"""What a command printed against what a page shows, figures, times, amounts and widths of columns aside.

A line `...` stands for any lines, `...` within a line for any text. What the page calls mg-00c0ffe-7 (or by a long hexadecimal
number) is in later commands of the page whatever the program printed in that place.
"""
import re

ID = re.compile(r"mg-[0-9a-f]{7,}-\d+|\b[0-9a-f]{32}\b")
MASKS = [
    (ID, "ID"),
    (re.compile(r"\d[\d,]*[dhm] \d+[hms]\b"), "#"),  # 2h 2m
    (re.compile(r"\d+ (?:min|h|d) \d+ (?:s|min|h)\b"), "#"),  # 1 min 5 s
    (re.compile(r"\d(?:[\d,.]*\d)?(?: (?:ms|s|min|h|d|[KMG]iB|bytes)\b)?"), "#"),
    (re.compile(r"#[:T-]#(?:[:T-]#)*Z?"), "#"),  # a date, a time of day
    (re.compile(r"-{3,}"), "---"),
    (re.compile(r"[ \t]+"), " "),
]


def masked(line):
    if line.startswith("exit status "):  # the one figure that has to be as printed
        return line.strip()
    for pattern, by in MASKS:
        line = pattern.sub(by, line)
    return line.strip()


def _line_matches(want, have):
    parts = [re.escape(masked(p)) for p in want.split("...")]
    return re.fullmatch(r".*".join(parts) if len(parts) > 1 else parts[0], masked(have)) is not None


def _learn(want, have, ids):
    a, b = ID.findall(want), ID.findall(have)
    if len(a) == len(b):
        ids.update(zip(a, b))


def match(want, have, ids):
    """Whether lines `have` are as the page's lines `want`; what ids stand for is added to `ids`."""
    if not want:
        return not have
    if want[0].strip() == "...":
        return any(match(want[1:], have[k:], ids) for k in range(len(have) + 1))
    if have and _line_matches(want[0], have[0]) and match(want[1:], have[1:], ids):
        _learn(want[0], have[0], ids)
        return True
    return False


def same(want, have, ids):
    """As match; JSON may be laid out otherwise."""
    while have and not have[-1].strip():
        have = have[:-1]
    while want and not want[-1].strip():
        want = want[:-1]
    if match(want, have, ids):
        return True
    if want and want[0][:1] in ("{", "["):
        one, other = ("".join(line.strip() for line in lines) for lines in (want, have))
        if _line_matches(re.sub(r"\s+", "", one), re.sub(r"\s+", "", other)):
            _learn(one, other, ids)
            return True
    return False


def renamed(text, ids):
    return ID.sub(lambda m: ids.get(m.group(0), m.group(0)), text)

"""Runs every block of a page in order, in the current folder.

    python page_worker.py PAGE

Python blocks share their names; lines of other blocks that begin with
`audiogan` are run in this process. The end of each is printed as JSON, one
line a command: what ran, and how long it took.
"""

import json
import pathlib
import re
import shlex
import sys
import time

SHORTER = {
    "README.md": {
        "--stages 4,5,6 --frozen-steps 1000 --steps 20000": "--stages 2,3 "
        "--frozen-steps 1 --steps 2 --batch-size 2",
        "--steps 3000": "--steps 2",
        "--steps 2000": "--steps 2",
        "steps_per_epoch=1000, epochs=10": "steps_per_epoch=2, epochs=1",
        "-o runs/classifier ": "-o runs/classifier --steps 2 ",
        "--classifier runs/classifier": "--classifier runs/classifier -n 20",
        "--augmentation-study": "--augmentation-study -n 20 --epochs 1 "
        "--runs 1",
        "--report mine.html --save": "--report mine.html --save -n 20",
    }
}
"""What is too long for a test, and must stand in the page."""

ELSEWHERE = ("audiogan data ",)
"""What needs the network, and is tested beside a server of its own."""

BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)


def blocks(page):
    """Yields (language, code) of a page of Markdown, made shorter."""
    text = page.read_text("utf-8")
    for long, short in SHORTER.get(page.name, {}).items():
        if long not in text:
            raise SystemExit(f"{page.name} no longer says {long!r}")
        text = text.replace(long, short)
    for indent, language, code in BLOCK.findall(text):
        yield language, re.sub(rf"^{indent}", "", code, flags=re.MULTILINE)


def commands(code):
    """Yields the commands of a block, without their comments."""
    for line in code.replace("\\\n", " ").splitlines():
        if line.startswith("audiogan ") and not line.startswith(ELSEWHERE):
            yield re.sub(r"\s+#.*", "", line)


def main(path):
    from keras_audiogan.cli.main import main as audiogan

    names = {"__name__": "page"}
    for language, code in blocks(pathlib.Path(path)):
        todo = [code] if language == "python" else list(commands(code))
        for text in todo:
            begin = time.perf_counter()
            if language == "python":
                exec(compile(text, path, "exec"), names)
            else:
                audiogan(shlex.split(text)[1:], standalone_mode=False)
            seconds = round(time.perf_counter() - begin, 1)
            print(json.dumps({"ran": text, "seconds": seconds}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])

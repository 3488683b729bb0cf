"""Look at pages in a browser 1200 pixels wide and say what is clipped, if Chromium is there.

    python scripts/clipped_pages.py build/docs/index.html build/docs/benchmarks.html
    python scripts/clipped_pages.py runs/first/report.html --screenshots shots

Clipped is what makes the page wider than the window, and what is wider than its own box. A
table in a box that scrolls counts too, unless ``--may-scroll`` is given.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from html import unescape
from pathlib import Path

WIDTH = 1200
_BOXES = "dd, td, th, p, img, figure, pre"
_SCROLLS = ".wide, .table-wrapper"
_CHECK = """
<script>
addEventListener("load", () => {
  const wide = document.documentElement.scrollWidth > innerWidth ? ["the page"] : [];
  for (const box of document.querySelectorAll("BOXES"))
    if (box.clientWidth && box.scrollWidth > box.clientWidth + 1)
      wide.push(`${box.tagName.toLowerCase()} ${box.textContent.trim().slice(0, 40)}`);
  document.title = "clipped: " + wide.join("; ");
});
</script>
"""


def find_browser() -> str | None:
    """Return Chromium's program, None where it is not installed."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)


def find_clipped(browser: str, page: Path, may_scroll: bool = False) -> str:
    """Return what is clipped on a page, separated by semicolons; nothing where all is well.

    The page is copied beside itself for the time of the look, with the check in it.
    """
    boxes = _BOXES if may_scroll else f"{_BOXES}, {_SCROLLS}"
    text = page.read_text(encoding="utf-8")
    check = _CHECK.replace("BOXES", boxes)
    copy = page.with_name(f"{page.stem}-checked.html")
    copy.write_text(text.replace("</body>", f"{check}</body>"), encoding="utf-8")
    try:
        printed = _browse(browser, copy, "--dump-dom")
    finally:
        copy.unlink()
    found = re.search(r"<title>clipped: (.*?)</title>", printed, re.DOTALL)
    if found is None:
        raise RuntimeError(f"Chromium did not run the check of {page}")
    return unescape(found[1])


def _browse(browser: str, page: Path, *options: str) -> str:
    with tempfile.TemporaryDirectory() as profile:
        plain = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars")
        own = (f"--user-data-dir={profile}", f"--window-size={WIDTH},2400")
        command = [browser, *plain, *own, *options, page.absolute().as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout


def main() -> None:
    """Print what is clipped, page by page; exit code 1 where anything is."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("pages", nargs="+", type=Path)
    parser.add_argument("--may-scroll", action="store_true", help="tables may be scrolled")
    parser.add_argument("--screenshots", type=Path, metavar="DIR", help="keep what is seen")
    options = parser.parse_args()
    browser = find_browser()
    if browser is None:
        print("skipped: there is no Chromium", file=sys.stderr)
        return
    clipped = False
    for page in options.pages:
        found = find_clipped(browser, page, options.may_scroll)
        clipped |= bool(found)
        print(f"{page}: {found or 'nothing is clipped'}")
        if options.screenshots is not None:
            options.screenshots.mkdir(parents=True, exist_ok=True)
            shot = options.screenshots.absolute() / f"{page.stem}.png"
            _browse(browser, page, f"--screenshot={shot}")
    sys.exit(int(clipped))


if __name__ == "__main__":
    main()

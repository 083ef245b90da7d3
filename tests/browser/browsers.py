"""Where Chromium is, and how it is started."""

from pathlib import Path

# The first draws no window round a page.
BINARIES = [Path("/usr/bin/chromium-headless-shell"), Path("/usr/bin/chromium")]
SWITCHES = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
SWITCHES += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]

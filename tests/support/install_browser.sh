#!/usr/bin/env bash
# install_browser.sh: installs Debian's Chromium for the tests in a real browser, and libatomic1,
# which Playwright's driver needs. Packages that are installed already are used.
set -euo pipefail

has_libatomic() { [ "$(uname -s)" != Linux ] || ls /usr/lib/*/libatomic.so.1 /usr/lib/libatomic.so.1 /usr/lib64/libatomic.so.1 2>/dev/null | grep -q .; }

command -v chromium >/dev/null && has_libatomic && exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing chromium for the tests in a browser (once) ..." >&2
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq >&2
    # Also install a font; without one the pages have no letters.
    apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core libatomic1 >/dev/null
else
    echo "The tests in a browser need Chromium and libatomic1. On Debian, once:" >&2
    echo "    sudo apt-get install chromium libatomic1" >&2
    echo "What needs none runs with: make check" >&2
    exit 1
fi

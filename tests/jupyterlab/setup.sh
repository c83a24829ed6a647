#!/bin/sh
# The browser for the JupyterLab test, from Debian; does nothing where it is there already.
set -eu
if command -v chromium >/dev/null && command -v chromedriver >/dev/null; then exit 0; fi
echo "installing Debian's chromium and chromium-driver (about 110 MB)"
export DEBIAN_FRONTEND=noninteractive
apt-get -q update
apt-get -q -o DPkg::Lock::Timeout=300 install -y --no-install-recommends chromium chromium-driver fonts-dejavu-core

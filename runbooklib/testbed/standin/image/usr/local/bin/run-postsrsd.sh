#!/bin/sh
# PostSRSd reads its options from the environment (-e) and stays in the foreground.
set -a
. /etc/default/postsrsd
exec postsrsd -e

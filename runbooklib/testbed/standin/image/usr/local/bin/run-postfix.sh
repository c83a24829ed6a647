#!/bin/sh
# Postfix's master as supervisord's own child: `postfix start-fg` would leave a shell between them that no signal passes.
# Its checks only warn (the queue came with the image) and take a while: beside it, as `postfix start` has it, and not
# as a child of master, which would not know it.
(postfix check &)
postlog -t postfix/postfix-script 'starting the Postfix mail system'
exec /usr/lib/postfix/sbin/master -d

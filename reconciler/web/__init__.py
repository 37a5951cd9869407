"""A page that shows what the service sees and does, read-only, over HTTP. Opened by the command line for ``run --listen``.

``Live`` is what the service feeds; ``serving`` answers for it in threads of its own. Nothing here acts on a backup: the one
request that does anything, ``POST /hooks/git``, wakes the loop.
"""

from reconciler.web.address import Address
from reconciler.web.live import Live
from reconciler.web.server import Listening, serving

__all__ = ["Address", "Listening", "Live", "serving"]

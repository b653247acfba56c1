"""An identity provider in plain http.server: publishes key sets. What it publishes is said on its input, a
line of JSON each, and acknowledged by the same line on its output:

    {"path": "/keys", "body": {...}}   these keys from now on (a body that is text is sent as it is)
    {"path": "/keys", "status": 500}   this status
    {"path": "/keys", "then": "cut"}   the connection ends without an answer
    {"path": "/keys", "then": "hang"}  no answer, until something else is said of the path

Every request is printed as {"asked": path}.

Usage: provider.py PORT [CERTIFICATE KEY]
"""

import json
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from serving import Handler, listen, say

told = {}
changed = threading.Condition()


class Provider(Handler):
    def do_GET(self):
        say({"asked": self.path})
        with changed:
            changed.wait_for(lambda: told.get(self.path, {}).get("then") != "hang")
            answer = told.get(self.path, {"status": 404})
        if "then" in answer:
            return self.cut()
        self.reply(answer.get("status", 200), answer.get("body", {}))


server = listen(int(sys.argv[1]), Provider, sys.argv[2:4])
threading.Thread(target=server.serve_forever, daemon=True).start()
for line in sys.stdin:
    answer = json.loads(line)
    with changed:
        told[answer["path"]] = answer
        changed.notify_all()
    say({"told": answer["path"]})

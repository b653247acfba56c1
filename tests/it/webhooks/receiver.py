"""A backend in plain http.server that is told what happens to sessions. It checks each request as
docs/webhooks.md says, and prints what it has taken as a line of JSON before it answers.

    POST /mode ok|500|hang|cut|unheard|chaos   how it answers from now on:
        hang     not at all, until the other end leaves
        cut      by ending the connection
        unheard  it takes the events, and ends the connection instead of saying so
        chaos    each time in another of these ways

Usage: receiver.py PORT SEED SECRET [CERTIFICATE KEY]
"""

import base64
import hashlib
import hmac
import json
import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from serving import Handler, listen, say

PORT, SEED, SECRET = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
MODES = ["ok", "500", "hang", "cut", "unheard"]
TOLERANCE_S = 300

chance = random.Random(SEED)
mode = "ok"


def verify(headers, body):
    """What is wrong with a request, or None."""
    name, timestamp = headers["webhook-id"], headers["webhook-timestamp"]
    if abs(time.time() - int(timestamp)) > TOLERANCE_S:
        return "it is too old"
    signed = f"{name}.{timestamp}.".encode() + body
    expected = base64.b64encode(hmac.digest(SECRET.encode(), signed, hashlib.sha256)).decode()
    given = headers["webhook-signature"].split(" ")
    if not any(hmac.compare_digest(one, f"v1,{expected}") for one in given):
        return f"no signature is right: {given}"
    return None


class Receiver(Handler):
    def do_POST(self):
        global mode
        body = self.read_body()
        if self.path == "/mode":
            mode = body.decode()
            return self.reply(200)
        wrong = verify(self.headers, body)
        if wrong:
            say({"wrong": wrong})
            return self.reply(401)
        headers = {name.lower(): value for name, value in self.headers.items()}
        now = chance.choice(MODES) if mode == "chaos" else mode
        if now in ("ok", "unheard"):
            say({"headers": headers, "events": json.loads(body)["events"]})
        else:
            say({"refused": now, "id": headers["webhook-id"]})
        if now == "hang":
            self.wait_until_left()
        if now in ("ok", "500"):
            self.reply(200 if now == "ok" else 500)
        else:
            self.cut()


listen(PORT, Receiver, sys.argv[4:6]).serve_forever()

"""A backend in plain http.server. Every question is printed as a line of JSON; the answer is what the
client's data asks for:

    {"status": 200, "body": {...}}   this answer (a body that is text is sent as it is)
    {"large": 1000}                  a name of so many bytes
    {"then": "hang"}                 none, until the other end leaves; then {"left": true} is printed
    {"then": "cut"}                  none, and the connection ends
    {"lives": 2}                     a session goes on for so many seconds

A question at /refresh has no data: there the user's name is a list of such answers in JSON, one for each
time that is asked about the same session; the last one counts from then on.

Usage: backend.py PORT [CERTIFICATE KEY]
"""

import base64
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from serving import Handler, listen, say

# How often was asked about each session.
asked = {}


class Backend(Handler):
    def do_POST(self):
        body = self.read_body()
        question = json.loads(body)
        headers = [[name.lower(), value] for name, value in self.headers.items()]
        say({"path": self.path, "port": self.client_address[1], "headers": headers,
             "question": question, "text": body.decode()})
        if self.path == "/refresh":
            answers = json.loads(question["user"])
            asked[question["client"]] = nth = asked.get(question["client"], 0) + 1
            return self.answer(answers[min(nth, len(answers)) - 1])
        data = question.get("data")
        if "b64data" in question:
            data = json.loads(base64.b64decode(question["b64data"]))
        self.answer(data or {})

    def answer(self, wanted):
        if wanted.get("then") == "hang":
            self.wait_until_left()
            say({"left": True})
        if "then" in wanted:
            return self.cut()
        body = wanted.get("body", {"result": {"user": "somebody"}})
        if "lives" in wanted:
            body = {"result": {"expire_at": int(time.time()) + wanted["lives"]}}
            body["result"].update(wanted.get("with", {}))
        if "large" in wanted:
            body = {"result": {"user": "x" * wanted["large"]}}
        self.reply(wanted.get("status", 200), body)


listen(int(sys.argv[1]), Backend, sys.argv[2:4]).serve_forever()

"""Writes the sessions of Rollcall's synthetic users to Redis, three for each user: one hash for a
user, one field for a session. Redis protocol for `redis-cli --pipe`."""

import sys
import uuid

META = '{"plan":"pro","region":"eu-west-1","device":"phone","build":123}'


def command(*words):
    parts = [f"*{len(words)}\r\n"]
    parts += [f"${len(word.encode())}\r\n{word}\r\n" for word in words]
    return "".join(parts)


def main():
    for user in range(int(sys.argv[1]) // 3):
        words = ["HSET", f"s{user:012}"]
        for _ in range(3):
            record = (
                '{"app_name":"ios","app_version":"1.2.3","transport":"websocket",'
                f'"protocol":"json","token_uid":"{uuid.uuid4()}","token_issued_at":1767225600,'
                f'"meta":{META}}}'
            )
            words += [str(uuid.uuid4()), record]
        sys.stdout.write(command(*words))


main()

//! Rules and statuses that several servers share in Redis: the real one, which these tests start.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use redis::FromRedisValue;
use serde_json::{Value, json};

use crate::access::{blocked, connect, does, invalid, told};
use crate::harness::{
    KEY, Running, SECRET, Server, binary, eventually, lines, overlay, run, unix_s, wait_line,
};

/// A Redis that keeps everything it has acknowledged, killed when the test ends.
struct Redis {
    dir: tempfile::TempDir,
    running: Option<Running>,
}

impl Redis {
    fn start() -> Self {
        let mut redis = Self { dir: tempfile::tempdir().expect("a directory"), running: None };
        redis.start_again();
        redis
    }

    /// On the same file, with everything it had.
    fn start_again(&mut self) {
        self.start_with(&["--port", "0"]);
    }

    fn start_with(&mut self, more: &[&str]) {
        let mut child = Command::new("redis-server")
            .args(["--appendonly", "yes", "--appendfsync", "always", "--save", ""])
            .arg("--unixsocket")
            .arg(self.socket())
            .args(more)
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("redis-server: apt-get install redis-server");
        let log = lines(child.stdout.take().expect("a pipe"));
        self.running = Some(Running(child));
        wait_line(&log, "The server is now ready to accept connections at");
    }

    fn kill(&mut self) {
        drop(self.running.take());
    }

    fn signal(&self, name: &str) {
        let id = self.running.as_ref().expect("it runs").0.id().to_string();
        let status = Command::new("kill").args([&format!("-{name}"), &id]).status();
        assert!(status.expect("kill runs").success());
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("redis.sock")
    }

    fn address(&self) -> String {
        address(&self.socket())
    }

    /// What it says to a command, words between spaces.
    fn does<T: FromRedisValue>(&self, line: &str) -> T {
        let client = redis::Client::open(self.address()).expect("an address");
        let mut connection = client.get_connection().expect("Redis runs");
        let mut command = redis::Cmd::new();
        for word in line.split(' ') {
            command.arg(word);
        }
        command.query(&mut connection).expect("Redis does it")
    }
}

fn address(socket: &Path) -> String {
    format!("unix://{}", socket.display())
}

/// A server that shares everything there.
fn sharing(address: &str, more: &Value) -> Server {
    let mut config = json!({
        "storage": {"redis": {"address": address}},
        "user_block": {"storage_type": "redis"},
        "token_revoke": {"storage_type": "redis"},
        "user_tokens_invalidate": {"storage_type": "redis"},
        "user_status": {"enabled": true, "storage_type": "redis"},
    });
    overlay(&mut config, more);
    Server::start(&config)
}

fn two(redis: &Redis) -> [Server; 2] {
    [0, 1].map(|_| sharing(&redis.address(), &json!({})))
}

/// What `info` says that a server has counted.
fn counted(server: &Server, name: &str) -> u64 {
    let reply = server.call("info", json!({}));
    let item = &reply["result"]["nodes"][0]["metrics"]["items"][format!("rollcall.{name}")];
    item.as_u64().unwrap_or_else(|| panic!("no {name}: {reply}"))
}

/// Waits until a client of this user is let in.
fn comes_in(server: &Server, connect: &Value) {
    eventually("it is let in", || {
        (!server.session_raw(connect)["connect"].is_null()).then_some(())
    });
}

/// Waits until calls are answered as this: the first text of an error that contains it.
fn answers(server: &Server, user: &str, why: &str) {
    eventually(why, || {
        let reply = server.call("block_user", json!({"user": user}));
        let is_said = match why {
            "done" => reply == json!({"result": {}}),
            why => reply["error"]["message"].as_str().is_some_and(|message| message.contains(why)),
        };
        is_said.then_some(())
    });
}

#[test]
fn a_rule_given_to_one_server_is_carried_out_by_all() {
    let redis = Redis::start();
    let [first, second] = two(&redis);
    let now = unix_s();
    let old = || connect("44", json!({"iat": now - 100}));
    for (asked, other) in [(&first, &second), (&second, &first)] {
        let there = other.session("42");
        let here = asked.session("42");
        does(asked, "block_user", json!({"user": "42"}));
        assert_eq!(asked.listed("42"), [""; 0]);
        assert_eq!([told(here), told(there)], [blocked(), blocked()]);
        for server in [asked, other] {
            assert_eq!(server.session_raw(&connect("42", json!({}))), blocked());
        }
        does(asked, "unblock_user", json!({"user": "42"}));
        asked.session("42");
        comes_in(other, &connect("42", json!({})));
    }
    let revoked = second.session_with(connect("43", json!({"jti": "t"})));
    let invalidated = second.session_with(old());
    does(&first, "revoke_token", json!({"uid": "t"}));
    does(&first, "invalidate_user_tokens", json!({"user": "44", "issued_before": now - 50}));
    assert_eq!([told(revoked), told(invalidated)], [invalid(), invalid()]);
    assert_eq!(second.session_raw(&old()), invalid());
    second.session_with(connect("44", json!({"iat": now - 50})));
}

#[test]
fn many_rules_at_once_from_both_sides_leave_all_servers_of_one_mind() {
    let redis = Redis::start();
    let [first, second] = two(&redis);
    std::thread::scope(|scope| {
        for (server, method) in [(&first, "block_user"), (&second, "unblock_user")] {
            scope.spawn(move || {
                let mut api = server.connect();
                for round in 0..200 {
                    let user = format!("user {}", round % 10);
                    assert_eq!(api.call(method, json!({"user": user})), json!({"result": {}}));
                }
            });
        }
    });
    // What comes last is behind all of them everywhere.
    does(&first, "block_user", json!({"user": "last"}));
    eventually("the other has read all", || {
        (second.session_raw(&connect("last", json!({}))) == blocked()).then_some(())
    });
    for user in (0..10).map(|n| format!("user {n}")) {
        let [here, there] = [&first, &second]
            .map(|server| server.session_raw(&connect(&user, json!({}))) == blocked());
        assert_eq!(here, there, "{user}");
    }
}

#[test]
fn shared_rules_outlive_a_server_that_is_killed_right_after_it_answered_and_redis_too() {
    let mut redis = Redis::start();
    let [mut first, second] = two(&redis);
    let session = second.session("42");
    let mut api = first.connect();
    for (method, params) in [
        ("revoke_token", json!({"uid": "t"})),
        ("invalidate_user_tokens", json!({"user": "44"})),
        ("block_user", json!({"user": "42"})),
    ] {
        assert_eq!(api.call(method, params), json!({"result": {}}));
    }
    first.child.kill().expect("SIGKILL");
    first.child.wait().expect("it ends");
    assert_eq!(told(session), blocked());
    redis.kill();
    second.wait_log("the shared store is away");
    redis.start_again();
    let third = sharing(&redis.address(), &json!({}));
    assert_eq!(third.session_raw(&connect("42", json!({}))), blocked());
    assert_eq!(third.session_raw(&connect("43", json!({"jti": "t"}))), invalid());
    let old = connect("44", json!({"iat": unix_s() - 100}));
    assert_eq!(third.session_raw(&old), invalid());
}

#[test]
fn while_redis_is_away_connects_go_on_and_calls_say_so_and_later_all_is_as_before() {
    let mut redis = Redis::start();
    let [first, second] = two(&redis);
    does(&first, "block_user", json!({"user": "42"}));
    redis.kill();
    for server in [&first, &second] {
        server.wait_log("the shared store is away");
        let session = server.session("43");
        let away = "internal server error: the shared store cannot be reached, nothing has changed, \
                    send it again later";
        for (method, params) in [
            ("block_user", json!({"user": "43"})),
            ("unblock_user", json!({"user": "42"})),
            ("update_user_status", json!({"users": ["43"]})),
            ("get_user_status", json!({"users": ["43"]})),
        ] {
            let reply = server.call(method, params);
            assert_eq!(reply["error"], json!({"code": 100, "message": away}), "{method}");
        }
        assert_eq!(server.listed("43"), [session.client()]);
        let refused = counted(server, "connects_blocked");
        assert_eq!(server.session_raw(&connect("42", json!({}))), blocked());
        assert_eq!(counted(server, "connects_blocked"), refused + 1);
        assert_eq!((counted(server, "rules_stale"), counted(server, "rules_blocked")), (1, 1));
    }
    redis.start_again();
    for server in [&first, &second] {
        server.wait_log("the shared store is back");
        eventually("it says so", || (counted(server, "rules_stale") == 0).then_some(()));
    }
    let session = second.session("43");
    answers(&first, "43", "done");
    assert_eq!(told(session), blocked());
    does(&second, "unblock_user", json!({"user": "42"}));
    comes_in(&first, &connect("42", json!({})));
}

#[test]
fn a_redis_that_does_not_answer_holds_nothing_up_for_long() {
    let redis = Redis::start();
    let mut server =
        sharing(&redis.address(), &json!({"storage": {"redis": {"io_timeout": "200ms"}}}));
    redis.signal("STOP");
    let reply = server.call("block_user", json!({"user": "42"}));
    assert_eq!(reply["error"]["code"], 100, "{reply}");
    server.session("43");
    answers(&server, "43", "cannot be reached");
    server.session("43");
    redis.signal("CONT");
    let session = server.session("44");
    answers(&server, "44", "done");
    assert_eq!(told(session), blocked());
    // Nor does it hold up a goodbye.
    let _session = server.session("45");
    redis.signal("STOP");
    server.signal("TERM");
    assert_eq!(server.wait(), Some(0));
}

#[test]
fn what_was_missed_is_read_again_and_carried_out() {
    let redis = Redis::start();
    let [first, second] = two(&redis);
    does(&first, "block_user", json!({"user": "free"}));
    // Rules that nobody announced: their numbers are missing before the next one.
    let session = second.session("gap");
    redis.does::<()>("ZADD rollcall.user_block inf gap");
    redis.does::<()>("ZREM rollcall.user_block free");
    redis.does::<()>("HINCRBY rollcall.rules number 2");
    does(&first, "block_user", json!({"user": "next"}));
    assert_eq!(told(session), blocked());
    for server in [&first, &second] {
        comes_in(server, &connect("free", json!({})));
        eventually("the next is there too", || {
            (server.session_raw(&connect("next", json!({}))) == blocked()).then_some(())
        });
    }
    // And rules that came while there was no connection.
    let session = second.session("cut");
    redis.does::<()>("ZADD rollcall.user_block inf cut");
    redis.does::<()>("CLIENT KILL SKIPME yes");
    assert_eq!(told(session), blocked());
    // And when everything is lost, nothing holds any more, and new rules do.
    redis.does::<()>("FLUSHALL");
    for server in [&first, &second] {
        comes_in(server, &connect("cut", json!({})));
    }
    let session = second.session("new");
    answers(&first, "new", "done");
    assert_eq!(told(session), blocked());
}

#[test]
fn a_redis_that_refuses_is_left_and_tried_again_and_callers_hear_what_is_certain() {
    let redis = Redis::start();
    let server = sharing(&redis.address(), &json!({}));
    does(&server, "block_user", json!({"user": "42"}));
    // It may not write any more.
    redis.does::<()>("REPLICAOF 127.0.0.1 1");
    answers(&server, "43", "could not be stored, nothing has changed");
    eventually("only who follows and who asks are connected", || {
        (redis.does::<String>("CLIENT LIST").lines().count() == 2).then_some(())
    });
    redis.does::<()>("REPLICAOF NO ONE");
    answers(&server, "43", "done");
    // It does one half of it.
    let times = "rollcall.user_tokens_invalidate.issued_before";
    redis.does::<()>(&format!("SET {times} other"));
    let invalidate = || server.call("invalidate_user_tokens", json!({"user": "44"}));
    let message = invalidate()["error"]["message"].clone();
    assert!(message.as_str().is_some_and(|it| it.contains("may be stored or not")), "{message}");
    assert_eq!(redis.does::<u64>("ZCARD rollcall.user_tokens_invalidate"), 0);
    redis.does::<()>(&format!("DEL {times}"));
    eventually("it is done", || (invalidate() == json!({"result": {}})).then_some(()));
    let old = connect("44", json!({"iat": unix_s() - 100}));
    assert_eq!(server.session_raw(&old), invalid());
}

#[test]
fn a_redis_that_does_not_tell_changes_is_away_until_it_does() {
    let redis = Redis::start();
    let server = sharing(&redis.address(), &json!({}));
    redis.does::<()>("ACL SETUSER default -xread");
    redis.does::<()>("CLIENT KILL TYPE normal SKIPME yes");
    server.wait_log("the shared store is away");
    eventually("it has been tried some times", || {
        let told = redis.does::<String>("INFO commandstats");
        let reads = told.lines().find(|line| line.starts_with("cmdstat_xread:"))?;
        let (_, refused) = reads.split_once("rejected_calls=")?;
        let (refused, _) = refused.split_once(',')?;
        (refused.parse::<u64>().ok()? >= 3).then_some(())
    });
    answers(&server, "42", "cannot be reached");
    redis.does::<()>("ACL SETUSER default +xread");
    let mut said: Vec<String> = Vec::new();
    let has = |said: &[String], text: &str| said.iter().any(|line| line.contains(text));
    eventually("it is back", || {
        said.extend(server.later.try_iter());
        has(&said, "the shared store is back").then_some(())
    });
    assert!(!has(&said, "the shared store is away"), "nothing is said of each try: {said:?}");
    answers(&server, "42", "done");
}

#[test]
fn shared_rules_end_by_themselves_and_redis_forgets_them() {
    let redis = Redis::start();
    let [first, second] = two(&redis);
    let ends = unix_s() + 2;
    does(&first, "block_user", json!({"user": "42", "expire_at": ends}));
    does(&first, "revoke_token", json!({"uid": "t", "expire_at": ends}));
    does(&first, "invalidate_user_tokens", json!({"user": "44", "expire_at": ends}));
    does(&first, "block_user", json!({"user": "43"}));
    for server in [&first, &second] {
        comes_in(server, &connect("42", json!({"jti": "t"})));
    }
    // The first thing a server does, and then every minute.
    let _third = sharing(&redis.address(), &json!({}));
    let count = |command: &str, key: &str| redis.does::<u64>(&format!("{command} rollcall.{key}"));
    eventually("they are forgotten", || {
        let over = ["token_revoke", "user_tokens_invalidate"];
        let over = over.map(|kind| count("ZCARD", kind));
        let times = count("HLEN", "user_tokens_invalidate.issued_before");
        (over == [0, 0] && times == 0).then_some(())
    });
    assert_eq!(count("ZCARD", "user_block"), 1);
}

#[test]
fn statuses_are_shared_and_forgotten_by_redis() {
    let redis = Redis::start();
    let began = unix_s();
    let [first, second] = two(&redis);
    let status = |server: &Server, user: &str| {
        server.call("get_user_status", json!({"users": [user]}))["result"]["statuses"][0].clone()
    };
    does(&first, "update_user_status", json!({"users": ["a", "b"], "state": "away"}));
    let known = status(&second, "a");
    assert_eq!(known["state"], "away");
    assert!(known["active"].as_i64().is_some_and(|at| at >= began), "{known}");
    does(&second, "update_user_status", json!({"users": ["a"]}));
    assert_eq!(status(&first, "a")["state"], "away");
    does(&second, "update_user_status", json!({"users": ["a"], "state": ""}));
    assert_eq!(status(&first, "a")["state"], Value::Null);
    does(&second, "delete_user_status", json!({"users": ["b"]}));
    assert_eq!(status(&first, "b"), json!({"user": "b"}));
    drop(first.session("c"));
    eventually("it has left", || first.listed("c").is_empty().then_some(()));
    for server in [&first, &second] {
        // Its shard tells the control thread of it a moment later.
        eventually("it is known when", || {
            status(server, "c")["online"].as_i64().is_some_and(|at| at >= began).then_some(())
        });
    }
    let brief = json!({"user_status": {"expire_interval": "1s"}});
    let third = sharing(&redis.address(), &brief);
    does(&third, "update_user_status", json!({"users": ["d"]}));
    eventually("it is forgotten", || (status(&first, "d") == json!({"user": "d"})).then_some(()));
}

#[test]
fn a_server_does_not_start_without_its_redis_and_tells_no_password() {
    let mut redis = Redis::start();
    let start = |address: &str, more: &[&str]| {
        let dir = tempfile::tempdir().expect("a directory");
        let env = [
            ("CENTRIFUGO_HTTP_SERVER_PORT", "0"),
            ("CENTRIFUGO_CLIENT_TOKEN_HMAC_SECRET_KEY", SECRET),
            ("CENTRIFUGO_HTTP_API_KEY", KEY),
            ("ROLLCALL_STORAGE_REDIS_ADDRESS", address),
        ];
        let mut command = Command::new(binary());
        command.envs(env).args(["--user_block.storage_type", "redis"]).args(more);
        let output = run(command.current_dir(&dir));
        assert_eq!(output.code, Some(1), "{output:?}");
        assert!(!output.stderr.contains("hunter2"), "{output:?}");
        output.stderr
    };
    let nowhere = start("redis://me:hunter2@127.0.0.1:1/0", &[]);
    assert!(nowhere.contains("storage.redis.address: Redis at 127.0.0.1:1"), "{nowhere}");
    assert!(start("rediss://:hunter2@127.0.0.1", &[]).contains("asks for TLS"));
    assert!(start("a:1,b:2", &[]).contains("names several"));
    let both = ["--storage.redis.prefix", ""];
    assert!(start("127.0.0.1:1", &both).contains("storage.redis.prefix"));

    redis.does::<()>("ACL SETUSER default -xread");
    let deaf = start(&redis.address(), &[]);
    assert!(deaf.contains("cannot be used") && deaf.contains("xread"), "{deaf}");

    redis.kill();
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = free.local_addr().expect("an address").port().to_string();
    drop(free);
    redis.start_with(&["--port", &port, "--bind", "127.0.0.1", "--requirepass", "hunter2"]);
    let at = format!("127.0.0.1:{port}");
    let wrong = start(&format!("redis://:hunter2-{at}@{at}"), &[]);
    assert!(wrong.contains("cannot be used"), "{wrong}");
    let server = sharing(
        "",
        &json!({
            "storage": {"redis": {"password": "hunter2", "db": 3}},
            "user_block": {"redis": {"address": at}},
        }),
    );
    does(&server, "block_user", json!({"user": "42"}));
    redis.kill();
    let away = server.wait_log("the shared store is away");
    let log = format!("{:?} {away}", server.log);
    assert!(!log.contains("hunter2"), "{log}");
}

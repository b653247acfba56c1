//! What is told of the node itself, and of who is blocked.

use super::{PLAIN, World};

fn shard(number: usize) -> String {
    format!(
        r#"{{"shard":{number},"sessions":1,"users":1,"connections":2,"driver":"io_uring","opened_total":5,"closed_total":0,"queries_total":3}}"#
    )
}

fn check(silent: u64, shards: &[usize], health: &str, partial: &str) {
    let mut world = World::new().opens(0, &PLAIN).opens(1, &PLAIN);
    world.silent = silent;
    let count = shards.len();
    let node = format!(
        r#""uid":"uid","name":"host_8000","version":"0.1.0","uptime_s":9,"driver":"io_uring","sessions":{count},"users":2,"connections":{},"opened_total":{},"closed_total":0,"queries_total":{}"#,
        2 * count,
        5 * count,
        3 * count,
    );
    let times = r#""query_us":{"count":0,"p50":0,"p99":0,"p999":0,"max":0,"window_s":60}"#;
    let memory = r#""memory":{"rss_bytes":2097152,"limit_bytes":1073741824}"#;
    let shards: Vec<_> = shards.iter().copied().map(shard).collect();
    let shards = shards.join(",");
    let danger = r#"{"level":"warning","what":"anybody may connect"}"#;
    let expected = format!(
        r#"{{"node":{{{node},{times},{memory},"shards":[{shards}]}},"health":[{health}{danger}]{partial}}}"#
    );
    assert_eq!(world.call("/api/node_stats", "{}"), format!(r#"200 {{"result":{expected}}}"#));
    assert_eq!(
        world.call("/api/batch", r#"{"commands":[{"node_stats":{}}]}"#),
        format!(r#"200 {{"replies":[{{"node_stats":{expected}}}]}}"#)
    );
}

#[test]
fn a_node_is_told_shard_by_shard() {
    check(0, &[0, 1], "", "");
}

#[test]
fn a_shard_that_is_silent_is_missing_and_said_to_be() {
    let health = r#"{"level":"error","what":"shard 1 did not answer in time: these figures lack its part"},"#;
    check(0b10, &[0], health, r#","partial":true"#);
}

#[test]
fn a_block_is_told_with_its_end_when_it_has_one() {
    for (user, expected) in [
        ("42", r#"{"blocked":true,"expire_at":1893456000}"#),
        ("43", r#"{"blocked":false}"#),
        ("44", r#"{"blocked":true}"#),
    ] {
        let body = format!(r#"{{"user":"{user}"}}"#);
        let told = World::new().call("/api/get_user_block", &body);
        assert_eq!(told, format!(r#"200 {{"result":{expected}}}"#));
    }
    let nobody = World::new().call("/api/get_user_block", "{}");
    assert!(nobody.contains(r#""code":107"#) && nobody.contains("user"), "{nobody}");
}

//! What the page shows of the node, and of who is blocked.

use serde_json::{Value, json};

use super::{authorization, start};
use crate::harness::{Server, eventually, unix_s};

/// `node_stats` as the page asks for it.
fn stats(server: &Server) -> Value {
    let shown = authorization(server, "");
    let headers = [("Authorization", shown.as_str())];
    server.connect().post("/admin/api/node_stats", &headers, b"{}").json()["result"].clone()
}

fn sum(stats: &Value, name: &str) -> u64 {
    let shards = stats["node"]["shards"].as_array().expect("shards");
    shards.iter().map(|shard| shard[name].as_u64().expect(name)).sum()
}

#[test]
fn the_figures_of_the_shards_add_up_to_those_of_the_node() {
    let server = start(&json!({"test": {"synthetic_sessions": 4_000}}));
    let streams: Vec<_> = (0..8).map(|_| server.session("42")).collect();
    drop(server.session("gone"));
    for _ in 0..50 {
        server.call("connections", json!({"user": "42"}));
    }
    let stats = eventually("the session that left is closed, and memory is known", || {
        let stats = stats(&server);
        let is_told = stats["node"]["closed_total"] == 1 && stats["node"]["memory"].is_object();
        is_told.then_some(stats)
    });
    let node = &stats["node"];
    assert_eq!(node["shards"].as_array().map(Vec::len), Some(4));
    assert_eq!((node["sessions"].as_u64(), sum(&stats, "sessions")), (Some(4_008), 4_008));
    assert_eq!((node["opened_total"].as_u64(), sum(&stats, "opened_total")), (Some(4_009), 4_009));
    for name in ["connections", "closed_total", "queries_total"] {
        assert_eq!(node[name].as_u64(), Some(sum(&stats, name)), "{name}");
    }
    assert!(node["queries_total"].as_u64() > Some(50), "{node}");
    assert!(node["connections"].as_u64() >= Some(9), "{node}");
    assert!(node["users"].as_u64() <= Some(sum(&stats, "users")), "{node}");
    let driver = node["driver"].as_str().expect("a driver");
    assert!(["io_uring", "epoll"].contains(&driver), "{driver}");
    assert_eq!(node["version"], env!("CARGO_PKG_VERSION"));

    let memory = &node["memory"];
    let rss = memory["rss_bytes"].as_u64().expect("bytes");
    assert!(rss.abs_diff(server.rss()) < 64 << 20, "{rss}");
    assert!(memory["limit_bytes"].as_u64() > Some(rss), "{memory}");
    let each = memory["per_session_bytes"].as_u64().expect("bytes");
    assert!(each * 4_008 <= rss, "{memory}");
    assert!(node["descriptors_limit"].as_u64() > Some(8), "{node}");

    let times = &node["query_us"];
    let [count, p50, p99, p999, max] =
        ["count", "p50", "p99", "p999", "max"].map(|name| times[name].as_u64().expect("a number"));
    assert!(count >= 50 && 0 < p50 && p50 <= p99 && p99 <= p999 && p999 <= max, "{times}");
    assert_eq!(times["window_s"], 60);
    assert_eq!(stats.get("partial"), None);
    drop(streams);
}

#[test]
fn what_is_not_well_is_said_in_sentences() {
    let well = start(&json!({"shards": {"driver": "epoll"}}));
    assert_eq!(stats(&well)["health"], json!([]), "epoll as it was asked for is well");
    let server = start(&json!({
        "admin": {"insecure": true}, "client": {"insecure": true}, "http_api": {"insecure": true},
        "shards": {"driver": "epoll"},
    }));
    let told = server.connect().post("/admin/api/node_stats", &[], b"{}").json();
    let told = told["result"]["health"].as_array().expect("a list").clone();
    let levels: Vec<_> = told.iter().map(|finding| finding["level"].clone()).collect();
    assert_eq!(levels, ["warning", "warning", "warning"]);
    for (finding, option) in
        told.iter().zip(["client.insecure", "http_api.insecure", "admin.insecure"])
    {
        let what = finding["what"].as_str().expect("a sentence");
        assert!(what.starts_with("INSECURE") && what.contains(option), "{what}");
    }
}

#[test]
fn a_user_is_known_to_be_blocked_until_when() {
    let server = start(&json!({"user_block": {"storage_type": "memory"}}));
    let shown = authorization(&server, "");
    let headers = [("Authorization", shown.as_str())];
    let call = |method: &str, params: Value| {
        let body = params.to_string();
        let path = format!("/admin/api/{method}");
        server.connect().post(&path, &headers, body.as_bytes()).json()["result"].clone()
    };
    let block_of = |user: &str| call("get_user_block", json!({"user": user}));
    assert_eq!(block_of("42"), json!({"blocked": false}));
    call("block_user", json!({"user": "42"}));
    assert_eq!(block_of("42"), json!({"blocked": true}));
    let expire_at = unix_s() + 1_000;
    call("block_user", json!({"user": "42", "expire_at": expire_at}));
    // Whichever shard is asked.
    for _ in 0..8 {
        assert_eq!(block_of("42"), json!({"blocked": true, "expire_at": expire_at}));
        assert_eq!(block_of("4"), json!({"blocked": false}));
    }
    call("unblock_user", json!({"user": "42"}));
    assert_eq!(block_of("42"), json!({"blocked": false}));
}

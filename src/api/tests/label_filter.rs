//! `label_filter` as callers write it: where a mistake stands, and that every command says so.

use super::World;

fn refusal(path: &str, filter: &str) -> String {
    let reply = World::new().call(path, &format!(r#"{{"user":"42","label_filter":{filter}}}"#));
    let text = reply.strip_prefix(r#"200 {"error":{"code":107,"message":"bad request: "#);
    let text = text.and_then(|text| text.strip_suffix("\"}}")).unwrap_or_else(|| panic!("{reply}"));
    text.replace("\\\"", "'")
}

#[test]
fn a_mistake_in_a_filter_is_told_with_its_place() {
    for (filter, text) in [
        ("5", "label_filter: expected an object, got a number"),
        ("[]", "label_filter: expected an object, got an array"),
        (r#"{"op":1}"#, "label_filter.op: expected a string, got a number"),
        (r#"{"Key":true}"#, "label_filter.key: expected a string, got a boolean"),
        (r#"{"cmp":{}}"#, "label_filter.cmp: expected a string, got an object"),
        (r#"{"val":7}"#, "label_filter.val: expected a string, got a number"),
        (r#"{"vals":"a"}"#, "label_filter.vals: expected an array, got a string"),
        (r#"{"vals":["a",null]}"#, "label_filter.vals: expected a string, got null"),
        (r#"{"nodes":{}}"#, "label_filter.nodes: expected an array, got an object"),
        (
            r#"{"op":"and","nodes":[{"key":"a","cmp":"ex"},{"key":"b","cmp":5}]}"#,
            "label_filter.nodes[1].cmp: expected a string, got a number",
        ),
        (
            r#"{"op":"or","nodes":[{"op":"not","nodes":["a"]}]}"#,
            "label_filter.nodes[0].nodes[0]: expected an object, got a string",
        ),
        (r#"{"key":"k","cmp":"eq"}"#, "label_filter.val: 'eq' needs a text that is not empty"),
    ] {
        for path in ["/api/connections", "/api/disconnect", "/api/refresh"] {
            assert_eq!(refusal(path, filter), text, "{path} {filter}");
        }
    }
    assert!(refusal("/api/connections", "{}").starts_with("label_filter.cmp: expected one of eq,"));
}

#[test]
fn a_filter_beyond_a_limit_is_refused_and_names_the_option() {
    let nested = |depth: usize| {
        format!(
            "{}{}{}",
            r#"{"op":"not","nodes":["#.repeat(depth - 1),
            LEAF,
            "]}".repeat(depth - 1)
        )
    };
    let wide = |leaves| format!(r#"{{"op":"or","nodes":[{}]}}"#, vec![LEAF; leaves].join(","));
    const LEAF: &str = r#"{"key":"a","cmp":"ex"}"#;
    for (filter, text) in [
        (nested(9), "more than 8 nodes in each other (label_filter.max_depth)"),
        (wide(128), "more than 128 nodes in one filter (label_filter.max_nodes)"),
    ] {
        let refusal = refusal("/api/connections", &filter);
        assert!(refusal.ends_with(text), "{refusal}");
    }
    for filter in [nested(8), wide(127)] {
        let body = format!(r#"{{"user":"42","label_filter":{filter}}}"#);
        let reply = World::new().call("/api/connections", &body);
        assert!(!reply.contains("107"), "{reply}");
    }
}

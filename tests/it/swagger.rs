//! The page that describes the server API: where it is, what it is made of, and who may frame it.

use serde_json::{Value, json};

use crate::harness::{Conn, KEY, Response, Server};

fn get(address: std::net::SocketAddr, path: &str) -> Response {
    Conn::to(address).request("GET", path, &[], b"")
}

#[test]
fn there_is_no_page_unless_it_is_asked_for_and_there_is_an_api() {
    for config in [json!({}), json!({"swagger": true, "http_api": {"disabled": true}})] {
        let server = Server::start(&config);
        for path in ["/swagger", "/swagger/", "/swagger/openapi.json"] {
            assert_eq!(get(server.address, path).status, 404, "{path} {config}");
        }
    }
}

#[test]
fn the_document_names_the_place_where_its_calls_are_answered() {
    let server = Server::start(&json!({
        "swagger": {"enabled": true, "handler_prefix": "/docs/api"},
        "http_api": {"handler_prefix": "/backend/v1"},
    }));
    let document = get(server.address, "/docs/api/openapi.json");
    assert_eq!(document.header("content-type"), Some("application/json"));
    let document = document.json();
    let mut published: Value =
        serde_json::from_str(include_str!("../../docs/openapi.json")).expect("it is JSON");
    published["servers"] = json!([{"url": "/backend/v1"}]);
    assert_eq!(document, published);

    let paths = document["paths"].as_object().expect("paths");
    assert!(paths.contains_key("/connections"));
    for path in paths.keys() {
        let path = format!("/backend/v1{path}");
        assert_eq!(server.connect().post(&path, &[], b"{}").status, 401, "{path}");
    }
    let answer = server.connect().post("/backend/v1/info", &[("X-API-Key", KEY)], b"{}");
    assert_eq!(answer.json()["result"]["nodes"][0]["num_clients"], 0);
    assert_eq!(get(server.address, "/swagger/").status, 404);
}

#[test]
fn the_page_stands_on_files_beside_it_alone() {
    let server = Server::start(&json!({"swagger": true}));
    let page = get(server.address, "/swagger/");
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    let policy = page.header("content-security-policy").expect("a policy");
    for rule in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"] {
        assert!(policy.contains(rule), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    let page = page.text();
    assert!(!page.contains("://"), "another host: {page}");
    for (file, content_type) in [("page.js", "text/javascript"), ("page.css", "text/css")] {
        assert!(page.contains(&format!("=\"{file}\"")), "{page}");
        let file = get(server.address, &format!("/swagger/{file}"));
        assert_eq!(file.header("content-type"), Some(content_type));
        assert_eq!(file.header("x-content-type-options"), Some("nosniff"));
        assert!(!file.text().contains("://"));
    }
    let moved = get(server.address, "/swagger");
    assert_eq!((moved.status, moved.header("location")), (301, Some("swagger/")));
}

#[test]
fn what_a_browser_has_is_not_sent_again() {
    let server = Server::start(&json!({"swagger": true}));
    let mut conn = server.connect();
    let whole = conn.request("GET", "/swagger/page.js", &[], b"");
    assert_eq!(whole.header("cache-control"), Some("no-cache"));
    let etag = whole.header("etag").expect("an ETag").to_owned();
    for known in [etag.clone(), format!("\"other\", W/{etag}"), "*".to_owned()] {
        conn.send(&crate::harness::request(
            "GET",
            "/swagger/page.js",
            &[("If-None-Match", &known)],
            b"",
        ));
        // A 304 has no body; were there one, the next head could not be read.
        let head = conn.head();
        assert_eq!((head.status, head.header("etag")), (304, Some(etag.as_str())), "{known}");
    }
    let other = [("If-None-Match", "\"other\"")];
    assert_eq!(conn.request("GET", "/swagger/page.js", &other, b"").body, whole.body);
    assert_ne!(conn.request("GET", "/swagger/page.css", &[], b"").header("etag"), Some(&*etag));
}

#[test]
fn it_is_read_and_nothing_else() {
    let server = Server::start(&json!({"swagger": true}));
    let mut conn = server.connect();
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        for path in ["/swagger", "/swagger/", "/swagger/openapi.json"] {
            let refused = conn.request(method, path, &[], b"{}");
            assert_eq!(refused.status, 405, "{method} {path}");
            assert_eq!(refused.header("allow"), Some("GET, HEAD"));
        }
    }
    let length = conn.request("GET", "/swagger/", &[], b"").body.len().to_string();
    conn.send(b"HEAD /swagger/ HTTP/1.1\r\nHost: a\r\n\r\n");
    let head = conn.head();
    assert_eq!((head.status, head.header("content-length")), (200, Some(length.as_str())));
    assert_eq!(conn.request("GET", "/swagger/none", &[], b"").status, 404);
}

#[test]
fn it_stays_on_the_internal_port_even_when_the_api_does_not() {
    let server = Server::start(&json!({
        "http_server": {"internal_port": 0, "internal_address": "127.0.0.1"},
        "swagger": true, "http_api": {"external": true},
    }));
    let statuses: Vec<_> =
        server.addresses.iter().map(|address| get(*address, "/swagger/").status).collect();
    let apis: Vec<_> = (server.addresses.iter())
        .map(|address| Conn::to(*address).post("/api/info", &[("X-API-Key", KEY)], b"{}").status)
        .collect();
    assert_eq!(apis, [200, 200]);
    let internal = server.addresses.iter().position(|address| *address != server.address);
    let internal = internal.expect("two listeners");
    assert_eq!(statuses[internal], 200);
    assert_eq!(statuses[1 - internal], 404);
}

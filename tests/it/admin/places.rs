//! What stands where: prefixes, listeners, files and their headers.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::{authorization, start};
use crate::harness::{Conn, Response, Server};

fn get(address: SocketAddr, path: &str) -> Response {
    Conn::to(address).request("GET", path, &[], b"")
}

#[test]
fn there_is_no_page_unless_it_is_asked_for() {
    let server = Server::start(&json!({"admin": {"password": "p", "secret": "s"}}));
    for path in ["/", "/admin/init", "/admin/auth", "/admin/api", "/admin/api/info"] {
        assert_eq!(get(server.address, path).status, 404, "{path}");
        assert_eq!(server.connect().post(path, &[], b"{}").status, 404, "{path}");
    }
}

#[test]
fn the_page_may_load_what_stands_beside_it_and_nothing_else() {
    let server = start(&json!({}));
    let page = get(server.address, "/");
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    let policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                  img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    assert_eq!(page.header("content-security-policy"), Some(policy));
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
    assert_eq!(page.header("access-control-allow-origin"), None);
    let text = page.text();
    for inline in ["<style", "style=\"", "onclick", "javascript:"] {
        assert!(!text.contains(inline), "{inline}");
    }
    let mut files = 0;
    for part in text.split([' ', '>']) {
        let named = part.strip_prefix("src=\"").or_else(|| part.strip_prefix("href=\""));
        let Some(path) = named.and_then(|rest| rest.strip_suffix('"')) else { continue };
        assert!(!path.starts_with('/') && !path.contains("://"), "not relative: {path}");
        let file = get(server.address, &format!("/{path}"));
        assert_eq!(file.status, 200, "{path}");
        assert_eq!(file.header("x-content-type-options"), Some("nosniff"));
        files += 1;
    }
    assert!(files >= 2, "{text}");
    let whole = get(server.address, "/index.html");
    assert_eq!((whole.header("etag"), &whole.body), (page.header("etag"), &page.body));
    let known = [("If-None-Match", page.header("etag").expect("an ETag"))];
    assert_eq!(server.connect().request("GET", "/", &known, b"").status, 304);
    let refused = server.connect().post("/", &[], b"");
    assert_eq!((refused.status, refused.header("allow")), (405, Some("GET, HEAD")));
    assert_eq!(server.connect().post("/admin/init", &[], b"").status, 405);
}

#[test]
fn the_document_of_the_api_names_the_way_of_the_page() {
    let without = start(&json!({"http_api": {"disabled": true}}));
    let document = get(without.address, "/openapi.json").json();
    assert_eq!(document["servers"], json!([{"url": "admin/api"}]));
    let server = start(&json!({"http_api": {"handler_prefix": "/v1"}}));
    let document = get(server.address, "/openapi.json").json();
    assert_eq!(document["servers"], json!([{"url": "admin/api"}, {"url": "/v1"}]));
    let shown = authorization(&server, "");
    let headers = [("Authorization", shown.as_str())];
    for path in document["paths"].as_object().expect("paths").keys() {
        let answer = server.connect().post(&format!("/admin/api{path}"), &headers, b"[]");
        assert_eq!(answer.status, 400, "{path}: {}", answer.text());
    }
}

#[test]
fn everything_lies_below_the_prefix_and_other_paths_stay_what_they_are() {
    for (configured, prefix) in [("/ops", "/ops"), ("/a/b/", "/a/b"), ("/", "")] {
        let server = start(&json!({"admin": {"handler_prefix": configured}, "health": true}));
        let shown = authorization(&server, prefix);
        let headers = [("Authorization", shown.as_str())];
        let call = server.connect().post(&format!("{prefix}/admin/api/info"), &headers, b"{}");
        assert_eq!(call.status, 200, "{}", call.text());
        assert_eq!(get(server.address, &format!("{prefix}/")).status, 200);
        assert_eq!(get(server.address, &format!("{prefix}/app.js")).status, 200);
        assert_eq!(get(server.address, "/health").json(), json!({}));
        assert_eq!(server.connect().post("/api/info", &[], b"{}").status, 401);
        if !prefix.is_empty() {
            // Relative, so that it is right behind a proxy with a path of its own.
            let moved = get(server.address, prefix);
            let last = prefix.rsplit('/').next().expect("a name");
            assert_eq!(moved.status, 301);
            assert_eq!(moved.header("location"), Some(format!("{last}/").as_str()));
            assert_eq!(get(server.address, "/").status, 404);
            assert_eq!(get(server.address, "/admin/init").status, 404);
        }
    }
}

#[test]
fn it_stays_on_the_internal_port_unless_it_is_external() {
    for (external, outside) in [(false, 404), (true, 200)] {
        let server = start(&json!({
            "http_server": {"internal_port": 0, "internal_address": "127.0.0.1"},
            "admin": {"external": external},
        }));
        let served: Vec<&Value> =
            server.log.iter().filter(|line| line.to_string().contains("endpoints on")).collect();
        let named = served.iter().filter(|line| line.to_string().contains("admin")).count();
        assert_eq!(named, if external { 2 } else { 1 }, "{served:?}");
        for (address, expected) in server.addresses.iter().zip([outside, 200]) {
            for path in ["/", "/admin/init", "/app.js"] {
                assert_eq!(get(*address, path).status, expected, "{external} {path}");
            }
        }
        // The API itself stays inside.
        assert_eq!(server.connect().post("/api/info", &[], b"{}").status, 404);
    }
}

#[test]
fn a_page_of_ones_own_stands_instead_of_ours() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("index.html"), "our own page").expect("written");
    let server = start(&json!({"admin": {"web_path": folder.path()}}));
    assert_eq!(get(server.address, "/").text(), "our own page");
    assert_eq!(get(server.address, "/app.js").status, 404);
    assert_eq!(get(server.address, "/admin/init").status, 200);
}

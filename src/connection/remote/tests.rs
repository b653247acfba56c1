//! Headers and networks as tables: what is trusted, and where the way there ends.

use super::*;
use crate::wire::http1::parse_head;

fn trusted(networks: &[&str]) -> Result<TrustedProxies, BadNetwork> {
    let networks: Vec<String> = networks.iter().map(ToString::to_string).collect();
    TrustedProxies::new(&networks)
}

#[track_caller]
fn check(peer: &str, headers: &str, expected: &str) {
    let proxies = trusted(&["10.0.0.0/8", "fd00::/8", "192.0.2.1"]).unwrap();
    let mut head = b"GET / HTTP/1.1\r\nHost: a\r\n".to_vec();
    for line in headers.lines() {
        // Latin-1: one char is one byte.
        head.extend(line.chars().map(|char| u8::try_from(char).unwrap()));
        head.extend(b"\r\n");
    }
    head.extend(b"\r\n");
    let found = proxies.remote_addr(peer.parse().ok(), &parse_head(&head).unwrap());
    let found = found.map_or("unknown".to_owned(), |address| address.to_string());
    assert_eq!(found, expected, "{peer} {headers}");
}

#[test]
fn a_client_is_where_the_nearest_address_lies_that_is_not_trusted() {
    let cases: &[(&str, &str, &str)] = &[
        // Whoever is not trusted is not asked.
        ("8.8.8.8", "X-Forwarded-For: 1.1.1.1", "8.8.8.8"),
        ("2001:db8::1", "Forwarded: for=1.1.1.1", "2001:db8::1"),
        ("192.0.2.2", "X-Real-IP: 1.1.1.1", "192.0.2.2"),
        ("unknown", "X-Forwarded-For: 1.1.1.1", "unknown"),
        ("::ffff:8.8.8.8", "", "8.8.8.8"),
        // Whoever is trusted and says nothing is the client.
        ("10.1.2.3", "", "10.1.2.3"),
        ("10.1.2.3", "X-Forwarded-For:", "10.1.2.3"),
        // From right to left, over those that are trusted.
        ("10.1.2.3", "X-Forwarded-For: 1.1.1.1", "1.1.1.1"),
        ("::ffff:10.1.2.3", "X-Forwarded-For: ::ffff:1.1.1.1", "1.1.1.1"),
        ("192.0.2.1", "x-forwarded-for: 6.6.6.6, 1.1.1.1, 10.9.9.9", "1.1.1.1"),
        ("fd00::1", "X-Forwarded-For: 6.6.6.6,2001:db8::7 , fd12::9,", "2001:db8::7"),
        ("10.1.2.3", "X-Forwarded-For: 10.0.0.1, 10.0.0.2", "10.0.0.1"),
        // Several lines are one list.
        ("10.1.2.3", "X-Forwarded-For: 6.6.6.6\nX-Forwarded-For: 1.1.1.1, 10.0.0.1", "1.1.1.1"),
        ("10.1.2.3", "X-Forwarded-For: 1.1.1.1\nX-Forwarded-For: 10.0.0.1", "1.1.1.1"),
        // Ports and brackets.
        ("10.1.2.3", "X-Forwarded-For: 1.1.1.1:4711", "1.1.1.1"),
        ("10.1.2.3", "X-Forwarded-For: [2001:db8::7]:4711", "2001:db8::7"),
        ("10.1.2.3", "X-Forwarded-For: [2001:db8::7]", "2001:db8::7"),
        // What cannot be read ends the way.
        ("10.1.2.3", "X-Forwarded-For: 1.1.1.1, unknown", "10.1.2.3"),
        ("10.1.2.3", "X-Forwarded-For: 1.1.1.1, x, 10.0.0.1", "10.0.0.1"),
        ("10.1.2.3", "X-Forwarded-For: 1.1.1.1, 10.0.0.300", "10.1.2.3"),
        ("10.1.2.3", "X-Forwarded-For: 6.6.6.6, ÿ, 1.1.1.1", "1.1.1.1"),
        ("10.1.2.3", "X-Forwarded-For: ÿ\nForwarded: for=6.6.6.6", "10.1.2.3"),
        // One header counts.
        ("10.1.2.3", "Forwarded: for=6.6.6.6\nX-Forwarded-For: 1.1.1.1", "1.1.1.1"),
        ("10.1.2.3", "X-Real-IP: 6.6.6.6\nForwarded: for=1.1.1.1", "1.1.1.1"),
        ("10.1.2.3", "X-Real-IP: 1.1.1.1", "1.1.1.1"),
        ("10.1.2.3", "X-Real-IP: nonsense", "10.1.2.3"),
        // RFC 7239.
        ("10.1.2.3", "Forwarded: by=10.1.2.3; For=1.1.1.1 ;proto=https", "1.1.1.1"),
        ("10.1.2.3", "Forwarded: for=6.6.6.6, for=\"[2001:db8::7]:4711\"", "2001:db8::7"),
        ("10.1.2.3", "Forwarded: for=1.1.1.1, for=\"10.0.0.1:80\"", "1.1.1.1"),
        ("10.1.2.3", "Forwarded: for=6.6.6.6, for=_hidden", "10.1.2.3"),
        ("10.1.2.3", "Forwarded: for=6.6.6.6, proto=https", "10.1.2.3"),
        ("10.1.2.3", "Forwarded: for=\"6.6.6.6, for=1.1.1.1", "1.1.1.1"),
    ];
    for (peer, headers, expected) in cases {
        check(peer, headers, expected);
    }
}

#[test]
fn a_network_holds_what_its_prefix_says_and_no_other_family() {
    let cases: &[(&str, &[&str], &[&str])] = &[
        ("0.0.0.0/0", &["0.0.0.0", "255.255.255.255"], &["::", "2001:db8::1"]),
        ("::/0", &["::", "2001:db8::1"], &["10.0.0.1"]),
        ("10.0.0.0/9", &["10.0.0.0", "10.127.255.255"], &["10.128.0.0", "9.255.255.255"]),
        ("1.2.3.4", &["1.2.3.4"], &["1.2.3.5", "1.2.3.0"]),
        ("1.2.3.4/32", &["1.2.3.4"], &["1.2.3.5"]),
        ("::ffff:10.0.0.0/104", &["10.255.0.1"], &["11.0.0.0", "::1"]),
        ("2001:db8::/33", &["2001:db8:7fff::1"], &["2001:db8:8000::", "2001:db7::"]),
        ("::1", &["::1"], &["::2"]),
    ];
    for (network, inside, outside) in cases {
        let proxies = trusted(&[network]).unwrap();
        for (addresses, expected) in [(inside, true), (outside, false)] {
            for address in *addresses {
                assert_eq!(proxies.trusts(address.parse().unwrap()), expected, "{address}");
            }
        }
    }
    for bad in [
        "",
        "10.0.0.0/",
        "10.0.0.0/33",
        "10.0.0.1/8",
        "10.0.0.0/+8",
        "10.0.0.0/8/8",
        "::/129",
        "proxy",
        "10.0.0/8",
        " 10.0.0.0/8",
        "::ffff:0:0/95",
        "2001:db8::1/32",
    ] {
        let error = trusted(&["::1", bad]).expect_err(bad);
        assert!(error.to_string().starts_with(&format!("`{bad}` is no network")), "{error}");
    }
}

//! Laws of the table, and what loading says about good and bad sources.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::declare::Declared;
use super::env::{PREFIXES, variable};
use super::*;

fn sources(file: &str, env: &[(&str, &str)], flags: &[(&str, &str)]) -> Sources {
    let path = if file.starts_with('{') { "config.json" } else { "config.yaml" };
    let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let process = env.iter().map(|(name, value)| ((*name).into(), (*value).into()));
    Sources {
        base: Vec::new(),
        file: (!file.is_empty())
            .then(|| ConfigFile { path: path.to_owned(), text: file.to_owned() }),
        environment: environment(process, None),
        flags: flags.iter().map(pair).collect(),
    }
}

fn loads(file: &str, env: &[(&str, &str)], flags: &[(&str, &str)]) -> Loaded {
    load(&sources(file, env, flags)).unwrap_or_else(|errors| panic!("{errors}"))
}

/// Checks every error line.
fn refuses(file: &str, env: &[(&str, &str)], flags: &[(&str, &str)], expected: &[&str]) {
    let errors = load(&sources(file, env, flags)).expect_err("refused").to_string();
    assert_eq!(errors.lines().collect::<Vec<_>>(), expected);
}

/// Checks every warning.
fn warns(file: &str, env: &[(&str, &str)], expected: &[&str]) {
    assert_eq!(loads(file, env, &[]).warnings, expected);
}

/// A value other than the default, as text.
fn sample(option: &Declared) -> String {
    let text = match (option.kind, option.path) {
        (Kind::Bool, _) if (option.show)(&Config::default()) == "true" => "false",
        (Kind::Bool, _) => "true",
        (Kind::Integer, path) if path.ends_with("compression_level") => "2",
        (Kind::Integer, "shards.count" | "label_filter.max_depth" | "labels.max_count") => "3",
        (Kind::Integer, "watch.queue_max_size") => "200000",
        (Kind::Integer, _) => "2048",
        (Kind::Duration, _) => "9s",
        (Kind::List, "client.trusted_proxies") => "10.0.0.0/8 ::1",
        (Kind::List, "session_webhook.events") => "session_closed session_opened",
        (Kind::List, _) => "https://a.example https://b.example",
        (Kind::Word, "log.level") => "debug",
        (Kind::Word, "shards.driver") => "epoll",
        (Kind::Word, "shards.parking") => "task",
        (Kind::Word, path) if path.ends_with("limit_policy") => "evict_oldest",
        (Kind::Word, path) if path.ends_with(".storage_type") => "memory",
        (Kind::Word, _) => "transport",
        (Kind::Objects, path) if path.contains("status_to_code") => {
            r#"[{"status_code":404,"to_error":{"code":404,"message":"gone","temporary":false}}]"#
        }
        (Kind::Objects, path) if path.contains("connect_code_to_http_response") => {
            r#"[{"code":109,"to":{"status_code":401,"body":"expired"}}]"#
        }
        (Kind::Objects, path) if path.ends_with("_from_claim") => r#"{"region":"geo.region"}"#,
        (Kind::Objects, _) => r#"[{"code":109,"to":{"code":3005,"reason":"expired"}}]"#,
        (Kind::Secret, "proxies") => r#"[{"name":"auth","timeout":"2s"}]"#,
        (Kind::Secret, path) if path.contains("static_") => r#"{"X-Key":"k"}"#,
        (Kind::Text | Kind::Secret, path) if path.ends_with("_header") => "X-User",
        (Kind::Text, "client.token.rsa_public_key") => RSA,
        (Kind::Text, "client.token.ecdsa_public_key") => ECDSA,
        (Kind::Text, "client.token.eddsa_public_key") => EDDSA,
        (Kind::Text, "client.token.jwks_public_endpoint") => "https://idp.example/keys",
        (Kind::Text, "client.token.user_id_claim") => "email",
        (Kind::Text | Kind::Secret, _) => "/x",
    };
    text.to_owned()
}

/// Made by `openssl genpkey`; nobody has their private halves.
const RSA: &str = "-----BEGIN PUBLIC KEY-----\\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA1cZpdMeTarHHlWGOwDp/\\n95upkaYEr4NakP2szgY6ALoWBN8utwwJ2BO2wOez7tNNXb1wX/a3lZG9Vq0IQAbd\\nqkkhUAuVyqMkdaZO0ev/xr0jAhQxu0hh11/KGeI8xBTxF86R478nZFgYgVCq3Lj+\\n8BBpKGEwzMlhMnll2wMXfKTfwgnZNb8Lox31I7cn1rF/JaR0QjAdc/DgeHk6bFNI\\nVUDdt1SwyYxYrr/wglCdWp9iMyh/0CzJsk6ppvjGQhTp7WCxK/1A+bvDX0OqhVDN\\nr8ByGFMsHI3mjDw25Gjxy7sOHLt2nBJB3ErQgvVuAI5WkdRhcBGRNpeV1io8vBa0\\nrQIDAQAB\\n-----END PUBLIC KEY-----";
const ECDSA: &str = "-----BEGIN PUBLIC KEY-----\\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEm3/gCmKP9CAXIHbBkUi/dgoeOrAQ\\n04whKxhlvK1uZNwfQ6TMehAos4BumUI/GwK3S4+dnkzbAFTaDdymB95n0Q==\\n-----END PUBLIC KEY-----";
const EDDSA: &str = "-----BEGIN PUBLIC KEY-----\\nMCowBQYDK2VwAyEAD3raVW8xA9RKlze5dHsJ+oz9hC74nBfh3uvSSs55CSM=\\n-----END PUBLIC KEY-----";

/// The same as it stands in a file.
fn in_file(option: &Declared) -> Value {
    let text = sample(option);
    match option.kind {
        Kind::Bool | Kind::Integer | Kind::Objects => serde_json::from_str(&text).unwrap(),
        Kind::List => text.split(' ').collect(),
        Kind::Text | Kind::Secret | Kind::Duration | Kind::Word => Value::from(text),
    }
}

fn check_loaded(option: &Declared, by: &str, sources: &Sources) {
    let loaded = load(sources).unwrap_or_else(|errors| panic!("{by}: {errors}"));
    let mut expected = Config::default();
    (option.set)(&mut expected, &setting::Raw::Text(sample(option))).unwrap();
    for other in OPTIONS {
        let same = (other.show)(&loaded.config) == (other.show)(&expected);
        assert!(same, "{} by {by} sets {}", option.path, other.path);
    }
    assert_ne!((option.show)(&expected), (option.show)(&Config::default()), "{}", option.path);
    assert_eq!(loaded.unknown, Vec::<String>::new(), "{by}");
}

#[test]
fn every_option_loads_from_file_environment_and_flags_by_each_of_its_names() {
    for option in OPTIONS {
        let value = in_file(option);
        let nested = option.path.rsplit('.').fold(value.clone(), |inner, key| json!({key: inner}));
        check_loaded(option, "nested key", &sources(&nested.to_string(), &[], &[]));
        for name in option.names() {
            let flat = json!({name: value}).to_string();
            check_loaded(option, name, &sources(&flat, &[], &[]));
            for prefix in PREFIXES {
                let name = variable(prefix, name);
                let env = [(name.as_str(), &*sample(option))];
                check_loaded(option, &name, &sources("", &env, &[]));
            }
        }
        for flag in option.flag_names() {
            check_loaded(option, flag, &sources("", &[], &[(flag, &sample(option))]));
        }
    }
}

#[test]
fn the_table_obeys_its_laws() {
    let (mut names, mut variables, mut flags) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for option in OPTIONS {
        let own: BTreeSet<_> = option.names().collect();
        let own_variables: BTreeSet<_> = own.iter().map(|name| variable("", name)).collect();
        for name in own {
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase()
                || byte.is_ascii_digit()
                || b"._".contains(&byte)));
            assert!(names.insert(name), "{name} twice");
        }
        for variable in own_variables {
            assert!(variables.insert(variable.clone()), "{variable} twice");
        }
        for flag in option.flag_names().collect::<BTreeSet<_>>() {
            assert!(flags.insert(flag), "--{flag} twice");
        }
        assert!(option.text().ends_with('.') || option.text().ends_with(')'), "{}", option.path);
    }
    for flag in FLAGS_WITH_VALUE.iter().chain(FLAGS_WITHOUT_VALUE) {
        assert!(flags.insert(flag), "--{flag} twice");
    }
    assert_eq!(validate::faults(&Config::default()), Vec::new());
}

#[test]
fn the_commands_of_the_founding_page_turn_the_stream_on() {
    for variable in ["CENTRIFUGO_UNI_HTTP_STREAM", "ROLLCALL_UNI_HTTP_STREAM_ENABLED"] {
        let file = r#"{"uni_http_stream": {"enabled": false}}"#;
        assert!(loads(file, &[(variable, "1")], &[]).config.uni_http_stream.enabled);
    }
}

#[test]
fn a_flag_wins_over_the_environment_over_the_file_over_the_command_over_the_default() {
    let mut all = sources(
        r#"{"port": 2}"#,
        &[("CENTRIFUGO_PORT", "3"), ("ROLLCALL_HTTP_SERVER_PORT", "4")],
        &[("p", "5")],
    );
    all.base = vec![("http_server.port", "1".to_owned())];
    let mut ports = Vec::new();
    ports.push(load(&all).unwrap().config.http_server.port);
    all.flags.clear();
    ports.push(load(&all).unwrap().config.http_server.port);
    all.environment.remove("ROLLCALL_HTTP_SERVER_PORT");
    ports.push(load(&all).unwrap().config.http_server.port);
    all.environment.clear();
    ports.push(load(&all).unwrap().config.http_server.port);
    all.file = None;
    ports.push(load(&all).unwrap().config.http_server.port);
    all.base.clear();
    ports.push(load(&all).unwrap().config.http_server.port);
    assert_eq!(ports, [5, 4, 3, 2, 1, 8000]);
}

#[test]
fn one_file_in_three_formats_with_names_of_every_version_is_one_configuration() {
    let json = r#"{"client": {"token": {"hmac_secret_key": "s"}, "allowed_origins": ["a", "b"]},
        "http_server.port": "9000", "health": true, "API_KEY": "k",
        "uni_http_stream": {"enabled": true}, "uni_http_stream_handler_prefix": "/s",
        "client.ping_interval": "1m30s", "node": null}"#;
    let yaml = "client:\n  token: {hmac_secret_key: s}\n  allowed_origins: [a, b]\n\
        http_server.port: 9000\nhealth: true\nAPI_KEY: k\nuni_http_stream: {enabled: true}\n\
        uni_http_stream_handler_prefix: /s\nclient.ping_interval: 1m30s\n";
    let toml = "health = true\nAPI_KEY = \"k\"\n\"http_server.port\" = 9000\n\
        uni_http_stream_handler_prefix = \"/s\"\n[client]\nping_interval = \"1m30s\"\n\
        allowed_origins = [\"a\", \"b\"]\n[client.token]\nhmac_secret_key = \"s\"\n\
        [uni_http_stream]\nenabled = true\n";
    let of = |path: &str, text: &str| {
        let file = Some(ConfigFile { path: path.to_owned(), text: text.to_owned() });
        let loaded = load(&Sources { file, ..Sources::default() }).unwrap();
        assert_eq!(loaded.warnings, Vec::<String>::new(), "{path}");
        OPTIONS.iter().map(|option| (option.show)(&loaded.config)).collect::<Vec<_>>()
    };
    let expected = of("c.json", json);
    assert_eq!(of("c.yaml", yaml), expected);
    assert_eq!(of("c.yml", yaml), expected);
    assert_eq!(of("c.toml", toml), expected);
}

#[test]
fn every_wrong_type_is_told_with_key_place_value_and_expectation() {
    refuses(
        r#"{"http_server": {"port": "high"}, "health": 7, "client": 5, "log_level": "loud",
            "token_hmac_secret_key": 12345, "client.allowed_origins": [1],
            "name": {"a": 1}}"#,
        &[("CENTRIFUGO_CLIENT_PING_INTERVAL", "25 seconds")],
        &[("internal_port", "70000")],
        &[
            "`client` in config.json is of the wrong type (value not shown): expected a section, \
             that is an object",
            "`client.allowed_origins` in config.json is a list: expected a list of texts",
            "`health` in config.json is 7: expected true or false",
            "`http_server.port` in config.json is \"high\": expected a whole number from 0 to 65535",
            "`log_level` in config.json is \"loud\": expected one of \"none\" \"trace\" \"debug\" \
             \"info\" \"warn\" \"error\" \"fatal\"",
            "`name` in config.json is an object: expected text (put it in quotes)",
            "`token_hmac_secret_key` in config.json is of the wrong type (value not shown): \
             expected text (put it in quotes)",
            "`CENTRIFUGO_CLIENT_PING_INTERVAL` in the environment is 25 seconds: expected a \
             duration that is not negative, such as 25s, 1m30s or 500ms",
            "`--internal_port` on the command line is 70000: expected a whole number from 0 to \
             65535",
        ],
    );
}

#[test]
fn two_names_of_one_option_in_one_place_must_agree() {
    refuses(
        r#"{"port": 1, "http_server": {"port": 2}}"#,
        &[("CENTRIFUGO_API_KEY", "a"), ("CENTRIFUGO_HTTP_API_KEY", "b")],
        &[("http_server.port", "3"), ("port", "4")],
        &[
            "`http_server.port` and `port` in config.json are the same option with different values",
            "`CENTRIFUGO_API_KEY` and `CENTRIFUGO_HTTP_API_KEY` in the environment are the same \
             option with different values",
            "`--http_server.port` and `--port` on the command line are the same option with \
             different values",
        ],
    );
    let agreeing = loads(r#"{"port": "1", "http_server": {"port": 1}}"#, &[], &[]);
    assert_eq!(agreeing.config.http_server.port, 1);
}

#[test]
fn what_nobody_knows_is_warned_of_with_what_was_meant() {
    let file = r#"{"cleint": {"token": {}}, "client": {"token": {"hmac_secret_kye": "x"}},
        "frobnicate": 1}"#;
    warns(
        file,
        &[("ROLLCALL_UNI_HTTP_STREM", "1"), ("CENTRIFUGO_XYZ", "1")],
        &[
            "unknown key `cleint` in config.json is ignored: did you mean `client`?",
            "unknown key `client.token.hmac_secret_kye` in config.json is ignored: did you mean \
             `client.token.hmac_secret_key`?",
            "unknown key `frobnicate` in config.json is ignored",
            "unknown variable `CENTRIFUGO_XYZ` in the environment is ignored",
            "unknown variable `ROLLCALL_UNI_HTTP_STREM` in the environment is ignored: did you \
             mean `ROLLCALL_UNI_HTTP_STREAM`?",
        ],
    );
    assert_eq!(loads(file, &[], &[]).unknown.len(), 3);
}

#[test]
fn what_centrifugo_knows_is_one_warning_and_what_kubernetes_sets_is_none() {
    warns(
        r#"{"admin": {"web_proxy_address": "x"}, "websocket": {"write_timeout": "1s"},
            "engine": {"type": "memory"}, "subscription_token_issuer": "x", "prometheus": false,
            "client": {"token": {"jwks": {"providers": []}}}}"#,
        &[
            ("CENTRIFUGO_REDIS_ADDRESS", "x"),
            ("CENTRIFUGO_PORT", "tcp://10.0.0.1:8000"),
            ("ROLLCALL_PORT_8000_TCP_ADDR", "10.0.0.1"),
            ("ROLLCALL_EU_SERVICE_HOST", "10.0.0.1"),
            ("CENTRIFUGO_VAR_REGION", "eu"),
            ("CENTRIFUGO_API_KEY", ""),
        ],
        &[
            "known to Centrifugo, not (yet) in Rollcall, in config.json, ignored: \
             admin.web_proxy_address, client.token.jwks, engine, subscription_token_issuer, \
             websocket.write_timeout",
            "known to Centrifugo, not (yet) in Rollcall, in the environment, ignored: \
             CENTRIFUGO_REDIS_ADDRESS",
        ],
    );
}

#[test]
fn a_section_that_stands_twice_is_not_lost_in_silence() {
    for file in [
        r#"{"client": {"token": {"hmac_secret_key": "s"}}, "client": {"insecure": true}}"#,
        r#"{"http_api": {"key": "a", "key": "b"}}"#,
    ] {
        let errors = load(&sources(file, &[], &[])).expect_err("refused").to_string();
        assert!(errors.contains("each key stands once"), "{errors}");
    }
}

/// Ignoring these would send in clear text what was meant to be encrypted.
#[test]
fn a_configuration_that_asks_for_tls_is_refused() {
    for (file, environment) in [
        (r#"{"http_server": {"tls": {"enabled": true, "cert_pem": "x"}}}"#, None),
        (r#"{"tls": true, "tls_cert": "x"}"#, None),
        (r#"{"http_server": {"tls_autocert": {"enabled": true}}}"#, None),
        (r#"{"uni_grpc": {"tls": {"enabled": true}}}"#, None),
        (r#"{"uni_grpc_tls": true}"#, None),
        (r#"{"grpc_api": {"tls": {"enabled": true}}}"#, None),
        (r#"{"user_block": {"redis": {"tls": {"enabled": true}}}}"#, None),
        (r#"{"grpc_api_tls": true, "grpc_api_tls_cert": "x"}"#, None),
        ("{}", Some(("CENTRIFUGO_HTTP_SERVER_TLS_ENABLED", "true"))),
        ("{}", Some(("CENTRIFUGO_UNI_GRPC_TLS_ENABLED", "true"))),
        ("{}", Some(("CENTRIFUGO_TLS", "1"))),
    ] {
        let environment: Vec<_> = environment.into_iter().collect();
        let errors = load(&sources(file, &environment, &[])).expect_err("refused").to_string();
        assert!(errors.contains("asks for TLS"), "{file}: {errors}");
    }
    loads(
        r#"{"http_server": {"tls": {"enabled": false, "cert_pem": "x"}}, "tls": false}"#,
        &[],
        &[],
    );
}

#[test]
fn a_duration_without_a_unit_names_the_trap() {
    warns(
        r#"{"shutdown": {"timeout": 30000000}}"#,
        &[("CENTRIFUGO_CLIENT_EXPIRED_CLOSE_DELAY", "0")],
        &["`shutdown.timeout` in config.json is 30000000: a number without a unit is \
           nanoseconds; write a unit, as in 25s"],
    );
    refuses(
        "",
        &[],
        &[("client.ping_interval", "25")],
        &["`--client.ping_interval` on the command line is 25ns: expected a duration from 1s to \
           24h0m0s"],
    );
}

#[track_caller]
fn check(flags: &[(&str, &str)], expected: &[&str]) {
    let errors = load(&sources("", &[], flags)).expect_err("refused").to_string();
    for (line, expected) in errors.lines().zip(expected) {
        assert!(line.contains(expected), "{line}");
    }
    assert_eq!(errors.lines().count(), expected.len(), "{errors}");
}

#[test]
fn what_cannot_be_meant_is_refused_with_its_origin() {
    check(&[("shards.count", "65")], &["`--shards.count` on the command line must be at most 64"]);
    check(&[("shards.ring_entries", "100")], &["must be a power of two"]);
    for depth in ["0", "25"] {
        check(&[("label_filter.max_depth", depth)], &["must be from 1 to 24"]);
    }
    check(&[("labels.max_count", "256")], &["must be from 0 to 255"]);
    for option in ["labels.max_key_size", "labels.max_value_size"] {
        check(&[(option, "0")], &["must be from 1 to 4096"]);
        check(&[(option, "4097")], &["must be from 1 to 4096"]);
    }
    for nodes in ["0", "10001"] {
        check(&[("label_filter.max_nodes", nodes)], &["must be from 1 to 10000"]);
    }
    for (option, value, why) in [
        ("queries.max_expression_size", "65537", "must be from 1 to 65536"),
        ("queries.max_expression_steps", "0", "must be from 1 to 10000000"),
        ("queries.max_page_size", "10001", "must be from 1 to 10000"),
    ] {
        check(&[(option, value)], &[why]);
    }
    check(&[("client.queue_max_size", "0")], &["must be at least 1024 bytes"]);
    check(&[("http_api.max_request_body_size", "0")], &["must be from 1 to 67108864 bytes"]);
    check(&[("shutdown.timeout", "0s"), ("shards.query_timeout", "61s")], &["is 0s", "is 1m1s"]);
    check(&[("client.allowed_origins", "https://[")], &["does not hold patterns"]);
    check(&[("client.user_id_http_header", "X User")], &["is not the name of a header"]);
    check(
        &[("client.ping_interval", "5s")],
        &["`client.pong_timeout` is 8s: must be shorter than client.ping_interval (5s)"],
    );
    check(&[("client.trusted_proxies", "10.0.0.1/8")], &["does not hold networks: `10.0.0.1/8`"]);
    check(&[("websocket.compression_level", "10")], &["is 10: expected 1, the fastest, to 9"]);
    check(&[("uni_websocket.message_size_limit", "0")], &["must be from 1 to 67108864 bytes"]);
    check(&[("shards.driver", "kqueue")], &["expected one of \"auto\" \"io_uring\""]);
    loads("", &[], &[("client.ping_interval", "0")]);
}

#[test]
fn what_is_served_has_a_path_of_its_own() {
    check(&[("http_api.handler_prefix", "api")], &["is `api`: expected a path"]);
    check(&[("http_api.handler_prefix", "/")], &["is `/`: expected a path"]);
    check(
        &[("health", "true"), ("health.handler_prefix", "/api")],
        &["is `/api`, which `http_api.handler_prefix` (`/api`) serves already"],
    );
    check(
        &[("uni_http_stream", "1"), ("uni_http_stream.handler_prefix", "/api/info")],
        &["serves already"],
    );
    check(
        &[("sse", "1"), ("sse.handler_prefix", "/connection/websocket/")],
        &["`/connection/websocket`, which `websocket.handler_prefix` (`/connection/websocket`)"],
    );
    check(
        &[("http_stream", "1"), ("emulation.handler_prefix", "/api")],
        &["is `/api`, which `http_api.handler_prefix` (`/api`) serves already"],
    );
    check(
        &[
            ("swagger", "true"),
            ("swagger.handler_prefix", "/s"),
            ("websocket.handler_prefix", "/s/a"),
        ],
        &["is `/s/a`, which `swagger.handler_prefix` (`/s`) serves already"],
    );
    let admin = ("admin", "true");
    check(&[admin, ("admin.handler_prefix", "ops")], &["is `ops`: expected a path"]);
    check(
        &[admin, ("admin.handler_prefix", "/api")],
        &["is `/api`, which `http_api.handler_prefix` (`/api`) serves already"],
    );
    check(
        &[admin, ("http_api.handler_prefix", "/admin/api")],
        &["is `/admin`, which `http_api.handler_prefix` (`/admin/api`) serves already"],
    );
    for prefix in ["", "/", "/ops", "/ops/"] {
        loads("", &[], &[admin, ("admin.handler_prefix", prefix)]);
    }
    let ignored = loads("", &[], &[("health.handler_prefix", "what is not served")]);
    assert_eq!(ignored.config.health.handler_prefix, "what is not served");
    loads("", &[], &[("emulation.handler_prefix", "/api")]);
}

#[test]
fn codes_out_of_range_are_refused() {
    refuses(
        r#"{"client": {"connect_code_to_unidirectional_disconnect":
              {"transforms": [{"code": 109, "to": {"code": 200}}]}},
            "uni_http_stream": {"connect_code_to_http_response":
              {"transforms": [{"code": 109, "to": {"status_code": 99}}]}}}"#,
        &[],
        &[],
        &[
            "`client.connect_code_to_unidirectional_disconnect.transforms` in config.json turns \
             109 into 200: disconnects are 3000 to 4999",
            "`uni_http_stream.connect_code_to_http_response.transforms` in config.json turns 109 \
             into 99: a status is 200 to 599",
        ],
    );
}

#[test]
fn no_secret_is_ever_shown() {
    let secret = "hunter2";
    let broken = [
        ("c.json", r#"{"api_key": "hunter2" "#),
        ("c.json", r#"{"api_key": hunter2}"#),
        ("c.yaml", "api_key: *hunter2\n"),
        ("c.yaml", "api_key: \"hunter2\n"),
        ("c.toml", "api_key = hunter2\n"),
        ("c.json", r#"{"api_key": ["hunter2"], "port": {"api_key": "hunter2"}}"#),
        ("c.json", r#"{"api_key": "hunter2", "http_api": {"key": "b"}}"#),
        ("c.json", r#""hunter2""#),
        ("c.ini", "api_key=hunter2"),
    ];
    for (path, text) in broken {
        let file = Some(ConfigFile { path: path.to_owned(), text: text.to_owned() });
        let errors = load(&Sources { file, ..Sources::default() }).expect_err(text);
        assert!(!format!("{errors} {errors:?}").contains(secret), "{errors}");
    }
    let good = loads(r#"{"api_key": "hunter2", "api_keys": "hunter2"}"#, &[], &[]);
    assert!(!format!("{good:?}").contains(secret), "{good:?}");
    assert_eq!(good.config.http_api.key.expose(), secret);
}

#[test]
fn a_broken_file_is_told_with_the_place() {
    let at = |path: &str, text: &str| {
        let file = Some(ConfigFile { path: path.to_owned(), text: text.to_owned() });
        load(&Sources { file, ..Sources::default() }).expect_err(text).to_string()
    };
    assert_eq!(at("a.json", "{\n1"), "config file a.json is not valid JSON at line 2, column 1");
    assert_eq!(at("a.toml", "a = 1\nb = =\n"), "config file a.toml is not valid TOML at line 2");
    let yaml = at("a.yaml", "a: 1\nb: [\n");
    assert!(yaml.starts_with("config file a.yaml is not valid YAML at line "), "{yaml}");
    assert_eq!(at("a.json", "[]"), "config file a.json is not an object at its top");
    assert!(at("a.ini", "").contains("must end in .json, .yaml, .yml or .toml"));
}

#[test]
fn dangerous_choices_are_told() {
    let told = |file| dangers(&loads(file, &[("ROLLCALL_UNI_HTTP_STREAM", "1")], &[]).config);
    assert_eq!(
        told(r#"{"client_insecure": true, "api_insecure": true, "allowed_origins": "x *"}"#),
        [
            "INSECURE client mode enabled (client.insecure), make sure you understand risks",
            "INSECURE HTTP API mode enabled (http_api.insecure), make sure you understand risks",
            "client.allowed_origins lets every web page connect",
        ]
    );
    assert_eq!(
        told("{}"),
        [
            "client.token.hmac_secret_key is not set, nor another key: no client can connect",
            "http_api.key is not set: every call of the server API is refused",
        ]
    );
    assert_eq!(told(r#"{"client_anonymous": true, "api_disable": true}"#), Vec::<String>::new());
    let file = r#"{"client_anonymous": true, "api_disable": true, "websocket_disable": true,
        "client": {"trusted_proxies": ["::/0"]}}"#;
    assert_eq!(
        dangers(&loads(file, &[], &[]).config),
        [
            "client.trusted_proxies lets every client say where it comes from",
            "no transport is enabled, so no client can connect: unset websocket.disabled, or set \
             another's `enabled`, as in CENTRIFUGO_UNI_HTTP_STREAM=1",
        ]
    );
}

#[test]
fn what_is_shared_is_in_one_redis_whoever_says_which() {
    let shared = |file: &str| loads(file, &[], &[]).config.shared_store();
    assert!(
        shared(r#"{"storage": {"redis": {"address": "nobody reads this"}}}"#).unwrap().is_none()
    );
    for file in [
        r#"{"user_block": {"storage_type": "redis", "redis": {"address": "host:1"}}}"#,
        r#"{"storage": {"redis": {"address": "host:1"}}, "user_status": {"storage_type": "redis"}}"#,
        r#"{"user_block": {"storage_type": "redis", "redis": {"address": "host:1"}},
            "token_revoke": {"storage_type": "redis", "redis": {"address": "host:1"}},
            "user_status": {"redis": {"address": "not used"}}}"#,
    ] {
        let options = shared(file).unwrap().unwrap();
        assert!(format!("{options:?}").contains("host:1"), "{options:?}");
    }
    let nobody_says = shared(r#"{"token_revoke": {"storage_type": "redis"}}"#).unwrap().unwrap();
    assert!(format!("{nobody_says:?}").contains("127.0.0.1:6379"), "{nobody_says:?}");
    refuses(
        r#"{"user_block": {"storage_type": "redis", "redis": {"address": "host:1"}},
            "token_revoke": {"storage_type": "redis", "redis": {"address": "host:2"}}}"#,
        &[],
        &[],
        &["`token_revoke.redis.address` in config.json differs from user_block.redis.address: \
           everything is shared in one Redis"],
    );
}

/// What it says of a configuration that holds this under `client.token`.
fn check_token(token: &Value, expected: &str) {
    let file = json!({"client": {"token": token}}).to_string();
    let said = load(&sources(&file, &[], &[])).unwrap_err().to_string();
    assert!(said.contains(expected), "{said}");
}

#[test]
fn what_is_configured_about_tokens_is_read_at_the_start() {
    check_token(&json!({"rsa_public_key": ECDSA}), "the key in it is not an RSA key");
    check_token(&json!({"ecdsa_public_key": "x"}), "expected a PEM text");
    check_token(&json!({"issuer_regex": "("}), "client.token.issuer_regex");
    check_token(&json!({"audience": "a", "audience_regex": "b"}), "set one of them");
    check_token(&json!({"user_id_claim": "e-mail"}), "letters and underscores");
    check_token(&json!({"meta_from_claim": {"a-b": "c"}}), "no digit first");
    check_token(&json!({"labels_from_claim": {"a": "b.#"}}), "not supported");
    check_token(&json!({"labels_from_claim": 7}), "an object such as");
    check_token(&json!({"jwks_public_endpoint": "https://a/{{t}}"}), "nothing fills {{t}}");
    let open = json!({"jwks_public_endpoint": "https://a/{{t}}", "issuer_regex": "(?P<t>.*)"});
    check_token(&open, "more than a few words");
    check_token(&json!({"jwks_max_age": "10ms"}), "jwks_max_age");
    check_token(&json!({"hmac_previous_secret_key_valid_until": -1}), "must not be negative");
}

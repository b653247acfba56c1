//! `grpc_api` as a backend sees it that learns everything by reflection.

pub(crate) mod client;
mod watch;

use std::net::SocketAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use prost_reflect::DescriptorPool;
use prost_reflect::prost::Message;
use serde_json::{Value, json};
use tonic::{Code, Status};

use self::client::{Answer, Api, Client, Question, SERVICE};
use crate::harness::{Server, eventually, token};

/// A server that speaks the API over gRPC, and where.
fn server(with: &Value) -> (Server, SocketAddr) {
    let mut config = json!({"grpc_api": {
        "enabled": true, "address": "127.0.0.1", "port": 0, "reflection": true,
    }});
    crate::harness::overlay(&mut config, with);
    let server = Server::start(&config);
    let address = *server.addresses.last().expect("the gRPC listener is logged last");
    (server, address)
}

fn path(method: &str) -> String {
    format!("/{SERVICE}/{method}")
}

fn symbol(name: &str) -> Question {
    Question { symbol: Some(name.to_owned()), ..Question::default() }
}

#[test]
fn sessions_are_listed_and_ended_as_over_http() {
    let (server, address) = server(&json!({}));
    let api = Api::new(Client::to(address));
    let connect = json!({
        "token": token("42", json!({"meta": {"plan": "gold"}, "jti": "t-1"})), "name": "terminal",
    });
    let streams: Vec<_> = (0..6).map(|_| server.session_with(connect.clone())).collect();
    let over_http = server.call("connections", json!({"user": "42"}));
    let mut expected = over_http["result"]["connections"].clone();
    for (_, session) in expected.as_object_mut().expect("sessions") {
        // Bytes in Protobuf are base64 in the JSON of this client.
        session["state"]["meta"] = json!(STANDARD.encode(r#"{"plan":"gold"}"#));
    }
    // On whichever shard a call arrives.
    for _ in 0..8 {
        let listed = api.call("Connections", &json!({"user": "42"})).unwrap();
        assert_eq!(listed["result"]["connections"], expected);
    }
    let flat = api.call("UserConnections", &json!({"user": "42"})).unwrap();
    let flat = flat["result"]["connections"].as_object().expect("sessions").clone();
    assert_eq!(flat.len(), 6);
    assert!(flat.values().all(|session| session["token_uid"] == "t-1"), "{flat:?}");
    let order = json!({"user": "42", "disconnect": {"code": 4001, "reason": "bye"}});
    let ended = api.call("Disconnect", &order).unwrap();
    assert!(ended["result"].is_object() && ended.get("error").is_none(), "{ended}");
    assert_eq!(server.listed("42"), [""; 0], "acknowledged, so gone");
    for mut stream in streams {
        let push = stream.push_after_pings().expect("a push");
        assert_eq!(push["disconnect"], json!({"code": 4001, "reason": "bye"}));
    }
    let info = api.call("Info", &json!({})).unwrap();
    assert_eq!(info["result"]["nodes"][0]["version"], env!("CARGO_PKG_VERSION"));
    let items = &info["result"]["nodes"][0]["metrics"]["items"];
    assert_eq!(items["rollcall.sessions_closed_by_api"], 6.0);
}

#[test]
fn how_a_node_is_and_who_is_blocked_is_told_as_over_http() {
    let (server, address) = server(&json!({"user_block": {"storage_type": "memory"}}));
    let api = Api::new(Client::to(address));
    let _stream = server.session("42");
    let stats = api.call("NodeStats", &json!({})).unwrap();
    let node = &stats["result"]["node"];
    assert_eq!((&node["sessions"], &node["users"]), (&json!(1), &json!(1)), "{stats}");
    assert_eq!(node["shards"].as_array().map(Vec::len), Some(4), "{stats}");
    assert_eq!(node["query_us"]["window_s"], 60);

    let expire_at = crate::harness::unix_s() + 1_000;
    api.call("BlockUser", &json!({"user": "42", "expire_at": expire_at})).unwrap();
    let block_of = |user: &str| api.call("GetUserBlock", &json!({"user": user})).unwrap();
    let blocked = block_of("42");
    assert_eq!(blocked["result"], json!({"blocked": true, "expire_at": expire_at}));
    assert_ne!(block_of("4")["result"]["blocked"], true);
}

#[test]
fn an_empty_user_is_the_anonymous_one_only_when_it_is_said() {
    let (server, address) = server(&json!({"client": {"insecure": true}}));
    let api = Api::new(Client::to(address));
    let _stream = server.session_with(json!({}));
    let nobody = api.call("Disconnect", &json!({})).unwrap();
    assert_eq!(nobody["error"]["code"], 107, "{nobody}");
    let listed = api.call("UserConnections", &json!({"user": ""})).unwrap();
    assert_eq!(listed["result"]["connections"].as_object().map(serde_json::Map::len), Some(1));
    api.call("Disconnect", &json!({"user": ""})).unwrap();
    let listed = api.call("UserConnections", &json!({"user": ""})).unwrap();
    assert_eq!(listed, json!({"result": {}}));
}

#[test]
fn a_batch_carries_many_commands_out_and_answers_in_order() {
    let (server, address) = server(&json!({}));
    let api = Api::new(Client::to(address));
    let _stream = server.session("42");
    let commands = json!({"commands": [
        {"connections": {"user": "42"}}, {"disconnect": {"user": "42"}}, {"disconnect": {}},
        {"user_connections": {"user": "42"}}, {},
    ]});
    let answered = api.call("Batch", &commands).unwrap();
    let replies = answered["replies"].as_array().expect("replies");
    assert_eq!(replies.len(), 5);
    let listed = &replies[0]["connections"]["connections"];
    assert_eq!(listed.as_object().map(serde_json::Map::len), Some(1), "{answered}");
    assert_eq!(replies[1], json!({"disconnect": replies[1]["disconnect"]}));
    assert_eq!(replies[2]["error"]["code"], 107);
    assert_eq!(replies[3], json!({"user_connections": {}}));
    assert_eq!(replies[4]["error"]["code"], 104);
}

#[test]
fn errors_stand_in_the_response_or_in_the_status_as_was_asked() {
    let (_server, address) = server(&json!({}));
    let api = Api::new(Client::to(address));
    let failed = api.call("Refresh", &json!({})).unwrap();
    let message = failed["error"]["message"].as_str().expect("a text").to_owned();
    assert!(message.starts_with("bad request: nobody is selected"), "{message}");
    let mode = "x-centrifugo-error-mode";
    let by_status = Api { client: Client::to(address).with(mode, "transport"), pool: api.pool };
    check_status(&by_status.call("Refresh", &json!({})).unwrap_err(), &message, &by_status.pool);
    let by_default = server(&json!({"grpc_api": {"error_mode": "transport"}}));
    let by_default = Api::new(Client::to(by_default.1));
    check_status(&by_default.call("Refresh", &json!({})).unwrap_err(), &message, &by_default.pool);
    // What needs channels fails in the same two ways.
    let publish = |client: &Client| client.raw(&path("Publish"), Vec::new());
    assert_eq!(publish(&by_status.client).unwrap_err().code(), Code::InvalidArgument);
    let response = publish(&Client::to(address)).unwrap();
    assert!(response.starts_with(b"\x0a"), "an error first: {response:?}");
    let rpc = by_status.client.raw(&path("RPC"), Vec::new()).unwrap_err();
    assert_eq!(rpc.code(), Code::NotFound);
}

/// `google.rpc.Status`
#[derive(Clone, PartialEq, prost::Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// `google.protobuf.Any`
#[derive(Clone, PartialEq, prost::Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

fn check_status(status: &Status, message: &str, pool: &DescriptorPool) {
    assert_eq!((status.code(), status.message()), (Code::InvalidArgument, message));
    let details = RpcStatus::decode(status.details()).expect("details");
    assert_eq!((details.code, details.message.as_str()), (3, message));
    let [Any { type_url, value }] = details.details.as_slice() else { panic!("{details:?}") };
    assert_eq!(type_url, "type.googleapis.com/centrifugal.centrifugo.api.Error");
    let known = pool.get_message_by_name("centrifugal.centrifugo.api.Error").expect("it is known");
    let error = prost_reflect::DynamicMessage::decode(known, value.as_slice()).expect("an error");
    assert_eq!(error.get_field_by_name("code").expect("a code").as_u32(), Some(107));
    assert_eq!(error.get_field_by_name("message").expect("a text").as_str(), Some(message));
}

#[test]
fn a_key_is_asked_for_when_there_is_one_and_never_for_health_and_reflection() {
    let (_server, address) = server(&json!({"grpc_api": {"key": "k-1"}}));
    let info = |client: &Client| client.raw(&path("Info"), Vec::new());
    for shown in [None, Some("apikey wrong"), Some("k-1"), Some("bearer k-1"), Some("")] {
        let client = Client::to(address);
        let client = match shown {
            Some(shown) => client.with("authorization", shown),
            None => client,
        };
        let status = info(&client).unwrap_err();
        assert_eq!((status.code(), status.message()), (Code::Unauthenticated, "unauthenticated"));
    }
    let right = Client::to(address).with("authorization", "apikey k-1");
    assert!(info(&right).is_ok());
    let open = Client::to(address);
    assert!(open.raw("/grpc.health.v1.Health/Check", Vec::new()).is_ok());
    assert!(open.reflect("v1", &[symbol(SERVICE)]).is_ok());
}

#[test]
fn what_is_no_call_is_refused_and_says_why() {
    let limit = json!({"grpc_api": {"max_receive_message_size": 1000}});
    let (server, address) = server(&limit);
    let client = Client::to(address);
    let refused = |client: &Client, path: &str, request: Vec<u8>| {
        let status = client.raw(path, request).unwrap_err();
        (status.code(), status.message().to_owned())
    };
    for unknown in [&path("Nonsense"), &path("DeviceRegister"), "/a.B/Info", "/nothing"] {
        let expected = (Code::Unimplemented, format!("unknown method {unknown}"));
        assert_eq!(refused(&client, unknown, Vec::new()), expected);
    }
    let (code, message) = refused(&client, &path("Disconnect"), b"\x0a\x05ab".to_vec());
    assert_eq!(code, Code::InvalidArgument);
    assert_eq!(message, "malformed DisconnectRequest: message ends inside a field");
    let long = |bytes| refused(&client, &path("Info"), vec![0xff; bytes]);
    assert_eq!(long(1001), (Code::ResourceExhausted, "message longer than 1000 bytes".to_owned()));
    assert_eq!(long(1000).0, Code::InvalidArgument);
    // A compressed request counts by what it becomes.
    let gzip = Client::to(address).gzip();
    let whitelist = |count: usize| b"\x22\0".repeat(count);
    let (code, message) = refused(&gzip, &path("Disconnect"), whitelist(501));
    assert_eq!(
        (code, message.as_str()),
        (Code::ResourceExhausted, "message longer than 1000 bytes")
    );
    let inflated = gzip.raw(&path("Disconnect"), whitelist(500)).unwrap();
    assert!(String::from_utf8_lossy(&inflated).contains("UUID"), "{inflated:?}");
    // A batch of too many is refused as a whole, as over HTTP.
    let (code, message) = {
        let many = server_with_room();
        refused(&Client::to(many.1), &path("Batch"), b"\x0a\0".repeat(1001))
    };
    assert_eq!(code, Code::InvalidArgument);
    assert!(message.contains("more than 1000 commands"), "{message}");
    // Neither the server nor the connection minded.
    assert!(client.raw(&path("Info"), Vec::new()).is_ok());
    drop(server);
}

fn server_with_room() -> (Server, SocketAddr) {
    server(&json!({}))
}

#[test]
fn the_time_a_caller_gives_is_kept() {
    let (_server, address) = server(&json!({}));
    // This client sends the time and does not look at it. What is refused at once is sent without a
    // body: older versions of it take an answer before the last byte for a broken stream.
    let status = |timeout: &str, body: &[&str]| {
        let mut command = std::process::Command::new("curl");
        command.args(["-s", "-X", "POST", "-D", "-", "-o", "/dev/null"]);
        command.args(["--http2-prior-knowledge", "-H", "content-type: application/grpc"]);
        command.args(["-H", &format!("grpc-timeout: {timeout}")]).args(body);
        command.arg(format!("http://{address}{}", path("Info")));
        let heads = crate::harness::run(&mut command).stdout;
        let status = heads.lines().find_map(|line| line.strip_prefix("grpc-status: "));
        status.unwrap_or_else(|| panic!("no status: {heads}")).trim().to_owned()
    };
    let directory = tempfile::tempdir().expect("a temporary directory");
    let message = directory.path().join("message");
    std::fs::write(&message, [0; 5]).expect("it is written");
    let message = format!("@{}", message.display());
    assert_eq!(status("20S", &["--data-binary", &message]), "0");
    assert_eq!(status("0n", &[]), "4");
    assert_eq!(status("soon", &[]), "3");
}

#[test]
fn reflection_tells_of_every_service_and_symbol_in_both_versions() {
    let (_server, address) = server(&json!({}));
    let client = Client::to(address);
    let services = Question { services: Some(String::new()), ..Question::default() };
    let file = Question { file: Some("api.proto".to_owned()), ..Question::default() };
    let questions = [
        services.clone(),
        symbol(SERVICE),
        file,
        symbol("centrifugal.centrifugo.api.Nonsense"),
        symbol("grpc.health.v1.Health"),
        Question::default(),
    ];
    let is_error = |answer: &Answer| answer.error.as_ref().map(|error| error.code);
    for version in ["v1", "v1alpha"] {
        let answers = client.reflect(version, &questions).unwrap();
        for (question, answer) in questions.iter().zip(&answers) {
            assert_eq!(answer.original.as_ref(), Some(question));
        }
        let [services, by_symbol, by_file, unknown, health, nothing] = answers.as_slice() else {
            panic!("{answers:?}")
        };
        let names: Vec<_> = services.services.iter().flat_map(|it| &it.services).collect();
        assert_eq!(
            names.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(),
            [SERVICE, "grpc.health.v1.Health"]
        );
        assert_eq!(by_symbol.files, by_file.files);
        assert_eq!(is_error(unknown), Some(5));
        assert_eq!(is_error(nothing), Some(3));
        let mut pool = DescriptorPool::new();
        for file in [by_symbol, health].into_iter().flat_map(|it| &it.files) {
            pool.decode_file_descriptor_proto(file.files[0].as_slice()).expect("a whole file");
        }
        let watch = pool.get_service_by_name("grpc.health.v1.Health").expect("known");
        let watch = watch.methods().find(|method| method.name() == "Watch").expect("known");
        assert!(watch.is_server_streaming());
    }
    let off = server(&json!({"grpc_api": {"reflection": false}}));
    let refused = Client::to(off.1).reflect("v1", &[services]).unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented);
}

/// `HealthCheckResponse` of this status.
fn health(status: u8) -> Vec<u8> {
    vec![0x08, status]
}

#[test]
fn health_is_told_and_its_end_before_the_connection_goes() {
    let (mut server, address) = server(&json!({}));
    let client = Client::to(address);
    let about = |service: &str| {
        let len = u8::try_from(service.len()).expect("it is short");
        [b"\x0a", [len].as_slice(), service.as_bytes()].concat()
    };
    let check = |service: &str| client.raw("/grpc.health.v1.Health/Check", about(service));
    assert_eq!(check("").unwrap(), health(1));
    assert_eq!(check(SERVICE).unwrap(), health(1));
    assert_eq!(check("nonsense").unwrap_err().code(), Code::NotFound);
    let watch = |service| client.stream("/grpc.health.v1.Health/Watch", vec![about(service)]);
    let (mut node, mut nonsense) = (watch("").unwrap(), watch("nonsense").unwrap());
    assert_eq!(node.next().unwrap(), Some(health(1)));
    assert_eq!(nonsense.next().unwrap(), Some(health(3)));
    server.signal("TERM");
    assert_eq!(node.next().unwrap(), Some(health(2)));
    assert_eq!(node.next().unwrap_err().code(), Code::Unavailable);
    assert_eq!(server.wait(), Some(0));
}

#[test]
fn calls_while_the_server_says_goodbye_are_refused_and_those_before_are_answered() {
    let (mut server, address) = server(&json!({"shutdown": {"timeout": "4s"}}));
    // Many sessions, so that the goodbye takes its time.
    let streams: Vec<_> = (0..20).map(|_| server.session("42")).collect();
    let client = Client::to(address);
    let mut watch = client.stream("/grpc.health.v1.Health/Watch", vec![Vec::new()]).unwrap();
    assert_eq!(watch.next().unwrap(), Some(health(1)));
    assert!(client.raw(&path("Info"), Vec::new()).is_ok());
    server.signal("TERM");
    assert_eq!(watch.next().unwrap(), Some(health(2)));
    let refused = client.raw(&path("Info"), Vec::new()).unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    drop(streams);
    assert_eq!(server.wait(), Some(0));
}

#[test]
fn many_calls_at_once_are_all_answered() {
    let (server, address) = server(&json!({}));
    let api = Api::new(Client::to(address));
    let _stream = server.session("42");
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                for _ in 0..50 {
                    let listed = api.call("Connections", &json!({"user": "42"})).unwrap();
                    let listed = listed["result"]["connections"].as_object().expect("sessions");
                    assert_eq!(listed.len(), 1);
                }
            });
        }
    });
    let info = eventually("the commands are counted", || {
        let info = server.call("info", json!({}));
        let items = info["result"]["nodes"][0]["metrics"]["items"].clone();
        (items["rollcall.api_commands"].as_f64()? >= 800.0).then_some(items)
    });
    assert_eq!(info["rollcall.requests_malformed"], 0.0, "{info}");
}

#[test]
fn plain_http_is_told_what_is_spoken_here() {
    let (_server, address) = server(&json!({}));
    let mut command = std::process::Command::new("curl");
    command.args(["-s", "-o", "/dev/null", "-w", "%{http_code}", "--http2-prior-knowledge"]);
    command.args(["-X", "POST", &format!("http://{address}{}", path("Info"))]);
    assert_eq!(crate::harness::run(&mut command).stdout, "415");
}

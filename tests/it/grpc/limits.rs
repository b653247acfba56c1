//! What is bounded for clients over gRPC, and what happens there.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use rollcall::api;
use rollcall::auth::TokenOptions;
use rollcall::connection::Options;
use rollcall::connection::open::Scope;
use rollcall::control::outside::OutsideOptions;
use rollcall::control::store::StoreOptions;
use rollcall::engine::accept::ListenOn;
use rollcall::engine::boot::{DriverChoice, ParkingChoice};
use rollcall::limits::LabelLimits;
use rollcall::server::{self, GrpcListen, ServerOptions};
use rollcall::session::FilterLimits;
use rollcall::shard::Synthetic;
use rollcall::shard::admission::AdmissionOptions;
use serde_json::json;
use tonic::Code;

use super::client::{Client, Push, connect};
use super::{disconnect, server as grpc_server};
use crate::harness::{Conn, KEY, PATIENCE, SECRET, eventually, listed, run};

fn client(with: serde_json::Value) -> serde_json::Value {
    let mut client = json!({"token": {"hmac_secret_key": SECRET}});
    for (key, value) in with.as_object().expect("an object") {
        client[key] = value.clone();
    }
    json!({"client": client})
}

#[test]
fn the_connection_limit_holds_and_a_place_that_is_left_is_free() {
    let (server, address) = grpc_server(client(json!({"connection_limit": 2})));
    let clients = Client::to(address);
    let (first, _) = clients.session("42");
    let (_second, _) = clients.session("43");
    let status = clients.refusal(connect("44"));
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("no more connections"), "{status}");
    drop(first);
    eventually("unlisted", || server.listed("42").is_empty().then_some(()));
    drop(clients.session("44"));
}

#[test]
fn the_connection_rate_limit_holds() {
    let (_server, address) = grpc_server(client(json!({"connection_rate_limit": 1})));
    let clients = Client::to(address);
    let refused = (0..20).map(|_| clients.consume(connect("42")).expect("a stream").next());
    let refused: Vec<_> = refused.filter_map(Result::err).collect();
    assert!(refused.iter().all(|status| status.code() == Code::Unavailable), "{refused:?}");
    assert!(refused.len() >= 10, "only {} of 20 refused", refused.len());
}

#[test]
fn the_user_connection_limit_holds_over_all_shards() {
    let (_server, address) = grpc_server(client(json!({"user_connection_limit": 2})));
    let clients = Client::to(address);
    let (first, second) = (clients.session("42"), clients.session("42"));
    for _ in 0..8 {
        let mut pushes = clients.consume(connect("42")).expect("a stream");
        assert_eq!(pushes.last_words(), disconnect(3504, "connection limit"));
    }
    drop((first, second));
}

#[test]
fn connections_that_never_call_are_closed() {
    let (_server, address) = grpc_server(client(json!({"stale_close_delay": "300ms"})));
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".as_slice();
    for bytes in [b"".as_slice(), b"PRI * HT", preface, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"] {
        let mut conn = TcpStream::connect(address).unwrap();
        conn.set_read_timeout(Some(PATIENCE)).unwrap();
        conn.write_all(bytes).unwrap();
        let mut answer = Vec::new();
        match conn.read_to_end(&mut answer) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
        }
    }
}

#[test]
fn a_port_that_is_taken_is_named_with_its_option() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let mut command = std::process::Command::new(crate::harness::binary());
    command.args(["--http_server.address", "127.0.0.1", "--http_server.port", "0"]);
    command.args(["--uni_grpc.enabled", "--uni_grpc.address", "127.0.0.1"]);
    command.args(["--uni_grpc.port", &port]);
    let output = run(&mut command);
    assert_eq!(output.code, Some(1));
    assert!(output.stderr.contains(&format!("127.0.0.1:{port} is in use")), "{}", output.stderr);
    assert!(output.stderr.contains("--uni_grpc.port"), "{}", output.stderr);
}

/// A node inside this process: it pings ten times a second and lets a few bytes wait, neither of
/// which the configuration allows. Where it answers the API, and where it speaks gRPC.
fn node_with_fast_pings(queue_bytes_max: usize) -> (SocketAddr, SocketAddr) {
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let options = ServerOptions {
        shards: 2,
        pin_to_cores: false,
        driver: DriverChoice::Auto,
        parking: ParkingChoice::PollSet,
        ring_entries: 256,
        query_timeout_ms: 1_000,
        shutdown_timeout: Duration::from_secs(5),
        listen: vec![ListenOn { address, scope: Scope::All }],
        uni_grpc: Some(GrpcListen { address, message_bytes_max: 4096 }),
        grpc_api: None,
        admission: AdmissionOptions::default(),
        store: StoreOptions::in_memory(),
        outside: OutsideOptions::default(),
        webhook: None,
        synthetic: Synthetic::default(),
    };
    let api = api::Options {
        prefix: "/api".to_owned(),
        key: KEY.to_owned(),
        insecure: false,
        error_mode_transport: false,
        body_bytes_max: 1024,
        user_status: api::Statuses::NotKept,
        label_filter: FilterLimits::default(),
        queries: Default::default(),
        labels: LabelLimits::default(),
    };
    let connection = Options {
        token: TokenOptions { hmac_secret: Some(SECRET.to_owned()), ..TokenOptions::default() },
        api: Some(api),
        ping_interval_ms: 2,
        pong_timeout_ms: 0,
        queue_bytes_max,
        ..Options::default()
    };
    let node = server::start(&options, &connection, None).expect("it starts");
    let addresses = (node.addresses()[0], node.grpc_address().expect("gRPC is on"));
    std::thread::spawn(|| node.run());
    addresses
}

#[test]
fn a_client_that_does_not_read_is_cut_and_nobody_else() {
    let (api, grpc) = node_with_fast_pings(200);
    // Four streams of one connection: the client's window takes the connect push of each, and
    // no more than a few pings behind it.
    let clients = Client::with(grpc, |it| it.initial_stream_window_size(200));
    let mut slow: Vec<_> = (0..4).map(|_| clients.session("slow").0).collect();
    let others = Client::to(grpc);
    let mut quick = others.session("quick").0;
    let mut conn = Conn::to(api);
    eventually("cut", || {
        assert_eq!(quick.next().expect("goes on"), Some(Push::default()));
        listed(&mut conn, "slow").is_empty().then_some(())
    });
    let info = conn.call("info", json!({}));
    let items = &info["result"]["nodes"][0]["metrics"]["items"];
    assert_eq!(items["rollcall.sessions_slow"], 4.0, "{info}");
    assert_eq!(listed(&mut conn, "quick").len(), 1);
    // The stream is reset, so that nothing of it stays; the connection is as good as before.
    for pushes in &mut slow {
        let end = std::iter::repeat_with(|| pushes.next()).find_map(Result::err);
        let cause = format!("{:?}", end.expect("an end"));
        assert!(cause.contains("Reset(") && cause.contains("CANCEL, Remote"), "{cause}");
    }
    drop(clients.session("again"));
}

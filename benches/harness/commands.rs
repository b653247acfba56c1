//! A connect command in both encodings, and what it is answered with.

use rollcall::ids::ClientId;
use rollcall::protocol::ConnectResult;

/// The founding page's connect request.
pub(crate) const PAGE: &[u8] = br#"{"token": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiI0MiIsImV4cCI6MTYyNzcxMzMzNX0.s3eOhujiyBjc4u21nuHkbcWJll4Um0QqGU3PF-6Mf7Y", "name": "terminal"}"#;

/// What is answered.
pub(crate) const RESULT: ConnectResult<'static> = ConnectResult {
    client: ClientId([0x11; 16]),
    version: "0.1.0",
    expires: true,
    ttl: 604_800,
    data: None,
    ping_s: 25,
    pong: true,
    session: None,
    node: "",
    time_ms: None,
};

/// The page's connect request as a command.
pub(crate) fn json_connect() -> Vec<u8> {
    [br#"{"id":1,"connect":"#, PAGE, b"}"].concat()
}

/// The same in Protobuf; both lengths need two bytes.
pub(crate) fn protobuf_connect() -> Vec<u8> {
    let request: serde_json::Value = serde_json::from_slice(PAGE).expect("PAGE is JSON");
    let member = |key: &str| request[key].as_str().expect("PAGE has it").as_bytes().to_vec();
    let delimited = |head: &[u8], body: &[u8]| {
        let len = u8::try_from(body.len()).expect("less than 256");
        let prefix: &[u8] = if len < 0x80 { &[len] } else { &[len | 0x80, 1] };
        [head, prefix, body].concat()
    };
    let connect = [delimited(&[0x0a], &member("token")), delimited(&[0x22], &member("name"))];
    delimited(&[], &delimited(&[0x08, 1, 0x22], &connect.concat()))
}

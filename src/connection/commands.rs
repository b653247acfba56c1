//! What a client may ask once it is connected, and what it is told when it may not (client
//! protocol v2, semantics of commands).

use crate::ids::ClientId;
use crate::protocol::Request;
use crate::protocol::codes::{self, Disconnect, ErrorCode};

/// What becomes of one command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer<'m> {
    /// A reply that says nothing but that it worked.
    Unsubscribed,
    /// A reply with this error.
    Error(ErrorCode),
    /// The connection ends.
    Close(Disconnect),
    /// A ping was answered.
    Pong,
    /// The session goes on as this token says.
    Refresh(&'m str),
    /// A user looks after their own sessions.
    Sessions(SessionsCall),
}

/// What a user may do with their own sessions, or say of themselves, without any backend.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SessionsCall {
    /// `sessions.list`.
    List,
    /// `sessions.close`: one of them, by its client id.
    Close(ClientId),
    /// `sessions.close_others`: all but the one that asks.
    CloseOthers,
    /// `update_user_status`: the user is active.
    BeActive,
}

/// Decides a command of a session. `may_manage_sessions` is what the token's claim `sessions`
/// allows.
#[must_use]
pub fn answer<'m>(request: &'m Request<'_>, may_manage_sessions: Permission) -> Answer<'m> {
    match request {
        // A second connect, and what no server takes.
        Request::Connect(_) | Request::Unknown => Answer::Close(codes::BAD_REQUEST),
        Request::Pong => Answer::Pong,
        Request::Refresh { token } if token.is_empty() => Answer::Close(codes::BAD_REQUEST),
        Request::Refresh { token } => Answer::Refresh(token),
        Request::Send { .. } => Answer::Close(codes::NOT_AVAILABLE),
        Request::Rpc { method, data } => rpc(method, data, may_manage_sessions),
        Request::Subscribe(channel)
        | Request::Publish(channel)
        | Request::Presence(channel)
        | Request::PresenceStats(channel)
        | Request::History(channel) => {
            channel_answer(channel, Answer::Error(codes::ERROR_NOT_AVAILABLE))
        }
        // Of a subscription that cannot exist.
        Request::SubRefresh(channel) => {
            channel_answer(channel, Answer::Error(codes::ERROR_PERMISSION_DENIED))
        }
        Request::Unsubscribe(channel) => channel_answer(channel, Answer::Unsubscribed),
    }
}

/// Whether a client may do something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Permission {
    /// It may.
    Granted,
    /// It may not.
    Denied,
}

fn channel_answer<'m>(channel: &str, answer: Answer<'m>) -> Answer<'m> {
    if channel.is_empty() { Answer::Close(codes::BAD_REQUEST) } else { answer }
}

fn rpc(method: &str, data: &[u8], may_manage_sessions: Permission) -> Answer<'static> {
    if method == "update_user_status" {
        return Answer::Sessions(SessionsCall::BeActive);
    }
    let Some(of_sessions) = method.strip_prefix("sessions.") else {
        return Answer::Error(codes::ERROR_NOT_AVAILABLE);
    };
    let call = match of_sessions {
        "list" => Some(SessionsCall::List),
        "close" => client_of(data).map(SessionsCall::Close),
        "close_others" => Some(SessionsCall::CloseOthers),
        _ => return Answer::Error(codes::ERROR_METHOD_NOT_FOUND),
    };
    match (call, may_manage_sessions) {
        (_, Permission::Denied) => Answer::Error(codes::ERROR_PERMISSION_DENIED),
        (None, Permission::Granted) => Answer::Error(codes::ERROR_BAD_REQUEST),
        (Some(call), Permission::Granted) => Answer::Sessions(call),
    }
}

/// `{"client":"<id>"}`, as JSON also from Protobuf clients: their `data` is for the receiver to
/// read.
fn client_of(data: &[u8]) -> Option<ClientId> {
    #[derive(serde::Deserialize)]
    struct Close<'d> {
        #[serde(borrow)]
        client: std::borrow::Cow<'d, str>,
    }
    let close: Close<'_> = serde_json::from_slice(data).ok()?;
    ClientId::parse(&close.client)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Encoding, commands};

    const CLIENT: &str = "db8bc772-2654-4283-851a-f29b888ace74";

    #[track_caller]
    fn check(command: &str, permission: Permission, expected: &Answer<'_>) {
        let command = commands(Encoding::Json, command.as_bytes()).next();
        let command = command.expect("a command").expect("well formed");
        assert_eq!(&answer(&command.request, permission), expected, "{command:?}");
    }

    #[test]
    fn what_does_not_exist_answers_as_the_contract_says() {
        let not_available = || Answer::Error(codes::ERROR_NOT_AVAILABLE);
        let bad_request = || Answer::Close(codes::BAD_REQUEST);
        for (command, expected) in [
            (r#"{"id":2,"connect":{}}"#, bad_request()),
            (r#"{"id":2,"ping":{}}"#, bad_request()),
            (r#"{"id":2}"#, bad_request()),
            ("{}", Answer::Pong),
            (r#"{"send":{"data":{}}}"#, Answer::Close(codes::NOT_AVAILABLE)),
            (r#"{"id":2,"subscribe":{"channel":"c"}}"#, not_available()),
            (r#"{"id":2,"subscribe":{}}"#, bad_request()),
            (r#"{"id":2,"publish":{"channel":"c","data":1}}"#, not_available()),
            (r#"{"id":2,"presence":{"channel":"c"}}"#, not_available()),
            (r#"{"id":2,"presence_stats":{"channel":"c"}}"#, not_available()),
            (r#"{"id":2,"history":{"channel":"c"}}"#, not_available()),
            (
                r#"{"id":2,"sub_refresh":{"channel":"c"}}"#,
                Answer::Error(codes::ERROR_PERMISSION_DENIED),
            ),
            (r#"{"id":2,"unsubscribe":{"channel":"c"}}"#, Answer::Unsubscribed),
            (r#"{"id":2,"unsubscribe":{}}"#, bad_request()),
            (r#"{"id":2,"refresh":{}}"#, bad_request()),
            (r#"{"id":2,"refresh":{"token":"t"}}"#, Answer::Refresh("t")),
            (r#"{"id":2,"rpc":{"method":"other"}}"#, not_available()),
            (r#"{"id":2,"rpc":{}}"#, not_available()),
        ] {
            for permission in [Permission::Granted, Permission::Denied] {
                check(command, permission, &expected);
            }
        }
    }

    #[test]
    fn a_user_looks_after_own_sessions_only_where_the_token_allows_it() {
        let client = ClientId::parse(CLIENT).expect("a UUID");
        let denied = Answer::Error(codes::ERROR_PERMISSION_DENIED);
        for (method, data, call) in [
            ("list", "{}", SessionsCall::List),
            (
                "close",
                r#"{"client":"db8bc772-2654-4283-851a-f29b888ace74"}"#,
                SessionsCall::Close(client),
            ),
            ("close_others", "null", SessionsCall::CloseOthers),
        ] {
            let command =
                format!(r#"{{"id":2,"rpc":{{"method":"sessions.{method}","data":{data}}}}}"#);
            check(&command, Permission::Granted, &Answer::Sessions(call));
            check(&command, Permission::Denied, &denied);
        }
        let unknown = r#"{"id":2,"rpc":{"method":"sessions.open"}}"#;
        check(unknown, Permission::Granted, &Answer::Error(codes::ERROR_METHOD_NOT_FOUND));
    }

    #[test]
    fn a_close_without_a_client_id_is_a_bad_request() {
        for data in ["{}", "null", r#"{"client":1}"#, r#"{"client":"x"}"#, "[]"] {
            let command =
                format!(r#"{{"id":2,"rpc":{{"method":"sessions.close","data":{data}}}}}"#);
            check(&command, Permission::Granted, &Answer::Error(codes::ERROR_BAD_REQUEST));
        }
        check(
            r#"{"id":2,"rpc":{"method":"sessions.close"}}"#,
            Permission::Granted,
            &Answer::Error(codes::ERROR_BAD_REQUEST),
        );
    }
}

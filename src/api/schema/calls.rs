//! Every command of the API that has a request and a result.

use super::field::{Message, message, text, uint32};
use super::{channels, node, rules, sessions};

/// A command: what it takes, what it gives.
#[derive(Debug)]
pub struct Call {
    /// Its name, as in [`Command`](crate::api::Command).
    pub name: &'static str,
    /// What it does, in sentences.
    pub doc: &'static str,
    /// Its parameters.
    pub request: &'static Message,
    /// What success tells.
    pub result: &'static Message,
    /// A request in JSON, and what may be answered.
    pub example: (&'static str, &'static str),
}

impl Call {
    /// The call of this command.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        CALLS.iter().find(|call| call.name == name)
    }

    /// Its name as a gRPC method: `user_connections` is `UserConnections`.
    #[must_use]
    pub fn rpc(&self) -> &'static str {
        self.request.name.strip_suffix("Request").unwrap_or(self.request.name)
    }
}

/// Why a command was not carried out.
pub static ERROR: Message = message(
    "Error",
    "Why a command was not carried out.",
    &[
        uint32(
            "code",
            1,
            "Which kind of error: 100 internal server error, 104 not found, 107 bad request, 108 \
             not available.",
        )
        .required(),
        text("message", 2, "What was wrong, and what would be right, for a person.").required(),
    ],
);

/// All calls, in the order in which they are told.
pub static CALLS: &[Call] = &[
    Call {
        name: "connections",
        doc: "Lists sessions, in the form of Centrifugo v4 and later.",
        request: &sessions::CONNECTIONS_REQUEST,
        result: &sessions::CONNECTIONS_RESULT,
        example: (
            r#"{"user":"42"}"#,
            r#"{"connections":{"f5c3a1de-8f0a-4b7e-9a53-6c1f0e7d2b90":{"app_name":"web","transport":"websocket","protocol":"json","user":"42","connected_at_ms":1767225600000,"ping_pong_latency_ms":-1}}}"#,
        ),
    },
    Call {
        name: "user_connections",
        doc: "Lists the sessions of a user, in the flat form of Centrifugo v3.",
        request: &sessions::USER_CONNECTIONS_REQUEST,
        result: &sessions::USER_CONNECTIONS_RESULT,
        example: (
            r#"{"user":"42"}"#,
            r#"{"connections":{"f5c3a1de-8f0a-4b7e-9a53-6c1f0e7d2b90":{"app_name":"web","transport":"websocket","protocol":"json"}}}"#,
        ),
    },
    Call {
        name: "disconnect",
        doc: "Ends the sessions selected. Once it has answered, none of them is listed again.",
        request: &sessions::DISCONNECT_REQUEST,
        result: &sessions::DISCONNECT_RESULT,
        example: (
            r#"{"user":"42","disconnect":{"code":4001,"reason":"signed out"}}"#,
            r#"{"matched":2,"closed":2}"#,
        ),
    },
    Call {
        name: "refresh",
        doc: "Changes when the sessions selected end.",
        request: &sessions::REFRESH_REQUEST,
        result: &sessions::REFRESH_RESULT,
        example: (r#"{"user":"42","expire_at":1893456000}"#, r#"{"matched":2,"refreshed":2}"#),
    },
    Call {
        name: "info",
        doc: "Tells what this node is and how much it holds.",
        request: &sessions::INFO_REQUEST,
        result: &sessions::INFO_RESULT,
        example: (
            "{}",
            r#"{"nodes":[{"uid":"6a2d3f0c-5b7e-4f0a-8f4d-2f3b7c9d1e55","name":"host_8000","version":"0.1.0","num_clients":3,"num_users":1,"num_channels":0,"uptime":60,"num_subs":0}]}"#,
        ),
    },
    Call {
        name: "node_stats",
        doc: "Tells how this node is: in figures, shard by shard, and what is not well with it.",
        request: &node::NODE_STATS_REQUEST,
        result: &node::NODE_STATS_RESULT,
        example: (
            "{}",
            r#"{"node":{"uid":"6a2d3f0c-5b7e-4f0a-8f4d-2f3b7c9d1e55","name":"host_8000","version":"0.1.0","uptime_s":60,"driver":"io_uring","sessions":3,"users":1,"connections":4,"opened_total":5,"closed_total":2,"queries_total":7,"query_us":{"count":7,"p50":80,"p99":210,"p999":210,"max":210,"window_s":60},"memory":{"rss_bytes":14680064,"limit_bytes":8589934592},"descriptors_limit":1024,"shards":[{"shard":0,"sessions":3,"users":1,"connections":4,"driver":"io_uring","opened_total":5,"closed_total":2,"queries_total":7}]},"health":[{"level":"warning","what":"INSECURE admin mode enabled (admin.insecure), make sure you understand risks"}]}"#,
        ),
    },
    Call {
        name: "update_meta",
        doc: "Replaces the meta of the sessions selected.",
        request: &sessions::UPDATE_META_REQUEST,
        result: &sessions::UPDATE_META_RESULT,
        example: (r#"{"user":"42","meta":{"plan":"gold"}}"#, r#"{"matched":1,"updated":1}"#),
    },
    Call {
        name: "update_labels",
        doc: "Changes the labels of the sessions selected.",
        request: &sessions::UPDATE_LABELS_REQUEST,
        result: &sessions::UPDATE_LABELS_RESULT,
        example: (r#"{"user":"42","set":{"region":"eu"}}"#, r#"{"matched":1,"updated":1}"#),
    },
    Call {
        name: "block_user",
        doc: "Ends the sessions of a user and refuses further ones.",
        request: &rules::BLOCK_USER_REQUEST,
        result: &rules::BLOCK_USER_RESULT,
        example: (r#"{"user":"42","expire_at":1893456000}"#, "{}"),
    },
    Call {
        name: "unblock_user",
        doc: "Lets a blocked user connect again.",
        request: &rules::UNBLOCK_USER_REQUEST,
        result: &rules::UNBLOCK_USER_RESULT,
        example: (r#"{"user":"42"}"#, "{}"),
    },
    Call {
        name: "get_user_block",
        doc: "Tells whether a user is blocked.",
        request: &rules::GET_USER_BLOCK_REQUEST,
        result: &rules::GET_USER_BLOCK_RESULT,
        example: (r#"{"user":"42"}"#, r#"{"blocked":true,"expire_at":1893456000}"#),
    },
    Call {
        name: "revoke_token",
        doc: "Ends the sessions that came with a token and refuses the token.",
        request: &rules::REVOKE_TOKEN_REQUEST,
        result: &rules::REVOKE_TOKEN_RESULT,
        example: (r#"{"uid":"token-1"}"#, "{}"),
    },
    Call {
        name: "invalidate_user_tokens",
        doc: "Ends the sessions of a user that came with an old token and refuses old tokens.",
        request: &rules::INVALIDATE_USER_TOKENS_REQUEST,
        result: &rules::INVALIDATE_USER_TOKENS_RESULT,
        example: (r#"{"user":"42","issued_before":1767225600}"#, "{}"),
    },
    Call {
        name: "update_user_status",
        doc: "Notes that users are active now.",
        request: &rules::UPDATE_USER_STATUS_REQUEST,
        result: &rules::UPDATE_USER_STATUS_RESULT,
        example: (r#"{"users":["42"],"state":"away"}"#, "{}"),
    },
    Call {
        name: "get_user_status",
        doc: "Tells when users were active and online.",
        request: &rules::GET_USER_STATUS_REQUEST,
        result: &rules::GET_USER_STATUS_RESULT,
        example: (
            r#"{"users":["42"]}"#,
            r#"{"statuses":[{"user":"42","active":1767225600,"online":1767225600}]}"#,
        ),
    },
    Call {
        name: "delete_user_status",
        doc: "Forgets what is known of users' activity.",
        request: &rules::DELETE_USER_STATUS_REQUEST,
        result: &rules::DELETE_USER_STATUS_RESULT,
        example: (r#"{"users":["42"]}"#, "{}"),
    },
    Call {
        name: "channels",
        doc: "Lists the channels with subscribers. There are no channels, so it lists none.",
        request: &channels::CHANNELS_REQUEST,
        result: &channels::CHANNELS_RESULT,
        example: ("{}", r#"{"channels":{}}"#),
    },
    Call {
        name: "subscribe",
        doc: "Would subscribe sessions to a channel. There are no channels, so it is refused with \
              error 102.",
        request: &channels::SUBSCRIBE_REQUEST,
        result: &channels::SUBSCRIBE_RESULT,
        example: (r#"{"user":"42","channel":"news"}"#, "{}"),
    },
    Call {
        name: "unsubscribe",
        doc: "Ends subscriptions to a channel. There are no channels, so nothing is left to end.",
        request: &channels::UNSUBSCRIBE_REQUEST,
        result: &channels::UNSUBSCRIBE_RESULT,
        example: (r#"{"user":"42","channel":"news"}"#, "{}"),
    },
];

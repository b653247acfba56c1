//! Messages about sessions: who is connected, and what becomes of them.

use super::field::{Field, Message, bool, double, int64, json, message, part, text, uint32};

/// Selectors that several commands share, by their sentences.
pub(super) const USER: &str = "Only sessions of this user. The empty user is the anonymous one.";
pub(super) const CLIENT: &str = "Only the session with this client id. Empty: any.";
pub(super) const SESSION: &str = "Only the session with this session id. Empty: any.";
pub(super) const LABEL_FILTER: &str = "Only sessions whose labels pass this filter.";
pub(super) const ALL_USERS: &str = "Sessions of every user, when none is given.";
pub(super) const EXPRESSION: &str = "Only sessions for which this CEL expression is true.";
pub(super) const TRANSPORT: &str = "Only sessions on this transport.";
pub(super) const APP_NAME: &str = "Only sessions whose client has this name.";
pub(super) const APP_VERSION: &str = "Only sessions whose client has this version.";
const OLDER_THAN: &str = "Only sessions that connected more than so many seconds ago.";
const IDLE_LONGER_THAN: &str =
    "Only sessions that are known to have been silent for more than so many seconds.";
const DRY_RUN: &str = "Tells what would be done and does nothing.";
const RETURN_CLIENTS: &str = "Adds the client ids of the sessions that matched to the result.";
const MATCHED: &str = "Sessions that matched.";
const PENDING: &str = "Sessions that are still to be changed.";
const CLIENTS: &str = "Client ids of the sessions that matched, when asked for.";
pub(super) const KEEP: &str = "Not the sessions with these client ids.";
pub(super) const CONNECTED_BEFORE: &str =
    "Only sessions that connected before this time, Unix milliseconds.";
pub(super) const CONNECTED_AFTER: &str =
    "Only sessions that connected at this time or later, Unix milliseconds.";
const SCANNED: &str = "Sessions that had to be looked at because no index helped.";
const EXPRESSION_ERRORS: &str =
    "Sessions that the expression could not be evaluated for: they do not match.";
const PARTIAL: &str = "A part of the server did not answer in time: some sessions are missing.";

pub(in crate::api) static CONNECTIONS_REQUEST: Message = message(
    "ConnectionsRequest",
    "Which sessions to list.",
    &[
        text("user", 1, "Only sessions of this user. Empty: any."),
        text("expression", 2, EXPRESSION),
        part("label_filter", 3, &FILTER_NODE, LABEL_FILTER),
        text("users", 1000, "Only sessions of these users.").many(),
        text("transport", 1001, TRANSPORT),
        text("app_name", 1002, APP_NAME),
        text("app_version", 1003, APP_VERSION),
        int64("connected_before", 1004, CONNECTED_BEFORE),
        int64("connected_after", 1005, CONNECTED_AFTER),
        uint32("limit", 1006, "At most so many sessions on a page. 0: as many as a page may have."),
        text("cursor", 1007, "Goes on where an earlier listing of the same request ended."),
        text(
            "sort",
            1008,
            "In which order: `connected_at` or `user`, with a `-` before it the last first.",
        ),
        bool("count_only", 1009, "Counts instead of listing."),
        text(
            "group_by",
            1010,
            "Counts by `transport`, `protocol`, `app_name`, `app_version` or `label:<key>`.",
        ),
        text("client", 1011, CLIENT),
        text("session", 1012, SESSION),
        text("whitelist", 1013, KEEP).many(),
        bool("all_users", 1014, "Sessions of every user, when nothing else is said."),
        int64("older_than", 1015, OLDER_THAN),
        int64("idle_longer_than", 1016, IDLE_LONGER_THAN),
        text(
            "state",
            1017,
            "`open`, or `closed` for sessions that have ended a while ago at most.",
        ),
    ],
);

pub(in crate::api) static CONNECTIONS_RESULT: Message = message(
    "ConnectionsResult",
    "Sessions by their client ids.",
    &[
        part("connections", 1, &CONNECTION_INFO, "Sessions by their client ids.").map().required(),
        bool("partial", 1000, PARTIAL),
        int64(
            "count",
            1001,
            "Sessions that matched on all pages, when one of our own keys was used.",
        ),
        text("next_cursor", 1002, "Asks for what follows. Absent: nothing does."),
        text("clients", 1003, "Client ids of the page, in its order.").many(),
        int64("groups", 1004, "Sessions of each group, when grouped.").map(),
        int64("scanned", 1005, SCANNED),
        int64("expression_errors", 1006, EXPRESSION_ERRORS),
        bool("groups_truncated", 1007, "There are more groups than are told."),
    ],
);

pub(in crate::api) static CONNECTION_INFO: Message = message(
    "ConnectionInfo",
    "One session.",
    &[
        text("app_name", 1, "The name the client gave."),
        text("app_version", 2, "The version the client gave."),
        text("transport", 3, "The transport, for example `websocket`.").required(),
        text("protocol", 4, "`json` or `protobuf`.").required(),
        text("user", 8, "Whose it is; absent when anonymous."),
        part("state", 9, &CONNECTION_STATE, "What belongs to the session; absent when empty."),
        int64("connected_at_ms", 10, "When it connected, Unix milliseconds."),
        int64(
            "ping_pong_latency_ms",
            11,
            "Milliseconds between the last ping and its answer; -1: not known.",
        ),
        text("labels", 12, "Its labels.").map(),
        text("remote_addr", 1000, "The address it came from."),
        text("user_agent", 1001, "What its client calls itself."),
        part("closed", 1002, &CONNECTION_END, "How it ended; absent while it lives."),
    ],
);

pub(in crate::api) static CONNECTION_END: Message = message(
    "ConnectionEnd",
    "How a session ended.",
    &[
        int64("at_ms", 1, "When, Unix milliseconds.").required(),
        uint32("code", 2, "The code its client heard; 3000 when it left by itself.").required(),
        text("reason", 3, "The text of the code."),
        int64("duration_ms", 4, "Milliseconds it had lived.").required(),
    ],
);

pub(in crate::api) static CONNECTION_STATE: Message = message(
    "ConnectionState",
    "What belongs to a session.",
    &[
        part("connection_token", 2, &CONNECTION_TOKEN_INFO, "The last token it brought."),
        json("meta", 4, "Its meta, which its client never sees."),
    ],
);

pub(in crate::api) static CONNECTION_TOKEN_INFO: Message = message(
    "ConnectionTokenInfo",
    "A token.",
    &[
        text("uid", 1, "Its id (`jti`)."),
        int64("issued_at", 2, "When it was issued (`iat`), Unix seconds."),
    ],
);

pub(in crate::api) static USER_CONNECTIONS_REQUEST: Message = message(
    "UserConnectionsRequest",
    "Whose sessions to list.",
    &[text("user", 1, "The user; the empty one is the anonymous user.").optional()],
);

pub(in crate::api) static USER_CONNECTIONS_RESULT: Message = message(
    "UserConnectionsResult",
    "Sessions by their client ids.",
    &[
        part("connections", 1, &USER_CONNECTION_INFO, "Sessions by their client ids.")
            .map()
            .required(),
        bool("partial", 1000, PARTIAL),
    ],
);

pub(in crate::api) static USER_CONNECTION_INFO: Message = message(
    "UserConnectionInfo",
    "One session.",
    &[
        text("app_name", 1, "The name the client gave."),
        text("app_version", 2, "The version the client gave."),
        text("transport", 3, "The transport, for example `websocket`.").required(),
        text("protocol", 4, "`json` or `protobuf`.").required(),
        json("meta", 5, "Its meta, which its client never sees."),
        text("token_uid", 6, "Id of the last token it brought (`jti`)."),
        int64("token_issued_at", 7, "When that token was issued (`iat`), Unix seconds."),
    ],
);

pub(in crate::api) static DISCONNECT_REQUEST: Message = message(
    "DisconnectRequest",
    "Which sessions to end, and what to tell their clients. Something must be selected.",
    &[
        text("user", 1, USER).optional(),
        part("disconnect", 2, &DISCONNECT, "What to tell them. Absent: 3503 force disconnect."),
        text("client", 3, CLIENT),
        text("whitelist", 4, "Client ids of sessions to keep.").many(),
        text("session", 5, SESSION),
        part("label_filter", 6, &FILTER_NODE, LABEL_FILTER),
        bool("all_users", 7, ALL_USERS),
        text("expression", 1000, EXPRESSION),
        text("transport", 1001, TRANSPORT),
        text("app_name", 1002, APP_NAME),
        text("app_version", 1003, APP_VERSION),
        int64("older_than", 1004, OLDER_THAN),
        int64("idle_longer_than", 1005, IDLE_LONGER_THAN),
        bool("dry_run", 1006, DRY_RUN),
        bool("return_clients", 1007, RETURN_CLIENTS),
        int64(
            "fence",
            1008,
            "Refuses connects of those selected for so many seconds, at most 3600; they are selected \
             by users alone, by labels alone, or are one session (`client` or `session`), whose \
             token is refused.",
        ),
        text("users", 1009, "Only sessions of these users.").many(),
        int64("connected_before", 1010, CONNECTED_BEFORE),
        int64("connected_after", 1011, CONNECTED_AFTER),
    ],
);

pub(in crate::api) static DISCONNECT: Message = message(
    "Disconnect",
    "What clients are told when their session ends.",
    &[
        uint32("code", 1, "The code, from 3000 to 4999. 0: 3503."),
        text("reason", 2, "The reason, at most 123 bytes."),
    ],
);

pub(in crate::api) static DISCONNECT_RESULT: Message = message(
    "DisconnectResult",
    "The sessions selected have ended.",
    &[
        int64("matched", 1000, MATCHED).required(),
        int64("closed", 1001, "Sessions that were ended.").required(),
        int64("pending", 1002, PENDING),
        text("clients", 1003, CLIENTS).many(),
        int64("scanned", 1004, SCANNED),
        int64("expression_errors", 1005, EXPRESSION_ERRORS),
        bool("clients_truncated", 1006, "There are more client ids than are told."),
        bool("partial", 1007, "The time was over before all sessions had been looked at."),
    ],
);

pub(in crate::api) static REFRESH_REQUEST: Message = message(
    "RefreshRequest",
    "Which sessions go on, and until when. Something must be selected.",
    &[
        text("user", 1, USER).optional(),
        text("client", 2, CLIENT),
        bool("expired", 3, "They have ended: their clients are told 3005 connection expired."),
        int64("expire_at", 4, "When they end, Unix seconds. 0: not at any time known now."),
        json("info", 5, "Read and not used: only channels would show it."),
        text("session", 6, SESSION),
        part("label_filter", 7, &FILTER_NODE, LABEL_FILTER),
        bool("all_users", 8, ALL_USERS),
        text("expression", 1000, EXPRESSION),
        text("transport", 1001, TRANSPORT),
        text("app_name", 1002, APP_NAME),
        text("app_version", 1003, APP_VERSION),
        int64("older_than", 1004, OLDER_THAN),
        int64("idle_longer_than", 1005, IDLE_LONGER_THAN),
        bool("dry_run", 1006, DRY_RUN),
        bool("return_clients", 1007, RETURN_CLIENTS),
        text("users", 1008, "Only sessions of these users.").many(),
        int64("connected_before", 1009, CONNECTED_BEFORE),
        int64("connected_after", 1010, CONNECTED_AFTER),
        text("whitelist", 1011, KEEP).many(),
    ],
);

pub(in crate::api) static REFRESH_RESULT: Message = message(
    "RefreshResult",
    "The sessions selected know their new end.",
    &[
        int64("matched", 1000, MATCHED).required(),
        int64("refreshed", 1001, "Sessions that know their new end.").required(),
        int64("pending", 1002, PENDING),
        text("clients", 1003, CLIENTS).many(),
        int64("scanned", 1004, SCANNED),
        int64("expression_errors", 1005, EXPRESSION_ERRORS),
        bool("clients_truncated", 1006, "There are more client ids than are told."),
        bool("partial", 1007, "The time was over before all sessions had been looked at."),
    ],
);

pub(in crate::api) static INFO_REQUEST: Message =
    message("InfoRequest", "Nothing is to be said.", &[]);

pub(in crate::api) static INFO_RESULT: Message = message(
    "InfoResult",
    "The nodes.",
    &[
        part("nodes", 1, &NODE_RESULT, "This node.").many().required(),
        bool("partial", 1000, "A part of the server did not answer in time: it is not counted."),
    ],
);

pub(in crate::api) static NODE_RESULT: Message = message(
    "NodeResult",
    "A node.",
    &[
        text("uid", 1, "The name of this run of the node.").required(),
        text("name", 2, "Its name.").required(),
        text("version", 3, "The version it runs.").required(),
        uint32("num_clients", 4, "Sessions.").required(),
        uint32("num_users", 5, "Distinct users with sessions; all anonymous ones are one.")
            .required(),
        uint32("num_channels", 6, "Channels with subscribers.").required(),
        uint32("uptime", 7, "Seconds since it started."),
        part("metrics", 8, &METRICS, "What it has counted."),
        uint32("num_subs", 10, "Subscriptions.").required(),
    ],
);

pub(in crate::api) static METRICS: Message = message(
    "Metrics",
    "What a node has counted.",
    &[double("items", 2, "Counts since the start, and how many rules there are, by their names.")
        .map()],
);

pub(in crate::api) static FILTER_NODE: Message = message(
    "FilterNode",
    "A filter over labels: a comparison of one label, or filters put together.",
    &[
        text("op", 1, "Empty: a comparison. `and`, `or`, `not`: what `nodes` say together."),
        text("key", 2, "The label compared."),
        text(
            "cmp",
            3,
            "How: `eq`, `neq`, `in`, `nin`, `ex`, `nex`, `sw`, `ew`, `ct`, `gt`, `gte`, `lt`, \
             `lte`.",
        ),
        text("val", 4, "What it is compared with."),
        text("vals", 5, "What it is compared with, for `in` and `nin`.").many(),
        part("nodes", 6, &FILTER_NODE, "The filters put together.").many(),
    ],
);

const UPDATED: &[Field] = &[
    int64("matched", 1, MATCHED).required(),
    int64("updated", 2, "How many of them are others now.").required(),
    int64("pending", 3, PENDING),
    text("clients", 4, CLIENTS).many(),
    int64("scanned", 5, SCANNED),
    int64("expression_errors", 6, EXPRESSION_ERRORS),
    bool("clients_truncated", 7, "There are more client ids than are told."),
    bool("partial", 8, "The time was over before all sessions had been looked at."),
    int64("refused", 9, "Sessions that stay as they are because they would have too many labels."),
];

pub(in crate::api) static UPDATE_META_REQUEST: Message = message(
    "UpdateMetaRequest",
    "Whose meta to replace, and by what. Something must be selected.",
    &[
        text("user", 1, USER).optional(),
        text("client", 2, CLIENT),
        text("session", 3, SESSION),
        part("label_filter", 4, &FILTER_NODE, LABEL_FILTER),
        json("meta", 5, "The new meta. Absent or `null`: none."),
        bool("all_users", 7, ALL_USERS),
        text("expression", 8, EXPRESSION),
        text("transport", 9, TRANSPORT),
        text("app_name", 10, APP_NAME),
        text("app_version", 11, APP_VERSION),
        int64("older_than", 12, OLDER_THAN),
        int64("idle_longer_than", 13, IDLE_LONGER_THAN),
        bool("dry_run", 14, DRY_RUN),
        bool("return_clients", 15, RETURN_CLIENTS),
        text("users", 16, "Only sessions of these users.").many(),
        int64("connected_before", 17, CONNECTED_BEFORE),
        int64("connected_after", 18, CONNECTED_AFTER),
        text("whitelist", 19, KEEP).many(),
    ],
);

pub(in crate::api) static UPDATE_META_RESULT: Message =
    message("UpdateMetaResult", "The meta is replaced.", UPDATED);

pub(in crate::api) static UPDATE_LABELS_REQUEST: Message = message(
    "UpdateLabelsRequest",
    "Whose labels to change, and how. Something must be selected.",
    &[
        text("user", 1, USER).optional(),
        text("client", 2, CLIENT),
        text("session", 3, SESSION),
        part("label_filter", 4, &FILTER_NODE, LABEL_FILTER),
        text("set", 5, "Labels to set.").map(),
        text("unset", 6, "Keys of labels to take away.").many(),
        bool("all_users", 7, ALL_USERS),
        text("expression", 8, EXPRESSION),
        text("transport", 9, TRANSPORT),
        text("app_name", 10, APP_NAME),
        text("app_version", 11, APP_VERSION),
        int64("older_than", 12, OLDER_THAN),
        int64("idle_longer_than", 13, IDLE_LONGER_THAN),
        bool("dry_run", 14, DRY_RUN),
        bool("return_clients", 15, RETURN_CLIENTS),
        text("users", 16, "Only sessions of these users.").many(),
        int64("connected_before", 17, CONNECTED_BEFORE),
        int64("connected_after", 18, CONNECTED_AFTER),
        text("whitelist", 19, KEEP).many(),
    ],
);

pub(in crate::api) static UPDATE_LABELS_RESULT: Message =
    message("UpdateLabelsResult", "The labels are changed.", UPDATED);

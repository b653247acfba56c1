//! Messages of `batch`: many commands, one reply for each.

use super::calls::ERROR;
use super::field::{Message, bool, message, part};
use super::{channels, node, rules, sessions};

pub(in crate::api) static BATCH_REQUEST: Message = message(
    "BatchRequest",
    "Many commands.",
    &[
        part("commands", 1, &COMMAND, "The commands, at most 1000.").many(),
        bool("parallel", 2, "Allowed and without effect: all are asked at once, in order."),
    ],
);

pub(in crate::api) static BATCH_RESPONSE: Message = message(
    "BatchResponse",
    "Many replies.",
    &[part("replies", 1, &REPLY, "One for each command, in order.").many().required()],
);

pub(in crate::api) static COMMAND: Message = message(
    "Command",
    "One command: the one field that is set.",
    &[
        part("subscribe", 6, &channels::SUBSCRIBE_REQUEST, "As `subscribe`."),
        part("unsubscribe", 7, &channels::UNSUBSCRIBE_REQUEST, "As `unsubscribe`."),
        part("disconnect", 8, &sessions::DISCONNECT_REQUEST, "As `disconnect`."),
        part("info", 13, &sessions::INFO_REQUEST, "As `info`."),
        part("refresh", 15, &sessions::REFRESH_REQUEST, "As `refresh`."),
        part("channels", 16, &channels::CHANNELS_REQUEST, "As `channels`."),
        part("connections", 17, &sessions::CONNECTIONS_REQUEST, "As `connections`."),
        part(
            "update_user_status",
            18,
            &rules::UPDATE_USER_STATUS_REQUEST,
            "As `update_user_status`.",
        ),
        part("get_user_status", 19, &rules::GET_USER_STATUS_REQUEST, "As `get_user_status`."),
        part(
            "delete_user_status",
            20,
            &rules::DELETE_USER_STATUS_REQUEST,
            "As `delete_user_status`.",
        ),
        part("block_user", 21, &rules::BLOCK_USER_REQUEST, "As `block_user`."),
        part("unblock_user", 22, &rules::UNBLOCK_USER_REQUEST, "As `unblock_user`."),
        part("revoke_token", 23, &rules::REVOKE_TOKEN_REQUEST, "As `revoke_token`."),
        part(
            "invalidate_user_tokens",
            24,
            &rules::INVALIDATE_USER_TOKENS_REQUEST,
            "As `invalidate_user_tokens`.",
        ),
        part(
            "user_connections",
            1000,
            &sessions::USER_CONNECTIONS_REQUEST,
            "As `user_connections`.",
        ),
        part("update_meta", 1001, &sessions::UPDATE_META_REQUEST, "As `update_meta`."),
        part("update_labels", 1002, &sessions::UPDATE_LABELS_REQUEST, "As `update_labels`."),
        part("node_stats", 1003, &node::NODE_STATS_REQUEST, "As `node_stats`."),
        part("get_user_block", 1004, &rules::GET_USER_BLOCK_REQUEST, "As `get_user_block`."),
    ],
);

pub(in crate::api) static REPLY: Message = message(
    "Reply",
    "What came of one command: an error, or the result under the command's name.",
    &[
        part("error", 2, &ERROR, "Why it was not carried out."),
        part("subscribe", 6, &channels::SUBSCRIBE_RESULT, "What `subscribe` tells."),
        part("unsubscribe", 7, &channels::UNSUBSCRIBE_RESULT, "What `unsubscribe` tells."),
        part("disconnect", 8, &sessions::DISCONNECT_RESULT, "What `disconnect` tells."),
        part("info", 13, &sessions::INFO_RESULT, "What `info` tells."),
        part("refresh", 15, &sessions::REFRESH_RESULT, "What `refresh` tells."),
        part("channels", 16, &channels::CHANNELS_RESULT, "What `channels` tells."),
        part("connections", 17, &sessions::CONNECTIONS_RESULT, "What `connections` tells."),
        part(
            "update_user_status",
            18,
            &rules::UPDATE_USER_STATUS_RESULT,
            "What `update_user_status` tells.",
        ),
        part(
            "get_user_status",
            19,
            &rules::GET_USER_STATUS_RESULT,
            "What `get_user_status` tells.",
        ),
        part(
            "delete_user_status",
            20,
            &rules::DELETE_USER_STATUS_RESULT,
            "What `delete_user_status` tells.",
        ),
        part("block_user", 21, &rules::BLOCK_USER_RESULT, "What `block_user` tells."),
        part("unblock_user", 22, &rules::UNBLOCK_USER_RESULT, "What `unblock_user` tells."),
        part("revoke_token", 23, &rules::REVOKE_TOKEN_RESULT, "What `revoke_token` tells."),
        part(
            "invalidate_user_tokens",
            24,
            &rules::INVALIDATE_USER_TOKENS_RESULT,
            "What `invalidate_user_tokens` tells.",
        ),
        part(
            "user_connections",
            1000,
            &sessions::USER_CONNECTIONS_RESULT,
            "What `user_connections` tells.",
        ),
        part("update_meta", 1001, &sessions::UPDATE_META_RESULT, "What `update_meta` tells."),
        part("update_labels", 1002, &sessions::UPDATE_LABELS_RESULT, "What `update_labels` tells."),
        part("node_stats", 1003, &node::NODE_STATS_RESULT, "What `node_stats` tells."),
        part("get_user_block", 1004, &rules::GET_USER_BLOCK_RESULT, "What `get_user_block` tells."),
    ],
);

//! Messages about who may not connect, and about the status of users.

use super::field::{Message, bool, int64, message, part, text};

const EXPIRE_AT: &str = "Until when, Unix seconds. 0: until it is undone.";

pub(in crate::api) static BLOCK_USER_REQUEST: Message = message(
    "BlockUserRequest",
    "Whom to block.",
    &[int64("expire_at", 1, EXPIRE_AT), text("user", 2, "The user.").required()],
);

pub(in crate::api) static BLOCK_USER_RESULT: Message =
    message("BlockUserResult", "The user is blocked.", &[]);

pub(in crate::api) static UNBLOCK_USER_REQUEST: Message = message(
    "UnblockUserRequest",
    "Whom to let in again.",
    &[text("user", 1, "The user.").required()],
);

pub(in crate::api) static UNBLOCK_USER_RESULT: Message =
    message("UnblockUserResult", "The user may connect again.", &[]);

pub(in crate::api) static GET_USER_BLOCK_REQUEST: Message = message(
    "GetUserBlockRequest",
    "Who may be blocked.",
    &[text("user", 1, "The user.").required()],
);

pub(in crate::api) static GET_USER_BLOCK_RESULT: Message = message(
    "GetUserBlockResult",
    "Whether the user is blocked.",
    &[
        bool("blocked", 1, "Whether they are.").required(),
        int64("expire_at", 2, "Until when, Unix seconds. Absent: until they are unblocked."),
    ],
);

pub(in crate::api) static REVOKE_TOKEN_REQUEST: Message = message(
    "RevokeTokenRequest",
    "Which token to refuse.",
    &[int64("expire_at", 1, EXPIRE_AT), text("uid", 2, "The id of the token (`jti`).").required()],
);

pub(in crate::api) static REVOKE_TOKEN_RESULT: Message =
    message("RevokeTokenResult", "The token is refused.", &[]);

pub(in crate::api) static INVALIDATE_USER_TOKENS_REQUEST: Message = message(
    "InvalidateUserTokensRequest",
    "Which tokens to refuse.",
    &[
        int64("expire_at", 1, EXPIRE_AT),
        text("user", 2, "The user of the tokens.").required(),
        int64("issued_before", 3, "Tokens issued before this time, Unix seconds. 0: now."),
        text("channel", 4, "Needs channels: refused until there are some."),
    ],
);

pub(in crate::api) static INVALIDATE_USER_TOKENS_RESULT: Message =
    message("InvalidateUserTokensResult", "The tokens are refused.", &[]);

pub(in crate::api) static UPDATE_USER_STATUS_REQUEST: Message = message(
    "UpdateUserStatusRequest",
    "Who is active.",
    &[
        text("users", 1, "The users.").many().required(),
        text("state", 2, "A state of the application's own."),
    ],
);

pub(in crate::api) static UPDATE_USER_STATUS_RESULT: Message =
    message("UpdateUserStatusResult", "It is noted.", &[]);

pub(in crate::api) static GET_USER_STATUS_REQUEST: Message = message(
    "GetUserStatusRequest",
    "Whose status to tell.",
    &[text("users", 1, "The users.").many().required()],
);

pub(in crate::api) static GET_USER_STATUS_RESULT: Message = message(
    "GetUserStatusResult",
    "What is known of users.",
    &[part("statuses", 1, &USER_STATUS, "One for each user, in the order asked.")
        .many()
        .required()],
);

pub(in crate::api) static USER_STATUS: Message = message(
    "UserStatus",
    "What is known of a user.",
    &[
        text("user", 1, "The user."),
        int64("active", 2, "When they were last active, Unix seconds."),
        int64("online", 3, "When they were last online, Unix seconds."),
        text("state", 4, "A state of the application's own."),
    ],
);

pub(in crate::api) static DELETE_USER_STATUS_REQUEST: Message = message(
    "DeleteUserStatusRequest",
    "Whose status to forget.",
    &[text("users", 1, "The users.").many().required()],
);

pub(in crate::api) static DELETE_USER_STATUS_RESULT: Message =
    message("DeleteUserStatusResult", "It is forgotten.", &[]);

//! Every command of the server API as one table: its name, its number, what we do with it.

use Kind::{NeedsChannels, Unavailable};

/// One command of Centrifugo's server API.
#[derive(PartialEq, Eq, Debug)]
pub struct Command {
    /// Its name in paths, in batches and in reply keys.
    pub name: &'static str,
    /// What it does here.
    pub(super) kind: Kind,
    /// The integer that names it in a legacy body.
    number: Option<u64>,
}

/// What a command does here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    UserConnections,
    Connections,
    Disconnect,
    Refresh,
    UpdateMeta,
    UpdateLabels,
    Info,
    NodeStats,
    Subscribe,
    Unsubscribe,
    Channels,
    /// A stream of events.
    Watch,
    BlockUser,
    GetUserBlock,
    UnblockUser,
    RevokeToken,
    InvalidateUserTokens,
    UpdateUserStatus,
    GetUserStatus,
    DeleteUserStatus,
    /// It is about channels, and there are none: error 108.
    NeedsChannels,
    /// It exists elsewhere and not here: error 104.
    Unavailable,
}

/// In the order in which a batch item that sets several keys is read (Centrifugo's
/// `internal/api/api.go`, then the field numbers of `Command` in `api.proto`); `user_connections`,
/// which has no place there, comes last.
///
/// Number 14 was `USER_CONNECTIONS` in v3 and became `CONNECTIONS` in v4. Whoever writes numbers
/// writes v3 bodies, so here it answers in the v3 form.
static COMMANDS: [Command; 45] = [
    is("publish", Some(0), NeedsChannels),
    is("broadcast", Some(1), NeedsChannels),
    is("subscribe", Some(11), Kind::Subscribe),
    is("unsubscribe", Some(2), Kind::Unsubscribe),
    is("disconnect", Some(3), Kind::Disconnect),
    is("history", Some(6), NeedsChannels),
    is("history_remove", Some(7), NeedsChannels),
    is("presence", Some(4), NeedsChannels),
    is("presence_stats", Some(5), NeedsChannels),
    is("info", Some(9), Kind::Info),
    is("rpc", Some(10), Unavailable),
    is("refresh", Some(12), Kind::Refresh),
    is("channels", Some(8), Kind::Channels),
    is("map_publish", Some(33), NeedsChannels),
    is("map_remove", Some(34), NeedsChannels),
    is("map_read_state", Some(35), NeedsChannels),
    is("map_read_stream", Some(36), NeedsChannels),
    is("map_stats", Some(37), NeedsChannels),
    is("map_clear", Some(38), NeedsChannels),
    is("shared_poll_publish", Some(39), NeedsChannels),
    is("connections", None, Kind::Connections),
    is("update_user_status", Some(15), Kind::UpdateUserStatus),
    is("get_user_status", Some(16), Kind::GetUserStatus),
    is("delete_user_status", Some(17), Kind::DeleteUserStatus),
    is("block_user", Some(18), Kind::BlockUser),
    is("unblock_user", Some(19), Kind::UnblockUser),
    is("revoke_token", Some(20), Kind::RevokeToken),
    is("invalidate_user_tokens", Some(21), Kind::InvalidateUserTokens),
    is("device_register", Some(22), Unavailable),
    is("device_update", Some(23), Unavailable),
    is("device_remove", Some(24), Unavailable),
    is("device_list", Some(25), Unavailable),
    is("device_topic_list", Some(26), Unavailable),
    is("device_topic_update", Some(27), Unavailable),
    is("user_topic_list", Some(28), Unavailable),
    is("user_topic_update", Some(29), Unavailable),
    is("send_push_notification", Some(30), Unavailable),
    is("update_push_status", Some(31), Unavailable),
    is("cancel_push", Some(32), Unavailable),
    is("user_connections", Some(14), Kind::UserConnections),
    is("watch", None, Kind::Watch),
    is("update_meta", None, Kind::UpdateMeta),
    is("update_labels", None, Kind::UpdateLabels),
    is("node_stats", None, Kind::NodeStats),
    is("get_user_block", None, Kind::GetUserBlock),
];

const fn is(name: &'static str, number: Option<u64>, kind: Kind) -> Command {
    Command { name, kind, number }
}

impl Command {
    /// All commands.
    #[cfg(test)]
    pub(super) fn all() -> &'static [Self] {
        &COMMANDS
    }

    /// Whether it does something here, or answers as if there were nothing to do, in a reply.
    pub(super) fn is_served(&self) -> bool {
        !matches!(self.kind, NeedsChannels | Unavailable | Kind::Watch)
    }

    /// Whether it is answered by a stream of events instead of a reply.
    #[must_use]
    pub fn is_stream(&self) -> bool {
        self.kind == Kind::Watch
    }

    /// The command under this last part of a path; exact, as paths are.
    pub(super) fn at_path(name: &str) -> Option<&'static Self> {
        COMMANDS.iter().find(|command| command.name == name)
    }

    /// The command of this gRPC method.
    pub(super) fn at_rpc(method: &str) -> Option<&'static Self> {
        COMMANDS.iter().find(|command| is_method(command.name, method))
    }

    /// The command of this name, in any case.
    pub(super) fn named(name: &str) -> Option<&'static Self> {
        COMMANDS.iter().find(|command| command.name.eq_ignore_ascii_case(name))
    }

    /// The command of this legacy number.
    pub(super) fn numbered(number: u64) -> Option<&'static Self> {
        COMMANDS.iter().find(|command| command.number == Some(number))
    }

    /// How early a batch item reads this command's key when several are set: lower is earlier.
    pub(super) fn precedence(&self) -> usize {
        COMMANDS.iter().position(|command| command.name == self.name).unwrap_or(usize::MAX)
    }
}

/// Whether a method is the one of this command: `map_publish` is `MapPublish`, `rpc` is `RPC`.
fn is_method(name: &str, method: &str) -> bool {
    if name == "rpc" {
        return method == "RPC";
    }
    let mut rest = method;
    for word in name.split('_') {
        let Some((first, other)) = rest.split_at_checked(1) else { return false };
        let Some(after) = other.strip_prefix(&word[1..]) else { return false };
        if first.as_bytes() != [word.as_bytes()[0].to_ascii_uppercase()] {
            return false;
        }
        rest = after;
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_and_every_number_means_one_command() {
        for (at, command) in COMMANDS.iter().enumerate() {
            assert_eq!(command.precedence(), at, "{}", command.name);
            assert_eq!(Command::named(&command.name.to_uppercase()), Some(command));
            assert_eq!(Command::at_path(command.name), Some(command));
            if let Some(number) = command.number {
                assert_eq!(Command::numbered(number), Some(command));
            }
        }
    }

    #[test]
    fn the_numbers_are_those_of_the_legacy_protocol_without_a_gap_but_13() {
        let mut numbers: Vec<_> = COMMANDS.iter().filter_map(|command| command.number).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..40).filter(|number| *number != 13).collect::<Vec<_>>());
    }

    #[test]
    fn number_14_answers_in_the_form_of_v3() {
        assert_eq!(Command::numbered(14).map(|command| command.name), Some("user_connections"));
    }

    #[test]
    fn methods_are_names_with_capitals_instead_of_underscores() {
        for (method, name) in [
            ("Info", Some("info")),
            ("UserConnections", Some("user_connections")),
            ("InvalidateUserTokens", Some("invalidate_user_tokens")),
            ("RPC", Some("rpc")),
            ("Rpc", None),
            ("info", None),
            ("Userconnections", None),
            ("UserConnectionsX", None),
            ("User", None),
            ("", None),
            ("Üser", None),
        ] {
            assert_eq!(Command::at_rpc(method).map(|command| command.name), name, "{method}");
        }
    }

    #[test]
    fn paths_are_exact_and_methods_are_not() {
        assert_eq!(Command::at_path("INFO"), None);
        assert_eq!(Command::at_path("nonsense"), None);
        assert!(Command::named("Info").is_some());
    }
}
